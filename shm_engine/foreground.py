"""Colours of people and of what is behind them, where both show; knows no network and no file.

Two steps: smooth estimates of both colours at the working size, from the pixels nearby that show
one of them alone; then, at full size, the nearest pair to these that mixes to the picture exactly.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

# Half widths of the windows, in pixels of the half-size picture shrunk so many times, large to
# small. Each refines what the larger one found wherever it has something to go by.
_WINDOWS = ((4, 4), (4, 2), (1, 3), (1, 1))
_LEAST_TRUST = 0.02

# Half a step of 8 bits: colours are not known better.
_ROUNDING = 1 / 512


def spread_colours(image: Array, alpha: Array) -> tuple[Array, Array]:
    """Foreground and background colours, everywhere, of an image [3, h, w] and its alpha [h, w].

    All float32 in [0, 1]; the colours come at half that size, [h / 2, w / 2, 4] with ones in the
    last channel, for they are smooth. Where alpha shows one of them alone, that is about the image.
    """
    size = max(1, alpha.shape[1] // 2), max(1, alpha.shape[0] // 2)
    *channels, share = (
        np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), np.float32)
        for plane in (*image, alpha)
    )
    return _spread(channels, _trust(share)), _spread(channels, _trust(1 - share))


def _trust(alpha: Array) -> Array:
    """The fourth power: half-transparent pixels count a sixteenth."""
    squared = alpha * alpha
    return np.asarray(squared * squared, np.float32)


def _spread(channels: Sequence[Array], trust: Array) -> Array:
    """The mean of the trusted colours nearby: normalised convolution (Knutsson and Westin 1993).

    In homogeneous coordinates: the fourth channel sums the weights and comes out as 1.
    """
    height, width = trust.shape
    weighted = cv2.merge([*(channel * trust for channel in channels), trust])
    colours: Array | None = None
    for shrink, radius in _WINDOWS:
        size = max(1, width // shrink), max(1, height // shrink)
        near = cv2.resize(weighted, size, interpolation=cv2.INTER_AREA)
        near = cv2.blur(near, (2 * radius + 1, 2 * radius + 1))
        if colours is None:
            before = near.mean(axis=(0, 1))
            before[3] = max(before[3], 1e-6)  # black where there is nothing to go by
            before /= before[3]
        else:
            before = np.asarray(cv2.resize(colours, size), np.float32)
        near += np.float32(_LEAST_TRUST) * before
        colours = np.asarray(near / near[..., 3:], np.float32)
    assert colours is not None
    return colours


def foreground_colours(colours: Array, alpha: Array, foreground: Array, background: Array) -> Array:
    """Foreground colours [3, N] that explain the picture's `colours` [3, N] under `alpha` [N].

    For each pixel the pair nearest to the estimates `foreground` and `background` [3, N] that
    mixes to its colour, alpha * F + (1 - alpha) * B, with both in [0, 1] up to the rounding of 8
    bits: least squares in closed form, then clamped to what leaves room for B.
    """
    rest = 1 - alpha
    missing = colours - alpha * foreground - rest * background
    solved = foreground + missing * (alpha / (alpha * alpha + rest * rest))
    share = 1 / np.maximum(alpha, np.float32(1e-6))
    least = (colours - (rest + np.float32(_ROUNDING))) * share
    most = (colours + np.float32(_ROUNDING)) * share
    return np.asarray(np.clip(solved, np.maximum(least, 0), np.minimum(most, 1)), np.float32)
