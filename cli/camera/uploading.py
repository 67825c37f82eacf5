"""A background picture that the page sent -> Backdrop; trusts neither its size nor its bytes."""

from __future__ import annotations

import struct

import cv2
import numpy as np

from cli.camera.drawing import LONGEST_SIDE
from cli.camera.look import Backdrop
from shm_engine.errors import ImageFileError

MOST_BYTES = 32 << 20
# A few bytes can unfold to a picture that fills the memory: this is more than cameras have.
_MOST_PIXELS = 120_000_000
_LONGEST_NAME = 120

_JPEG_SIZES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_JPEG_BARE = frozenset({0x01, *range(0xD0, 0xD9)})


def backdrop_from(data: bytes, name: str) -> Backdrop:
    """The picture of a PNG, JPEG or WebP file, upright and no larger than is ever shown.

    ImageFileError, with a sentence for the page, for anything else.
    """
    size = _size(data)
    if size is None:
        raise ImageFileError("this file is no picture that can be used; take a PNG, JPEG or WebP")
    if not 0 < size[0] * size[1] <= _MOST_PIXELS:
        raise ImageFileError(
            f"this picture has {size[0]} x {size[1]} pixels, which is too many; make it smaller"
        )
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        pixels = None
    if pixels is None:
        raise ImageFileError("this picture is damaged; save it again, or take another")
    scale = 2 * LONGEST_SIDE / max(pixels.shape)
    if scale < 1:
        pixels = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    rgb = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), np.uint8)
    return Backdrop(name=name[:_LONGEST_NAME], pixels=rgb)


def _size(data: bytes) -> tuple[int, int] | None:
    """Width and height as the file says; None if it is of no kind that is taken."""
    try:
        if data.startswith(b"\x89PNG\r\n\x1a\n") and data[12:16] == b"IHDR":
            width, height = struct.unpack_from(">II", data, 16)
            return width, height
        if data.startswith(b"\xff\xd8"):
            return _size_of_jpeg(data)
        if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
            return _size_of_webp(data)
    except (struct.error, IndexError):
        pass
    return None


def _size_of_jpeg(data: bytes) -> tuple[int, int] | None:
    """Of the frame header (ISO/IEC 10918-1, B.2.2), past the segments before it."""
    position = 2
    while data[position] == 0xFF:
        marker = data[position + 1]
        if marker in _JPEG_SIZES:
            height, width = struct.unpack_from(">HH", data, position + 5)
            return width, height
        if marker == 0xFF:
            position += 1
        elif marker in _JPEG_BARE:
            position += 2
        else:
            position += 2 + struct.unpack_from(">H", data, position + 2)[0]
    return None


def _size_of_webp(data: bytes) -> tuple[int, int] | None:
    """Of the first chunk (RFC 9649): lossy, lossless or with extras."""
    kind = data[12:16]
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L":
        bits = struct.unpack_from("<I", data, 21)[0]
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8X":
        low = struct.unpack_from("<6B", data, 24)
        width, height = (low[i] | low[i + 1] << 8 | low[i + 2] << 16 for i in (0, 3))
        return width + 1, height + 1
    return None
