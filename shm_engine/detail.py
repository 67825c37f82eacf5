"""Drafts to full size, looking closely at the outline alone; knows no network and no file.

Between the colour of the person and that of what is behind, both known smoothly from the working
size, a pixel's own colour says how much of each it shows. The draft says how much it is on average,
the picture at full size adds what is finer: strands, and where exactly an edge runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, Self

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from shm_engine.compositing import as_unit, from_unit
from shm_engine.foreground import foreground_colours, spread_colours
from shm_engine.preprocess import enlarge
from shm_engine.sampling import sample_list
from shm_engine.types import Draft, Foreground, Frame, Matte

Array = NDArray[np.float32]
Pixels = NDArray[np.int64]

# Colours of person and background that differ by less than about this tell nothing apart (squared,
# summed over the channels, in [0, 1]).
_LEAST_CONTRAST = 0.01

# A draft's alpha below the first, or nearer to 1 than the second, follows the picture less. Strands
# a seventh of a draft's pixel wide must be free; holes in people that are so narrow are rare, and
# patterns on clothes are not.
_THIN, _GAP = 0.1, 0.4

_SUM = np.ones((1, 4), np.float32)

# Alphas nearer to 0 or 1 than this are sure.
_SURE = 0.02

# Outline pixels done at a time: what the arithmetic needs stays in the cache and bounded.
_CHUNK = 1 << 13


class _Mixing(NamedTuple):
    """What is known of the outline at the working size, [h, w, 4] float32 each.

    slope_and_offset: alpha as a linear function of a pixel's colour, three factors and a constant.
    person, scene: the two colours; their last channel is 1.
    """

    slope_and_offset: Array
    person: Array
    scene: Array

    @classmethod
    def of(cls, draft: Draft) -> Self:
        image, alpha = draft.image.numpy(), draft.alpha[0].numpy()
        person, scene = spread_colours(image, alpha)
        contrast = person - scene
        contrast /= cv2.transform(contrast * contrast, _SUM)[..., None] + _LEAST_CONTRAST
        linear = _at_size(contrast, alpha.shape)
        linear *= _freedom(alpha)[..., None]
        # So that the draft's own colours give the draft's alpha: what the picture adds at full size
        # is what it holds beyond them.
        red, green, blue = image
        linear[..., 3] = alpha - linear[..., 0] * red
        linear[..., 3] -= linear[..., 1] * green + linear[..., 2] * blue
        return cls(linear, _at_size(person, alpha.shape), _at_size(scene, alpha.shape))


def _freedom(alpha: Array) -> Array:
    """How far the picture may lead away from the draft, [h, w] in [0, 1]: not where it is all but
    sure, for there the colours vary because things are patterned."""
    free = np.minimum(alpha * np.float32(1 / _THIN), (1 - alpha) * np.float32(1 / _GAP))
    return np.asarray(np.minimum(free, 1), np.float32)


def _at_size(values: Array, size: tuple[int, ...]) -> Array:
    return np.asarray(cv2.resize(values, size[::-1]), np.float32)


def draw(drafts: Iterator[Draft], *, foreground: str = "estimate") -> Iterator[Matte]:
    """A matte at full size for every draft, in order.

    foreground: "estimate" adds the colours of people where the background shines through, "source"
        leaves them as they were filmed.
    """
    for draft in drafts:
        yield _drawn(draft, foreground)


def _drawn(draft: Draft, foreground: str) -> Matte:
    frame = draft.frame
    # The draft stays as it is: smoothing still looks at it.
    trimap = None if draft.trimap is None else draft.trimap.clone()
    alpha = enlarge(draft.alpha, frame.size)
    if alpha is draft.alpha:
        alpha = alpha.clone()
    unsure = cv2.inRange(alpha[0].numpy(), _SURE, 1 - _SURE)
    if cv2.countNonZero(unsure) == 0:
        return Matte(frame=frame, alpha=alpha, trimap=trimap, draft=draft)
    outline = _Outline(frame, _Mixing.of(draft))
    places = np.asarray(cv2.findNonZero(unsure), np.int32).reshape(-1, 2)
    flat_alpha = alpha.numpy().reshape(-1)
    pixels, estimates = [], []
    for start in range(0, len(places), _CHUNK):
        some = outline.pixels(places[start : start + _CHUNK])
        flat_alpha[some.numbers] = some.alpha
        if foreground == "estimate":
            # Also where alpha is 0: a host that scales the picture mixes neighbours in.
            mixed = some.alpha < 1
            pixels.append(some.numbers[mixed])
            estimates.append(np.compress(mixed, outline.foreground(some), axis=1))
    if foreground != "estimate":
        return Matte(frame=frame, alpha=alpha, trimap=trimap, draft=draft)
    found = Foreground(
        pixels=torch.from_numpy(np.concatenate(pixels)),
        colours=torch.from_numpy(np.concatenate(estimates, axis=1)),
    )
    return Matte(frame=frame, alpha=alpha, trimap=trimap, foreground=found, draft=draft)


class _Pixels(NamedTuple):
    """Some pixels of a frame: y * width + x [N] int64, where they are at the working size, x and y
    [N], their colours as filmed [3, N] in [0, 1], and their alpha [N]."""

    numbers: Pixels
    x: Array
    y: Array
    colours: Array
    alpha: Array


class _Outline:
    """What can be told of the outline of a frame, pixel by pixel."""

    def __init__(self, frame: Frame, mixing: _Mixing) -> None:
        self._size = frame.size
        self._dtype = frame.image.dtype
        # No copy of what lies in memory as movies do.
        self._rows = np.ascontiguousarray(frame.image.permute(1, 2, 0).numpy()).reshape(-1, 3)
        self._mixing = mixing

    def pixels(self, coordinates: NDArray[np.int32]) -> _Pixels:
        """The pixels at coordinates [N, 2] (x, y)."""
        height, width = self._size
        small_height, small_width = self._mixing.slope_and_offset.shape[:2]
        x, y = np.ascontiguousarray(coordinates.T)
        numbers = y.astype(np.int64) * width + x
        small_x = _scaled(x, small_width / width)
        small_y = _scaled(y, small_height / height)
        filmed = np.take(self._rows, numbers, axis=0).T.copy()
        colours = as_unit(torch.from_numpy(filmed)).numpy()
        red, green, blue, offset = sample_list(self._mixing.slope_and_offset, small_x, small_y)
        alpha = offset + red * colours[0] + green * colours[1] + blue * colours[2]
        return _Pixels(numbers, small_x, small_y, colours, np.clip(alpha, 0, 1))

    def foreground(self, pixels: _Pixels) -> NDArray[Any]:
        """Straight colours without the background, [3, N] like the frame's samples."""
        person = sample_list(self._mixing.person, pixels.x, pixels.y)[:3]
        scene = sample_list(self._mixing.scene, pixels.x, pixels.y)[:3]
        found = foreground_colours(pixels.colours, pixels.alpha, person, scene)
        return from_unit(torch.from_numpy(found), self._dtype).numpy()


def _scaled(coordinates: NDArray[np.int32], factor: float) -> Array:
    """Where the centres of pixels lie when all is scaled by a factor."""
    return coordinates.astype(np.float32) * np.float32(factor) + np.float32(factor / 2 - 0.5)
