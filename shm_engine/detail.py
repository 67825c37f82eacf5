"""Drafts to full size, looking closely at the outline alone; knows no network and no file.

Between the colour of the person and that of what is behind, both known smoothly from the working
size, a pixel's own colour says how much of each it shows. The draft says how much it is on average,
the picture at full size adds what is finer: strands, and where exactly an edge runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Self

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

_SUM = np.ones((1, 3), np.float32)

# Alphas nearer to 0 or 1 than this are sure.
_SURE = 0.02

# Outline pixels done at a time: what the arithmetic needs stays in the cache and bounded.
_CHUNK = 1 << 15


class _Mixing(NamedTuple):
    """What is known of the outline, [h, w, C] float32 each, of any size.

    slope_and_offset: alpha as a linear function of a pixel's colour, three factors and a constant.
    person, scene: the two colours.
    """

    slope_and_offset: Array
    person: Array
    scene: Array

    @classmethod
    def of(cls, draft: Draft) -> Self:
        image = np.ascontiguousarray(draft.image.permute(1, 2, 0).numpy())
        alpha = draft.alpha[0].numpy()
        person, scene = spread_colours(image, alpha)
        contrast = person - scene
        contrast /= cv2.transform(contrast * contrast, _SUM)[..., None] + _LEAST_CONTRAST
        slope = np.asarray(cv2.resize(contrast, alpha.shape[::-1]), np.float32)
        slope *= _freedom(alpha)[..., None]
        # So that the draft's own colours give the draft's alpha: what the picture adds at full size
        # is what it holds beyond them.
        offset = alpha - cv2.transform(slope * image, _SUM)
        linear = np.asarray(cv2.merge([*cv2.split(slope), offset]), np.float32)
        return cls(linear, person, scene)


def _freedom(alpha: Array) -> Array:
    """How far the picture may lead away from the draft, [h, w] in [0, 1]: not where it is all but
    sure, for there the colours vary because things are patterned."""
    free = np.minimum(alpha * np.float32(1 / _THIN), (1 - alpha) * np.float32(1 / _GAP))
    return np.asarray(np.minimum(free, 1), np.float32)


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
        return Matte(frame=frame, alpha=alpha, trimap=trimap)
    outline = _Outline(frame, _Mixing.of(draft))
    x, y = np.asarray(cv2.findNonZero(unsure), np.int64).reshape(-1, 2).T
    pixels = y * frame.size[1] + x
    flat_alpha = alpha.numpy().reshape(-1)
    recoloured, estimates = [], []
    for start in range(0, len(pixels), _CHUNK):
        some = pixels[start : start + _CHUNK]
        colours = outline.colours(some)
        flat_alpha[some] = found = outline.alpha(some, colours)
        if foreground == "estimate":
            # Also where alpha is 0: a host that scales the picture mixes neighbours in.
            mixed = np.flatnonzero(found < 1)
            recoloured.append(some[mixed])
            estimates.append(outline.foreground(some[mixed], colours[:, mixed], found[mixed]))
    if foreground != "estimate":
        return Matte(frame=frame, alpha=alpha, trimap=trimap)
    return Matte(
        frame=frame,
        alpha=alpha,
        trimap=trimap,
        foreground=Foreground(
            pixels=torch.from_numpy(np.concatenate(recoloured)),
            colours=torch.cat(estimates, dim=1),
        ),
    )


class _Outline(NamedTuple):
    """What can be told of pixels of a frame, given as a list y * width + x, [N]."""

    frame: Frame
    mixing: _Mixing

    def colours(self, pixels: Pixels) -> Array:
        """As they were filmed, [3, N] in [0, 1]."""
        rows = self.frame.image.numpy().transpose(1, 2, 0).reshape(-1, 3)
        return as_unit(torch.from_numpy(np.take(rows, pixels, axis=0).T.copy())).numpy()

    def alpha(self, pixels: Pixels, colours: Array) -> Array:
        """[N]."""
        red, green, blue, offset = self._sampled(self.mixing.slope_and_offset, pixels)
        found = offset + red * colours[0] + green * colours[1] + blue * colours[2]
        return np.asarray(np.clip(found, 0, 1), np.float32)

    def foreground(self, pixels: Pixels, colours: Array, alpha: Array) -> torch.Tensor:
        """Straight colours without the background, [3, N] like the frame's samples."""
        person = self._sampled(self.mixing.person, pixels)
        scene = self._sampled(self.mixing.scene, pixels)
        found = foreground_colours(colours, alpha, person, scene)
        return from_unit(torch.from_numpy(found), self.frame.image.dtype)

    def _sampled(self, values: Array, pixels: Pixels) -> Array:
        """Values [h, w, C] at these pixels, [C, N]."""
        height, width = self.frame.size
        y, x = np.divmod(pixels.astype(np.int32), np.int32(width))
        down, across = values.shape[0] / height, values.shape[1] / width
        return sample_list(
            values,
            x * np.float32(across) + np.float32(across / 2 - 0.5),
            y * np.float32(down) + np.float32(down / 2 - 0.5),
        )
