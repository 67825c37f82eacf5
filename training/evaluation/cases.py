"""What is measured: sets of pictures and clips with known alpha; knows no network and no metric."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from shm_engine.errors import ImageFileError, OptionsError
from training.config import build, build_rows
from training.data.picture import Picture
from training.data.sources import list_entries, read_picture
from training.evaluation.composites import pair_up, put_together, read_recipes
from training.evaluation.movies import list_movies, read_movie
from training.evaluation.moving import moving_clips
from training.evaluation.put_aside import put_aside

# What a set is. "mask", "alpha": pictures beside their masks or alphas. "background": pictures
# without people. "composites": a CSV of cut-outs and the background each is put on. "cutout": a
# folder of RGBA pictures, put on pictures of the folder `background`. "moving": clips of the same,
# moved about. "clips": a folder of clips. "manifest": what `prepare` has put aside.
KINDS = (
    "mask",
    "alpha",
    "background",
    "composites",
    "cutout",
    "moving",
    "clips",
    "manifest",
)

# The kinds whose cases are frames of clips.
CLIP_KINDS = ("moving", "clips")

# Where a set counts. "picture": everywhere. "target_box": in a box round the labelled person, for
# truths that label one person among others.
REGIONS = ("picture", "target_box")

# How much larger than the person that box is, on each side, as a part of its width or height.
_BOX_MARGIN = 0.1


@dataclass(frozen=True, kw_only=True)
class EvaluationSet:
    """One row of the table; `path` and `background` start from the data folder."""

    name: str
    kind: str
    path: str
    background: str = ""
    region: str = "picture"

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise OptionsError(f"kind is {self.kind!r}; use one of {', '.join(KINDS)}")
        if self.region not in REGIONS:
            raise OptionsError(f"region is {self.region!r}; use one of {', '.join(REGIONS)}")
        if bool(self.background) != (self.kind in ("cutout", "moving")):
            raise OptionsError(
                f"the set {self.name!r}: background is needed for cutout and moving, and has no "
                "meaning else"
            )
        if not _is_plain(self.name):
            raise OptionsError(f"the set {self.name!r} names a folder; leave slashes and dots out")


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """What to measure. `data` is the folder that paths start from; `categories` names a CSV (set,
    name, categories), relative to where the program runs."""

    data: str
    sets: tuple[EvaluationSet, ...]
    categories: str = ""

    def __post_init__(self) -> None:
        names = [chosen.name for chosen in self.sets]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise OptionsError(f"two sets are called {twice[0]!r}; give each its own name")


class Case(NamedTuple):
    """A picture [H, W, 3] RGB uint8 and its true alpha [H, W] float32 in [0, 1].

    region: the pixels that count, [H, W]; None for all.
    """

    name: str
    image: NDArray[np.uint8]
    true_alpha: NDArray[np.float32]
    region: NDArray[np.bool_] | None = None


class Clip(NamedTuple):
    """Frames in their order, read as they are asked for; a still picture is a clip of one."""

    name: str
    cases: Iterator[Case]


def read_evaluation(path: Path) -> EvaluationConfig:
    """The sets that a TOML file names; OptionsError if it cannot be used."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
        return build(EvaluationConfig, values | build_rows(EvaluationSet, "sets", values))
    except (OSError, ValueError) as error:
        raise OptionsError(f"{path} is not a usable list of sets: {error}", path=path) from error


def cases(data: Path, chosen: EvaluationSet) -> Iterator[Case]:
    """The pictures and frames of a set, one at a time."""
    for clip in clips(data, chosen):
        yield from clip.cases


