"""Drafts of a figure that moves, with alpha that is known and may be made to flicker; no test."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from shm_engine.types import Draft, Frame
from tests.synthetic import figure_alpha

Picture = NDArray[np.float32]

HEIGHT, WIDTH = 216, 384
COUNT = 8

# How far the figure stands from the middle, in pixels, by frame.
MOTIONS: Mapping[str, Callable[[int], float]] = {
    "still": lambda _: 0.0,
    "pan": lambda index: 2.0 * index - 8,
    "sway": lambda index: 6 * math.sin(index / 3),
}

# Of the noise of a camera, and of the flicker of an outline's alpha.
_NOISE_DEVIATION, _FLICKER_DEVIATION, _FLICKER_SIZE = 2 / 255, 0.2, 4.0


class Moving(NamedTuple):
    """Drafts and the alphas [1, h, w] they should have."""

    drafts: list[Draft]
    truths: list[torch.Tensor]


def as_draft(image: Picture, alpha: Picture, index: int = 0) -> Draft:
    """A draft of an image [h, w, 3] and alpha [h, w], whose trimap follows from alpha."""
    sure = torch.from_numpy(np.stack([1 - alpha, np.zeros_like(alpha), alpha]))
    unsure = 1 - (2 * sure[2:] - 1).abs()
    return Draft(
        frame=Frame(image=torch.zeros(3, 4, 4), index=index, pts=index),
        image=torch.from_numpy(image.transpose(2, 0, 1).copy()),
        alpha=torch.from_numpy(alpha.copy())[None],
        trimap=torch.cat([sure[:1] * (1 - unsure), unsure, sure[2:] * (1 - unsure)]),
    )


def cloth(seed: int, height: int = HEIGHT, width: int = WIDTH) -> Picture:
    """Blobs of colour [h, w, 3] in [0, 1], coarse and fine: optical flow can follow them."""
    rng = np.random.default_rng(seed)
    sum_of_layers = np.zeros((height, width, 3), np.float32)
    for size, weight in ((2, 0.06), (6, 0.09), (20, 0.15)):
        blobs = _blobs(rng, (height, width, 3), size)
        sum_of_layers += np.float32(weight) * blobs
    return np.clip(0.5 + sum_of_layers, 0, 1)


@lru_cache
def moving_figure(motion: str, *, flickers: bool = False) -> Moving:
    """A figure before a scene, both of cloth; the same for the same words."""
    figure = _shifted(figure_alpha(HEIGHT, WIDTH)[0].numpy(), 0)
    figure = np.asarray(cv2.GaussianBlur(figure, (0, 0), 1.2), np.float32)
    person, scene = cloth(1) * np.array([0.6, 0.8, 0.6], np.float32), cloth(2)
    rng = np.random.default_rng(5)
    drafts, truths = [], []
    for index in range(COUNT):
        alpha = _shifted(figure, MOTIONS[motion](index))
        image = scene + alpha[..., None] * (_shifted(person, MOTIONS[motion](index)) - scene)
        image += rng.normal(0, _NOISE_DEVIATION, image.shape).astype(np.float32)
        shaken = alpha
        if flickers:
            jitter = _blobs(rng, alpha.shape, _FLICKER_SIZE) * 4 * alpha * (1 - alpha)
            shaken = np.clip(alpha + np.float32(_FLICKER_DEVIATION) * jitter, 0, 1)
        drafts.append(as_draft(np.clip(image, 0, 1), shaken, index))
        truths.append(torch.from_numpy(alpha)[None])
    return Moving(drafts, truths)


def at(draft: Draft, index: int, pts: int) -> Draft:
    """The same draft at another place in time; its arrays are shared."""
    return replace(draft, frame=Frame(image=draft.frame.image, index=index, pts=pts))


def _blobs(rng: np.random.Generator, shape: tuple[int, ...], size: float) -> Picture:
    """Noise with a mean of about 0 and a deviation of 1 whose grains are `size` pixels."""
    grains = rng.standard_normal(shape).astype(np.float32)
    grains = np.asarray(cv2.GaussianBlur(grains, (0, 0), size), np.float32)
    return grains / grains.std()


def _shifted(picture: Picture, pixels: float) -> Picture:
    """The picture moved to the right."""
    matrix = np.array([[1, 0, pixels], [0, 1, 0]], np.float32)
    size = picture.shape[1], picture.shape[0]
    moved = cv2.warpAffine(picture, matrix, size, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, np.float32)
