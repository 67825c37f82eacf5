"""Temporal smoothing: drafts that hold still; knows no network, no full-size picture and no file.

Where the same thing was seen a frame ago and is seen a frame later, alpha is cleared of
single-frame pops (the one-frame delay of Ke et al. 2020, on neighbours warped by optical flow) and
drawn towards its own past. What was not found again is not averaged, so nothing lags behind a
movement.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache, reduce
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from shm_engine.sampling import sample, sample_list
from shm_engine.types import Draft

Plane = NDArray[np.float32]
Pixels = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Strength:
    """How hard to smooth.

    memory: the part of a pixel that is its own past, where the past is sure.
    tolerance_pixels: a difference is believed to be real, and left, if the outline lying so many
        pixels of the working size elsewhere explains it: that is how far optical flow errs. Where
        nothing moves it does not err.
    """

    memory: float
    tolerance_pixels: float


STRENGTHS = {
    "light": Strength(memory=0.8, tolerance_pixels=0.5),
    "strong": Strength(memory=0.88, tolerance_pixels=0.4),
}

# Flow of frames at half the working size: the same figures as at full size for half the time.
_FLOW_SHRINK = 2

# Forth and back again must end within about a pixel, more where the movement is large.
_ROUND_TRIP_PIXELS2, _ROUND_TRIP_PART = 1.0, 0.02

# Standard deviation of what two sightings of one thing differ by, in 8-bit steps.
_COLOUR_DEVIATION = 20.0

# Less of the picture than this found again: another shot.
_SAME_SHOT = 0.2

# Frames further apart than this show no movement, only two moments.
_LONGEST_STEP_SECONDS = Fraction(1, 2)

# The frames before and after agree on a pop only if they differ by less than this.
_AGREEMENT = 0.3

# So far from 0.5 an alpha is still in doubt.
_DOUBTFUL = 0.15

# From this speed on, flow errs as much as it ever does.
_MOVING_PIXELS = 0.5

# Optical flow needs a picture of some size.
_SMALLEST_FLOW = 16

# Alphas nearer than this are the same.
_SAME = 1 / 512

_MEAN_OF_CHANNELS = np.full((1, 3), 1 / 3, np.float32)


class _View(NamedTuple):
    """A draft, its alpha as an array [h, w] float32, and what optical flow looks at, both smaller:
    colours [h', w', 3] and grey [h', w'], uint8."""

    draft: Draft
    alpha: Plane
    colours: NDArray[np.uint8]
    grey: NDArray[np.uint8]


class _Sighting(NamedTuple):
    """Where the things of one frame are in another: a map for `sample` [h, w, 2], how sure [h, w]
    in [0, 1], and how much of the flow's error to expect [h, w] in [0, 1]."""

    places: Plane
    confidence: Plane
    motion: Plane


class _Link(NamedTuple):
    """Two neighbours in time: seen from the later one, and from the earlier one."""

    backward: _Sighting
    forward: _Sighting


class _Neighbour(NamedTuple):
    """A frame beside the one at work, and where it shows the same things."""

    view: _View
    sighting: _Sighting


def smooth(
    drafts: Iterator[Draft], strength: Strength, since: Draft | None = None
) -> Iterator[Draft]:
    """The same drafts in the same order with steadier alpha and trimap; one frame of look-ahead.

    Sizes may change on the way, and shots: nothing crosses a cut. A clip that does not change comes
    out as it went in.

    since: what came out last before these, to go on as if there had been no break. Of its frame
        only the time is asked.
    """
    flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_FAST)  # type: ignore[attr-defined]
    now = None if since is None else _view(_as_it_went_in(since))
    is_out = since is not None
    before: _Neighbour | None = None
    past = since
    for draft in drafts:
        next_view = _view(draft)
        if now is not None:
            link = _link(flow, now, next_view)
            if not is_out:
                after = None if link is None else _Neighbour(next_view, link.forward)
                past = _steadied(now, before, after, past, strength)
                yield past
            before = None if link is None else _Neighbour(now, link.backward)
        now, is_out = next_view, False
    if now is not None and not is_out:
        yield _steadied(now, before, None, past, strength)