def clips(data: Path, chosen: EvaluationSet) -> Iterator[Clip]:
    """The clips of a set, whose names cost no decoding; a frame is called `clip/frame`.

    Raises OptionsError if the set is empty or two of its pictures have one name.
    """
    path = data / chosen.path
    names = set()
    for clip in _found(data, chosen):
        if clip.name in names or not _is_plain(clip.name):
            raise OptionsError(
                f"{path}: {clip.name!r} is used twice or is no name for a file; rename it",
                path=path,
            )
        names.add(clip.name)
        yield clip._replace(cases=_with_region(clip.cases, chosen))
    if not names:
        raise OptionsError(f"the set {chosen.name!r} has no pictures", path=path)


def _is_plain(name: str) -> bool:
    """Whether a file or folder can be called so, and stays in its folder."""
    return name not in ("", ".", "..") and not {"/", "\\"} & set(name)


def _found(data: Path, chosen: EvaluationSet) -> Iterator[Clip]:
    path = data / chosen.path
    if chosen.kind == "clips":
        yield from _moving(path)
    elif chosen.kind == "moving":
        for name, pictures in moving_clips(path, data / chosen.background):
            numbered = ((f"{index:05}", picture) for index, picture in enumerate(pictures))
            yield Clip(name, _frames(name, numbered))
    elif chosen.kind == "manifest":
        for name, read in put_aside(path):
            yield _still(name, read)
    elif chosen.kind in ("composites", "cutout"):
        listed = chosen.kind == "composites"
        recipes = read_recipes(path, data) if listed else pair_up(path, data / chosen.background)
        for recipe in recipes:
            yield _still(recipe.name, partial(put_together, recipe))
    else:
        for entry in list_entries(path, chosen.kind):
            yield _still(entry.image.stem, partial(read_picture, entry, chosen.kind))


def _with_region(found: Iterator[Case], chosen: EvaluationSet) -> Iterator[Case]:
    for case in found:
        if chosen.region == "target_box":
            yield case._replace(region=_box_round(case, chosen))
        else:
            yield case


def _box_round(case: Case, chosen: EvaluationSet) -> NDArray[np.bool_]:
    x, y, width, height = cv2.boundingRect((case.true_alpha > 0.5).astype(np.uint8))
    if width == 0:
        raise OptionsError(
            f"{chosen.name}: the mask of {case.name} is empty, so there is no box round a person; "
            'leave the frame out or use region = "picture"'
        )
    across, down = math.ceil(width * _BOX_MARGIN), math.ceil(height * _BOX_MARGIN)
    region = np.zeros(case.true_alpha.shape, bool)
    region[max(0, y - down) : y + height + down, max(0, x - across) : x + width + across] = True
    return region


def _moving(folder: Path) -> Iterator[Clip]:
    """Folders of image/ and mask/ or alpha/, then movies; each by name."""
    for inner in sorted(path for path in folder.glob("*") if (path / "image").is_dir()):
        yield Clip(inner.name, _frames(inner.name, _numbered_by_name(inner)))
    for movie in list_movies(folder):
        numbered = ((f"{index:05}", frame) for index, frame in enumerate(read_movie(movie)))
        yield Clip(movie.name, _frames(movie.name, numbered))


def _numbered_by_name(folder: Path) -> Iterator[tuple[str, Picture]]:
    kind = "alpha" if (folder / "alpha").is_dir() else "mask"
    for entry in list_entries(folder, kind):
        yield entry.image.stem, read_picture(entry, kind)


def _frames(clip: str, found: Iterable[tuple[str, Picture]]) -> Iterator[Case]:
    size = None
    for name, picture in found:
        size = size or picture.alpha.shape
        if picture.alpha.shape != size:
            raise ImageFileError(f"{clip}/{name} differs in size from the first frame of its clip")
        yield _case(f"{clip}/{name}", picture)


def _still(name: str, read: Callable[[], Picture]) -> Clip:
    def only_frame() -> Iterator[Case]:
        yield _case(name, read())

    return Clip(name, only_frame())


def _case(name: str, picture: Picture) -> Case:
    return Case(name, picture.colours, picture.alpha.astype(np.float32) / np.float32(255))
