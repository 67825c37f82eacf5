"""Pictures in the encodings of high dynamic range, as the standards have them, in float64: a slow
reference for the engine's way back; no test in here."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.float64]

DIFFUSE_WHITE = 203.0  # cd/m2, ITU-R BT.2408
# Red, green, blue and white in x and y.
_BT709 = (0.64, 0.33), (0.30, 0.60), (0.15, 0.06), (0.3127, 0.3290)
_BT2020 = (0.708, 0.292), (0.170, 0.797), (0.131, 0.046), (0.3127, 0.3290)


def _xyz_of_rgb(primaries: Sequence[tuple[float, float]]) -> Picture:
    """SMPTE RP 177: the matrix whose rows of ones give white."""
    *columns, white = (np.array([x / y, 1, (1 - x - y) / y]) for x, y in primaries)
    matrix = np.stack(columns, 1)
    scaled: Picture = matrix * np.linalg.solve(matrix, white)
    return scaled


_BT2020_OF_BT709 = np.linalg.solve(_xyz_of_rgb(_BT2020), _xyz_of_rgb(_BT709))


def pq_of_light(light: Any) -> Picture:
    """Values in PQ of light in cd/m2 (SMPTE ST 2084, equation 5.2)."""
    share = (np.asarray(light, np.float64) / 10_000) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * share) / (1 + 18.6875 * share)) ** 78.84375


def hlg_of_light(light: Any) -> Picture:
    """Values in HLG [..., 3] of light in cd/m2 on a display of 1000 cd/m2 (ITU-R BT.2100)."""
    shown = np.asarray(light, np.float64) / 1000
    luminance = (shown * [0.2627, 0.6780, 0.0593]).sum(-1, keepdims=True)
    scene = shown * np.maximum(luminance, 1e-12) ** ((1 - 1.2) / 1.2)
    a = 0.17883277
    b, c = 1 - 4 * a, 0.5 - a * math.log(4 * a)
    high = a * np.log(np.maximum(12 * scene - b, 1e-12)) + c
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), high)


def light_of_srgb(picture: Any) -> Picture:
    """Light in cd/m2 and BT.2020 of an sRGB picture [..., 3] whose white is diffuse white."""
    encoded = np.asarray(picture, np.float64)
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    wide: Picture = (linear[..., None, :] * _BT2020_OF_BT709).sum(-1)
    return wide * DIFFUSE_WHITE


def encoded_as(encoding: str, picture: Any) -> Picture:
    """An sRGB picture [..., 3] in the encoding "pq" or "hlg"."""
    light = light_of_srgb(picture)
    return pq_of_light(light) if encoding == "pq" else hlg_of_light(light)