def _as_it_went_in(draft: Draft) -> Draft:
    return draft if draft.unsmoothed is None else replace(draft, alpha=draft.unsmoothed)


def _view(draft: Draft) -> _View:
    height, width = draft.alpha.shape[1:]
    size = max(1, width // _FLOW_SHRINK), max(1, height // _FLOW_SHRINK)
    image = np.ascontiguousarray(draft.image.permute(1, 2, 0).numpy())
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    colours = np.asarray(cv2.convertScaleAbs(small, alpha=255), np.uint8)
    return _View(
        draft=draft,
        alpha=draft.alpha[0].numpy(),
        colours=colours,
        grey=np.asarray(cv2.cvtColor(colours, cv2.COLOR_RGB2GRAY), np.uint8),
    )


def _link(flow: Any, earlier: _View, later: _View) -> _Link | None:
    """How the two see one another; None if they are not of one shot."""
    if earlier.alpha.shape != later.alpha.shape or min(earlier.grey.shape) < _SMALLEST_FLOW:
        return None
    if not 0 < _seconds(later.draft) - _seconds(earlier.draft) <= _LONGEST_STEP_SECONDS:
        return None
    to_earlier = flow.calc(later.grey, earlier.grey, None)
    to_later = flow.calc(earlier.grey, later.grey, None)
    backward = _sighting(later, earlier, to_earlier, to_later)
    forward = _sighting(earlier, later, to_later, to_earlier)
    if min(backward.confidence.mean(), forward.confidence.mean()) < _SAME_SHOT:
        return None
    return _Link(backward, forward)


def _seconds(draft: Draft) -> Fraction:
    return draft.frame.pts * draft.frame.time_base


def _sighting(here: _View, there: _View, flow: Plane, flow_back: Plane) -> _Sighting:
    """Where the things of `here` are `there`; judged at the flow's size, told at the draft's."""
    height, width = flow.shape[:2]
    places = flow + _grid(height, width)
    round_trip2 = _length2(flow + sample(flow_back, places))
    speed2 = _length2(flow)
    doubt = round_trip2 / (_ROUND_TRIP_PIXELS2 + _ROUND_TRIP_PART * speed2)
    difference = cv2.absdiff(here.colours, sample(there.colours, places))
    # The mean of three channels, of three by three pixels: one pixel's noise decides nothing.
    deviation = cv2.blur(cv2.transform(difference, _MEAN_OF_CHANNELS), (3, 3))
    doubt += np.square(deviation * np.float32(1 / _COLOUR_DEVIATION))
    confidence = np.exp(-doubt)
    x, y = places[..., 0], places[..., 1]
    confidence[(x < -0.5) | (x > width - 0.5) | (y < -0.5) | (y > height - 0.5)] = 0
    motion = np.minimum(np.sqrt(speed2) * np.float32(1 / _MOVING_PIXELS), 1)
    return _at_draft_size(here, flow, confidence, motion)


def _at_draft_size(view: _View, flow: Plane, confidence: Plane, motion: Plane) -> _Sighting:
    height, width = view.alpha.shape
    small_height, small_width = motion.shape
    scaled = flow * np.array([width / small_width, height / small_height], np.float32)
    flow, confidence, motion = (
        np.asarray(cv2.resize(values, (width, height)), np.float32)
        for values in (scaled, confidence, motion)
    )
    return _Sighting(flow + _grid(height, width), confidence, motion)


def _length2(vectors: Plane) -> Plane:
    x, y = vectors[..., 0], vectors[..., 1]
    return x * x + y * y


@lru_cache(maxsize=4)
def _grid(height: int, width: int) -> Plane:
    """Each pixel's own place [h, w, 2], x before y."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return np.stack([x, y], axis=2)


def _steadied(
    now: _View,
    before: _Neighbour | None,
    after: _Neighbour | None,
    past: Draft | None,
    strength: Strength,
) -> Draft:
    """The draft of `now`, helped by its neighbours and by `past`, what came out before it."""
    if before is None or past is None:
        return now.draft
    past_alpha = sample(past.alpha[0].numpy(), before.sighting.places)
    was = sample(before.view.alpha, before.sighting.places)
    will_be = was if after is None else sample(after.view.alpha, after.sighting.places)
    alphas = (now.alpha, past_alpha, was, will_be)
    # Nearly all of a picture is sure and stays so.
    spread = reduce(np.maximum, alphas) - reduce(np.minimum, alphas)
    active = np.flatnonzero(spread > _SAME)
    if len(active) == 0:
        return now.draft
    slope = np.maximum(_slope(now.alpha), _slope(past_alpha))
    allowed = strength.tolerance_pixels * _at(slope, active) * _at(before.sighting.motion, active)
    sure = _at(before.sighting.confidence, active)
    alpha, past_alpha, was, will_be = (_at(values, active) for values in alphas)
    steady = alpha
    if after is not None:
        least, most = np.minimum(was, will_be), np.maximum(was, will_be)
        agreement = np.clip(1 - (most - least) / _AGREEMENT, 0, 1)
        both_sure = np.minimum(sure, _at(after.sighting.confidence, active))
        pop = _beyond(np.clip(alpha, least, most) - alpha, allowed)
        steady = np.asarray(alpha + agreement * both_sure * pop, np.float32)
    memory = strength.memory * sure * _trust(past_alpha, alpha)
    steady = steady + memory * _beyond(past_alpha - steady, allowed)
    # How much of the way to its past alpha went: the trimap goes as far.
    share = np.abs(steady - alpha) / np.maximum(np.abs(past_alpha - alpha), _SAME)
    return _changed(now, active, steady, past, before.sighting.places, np.minimum(share, 1))


def _trust(past_alpha: Plane, alpha: Plane) -> Plane:
    """How much the past may say, [N] in [0, 1]: less where it was in doubt and now is not."""
    was_sure, is_sure = np.abs(past_alpha - 0.5), np.abs(alpha - 0.5)
    trust = (was_sure + _DOUBTFUL) / (is_sure + _DOUBTFUL)
    return np.asarray(np.minimum(trust, 1), np.float32)


def _changed(
    now: _View, active: Pixels, alpha: Plane, past: Draft, places: Plane, share: Plane
) -> Draft:
    """The draft of `now` with other alphas [N] and trimaps at the active pixels."""
    alphas = now.alpha.copy()
    alphas.reshape(-1)[active] = alpha
    draft = replace(now.draft, alpha=torch.from_numpy(alphas)[None], unsmoothed=now.draft.alpha)
    if draft.trimap is None or past.trimap is None:
        return draft
    trimap = draft.trimap.clone()
    x, y = np.ascontiguousarray(places.reshape(-1, 2)[active].T)
    for values, earlier in zip(trimap.numpy(), past.trimap.numpy(), strict=True):
        flat = values.reshape(-1)
        now_there = flat[active]
        flat[active] = now_there + share * (sample_list(earlier[..., None], x, y)[0] - now_there)
    return replace(draft, trimap=trimap)


def _at(values: Plane, active: Pixels) -> Plane:
    return values.reshape(-1)[active]


def _slope(values: Plane) -> Plane:
    """How much the values change over a pixel, [h, w]."""
    across = cv2.Sobel(values, cv2.CV_32F, 1, 0, scale=1 / 8)
    down = cv2.Sobel(values, cv2.CV_32F, 0, 1, scale=1 / 8)
    # Not cv2.magnitude, whose last bit differs from call to call.
    return np.asarray(np.sqrt(across * across + down * down), np.float32)


def _beyond(difference: Plane, allowed: Plane) -> Plane:
    """What of the difference is larger than allowed; the rest counts as none."""
    return difference - np.clip(difference, -allowed, allowed)
