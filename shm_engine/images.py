"""One still picture file <-> Frame or tensor; knows no network and no clip."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from shm_engine.compositing import as_unit, from_unit, unpremultiply
from shm_engine.errors import ImageFileError
from shm_engine.files import replacing
from shm_engine.picture_bytes import (
    has_separate_planes,
    is_animation,
    is_cut_jpeg,
    is_premultiplied,
    may_have_alpha,
    upright,
    without_straight_mark,
)
from shm_engine.types import Frame

Pixels = NDArray[Any]

READABLE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".jp2", ".ppm"}
)
# Still pictures too, but not decoded everywhere; where they are not, `read_image` says so.
PICTURE_SUFFIXES = READABLE_SUFFIXES | {".heic", ".heif", ".avif"}

_SUFFIXES_WITHOUT_ALPHA = frozenset({".jpg", ".jpeg", ".bmp", ".ppm"})
_SUFFIXES_OF_16_BIT = frozenset({".png", ".tif", ".tiff", ".jp2", ".ppm"})


def read_image(path: Path | str) -> Frame:
    """A picture as a frame: upright (EXIF applied), uint8 or uint16, with its alpha if it has one
    that is not opaque everywhere (PNG, WebP, TIFF); its colours are straight.

    Raises ImageFileError if the file is missing, is no picture or is damaged.
    """
    path = Path(path)
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ImageFileError(
            f"{path} cannot be read: {(error.strerror or str(error)).lower()}", path=path
        ) from error
    try:
        pixels = _decoded(raw)
    except cv2.error as error:
        raise ImageFileError(f"{path} is damaged or too large to be read", path=path) from error
    if pixels is None or is_cut_jpeg(raw):
        raise ImageFileError(
            f"{path} is not a picture that can be read, or it is damaged; try a PNG or JPEG of it",
            path=path,
        )
    if pixels.dtype not in (np.uint8, np.uint16):
        raise ImageFileError(
            f"{path} holds {pixels.dtype} values; convert it to an 8 or 16 bit picture", path=path
        )
    if is_animation(raw):
        raise ImageFileError(
            f"{path} is an animation, of which only one frame would be read; make it a movie first",
            path=path,
        )
    # OpenCV would mix up the channels.
    if pixels.dtype == np.uint16 and has_separate_planes(raw):
        raise ImageFileError(
            f"{path} stores its channels apart, in 16 bits; convert it to a PNG", path=path
        )
    return _frame(pixels, raw)


def _decoded(raw: bytes) -> Pixels | None:
    """[H, W, 3] BGR or [H, W, 4] BGR and alpha, upright; None if the file is no whole picture."""
    if not raw:
        return None
    if may_have_alpha(raw):
        data = np.frombuffer(without_straight_mark(raw), np.uint8)
        pixels = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
        if pixels is None or pixels.shape[2:] == (4,):
            return None if pixels is None else upright(pixels, raw)
    data = np.frombuffer(raw, np.uint8)
    return cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)


def _frame(pixels: Pixels, raw: bytes) -> Frame:
    image = torch.from_numpy(np.ascontiguousarray(pixels[..., 2::-1])).permute(2, 0, 1)
    if pixels.shape[2] == 3 or pixels[..., 3].min() == np.iinfo(pixels.dtype).max:
        return Frame(image=image)
    alpha = torch.from_numpy(np.ascontiguousarray(pixels[None, ..., 3]))
    if is_premultiplied(raw):
        straight = unpremultiply(as_unit(image), as_unit(alpha))
        image = from_unit(straight, image.dtype)
    return Frame(image=image, alpha=alpha)


def write_image(path: Path | str, image: torch.Tensor) -> None:
    """Write [1, H, W] grey, [3, H, W] RGB or [4, H, W] straight RGBA, uint8 or uint16.

    The format follows the suffix. The file appears whole or not at all. Raises ImageFileError if
    the format cannot hold the picture or the folder cannot be written.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    order = {1: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}.get(image.shape[0])
    if order is None or image.dtype not in (torch.uint8, torch.uint16):
        raise ValueError(f"an image of shape {tuple(image.shape)}, {image.dtype} is no picture")
    if image.shape[0] == 4 and suffix in _SUFFIXES_WITHOUT_ALPHA:
        raise ImageFileError(f"{path}: {suffix} cannot hold an alpha channel; use .png", path=path)
    # OpenCV would clip 16 bits to 8: a white picture.
    if image.dtype == torch.uint16 and suffix not in _SUFFIXES_OF_16_BIT:
        raise ImageFileError(f"{path}: {suffix} cannot hold 16 bits; use .png", path=path)
    pixels = image.permute(1, 2, 0).cpu().numpy()
    try:
        done, encoded = cv2.imencode(path.suffix, np.ascontiguousarray(pixels[..., order]))
        if not done:
            raise cv2.error("the encoder failed")
        with replacing(path) as temporary:
            temporary.write_bytes(encoded.tobytes())  # tofile would hide why the disk refuses
    except cv2.error as error:
        raise ImageFileError(
            f"{path}: {path.suffix} cannot hold this; use .png", path=path
        ) from error
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ImageFileError(
            f"{path} cannot be written: {reason}; free some space or write elsewhere", path=path
        ) from error
