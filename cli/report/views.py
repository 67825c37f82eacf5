"""A matte at a size at which looking is cheap, and its cut-out as a JPEG; judges nothing."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from cli.report.findings import WHOLE, Box
from shm_engine.compositing import as_unit, from_unit, over
from shm_engine.types import Matte

Plane = NDArray[np.float32]
Grey = NDArray[np.uint8]

# The longer side of a view: small enough to cost little, large enough for optical flow.
LONG_SIDE_PIXELS = 320

# The picture is looked at in so many columns and rows for each of a view: enough for movement.
_GREY_SAMPLES = 2

# Soft pixels are counted in a sample of at most so many by so many.
_SOFT_SAMPLES = 512
_OUT, _IN = 0.05, 0.95

# The largest value of a picture that has not 8 bits.
_WHITE = {"uint16": 65535, "float32": 1}

# The green of a studio's screen.
_GREEN = torch.tensor([0.0, 0.69, 0.25]).view(3, 1, 1)
_THUMBNAIL_PIXELS = 320

# A close-up shows so many times what it is about, and at least so much of the longer side.
_AROUND, _CLOSEST = 2.0, 1 / 6
_JPEG_QUALITY = 85


class View(NamedTuple):
    """A matte as the report sees it.

    seconds: when the frame is shown. size: height and width of the frame.
    alpha: [h, w] in [0, 1], each the mean of a square of pixels; up to a whole square is missing at
        the right and lower edge. grey: [h, w] of the frame's picture.
    soft: share of the frame's pixels that are neither in nor out, from a sample of them.
    """

    seconds: float
    size: tuple[int, int]
    alpha: Plane
    grey: Grey
    soft: float


def view(matte: Matte) -> View:
    """The matte, small."""
    full = matte.alpha[0].numpy()
    square = -(-max(full.shape) // LONG_SIDE_PIXELS)
    height, width = (max(1, side // square) for side in full.shape)
    # A whole factor is several times faster than any other.
    whole = full[: height * square, : width * square]
    alpha = cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA)
    step = -(-max(full.shape) // _SOFT_SAMPLES)
    sampled = full[::step, ::step]
    return View(
        seconds=float(matte.frame.pts * matte.frame.time_base),
        size=matte.frame.size,
        alpha=np.asarray(alpha, np.float32),
        grey=_grey(matte.frame.image, square, (height, width)),
        soft=float(((sampled > _OUT) & (sampled < _IN)).mean()),
    )


def _grey(image: torch.Tensor, square: int, size: tuple[int, int]) -> Grey:
    """[h, w] of an image [3, H, W]; each from a few pixels of its square."""
    height, width = size
    # Decoded pictures interleave their channels, so that this copies nothing.
    pixels = np.ascontiguousarray(image.permute(1, 2, 0).numpy())
    whole = pixels[: height * square, : width * square]
    samples = min(square, _GREY_SAMPLES)
    between = width * samples, height * samples
    some = cv2.resize(whole, between, interpolation=cv2.INTER_NEAREST)
    if some.dtype != np.uint8:
        some = cv2.convertScaleAbs(some, alpha=255 / _WHITE[some.dtype.name])
    grey = cv2.cvtColor(some, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


class CutOut(NamedTuple):
    """The bytes of a JPEG file, and its size in pixels."""

    jpeg: bytes
    width: int
    height: int


def cut_out(matte: Matte, part: Box = WHOLE) -> CutOut:
    """The person over green, in the proportions it is shown with, at most 320 pixels long."""
    height, width = matte.frame.size
    top, bottom = _bounds(part.top, part.height, height)
    left, right = _bounds(part.left, part.width, width)
    # Composited before it shrinks: the other way round, old background would come back in.
    step = max(1, max(bottom - top, right - left) // (2 * _THUMBNAIL_PIXELS))
    place = np.s_[:, top:bottom:step, left:right:step]
    composite = over(as_unit(matte.colours[place]), matte.alpha[place], _GREEN)
    pixels = from_unit(composite, torch.uint8).permute(1, 2, 0).numpy()
    tall, wide = bottom - top, (right - left) * float(matte.frame.pixel_aspect)
    factor = min(1.0, _THUMBNAIL_PIXELS / max(tall, wide))
    size = max(1, round(wide * factor)), max(1, round(tall * factor))
    small = cv2.resize(np.ascontiguousarray(pixels), size, interpolation=cv2.INTER_AREA)
    quality = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    _, jpeg = cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), quality)
    return CutOut(jpeg.tobytes(), *size)


def surroundings(box: Box, matte: Matte) -> Box:
    """A part of the picture to show what is in the box: a square, where the picture has room."""
    height, width = matte.frame.size
    wide = width * float(matte.frame.pixel_aspect)
    side = max(_AROUND * max(box.width * wide, box.height * height), _CLOSEST * max(wide, height))
    across, down = min(1.0, side / wide), min(1.0, side / height)
    left = min(max(0.0, box.left + (box.width - across) / 2), 1 - across)
    top = min(max(0.0, box.top + (box.height - down) / 2), 1 - down)
    return Box(left, top, across, down)


def _bounds(start: float, part: float, whole: int) -> tuple[int, int]:
    """Pixels of a part of a side, at least one."""
    first = min(whole - 1, round(start * whole))
    return first, max(first + 1, min(whole, round((start + part) * whole)))
