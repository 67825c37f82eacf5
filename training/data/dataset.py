"""Training samples: pictures with alpha, cropped, composited and disturbed; knows no network.

Sample i is a pure function of the run's seed and i. That makes the order of a resumed run the order
of an uninterrupted one, whatever the number of loader processes.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from shm_engine.trimap import trimap_from_alpha
from training.config import COMPOSED, TrainingConfig
from training.data.augment import (
    crop_background,
    crop_person,
    disturb,
    draw_window,
    litter,
    put_over,
    smear,
    tint,
)
from training.data.hair import grow_hair
from training.data.picture import Picture
from training.data.sources import Entry, Group, backgrounds_of, groups_of, read_picture, read_pixels

# In a sample's trimap: nothing is known of this pixel, no loss counts it.
IGNORED = 255

# A process stops keeping pictures in memory beyond this; the rest is read again each time.
_CACHE_BYTES = 3 * 2**30
# How many stand behind the first person where there is company at all.
_COMPANY = (1, 1, 2, 3)


class Sample(NamedTuple):
    """One training example; batches have a leading B.

    image: uint8 [3, S, S] RGB. alpha: uint8 [1, S, S]. trimap: uint8 classes [S, S], or IGNORED
    where nothing is known.
    outline_weight: float32 in [0, 1]: what alpha near the outline is worth; 1: right to the pixel.
    """

    image: torch.Tensor
    alpha: torch.Tensor
    trimap: torch.Tensor
    outline_weight: torch.Tensor


class _Drawn(NamedTuple):
    """An image, its alpha, and where that is believed: [S, S] booleans, or everywhere."""

    image: NDArray[np.uint8]
    alpha: NDArray[np.uint8]
    believed: NDArray[np.bool_] | bool = True


class MattingDataset(Dataset[Sample]):
    """Samples `first` to `first + count` of a run, at one crop size.

    Pictures stay in memory once read: decoding them again costs more than everything else here.
    """

    def __init__(self, config: TrainingConfig, *, crop_pixels: int, first: int, count: int) -> None:
        self._config = config
        self._crop = crop_pixels
        self._first = first
        self._count = count
        self._groups = groups_of(config)
        self._backgrounds = backgrounds_of(config, self._groups)
        shares = np.array([group.share for group in self._groups])
        self._odds = shares / shares.sum()
        self._cache: dict[tuple[Entry, str], Picture] = {}
        self._cached_bytes = 0

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Sample:
        rng = np.random.default_rng([self._config.seed, self._first + index])
        group = self._groups[int(rng.choice(len(self._odds), p=self._odds))]
        image, alpha, believed = self._draw(group, rng)
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
            torch.from_numpy(np.where(believed, trimap, IGNORED).astype(np.uint8)),
            torch.tensor(group.outline_weight),
        )

    def _read(self, entry: Entry, kind: str) -> Picture:
        key = (entry, kind)
        if key in self._cache:
            return self._cache[key]
        picture = read_picture(entry, kind)
        size = picture.colours.nbytes + picture.alpha.nbytes
        if self._cached_bytes + size <= _CACHE_BYTES:
            self._cache[key] = picture
            self._cached_bytes += size
        return picture

    def _draw(self, group: Group, rng: np.random.Generator) -> _Drawn:
        entry = group.draw(rng)
        if group.kind == "background":
            scene = self._scene(entry, rng)
            return _Drawn(scene, np.zeros(scene.shape[:2], np.uint8))
        if group.kind == "pseudo":
            return self._pseudo(entry, rng)
        person = self._person(entry, group.kind, rng)
        if group.kind not in COMPOSED:
            return _Drawn(
                *(smear(person, rng) if rng.random() < self._config.smear / 3 else person)
            )
        canvas = self._scene(_one_of(self._backgrounds, rng), rng)
        composite = Picture(canvas, np.zeros(canvas.shape[:2], np.uint8))
        if rng.random() < self._config.company:
            for _ in range(rng.choice(_COMPANY)):
                other = self._person(group.draw(rng), group.kind, rng)
                composite = put_over(other, composite)
        return _Drawn(*put_over(person, composite))

    def _pseudo(self, entry: Entry, rng: np.random.Generator) -> _Drawn:
        """A picture whose alpha another network gave, and where that one was sure."""
        assert entry.trimap is not None
        picture = self._read(entry, "pseudo")
        trimap = read_pixels(entry.trimap, cv2.IMREAD_GRAYSCALE)
        sure = np.where((trimap == 0) | (trimap == 255), 255, 0).astype(np.uint8)
        window = draw_window(picture.alpha, rng, floating=False)
        cropped = crop_person(picture, window, self._crop)
        believed = crop_person(Picture(picture.colours, sure), window, self._crop).alpha
        return _Drawn(*cropped, believed == 255)

    def _person(self, entry: Entry, kind: str, rng: np.random.Generator) -> Picture:
        """Someone at the crop's size; a cut-out with more hair, in another light or in motion."""
        picture = self._read(entry, kind)
        floating = kind in COMPOSED
        window = draw_window(picture.alpha, rng, floating=floating)
        person = crop_person(picture, window, self._crop)
        if not floating:
            return person
        if rng.random() < self._config.hair:
            person = grow_hair(person, rng)
        if rng.random() < self._config.smear:
            person = smear(person, rng)
        return tint(person, rng)

    def _scene(self, entry: Entry, rng: np.random.Generator) -> NDArray[np.uint8]:
        """A scene without people at the crop's size, at times with a shape of another one."""
        scene = crop_background(self._read(entry, "background").colours, self._crop, rng)
        if self._backgrounds and rng.random() < self._config.litter:
            other = self._read(_one_of(self._backgrounds, rng), "background")
            scene = litter(scene, crop_background(other.colours, self._crop, rng), rng)
        return scene


def _one_of(entries: list[Entry], rng: np.random.Generator) -> Entry:
    return entries[rng.integers(len(entries))]
