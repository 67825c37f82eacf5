"""How much a matte changed where the picture only moved; knows one frame and the one before it."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import cv2
import numpy as np

from cli.report.findings import Box
from cli.report.views import LONG_SIDE_PIXELS, Grey, Plane, View
from shm_engine.sampling import sample

# Forth and back again must end within a pixel of a view.
_ROUND_TRIP_PIXELS2 = 1.0

# A thing is the same thing where its grey differs by less than so many 8-bit steps.
_SAME_GREY = 25

# Less of the picture than this found again: another shot.
_SAME_SHOT = 0.3

# Frames further apart than this show no movement, only two moments.
_LONGEST_STEP_SECONDS = 0.5

# Optical flow needs a picture of some size; smaller ones are taken to stand still.
_SMALLEST_FLOW = 32

# The side of the patch by which a place is found: a sixteenth of a view.
_PATCH_PIXELS = LONG_SIDE_PIXELS // 16


class Change(NamedTuple):
    """What became of a matte within a frame.

    past: [h, w] the earlier alpha, moved to where the things are now.
    flicker: mean |alpha - past| in thousandths, where the movement is known.
    peak: the largest mean of the same over a patch, in [0, 1]; box: that patch.
    """

    past: Plane
    flicker: float
    peak: float
    box: Box


class Follower:
    """Follows movement with the fastest preset of DIS optical flow (Kroeger et al. 2016).

    Self-flicker as docs/steadiness.py defines it, measured there with a slower flow on pictures
    twice as wide. What this flow errs by is added: 0 to 58 % on six real clips, most where
    something small moves fast.
    """

    def __init__(self) -> None:
        preset = cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST
        self._flow: Any = cv2.DISOpticalFlow_create(preset)  # type: ignore[attr-defined]

    def change(self, earlier: View, later: View) -> Change | None:
        """What happened between two views; None if they are not of one shot."""
        step = later.seconds - earlier.seconds
        if earlier.size != later.size or not 0 < step <= _LONGEST_STEP_SECONDS:
            return None
        back, forth = self._between(later.grey, earlier.grey)
        places = back + _grid(*later.alpha.shape)
        round_trip = back + sample(forth, places)
        x, y = round_trip[..., 0], round_trip[..., 1]
        agrees = x * x + y * y < _ROUND_TRIP_PIXELS2
        difference = cv2.absdiff(later.grey, sample(earlier.grey, places))
        if float((agrees & (difference < _SAME_GREY)).mean()) < _SAME_SHOT:
            return None
        past = sample(earlier.alpha, places)
        changed = np.where(agrees, np.abs(later.alpha - past), np.float32(0))
        flicker = 1e3 * float(changed.sum(dtype=np.float64)) / int(agrees.sum())
        return Change(past, flicker, *_peak(changed))

    def _between(self, here: Grey, there: Grey) -> tuple[Plane, Plane]:
        if min(here.shape) < _SMALLEST_FLOW:
            still = np.zeros((*here.shape, 2), np.float32)
            return still, still
        return self._flow.calc(here, there, None), self._flow.calc(there, here, None)


def _peak(changed: Plane) -> tuple[float, Box]:
    height, width = changed.shape
    tall, wide = min(_PATCH_PIXELS, height), min(_PATCH_PIXELS, width)
    means = cv2.blur(changed, (wide, tall), borderType=cv2.BORDER_CONSTANT)
    # A patch lies whole in the picture.
    first_y, first_x = tall // 2, wide // 2
    inside = means[first_y : first_y + height - tall + 1, first_x : first_x + width - wide + 1]
    _, peak, _, (left, top) = cv2.minMaxLoc(inside)
    return peak, Box(left / width, top / height, wide / width, tall / height)


@lru_cache(maxsize=4)
def _grid(height: int, width: int) -> Plane:
    """Each pixel's own place [h, w, 2], x before y."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return np.stack([x, y], axis=2)
