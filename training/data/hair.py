"""Synthetic hair: thin strands with exact alpha that grow from the head of a cut-out.

No mask in the training data has single hairs. Strands are drawn at a multiple of the picture's size
and averaged down, so that their alpha is the share of the pixel that they cover.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from training.data.picture import Picture, standing

# Strands are drawn at this many times the picture's size.
_FINE = 3
# cv2 draws at 1 / 2^_SHIFT of a pixel.
_SHIFT = 4
_JOINTS = 12
# The head's share of a figure's height, from the top: of a standing one, and of any other.
_STANDING_HEAD, _BUST_HEAD = 0.14, 0.5


class Style(NamedTuple):
    """How strands grow. Ranges are (least, most); lengths are in heights of the head.

    spread: how far from straight out a strand sets off, in radians. curl: radians that it turns
    over its length, one way. wave: radians that it swings to and fro. fall: how soon it hangs.
    """

    strands: tuple[int, int]
    length: tuple[float, float]
    spread: float
    curl: float
    wave: float
    fall: float


STYLES = {
    "flyaway": Style((8, 50), (0.10, 0.50), 0.5, 1.5, 0.2, 0.05),
    "frizz": Style((150, 600), (0.03, 0.16), 0.7, 3.0, 0.8, 0.0),
    "curls": Style((60, 250), (0.12, 0.40), 0.6, 2.0, 2.5, 0.05),
    "long": Style((120, 450), (0.50, 1.80), 0.5, 0.6, 0.3, 0.45),
}


class _Roots(NamedTuple):
    """Where strands begin [N, 2] (x, y), which way is out (radians), and their colours [N, 3]."""

    points: NDArray[np.float64]
    angles: NDArray[np.float64]
    colours: NDArray[np.float64]


def grow_hair(person: Picture, rng: np.random.Generator) -> Picture:
    """The cut-out (premultiplied) with strands around its head; as it was if no head is seen.

    Alpha is exact: 1 - (1 - alpha) * (1 - coverage).
    """
    head = _head_pixels(person.alpha)
    style = list(STYLES.values())[rng.integers(len(STYLES))]
    count = int(rng.integers(style.strands[0], style.strands[1] + 1))
    roots = _roots(person, head, count, rng) if head >= 12 else None
    if roots is None:
        return person
    paths = _paths(roots, style, head, rng)
    return _drawn_over(person, paths, roots.colours, rng)


def _head_pixels(alpha: NDArray[np.uint8]) -> float:
    """Height of the head; 0 if it is cut off by the upper edge or nobody is there."""
    solid = alpha > 127
    rows = np.flatnonzero(solid.any(axis=1))
    if len(rows) == 0 or rows[0] < 2:
        return 0.0
    tall = float(rows[-1] - rows[0] + 1)
    return tall * (_STANDING_HEAD if standing(alpha) else _BUST_HEAD)


def _roots(person: Picture, head: float, count: int, rng: np.random.Generator) -> _Roots | None:
    alpha = person.alpha
    top = int(np.flatnonzero((alpha > 127).any(axis=1))[0])
    band = np.ascontiguousarray(alpha[: int(top + head) + 2])
    solid = (band > 127).astype(np.uint8)
    contours = cv2.findContours(solid, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0]
    outline = max(contours, key=len)[:, 0, :]
    inside = (outline[:, 1] < top + head) & (outline[:, 0] > 1)
    outline = outline[inside & (outline[:, 0] < alpha.shape[1] - 2)]
    if len(outline) < 8:
        return None
    chosen = outline[rng.integers(len(outline), size=count)]
    smooth = cv2.GaussianBlur(band.astype(np.float32), (0, 0), max(1.5, head / 12))
    across, down = (cv2.Sobel(smooth, cv2.CV_32F, *order) for order in ((1, 0), (0, 1)))
    x, y = chosen.T
    angles = np.arctan2(-down[y, x], -across[y, x]).astype(np.float64)
    # Roots lie under the hair that is there; colours are taken from deeper inside.
    outward = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    deep = (chosen - outward * head * rng.uniform(0.04, 0.12, (count, 1))).astype(int)
    deep = deep.clip(0, [alpha.shape[1] - 1, alpha.shape[0] - 1])
    cover = alpha[deep[:, 1], deep[:, 0], None].astype(np.float64)
    if np.count_nonzero(cover > 200) < 8:
        return None
    colours = person.colours[deep[:, 1], deep[:, 0]] * (255 / np.maximum(cover, 1))
    colours = np.where(cover > 200, colours, np.median(colours[cover[:, 0] > 200], axis=0))
    gains = rng.uniform(0.75, 1.35, (count, 1)) * rng.uniform(0.8, 1.2)
    return _Roots(chosen - 2.0 * outward, angles, (colours * gains).clip(0, 255))


def _paths(
    roots: _Roots, style: Style, head: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Points along every strand [N, _JOINTS + 1, 2]."""
    count = len(roots.points)
    lengths = head * rng.uniform(*style.length, count)
    # Neighbours turn alike: hair falls in locks.
    turn = style.curl * (0.5 * rng.standard_normal() + 0.7 * rng.standard_normal(count)) / _JOINTS
    phase, pace = rng.uniform(0, 2 * np.pi, count), rng.uniform(0.5, 1.2, count)
    angles = roots.angles + style.spread * rng.standard_normal(count)
    points = [roots.points]
    for joint in range(_JOINTS):
        angles = angles + turn + style.wave * np.sin(phase + pace * joint) * 0.5
        # The difference to straight down (pi / 2), along the shorter way round.
        away = np.mod(np.pi / 2 - angles + np.pi, 2 * np.pi) - np.pi
        angles = angles + style.fall * away
        step = np.stack([np.cos(angles), np.sin(angles)], axis=1) * (lengths / _JOINTS)[:, None]
        points.append(points[-1] + step)
    return np.stack(points, axis=1)


