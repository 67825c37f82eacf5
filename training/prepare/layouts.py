"""How raw data lies in folders: which picture belongs to which truth; opens files only to guess."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import cv2

from shm_engine.errors import ImageFileError, OptionsError
from shm_engine.images import PICTURE_SUFFIXES
from training.data.sources import read_pixels
from training.prepare.options import SetOptions

# So many pictures of a folder are opened to see whether they are cut-outs.
_LOOKED_AT = 5


class Entry(NamedTuple):
    """The files of one picture; `key` is the name of everything made from it."""

    key: str
    image: Path
    truth: Path | None = None
    trimap: Path | None = None


class Refusal(NamedTuple):
    """A file that will not be used, and why, in one sentence."""

    path: Path
    reason: str


class Listing(NamedTuple):
    """The pictures of a set, sorted by key, and what was refused for its name alone."""

    entries: tuple[Entry, ...]
    refused: tuple[Refusal, ...]


class Layout(NamedTuple):
    """One way to lay out a set; the first of `kinds_of(folder)` is the default."""

    fits: Callable[[Path], bool]
    kinds_of: Callable[[Path], tuple[str, ...]]
    list_files: Callable[[Path, str], Listing]


def resolve(chosen: SetOptions, data: Path) -> SetOptions:
    """The set with its path from `data`, and with the layout and kind that were left to be found.

    Raises OptionsError if the folder is missing, of no known layout, or cannot have that kind.
    """
    folder = data / chosen.path
    if not folder.is_dir():
        raise OptionsError(f"{folder} is not a folder; check the path", path=folder)
    name = _detect(folder) if chosen.layout == "auto" else chosen.layout
    kinds = LAYOUTS[name].kinds_of(folder)
    kind = chosen.kind or kinds[0]
    if kind not in kinds:
        allowed = " or ".join(repr(kind) for kind in kinds)
        raise OptionsError(
            f"kind of {chosen.name} is {kind!r}, but the layout {name!r} has {allowed}", path=folder
        )
    return replace(chosen, path=str(folder), layout=name, kind=kind)


def list_files(chosen: SetOptions) -> Listing:
    """The pictures of a set that `resolve` returned; OptionsError if there are none at all."""
    folder = Path(chosen.path)
    if chosen.alpha == "keep" and _has_trimaps_alone(folder):
        raise OptionsError(
            f"{folder} has trimaps but neither mask/ nor alpha/; choose alpha knn or closed_form",
            path=folder,
        )
    listing = LAYOUTS[chosen.layout].list_files(folder, chosen.kind)
    if not listing.entries and not listing.refused:
        raise OptionsError(
            f"{chosen.path} has no picture in the layout {chosen.layout!r}; try auto",
            path=folder,
        )
    return listing


def _detect(folder: Path) -> str:
    for name, layout in LAYOUTS.items():
        if layout.fits(folder):
            return name
    raise OptionsError(
        f"{folder} has no layout that is known: image/ with mask/, alpha/ or trimap/; rgba/; "
        "clip_img/ with matting/; or nothing but pictures, all cut-outs or none",
        path=folder,
    )


def _has(folder: Path, *names: str) -> bool:
    return all((folder / name).is_dir() for name in names)


def _has_trimaps_alone(folder: Path) -> bool:
    return _has(folder, "image", "trimap") and not any(_has(folder, n) for n in ("mask", "alpha"))


def _pictures(paths: Iterator[Path]) -> list[Path]:
    # Files that begin with a dot are the litter of other systems (._x.jpg) or half written.
    return sorted(
        path
        for path in paths
        if path.suffix.lower() in PICTURE_SUFFIXES
        and not path.name.startswith(".")
        and path.is_file()
    )


def _by_key(folder: Path, pattern: re.Pattern[str] | None = None) -> tuple[dict[str, Path], ...]:
    """Files at any depth by their path without suffix and `pattern`; and those that come second."""
    first: dict[str, Path] = {}
    second: dict[str, Path] = {}
    for path in _pictures(folder.rglob("*")):
        relative = path.relative_to(folder).with_suffix("").as_posix()
        key = pattern.sub("", relative) if pattern else relative
        if first.setdefault(key, path) != path:
            second[path.as_posix()] = path
    return first, second


def _pair(images: tuple[dict[str, Path], ...], truths: tuple[dict[str, Path], ...]) -> Listing:
    """Pictures with the truths of the same key; what has no partner is refused."""
    reasons = (
        (images[0].keys() - truths[0].keys(), images[0], "it has no mask or alpha of its name"),
        (truths[0].keys() - images[0].keys(), truths[0], "there is no picture of its name"),
        (images[1].keys(), images[1], "another picture beside it has the same name"),
        (truths[1].keys(), truths[1], "another file beside it has the same name"),
    )
    refused = [Refusal(files[key], why) for keys, files, why in reasons for key in sorted(keys)]
    both = sorted(images[0].keys() & truths[0].keys())
    return Listing(
        tuple(Entry(key, images[0][key], truths[0][key]) for key in both), tuple(refused)
    )


# image/ beside mask/ or alpha/, the same names in each.


def _has_pairs(folder: Path) -> bool:
    return _has(folder, "image") and any(_has(folder, n) for n in ("mask", "alpha", "trimap"))


def _kinds_of_pairs(folder: Path) -> tuple[str, ...]:
    if _has(folder, "mask") and not _has(folder, "alpha"):
        return "mask", "alpha", "pasted_mask"
    return "alpha", "mask", "pasted_mask"


def _list_pairs(folder: Path, kind: str) -> Listing:
    order = ("alpha", "mask") if kind == "alpha" else ("mask", "alpha")
    truth = next((name for name in order if _has(folder, name)), None)
    if truth is None:  # trimaps to solve alphas from
        listing = _pair(_by_key(folder / "image"), _by_key(folder / "trimap"))
        return listing._replace(
            entries=tuple(Entry(e.key, e.image, trimap=e.truth) for e in listing.entries)
        )
    return _pair(_by_key(folder / "image"), _by_key(folder / truth))


# The layout of the implementation this project grew from: pairs, and trimap/ and a list of names.


def _has_seed(folder: Path) -> bool:
    return _has_pairs(folder) and (_has(folder, "trimap") or (folder / "train.txt").is_file())


def _list_seed(folder: Path, kind: str) -> Listing:
    listing = _list_pairs(folder, kind)
    trimaps = _by_key(folder / "trimap")[0]
    entries = [entry._replace(trimap=trimaps.get(entry.key)) for entry in listing.entries]
    names = folder / "train.txt"
    if not names.is_file():
        return Listing(tuple(entries), listing.refused)
    try:
        lines = names.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise OptionsError(f"{names} cannot be read as a list of names", path=names) from error
    wanted = {_without_suffix(line.strip()) for line in lines if line.strip()}
    kept = tuple(entry for entry in entries if entry.key in wanted)
    refused = [
        Refusal(folder / "image" / key, "train.txt names it, but picture or truth is missing")
        for key in sorted(wanted - {entry.key for entry in entries})
    ]
    return Listing(kept, tuple(refused))


def _without_suffix(name: str) -> str:
    path = Path(name)
    known = path.suffix.lower() in PICTURE_SUFFIXES
    return (path.with_suffix("") if known else path).as_posix()


# RGBA files in rgba/ or in the folder itself.


def _has_cutouts(folder: Path) -> bool:
    if _has(folder, "rgba"):
        return True
    looks = _looks(folder)
    return bool(looks) and all(looks)


def _list_cutouts(folder: Path, kind: str) -> Listing:
    if _has(folder, "rgba"):
        return _alone(_by_key(folder / "rgba"))
    return _list_pictures(folder, kind)


def _looks(folder: Path) -> list[bool]:
    """For a few pictures of the folder, whether each has a transparent pixel; none if there are
    folders in it: pictures beside them are there by mistake."""
    if any(path.is_dir() and not path.name.startswith(".") for path in folder.glob("*")):
        return []
    found = _pictures(folder.glob("*"))
    step = max(1, len(found) // _LOOKED_AT)
    return [_is_cutout(path) for path in found[::step][:_LOOKED_AT]]


def _is_cutout(path: Path) -> bool:
    try:
        pixels = read_pixels(path, cv2.IMREAD_UNCHANGED)
    except ImageFileError:  # refused by name later
        return False
    return pixels.ndim == 3 and pixels.shape[2] == 4 and bool((pixels[..., 3] < 255).any())


# Pictures of anything but people, in the folder itself.


def _has_pictures(folder: Path) -> bool:
    looks = _looks(folder)
    return bool(looks) and not any(looks)


def _list_pictures(folder: Path, kind: str) -> Listing:  # noqa: ARG001 - all layouts are called alike
    first: dict[str, Path] = {}
    second: dict[str, Path] = {}
    for path in _pictures(folder.glob("*")):
        if first.setdefault(path.stem, path) != path:
            second[path.as_posix()] = path
    return _alone((first, second))


def _alone(files: tuple[dict[str, Path], ...]) -> Listing:
    twice = "another picture beside it has the same name"
    return Listing(
        tuple(Entry(key, files[0][key]) for key in sorted(files[0])),
        tuple(Refusal(path, twice) for path in files[1].values()),
    )


# clip_img/A/clip_B/x.jpg with matting/A/matting_B/x.png, RGBA of the same picture.

_CLIP = re.compile(r"(?<![^/])(clip|matting)_")


def _has_aisegment(folder: Path) -> bool:
    return _has(folder, "clip_img", "matting")


def _list_aisegment(folder: Path, kind: str) -> Listing:  # noqa: ARG001 - all layouts are called alike
    return _pair(_by_key(folder / "clip_img", _CLIP), _by_key(folder / "matting", _CLIP))


# In the order in which they are tried.
LAYOUTS = {
    "aisegment": Layout(
        _has_aisegment, lambda _: ("alpha", "mask", "pasted_mask"), _list_aisegment
    ),
    "seed": Layout(_has_seed, _kinds_of_pairs, _list_seed),
    "pairs": Layout(_has_pairs, _kinds_of_pairs, _list_pairs),
    "cutouts": Layout(_has_cutouts, lambda _: ("cutout",), _list_cutouts),
    "pictures": Layout(_has_pictures, lambda _: ("background",), _list_pictures),
}
