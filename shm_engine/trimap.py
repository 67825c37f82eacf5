"""The three-way map: class order, trimap from alpha, unknown region; knows no network."""

from __future__ import annotations

from enum import IntEnum

import cv2
import numpy as np
from numpy.typing import NDArray


class Trimap(IntEnum):
    """Class order of every trimap in the project; a channel index and a label."""

    BACKGROUND = 0
    UNKNOWN = 1
    FOREGROUND = 2


# An alpha nearer to 0 or 1 than this counts as certain: below the noise of 8-bit mattes.
CERTAIN = 0.05


def trimap_from_alpha(
    alpha: NDArray[np.float32], *, erosion_pixels: int, dilation_pixels: int
) -> NDArray[np.uint8]:
    """Classes [H, W] (see Trimap) of an alpha [H, W] in [0, 1], soft or hard.

    The certain foreground shrinks by `erosion_pixels` and the certain background by
    `dilation_pixels`; everything between is unknown. Radii of 0 keep only the soft pixels unknown.
    The picture's edge does not count as an outline: a person cut by it stays foreground.
    """
    if erosion_pixels < 0 or dilation_pixels < 0:
        raise ValueError(f"radii are {erosion_pixels} and {dilation_pixels}; 0 is the smallest")
    edge = cv2.BORDER_REPLICATE
    certain = (alpha >= 1 - CERTAIN).astype(np.uint8)
    foreground = cv2.erode(certain, _disc(erosion_pixels), borderType=edge)
    covered = (alpha > CERTAIN).astype(np.uint8)
    maybe = cv2.dilate(covered, _disc(dilation_pixels), borderType=edge)
    classes = np.full(alpha.shape, Trimap.UNKNOWN, dtype=np.uint8)
    classes[maybe == 0] = Trimap.BACKGROUND
    classes[foreground == 1] = Trimap.FOREGROUND
    return classes


def _disc(radius: int) -> NDArray[np.uint8]:
    size = 2 * radius + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)), dtype=np.uint8)