def _drawn_over(
    person: Picture,
    paths: NDArray[np.float64],
    colours: NDArray[np.float64],
    rng: np.random.Generator,
) -> Picture:
    height, width = person.alpha.shape
    low = np.maximum(np.floor(paths.min(axis=(0, 1))).astype(int) - 2, 0)
    high = np.minimum(np.ceil(paths.max(axis=(0, 1))).astype(int) + 3, [width, height])
    size = (high - low) * _FINE
    coverage = np.zeros((size[1], size[0]), np.uint8)
    tints = np.empty((size[1], size[0], 3), np.uint8)
    tints[:] = np.median(colours, axis=0)
    fixed = np.rint((paths - low + 0.5) * _FINE * 2**_SHIFT).astype(np.int32)
    for path, colour, thick in zip(fixed, colours, rng.integers(1, 4, len(fixed)), strict=True):
        tone = tuple(float(c) for c in colour)
        # Thinner towards the tip.
        for part, thickness in ((path[:9], int(thick)), (path[8:], max(1, int(thick) - 1))):
            cv2.polylines(tints, [part], False, tone, thickness + 2, cv2.LINE_8, _SHIFT)
            cv2.polylines(coverage, [part], False, (255.0,), thickness, cv2.LINE_AA, _SHIFT)
    box = (slice(low[1], high[1]), slice(low[0], high[0]))
    target = (int(high[0] - low[0]), int(high[1] - low[1]))
    premultiplied = (tints.astype(np.uint16) * coverage[..., None] + 127) // 255
    strands, cover = (
        cv2.resize(pixels.astype(np.float32), target, interpolation=cv2.INTER_AREA)
        for pixels in (premultiplied, coverage)
    )
    clear = (255 - cover) / 255
    alpha, painted = person.alpha.copy(), person.colours.copy()
    alpha[box] = np.rint(cover + alpha[box] * clear).clip(0, 255)
    painted[box] = np.rint(strands + painted[box] * clear[..., None]).clip(0, 255)
    return Picture(np.minimum(painted, alpha[..., None]), alpha)
