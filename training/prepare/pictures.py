"""One picture: read, checked, given a trimap and, if asked for, an alpha; runs in any process."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from shm_engine.compositing import as_unit
from shm_engine.errors import ImageFileError
from shm_engine.images import read_image
from training.data.sources import read_pixels
from training.prepare.journal import Outcome
from training.prepare.layouts import Entry
from training.prepare.options import SetOptions
from training.prepare.solve import (
    CannotSolveError,
    classes_of,
    codes_of,
    draw_trimap,
    solve_alpha,
)
from training.stored import checksum, store

# Part of every outcome's settings: count on when the same files would give another outcome.
_VERSION = 1

_SMALLEST_SIDE = 32

# A grey picture that was a JPEG in between has channels that differ a little.
_GREY_TOLERANCE = 8


class Task(NamedTuple):
    """One picture to prepare. `folder` receives what is made; `previous` is its last outcome."""

    chosen: SetOptions
    entry: Entry
    folder: Path
    seed: int
    radii: tuple[int, int]
    previous: Outcome | None

    @property
    def settings(self) -> str:
        """What decides the outcome, besides the files."""
        low, high = self.radii
        return (
            f"{self.chosen.layout} {self.chosen.kind}, alpha {self.chosen.alpha}, "
            f"radii {low} to {high}, seed {self.seed}, version {_VERSION}"
        )

    def output(self, folder: str) -> Path:
        """Where the picture's file of "trimap" or "alpha" belongs."""
        return self.folder / folder / f"{self.entry.key}.png"


class Done(NamedTuple):
    """An outcome, and whether work was needed for it."""

    outcome: Outcome
    is_new: bool


class Pair(NamedTuple):
    """Size (height, width), alpha [H, W] in [0, 1] and trimap classes [H, W], where there are any,
    and the colours [3, H, W] unless the picture is a cut-out."""

    size: tuple[int, int]
    image: torch.Tensor | None
    alpha: NDArray[np.float32] | None
    classes: NDArray[np.uint8] | None


def prepare_picture(task: Task) -> Done:
    """Make what the task asks for, unless it is there already. What is wrong with the picture is in
    the outcome; raises MattingError only if the disk refuses."""
    files = (task.entry.image, task.entry.truth, task.entry.trimap)
    sources = tuple("" if file is None else checksum(file) for file in files)
    if task.previous is not None and _still_holds(task, task.previous, sources):
        return Done(task.previous, is_new=False)
    outputs: dict[str, str] = {}
    refused, size = "", (0, 0)
    try:
        pair = _read_pair(task)
        size = pair.size
        made = _make(task, pair)
    except (ImageFileError, CannotSolveError) as error:
        refused = str(error)
    else:
        for folder, pixels in made.items():
            encoded = cv2.imencode(".png", pixels)[1].tobytes()
            store(task.output(folder), encoded)
            outputs[folder] = hashlib.sha256(encoded).hexdigest()
    outcome = Outcome(
        set=task.chosen.name,
        key=task.entry.key,
        settings=task.settings,
        sources=sources,
        outputs=outputs,
        refused=refused,
        width=size[1],
        height=size[0],
    )
    return Done(outcome, is_new=True)


def _still_holds(task: Task, previous: Outcome, sources: tuple[str, ...]) -> bool:
    made = previous.outputs.items()
    return (
        (previous.settings, previous.sources) == (task.settings, sources)
        and sources[0] != ""
        and all(checksum(task.output(folder)) == expected for folder, expected in made)
    )


def _make(task: Task, pair: Pair) -> dict[str, NDArray[np.uint8]]:
    """The files that belong to the picture and are not there: "trimap", "alpha"."""
    made = {}
    classes, alpha = pair.classes, pair.alpha
    if classes is None and alpha is not None:
        classes = draw_trimap(alpha, task.radii, _random_of(task))
        made["trimap"] = codes_of(classes)
    if task.chosen.alpha != "keep" and classes is not None and pair.image is not None:
        colours = as_unit(pair.image).permute(1, 2, 0).double().numpy()
        solved = solve_alpha(colours, classes, task.chosen.alpha)
        made["alpha"] = np.rint(solved * 255).astype(np.uint8)
    elif task.chosen.layout == "aisegment" and alpha is not None:
        made["alpha"] = np.rint(alpha * 255).astype(np.uint8)
    return made


def _random_of(task: Task) -> np.random.Generator:
    """Random numbers that depend on seed and name alone, not on what was done before."""
    name = hashlib.sha256(f"{task.chosen.name}/{task.entry.key}".encode()).digest()
    return np.random.default_rng([task.seed, int.from_bytes(name[:8], "big")])


def _read_pair(task: Task) -> Pair:
    """Pixels of the picture's files; ImageFileError says what is wrong with them."""
    entry, kind = task.entry, task.chosen.kind
    image, alpha, classes = None, None, None
    if kind == "cutout":
        alpha = _alpha_channel(entry.image)
        size = alpha.shape[:2]
    else:
        image = read_image(entry.image).image
        size = (image.shape[1], image.shape[2])
    if min(size) < _SMALLEST_SIDE:
        raise ImageFileError(
            f"it is {size[1]} x {size[0]} pixels; {_SMALLEST_SIDE} a side are the least"
        )
    if entry.truth is not None:
        read = _alpha_channel if task.chosen.layout == "aisegment" else _grey_alpha
        alpha = read(entry.truth)
        _check_size(entry.truth, alpha.shape, size)
    if entry.trimap is not None:
        classes = classes_of(read_pixels(entry.trimap, cv2.IMREAD_GRAYSCALE))
        _check_size(entry.trimap, classes.shape, size)
    if alpha is not None and not (alpha >= 0.5).any():
        raise ImageFileError(
            f"nobody is in it: no value of its mask reaches half, {round(alpha.max() * 255)} of "
            "255 is the largest"
        )
    return Pair(size, image, alpha, classes)


def _check_size(path: Path, found: tuple[int, ...], size: tuple[int, int]) -> None:
    if found != size:
        raise ImageFileError(
            f"{path.parent.name}/{path.name} is {found[1]} x {found[0]} pixels, but the picture is "
            f"{size[1]} x {size[0]}"
        )


def _alpha_channel(path: Path) -> NDArray[np.float32]:
    pixels = read_pixels(path, cv2.IMREAD_UNCHANGED)
    if pixels.ndim != 3 or pixels.shape[2] != 4:
        raise ImageFileError(f"{path.name} has no alpha channel, which a cut-out needs")
    return np.asarray(pixels[..., 3] / 255, np.float32)


def _grey_alpha(path: Path) -> NDArray[np.float32]:
    pixels = read_pixels(path, cv2.IMREAD_UNCHANGED)
    if pixels.ndim == 3 and pixels.shape[2] == 4:
        if (pixels[..., 3] < 255).any():
            raise ImageFileError(f"{path.name} has an alpha channel; a grey picture is needed")
        pixels = pixels[..., :3]
    if pixels.ndim == 3:
        if (np.ptp(pixels, axis=2) > _GREY_TOLERANCE).any():
            raise ImageFileError(f"{path.name} is coloured; a grey picture is needed")
        pixels = pixels[..., 0]
    return np.asarray(pixels / 255, np.float32)
