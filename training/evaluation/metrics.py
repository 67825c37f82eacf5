"""Error measures of mattes, as the field computes them; pure functions on float arrays in [0, 1].

Predicted and true alpha are [H, W] of one size and are never changed. `region` is a mask [H, W]:
where given, only its pixels count (Adobe and Rhemann et al. 2009 score the unknown region of a
trimap); a region without pixels has no error.

`mad`, `mse` and `dtssd` are means and come unscaled: tables print MAD and MSE times 1000 and dtSSD
times 100. `sad`, `gradient_error_lr`, `gradient_error_hr` and `connectivity_error` are sums over
pixels in thousands: they grow with the picture, so compare them at equal size only.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Alpha = NDArray[np.floating]
Mask = NDArray[np.bool_]

# Rhemann et al. 2009: derivatives of a Gaussian, cut off where the Gaussian falls below 0.01.
_SIGMA = 1.4
_RADIUS = 4

# Alphas nearer than this to their level count as connected.
_CONNECTED = 0.15


class Pair(NamedTuple):
    """What was found in a picture and what is right, [H, W] each."""

    predicted_alpha: Alpha
    true_alpha: Alpha


def mad(predicted_alpha: Alpha, true_alpha: Alpha, region: Mask | None = None) -> float:
    """Mean absolute difference."""
    return _mean(np.abs(predicted_alpha - true_alpha), region)


def mse(predicted_alpha: Alpha, true_alpha: Alpha, region: Mask | None = None) -> float:
    """Mean squared error."""
    return _mean(np.square(predicted_alpha - true_alpha), region)


def sad(predicted_alpha: Alpha, true_alpha: Alpha, region: Mask | None = None) -> float:
    """Sum of absolute differences, in thousands."""
    return _sum(np.abs(predicted_alpha - true_alpha), region) / 1000


def iou(
    predicted_alpha: Alpha,
    true_alpha: Alpha,
    region: Mask | None = None,
    *,
    threshold: float = 0.5,
) -> float:
    """Intersection over union of the people, alpha above `threshold`; 1 if neither shows anyone."""
    predicted_person, true_person = predicted_alpha > threshold, true_alpha > threshold
    union = _sum(predicted_person | true_person, region)
    return _sum(predicted_person & true_person, region) / union if union else 1.0


def gradient_error_lr(
    predicted_alpha: Alpha, true_alpha: Alpha, region: Mask | None = None
) -> float:
    """Gradient error, in thousands, after each alpha was stretched to 0 ... 1 over its picture.

    As in RVM's evaluate_lr, mmagic and PaddleSeg. Blind to gain and offset; a single hot pixel
    changes it.
    """
    return gradient_error_hr(_stretch(predicted_alpha), _stretch(true_alpha), region)


def gradient_error_hr(
    predicted_alpha: Alpha, true_alpha: Alpha, region: Mask | None = None
) -> float:
    """Sum of squared differences of gradient magnitudes, in thousands (Rhemann et al. 2009).

    Alphas as they are, as in RVM's evaluate_hr.
    """
    difference = _gradient_magnitude(predicted_alpha) - _gradient_magnitude(true_alpha)
    return _sum(np.square(difference), region) / 1000


def connectivity_error(
    predicted_alpha: Alpha, true_alpha: Alpha, region: Mask | None = None
) -> float:
    """Sum of differences in the degree of connectedness, in thousands (Rhemann et al. 2009).

    A pixel's level is the last of 0, 0.1 ... 1 up to which it belongs to the largest 4-connected
    part of what both alphas hold at or above the level; an alpha that rises at least 0.15 above the
    level is as much unconnected. Alphas are compared in float32. As in the Python versions of RVM,
    mmagic and PaddleSeg, which says that it comes out about 5 % below Adobe's MATLAB.
    """
    predicted, true = predicted_alpha.astype(np.float32), true_alpha.astype(np.float32)
    level = _connected_level(np.minimum(predicted, true))
    return _sum(np.abs(_unconnected(predicted, level) - _unconnected(true, level)), region) / 1000


def dtssd(now: Pair, before: Pair | None, region: Mask | None = None) -> float:
    """How differently two frames of a clip change from their predecessors (Erofeev et al. 2015).

    The root of the mean squared difference of the changes. The first frame of a clip has none
    `before` and counts as 0. A clip's figure, as RVM defines it, is the mean over all of its
    frames, that 0 among them: n frames read n / (n - 1) times too low.
    """
    if before is None:
        return 0.0
    predicted_change = now.predicted_alpha - before.predicted_alpha
    true_change = now.true_alpha - before.true_alpha
    return float(np.sqrt(_mean(np.square(predicted_change - true_change), region)))


def _sum(values: NDArray[np.generic], region: Mask | None) -> float:
    return float((values if region is None else values[region]).sum(dtype=np.float64))


def _mean(values: NDArray[np.generic], region: Mask | None) -> float:
    count = values.size if region is None else int(np.count_nonzero(region))
    return _sum(values, region) / count if count else 0.0


def _stretch(alpha: Alpha) -> Alpha:
    low, high = alpha.min(), alpha.max()
    # A constant has no gradient, wherever it lies.
    return (alpha - low) / (high - low) if high > low else np.zeros_like(alpha)


def _gradient_magnitude(alpha: Alpha) -> Alpha:
    """Length of the gradient [H, W]; the filters have a sum of squares of 1, not a gain of 1."""
    offset = np.arange(-_RADIUS, _RADIUS + 1, dtype=np.float64)
    smooth = np.exp(-(offset**2) / (2 * _SIGMA**2))
    slope = offset * smooth
    smooth, slope = smooth / np.linalg.norm(smooth), slope / np.linalg.norm(slope)
    edge = cv2.BORDER_REPLICATE
    across = cv2.sepFilter2D(alpha, -1, slope, smooth, borderType=edge)
    down = cv2.sepFilter2D(alpha, -1, smooth, slope, borderType=edge)
    return np.hypot(across, down)


def _connected_level(shared: NDArray[np.float32]) -> NDArray[np.float32]:
    """The level of every pixel of what both alphas hold, [H, W]."""
    level = np.ones_like(shared)
    connected = np.ones(shared.shape, bool)
    for tenths in range(1, 11):
        largest = _largest_part(shared >= np.float32(tenths / 10))
        level[connected & ~largest] = np.float32((tenths - 1) / 10)
        connected &= largest
    return level


def _largest_part(mask: Mask) -> Mask:
    """The largest 4-connected part of a mask; all False if it is empty."""
    count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    if count == 1:
        return np.zeros_like(mask)
    # Counting the labels is twice as fast as connectedComponentsWithStats.
    return np.asarray(labels == 1 + np.argmax(np.bincount(labels.ravel())[1:]))


def _unconnected(alpha: NDArray[np.float32], level: NDArray[np.float32]) -> NDArray[np.float32]:
    rise = alpha - level
    return np.where(rise >= np.float32(_CONNECTED), rise, np.float32(0))
