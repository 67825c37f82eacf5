"""The error measures pixel by pixel in float64: slow, and plain enough to be believed."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import numpy as np

SIGMA = 1.4
CUT_OFF = 0.01


def slow_mad(predicted: Any, true: Any, region: Any) -> float:
    return _mean([abs(predicted[yx] - true[yx]) for yx in _inside(region)])


def slow_mse(predicted: Any, true: Any, region: Any) -> float:
    return _mean([(predicted[yx] - true[yx]) ** 2 for yx in _inside(region)])


def slow_sad(predicted: Any, true: Any, region: Any) -> float:
    return sum(abs(predicted[yx] - true[yx]) for yx in _inside(region)) / 1000


def slow_iou(predicted: Any, true: Any, region: Any) -> float:
    both = sum(predicted[yx] > 0.5 and true[yx] > 0.5 for yx in _inside(region))
    either = sum(predicted[yx] > 0.5 or true[yx] > 0.5 for yx in _inside(region))
    return both / either if either else 1.0


def slow_gradient_error_hr(predicted: Any, true: Any, region: Any) -> float:
    found, right = _gradient_lengths(predicted), _gradient_lengths(true)
    return sum((found[yx] - right[yx]) ** 2 for yx in _inside(region)) / 1000


def slow_gradient_error_lr(predicted: Any, true: Any, region: Any) -> float:
    return slow_gradient_error_hr(_min_max(predicted), _min_max(true), region)


def slow_connectivity_error(predicted: Any, true: Any, region: Any) -> float:
    """The literal l_i = max {theta: pixel i was in every largest part up to theta}."""
    level = dict.fromkeys(np.ndindex(true.shape), 0.0)
    still_in = set(level)
    for theta in (k / 10 for k in range(1, 11)):
        # 6e-8: 0.7 in float32 is below 0.7, but means it.
        high = {yx for yx in level if min(predicted[yx], true[yx]) >= theta - 6e-8}
        still_in &= _largest_part(high)
        for yx in still_in:
            level[yx] = theta
    total = 0.0
    for yx in _inside(region):
        rises = [alpha[yx] - level[yx] for alpha in (predicted, true)]
        phi = [1 - rise * (rise >= 0.15) for rise in rises]
        total += abs(phi[0] - phi[1])
    return total / 1000


def slow_dtssd(predicted: list[Any], true: list[Any], region: Any) -> list[float]:
    """Of every frame of a clip."""
    figures = [0.0]
    for t in range(1, len(true)):
        errors = [
            ((predicted[t][yx] - predicted[t - 1][yx]) - (true[t][yx] - true[t - 1][yx])) ** 2
            for yx in _inside(region)
        ]
        figures.append(math.sqrt(_mean(errors)))
    return figures


def _inside(region: Any) -> list[Any]:
    return [yx for yx in np.ndindex(region.shape) if region[yx]]


def _mean(values: list[Any]) -> float:
    return float(sum(values) / len(values)) if values else 0.0


def _min_max(alpha: Any) -> Any:
    low, high = alpha.min(), alpha.max()
    return (alpha - low) / (high - low) if high > low else alpha - low


def _gradient_lengths(alpha: Any) -> dict[Any, float]:
    radius = math.ceil(SIGMA * math.sqrt(-2 * math.log(math.sqrt(2 * math.pi) * SIGMA * CUT_OFF)))
    assert radius == 4

    def gauss(x: float) -> float:
        return math.exp(-(x**2) / (2 * SIGMA**2)) / (SIGMA * math.sqrt(2 * math.pi))

    offsets = range(-radius, radius + 1)
    across = {(y, x): gauss(y) * -x * gauss(x) / SIGMA**2 for y, x in product(offsets, offsets)}
    norm = math.sqrt(sum(value**2 for value in across.values()))
    height, width = alpha.shape
    lengths = {}
    for y, x in np.ndindex(alpha.shape):
        slopes = [0.0, 0.0]
        for (down, right), weight in across.items():
            # Beyond the edge its last pixel goes on.
            clamped = min(max(y + down, 0), height - 1), min(max(x + right, 0), width - 1)
            turned = min(max(y + right, 0), height - 1), min(max(x + down, 0), width - 1)
            slopes[0] += weight / norm * alpha[clamped]
            slopes[1] += weight / norm * alpha[turned]
        lengths[y, x] = math.hypot(*slopes)
    return lengths


def _largest_part(pixels: set[Any]) -> set[Any]:
    """Of 4-connected parts the largest; of equal ones that with the first pixel."""
    largest: set[Any] = set()
    left = set(pixels)
    for start in sorted(pixels):
        if start not in left:
            continue
        part, waiting = set(), [start]
        left.remove(start)
        while waiting:
            y, x = waiting.pop()
            part.add((y, x))
            for near in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
                if near in left:
                    left.remove(near)
                    waiting.append(near)
        if len(part) > len(largest):
            largest = part
    return largest
