"""Training samples: pictures with alpha, cropped, composited and disturbed; knows no network.

Sample i is a pure function of the run's seed and i. That makes the order of a resumed run the order
of an uninterrupted one, whatever the number of loader processes.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from shm_engine.errors import ImageFileError, OptionsError
from shm_engine.images import READABLE_SUFFIXES
from shm_engine.trimap import trimap_from_alpha
from training.augment import (
    Picture,
    crop_background,
    crop_person,
    disturb,
    draw_window,
    put_over,
    tint,
)
from training.config import Source, TrainingConfig

# How often a composite shows a second person behind the first.
_COMPANY = 0.15


class Sample(NamedTuple):
    """One training example; batches have a leading B.

    image: uint8 [3, S, S] RGB. alpha: uint8 [1, S, S]. trimap: uint8 classes [S, S].
    exact: 1.0 if alpha is right to the pixel, 0.0 if only to a few (a segmentation mask).
    """

    image: torch.Tensor
    alpha: torch.Tensor
    trimap: torch.Tensor
    exact: torch.Tensor


class Entry(NamedTuple):
    """Files of one picture; `alpha` is None for RGBA and for pictures without people."""

    image: Path
    alpha: Path | None


def list_pictures(folder: Path) -> list[Path]:
    """Image files of a folder, sorted; OptionsError if there are none."""
    found = sorted(p for p in folder.glob("*") if p.suffix.lower() in READABLE_SUFFIXES)
    if not found:
        raise OptionsError(f"there are no pictures in {folder}; check the path", path=folder)
    return found


def list_entries(folder: Path, kind: str) -> list[Entry]:
    """The pictures of a source: image/ beside mask/ or alpha/, rgba/, or the folder itself."""
    if kind == "background":
        return [Entry(path, None) for path in list_pictures(folder)]
    if kind == "cutout":
        inner = folder / "rgba"
        return [Entry(p, None) for p in list_pictures(inner if inner.is_dir() else folder)]
    truth = folder / ("alpha" if kind == "alpha" else "mask")
    masks = {path.stem: path for path in list_pictures(truth)}
    images = list_pictures(folder / "image")
    unmatched = [path.name for path in images if path.stem not in masks]
    if unmatched:
        raise OptionsError(
            f"{folder}: {unmatched[0]} and {len(unmatched) - 1} more have no mask", path=folder
        )
    return [Entry(path, masks[path.stem]) for path in images]


def read_pixels(path: Path, flags: int) -> NDArray[np.uint8]:
    """8-bit pixels in OpenCV's channel order; ImageFileError if the file is no picture."""
    try:
        pixels = cv2.imdecode(np.fromfile(path, dtype=np.uint8), flags)
    except (OSError, cv2.error) as error:  # cv2.error: the file is empty
        raise ImageFileError(f"{path} cannot be read as a picture", path=path) from error
    if pixels is None or pixels.dtype not in (np.uint8, np.uint16):
        raise ImageFileError(f"{path} cannot be read as a picture", path=path)
    if pixels.dtype == np.uint16:  # only IMREAD_UNCHANGED leaves them
        pixels = np.rint(pixels / 257)
    return np.asarray(pixels, dtype=np.uint8)


def read_picture(entry: Entry, kind: str) -> Picture:
    """Colours and alpha of an entry; the colours of RGBA files come premultiplied."""
    if kind == "cutout":
        rgba = read_pixels(entry.image, cv2.IMREAD_UNCHANGED)
        if rgba.ndim != 3 or rgba.shape[2] != 4:
            raise ImageFileError(f"{entry.image} has no alpha channel", path=entry.image)
        alpha = rgba[..., 3]
        return Picture(_premultiply(rgba[..., 2::-1], alpha), alpha)
    colours = np.ascontiguousarray(read_pixels(entry.image, cv2.IMREAD_COLOR)[..., ::-1])
    if entry.alpha is None:
        return Picture(colours, np.zeros(colours.shape[:2], np.uint8))
    alpha = read_pixels(entry.alpha, cv2.IMREAD_GRAYSCALE)
    if alpha.shape != colours.shape[:2]:
        raise ImageFileError(
            f"{entry.alpha} and {entry.image.name} differ in size", path=entry.alpha
        )
    if kind == "pasted_mask":
        # A mask's outline holds old background: drop its last pixel, soften what is left.
        inner = cv2.erode(alpha, np.ones((3, 3), np.uint8))
        soft = np.asarray(cv2.GaussianBlur(inner, (0, 0), 0.8), np.uint8)
        return Picture(_premultiply(colours, soft), soft)
    return Picture(colours, alpha)


def _premultiply(colours: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return ((colours.astype(np.uint16) * alpha[..., None] + 127) // 255).astype(np.uint8)


class MattingDataset(Dataset[Sample]):
    """Samples `first` to `first + count` of a run, at one crop size.

    Pictures stay in memory once read: decoding them again costs more than everything else here.
    """

    def __init__(self, config: TrainingConfig, *, crop_pixels: int, first: int, count: int) -> None:
        root = Path(config.data)
        self._config = config
        self._crop = crop_pixels
        self._first = first
        self._count = count
        self._entries = [list_entries(root / s.path, s.kind) for s in config.sources]
        self._backgrounds = list_entries(root / config.background, "background")
        weights = np.array([source.weight for source in config.sources])
        self._weights = weights / weights.sum()
        self._cache: dict[tuple[Entry, str], Picture] = {}

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Sample:
        rng = np.random.default_rng([self._config.seed, self._first + index])
        which = int(rng.choice(len(self._weights), p=self._weights))
        source = self._config.sources[which]
        image, alpha = self._draw(source, self._entries[which], rng)
        image = disturb(image, rng)
        low, high = self._config.trimap_radius_pixels
        trimap = trimap_from_alpha(
            alpha.astype(np.float32) / np.float32(255),
            erosion_pixels=int(rng.integers(low, high + 1)),
            dilation_pixels=int(rng.integers(low, high + 1)),
        )
        return Sample(
            torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))),
            torch.from_numpy(np.ascontiguousarray(alpha[None])),
            torch.from_numpy(trimap),
            torch.tensor(float(source.kind in ("alpha", "cutout", "background"))),
        )

    def _read(self, entry: Entry, kind: str) -> Picture:
        key = (entry, kind)
        if key not in self._cache:
            self._cache[key] = read_picture(entry, kind)
        return self._cache[key]

    def _draw(self, source: Source, entries: list[Entry], rng: np.random.Generator) -> Picture:
        picture = self._read(entries[rng.integers(len(entries))], source.kind)
        if source.kind == "background":
            image = crop_background(picture.colours, self._crop, rng)
            return Picture(image, np.zeros(image.shape[:2], np.uint8))
        window = draw_window(picture.alpha, rng, floating=source.kind in ("cutout", "pasted_mask"))
        cropped = crop_person(picture, window, self._crop)
        if source.kind in ("mask", "alpha"):
            return cropped
        scene = self._read(self._backgrounds[rng.integers(len(self._backgrounds))], "background")
        canvas = crop_background(scene.colours, self._crop, rng)
        composite = Picture(canvas, np.zeros(canvas.shape[:2], np.uint8))
        if rng.random() < _COMPANY:
            other = self._read(entries[rng.integers(len(entries))], source.kind)
            behind = crop_person(other, draw_window(other.alpha, rng, floating=True), self._crop)
            composite = put_over(tint(behind, rng), composite)
        return put_over(tint(cropped, rng), composite)
