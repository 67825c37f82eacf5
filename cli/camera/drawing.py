"""From a matte and a look to the picture on the screen: a pure function, as fast as can be.

In bytes, by OpenCV: an eighth of the time of tensors in float, and right to a level or two of 255.
Knows no browser.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from cli.camera.look import Backdrop, Look, Shows
from shm_engine.compositing import as_unit, display_referred, from_unit
from shm_engine.types import Matte

Picture = NDArray[np.uint8]

# Larger ones are shrunk: it is for watching, what is recorded keeps its size.
LONGEST_SIDE = 1280

# The blur is made of a smaller picture, which nobody sees. Its widest reach, of the longer side.
_BLUR_SHRINK = 4
_WIDEST_BLUR = 0.08

# What the person hides counts so little in what is blurred, and does not count as nothing where
# there is nothing else.
_LEAST_TRUST = 0.02


def draw(matte: Matte, look: Look) -> Picture:
    """[H, W, 3] RGB, of `screen_size`."""
    height, width = matte.frame.size
    size = screen_size(width, height, matte.frame.pixel_aspect)
    filmed = _bytes_of(matte.frame.image, matte.frame.encoding)
    if look.shows is Shows.ORIGINAL:
        return _resized(filmed, size)
    alpha = cv2.convertScaleAbs(matte.alpha[0].numpy(), alpha=255)
    small_alpha = _resized(np.asarray(alpha, np.uint8), size)
    if look.shows is Shows.MATTE:
        return np.asarray(cv2.cvtColor(small_alpha, cv2.COLOR_GRAY2RGB), np.uint8)
    # Grey keeps the light of every pixel: its colours are those that were filmed.
    colours = filmed if look.shows is Shows.GREY else _without_background(filmed, matte)
    # Before it is shrunk: what is left of the background outside would mix into the outline.
    person = _resized(_times(colours, np.asarray(alpha, np.uint8)), size)
    rest = np.asarray(cv2.bitwise_not(small_alpha), np.uint8)
    behind = _behind(look, filmed, small_alpha, size)
    return np.asarray(cv2.add(person, _times(behind, rest)), np.uint8)


def encode(picture: Picture, quality: int) -> bytes:
    """The picture as a JPEG file."""
    # Without subsampling: outlines over green are what is looked at.
    ways = (
        *(cv2.IMWRITE_JPEG_QUALITY, quality),
        *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444),
    )
    _, data = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), ways)
    return data.tobytes()


def screen_size(width: int, height: int, pixel_aspect: Fraction) -> tuple[int, int]:
    """Width and height on the screen, of square pixels; even, as many programs need it."""
    wide, tall = width * float(pixel_aspect), float(height)
    scale = min(1.0, LONGEST_SIDE / max(wide, tall))
    return max(2, round(wide * scale / 2) * 2), max(2, round(tall * scale / 2) * 2)


def _behind(look: Look, filmed: Picture, alpha: Picture, size: tuple[int, int]) -> Picture:
    if look.shows is Shows.GREY:
        grey = cv2.cvtColor(_resized(filmed, size), cv2.COLOR_RGB2GRAY)
        return np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), np.uint8)
    if look.shows is Shows.BLUR:
        return _blurred(_resized(filmed, size), alpha, look.blur)
    if look.shows is Shows.PICTURE:
        assert look.picture is not None
        return _covering(look.picture, size)
    return _plain(look.colour, size)


def _bytes_of(image: torch.Tensor, encoding: str) -> Picture:
    """[3, H, W] of any kind as [H, W, 3]; no copy of what lies in memory as movies do."""
    if encoding != "srgb":
        image = display_referred(as_unit(image), encoding)
    if image.dtype == torch.uint16:
        return np.ascontiguousarray((image.permute(1, 2, 0).numpy() >> 8).astype(np.uint8))
    if image.dtype == torch.float32:
        image = from_unit(image, torch.uint8)
    return np.ascontiguousarray(image.permute(1, 2, 0).numpy())


def _without_background(filmed: Picture, matte: Matte) -> Picture:
    """The colours of people, where the background shines through them too."""
    if matte.foreground is None:
        return filmed
    found = _bytes_of(matte.foreground.colours[..., None], matte.frame.encoding)[:, 0]
    colours = filmed.copy()
    colours.reshape(-1, 3)[matte.foreground.pixels.numpy()] = found
    return colours


def _times(picture: Picture, alpha: Picture) -> Picture:
    """[H, W, 3] times [H, W] of 255."""
    three = cv2.cvtColor(alpha, cv2.COLOR_GRAY2RGB)
    return np.asarray(cv2.multiply(picture, three, scale=1 / 255), np.uint8)


def _resized(picture: Picture, size: tuple[int, int]) -> Picture:
    if picture.shape[1::-1] == size:
        return picture
    shrinks = size[0] < picture.shape[1]
    way = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(picture, size, interpolation=way), np.uint8)


def _blurred(picture: Picture, alpha: Picture, strength: float) -> Picture:
    """The background alone, out of focus: normalised convolution (Knutsson and Westin 1993).

    A plain blur would surround people with a glow of their own colours.
    """
    height, width = alpha.shape
    reach = round(strength * _WIDEST_BLUR * max(width, height) / _BLUR_SHRINK)
    size = max(1, width // _BLUR_SHRINK), max(1, height // _BLUR_SHRINK)
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    shown = 1 - cv2.resize(alpha, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    trust = shown * shown * shown + np.float32(_LEAST_TRUST)
    sums = cv2.merge([small * trust[..., None], trust])
    for _ in range(3):  # three boxes make all but a Gaussian
        sums = cv2.blur(sums, (2 * reach + 1, 2 * reach + 1))
    behind = np.asarray(sums[..., :3] / sums[..., 3:], np.float32)
    large = cv2.resize(behind, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.convertScaleAbs(large), np.uint8)


# One for what is on the screen, one for what comes next.
@lru_cache(maxsize=2)
def _plain(colour: tuple[int, int, int], size: tuple[int, int]) -> Picture:
    return np.full((size[1], size[0], 3), colour, np.uint8)


@lru_cache(maxsize=2)
def _covering(backdrop: Backdrop, size: tuple[int, int]) -> Picture:
    """The picture, scaled to fill; what is too much at both ends is cut off."""
    height, width = backdrop.pixels.shape[:2]
    wanted = size[0] / size[1]
    crop_height = min(height, max(1, round(width / wanted)))
    crop_width = min(width, max(1, round(height * wanted)))
    top, left = (height - crop_height) // 2, (width - crop_width) // 2
    middle: Picture = backdrop.pixels[top : top + crop_height, left : left + crop_width]
    return _resized(np.ascontiguousarray(middle), size)
