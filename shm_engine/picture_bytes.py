"""What the bytes of a picture file say of it before it is decoded; decodes nothing itself."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

from numpy.typing import NDArray

# Tags of TIFF 6.0, which EXIF shares.
_PHOTOMETRIC, _ORIENTATION, _SAMPLES, _PLANES, _EXTRA_SAMPLES = 262, 274, 277, 284, 338
_BIG_TIFF, _SHORT, _RGB, _SEPARATE = 43, 3, 2, 2
_UNSPECIFIED, _PREMULTIPLIED, _STRAIGHT = 0, 1, 2

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_TYPES_WITH_ALPHA = (b"\4", b"\6")  # grey and RGB
_WEBP_ALPHA, _WEBP_ANIMATION = 0x10, 0x02


def is_animation(raw: bytes) -> bool:
    """Whether a PNG (chunk acTL before the picture) or WebP (flag in VP8X) has several frames."""
    if raw.startswith(_PNG):
        return b"acTL" in raw[:4096].partition(b"IDAT")[0]
    return raw[8:16] == b"WEBPVP8X" and bool(raw[20] & _WEBP_ANIMATION)


def is_cut_jpeg(raw: bytes) -> bool:
    """Whether a JPEG lacks its end marker: the decoder fills what is missing with grey instead."""
    if not raw.startswith(b"\xff\xd8"):
        return False
    # Past the segments before the scan: a thumbnail in them has an end marker of its own. What may
    # follow the end (phones append films) does not matter.
    position = 2
    while (marker := raw[position : position + 2])[:1] == b"\xff" and marker != b"\xff\xda":
        length = int.from_bytes(raw[position + 2 : position + 4], "big")
        position += 1 if marker == b"\xff\xff" else 2 + length  # ff may be repeated as padding
    return raw.find(b"\xff\xd9", position) < 0


def may_have_alpha(raw: bytes) -> bool:
    """Whether a PNG, WebP or TIFF promises an alpha channel, or a palette with one."""
    if raw.startswith(_PNG):
        is_transparent = any(name == b"tRNS" for name, _ in _png_chunks(raw))
        return is_transparent or raw[25:26] in _PNG_TYPES_WITH_ALPHA
    if raw[8:12] == b"WEBP":
        return raw[12:16] == b"VP8L" or (raw[12:16] == b"VP8X" and bool(raw[20] & _WEBP_ALPHA))
    tags = _short_tags(raw)
    # Four samples may also be those of ink.
    return tags.get(_SAMPLES, (0, 0))[1] == 4 and tags.get(_PHOTOMETRIC, (0, 0))[1] == _RGB


def has_separate_planes(raw: bytes) -> bool:
    """Whether a TIFF stores each channel apart."""
    return _short_tags(raw).get(_PLANES, (0, 0))[1] == _SEPARATE


def without_straight_mark(raw: bytes) -> bytes:
    """The same TIFF, its straight alpha marked as of an unspecified kind.

    For libtiff, where it reads 8 bits, multiplies colours by an alpha that is marked as straight,
    and leaves them where it is not.
    """
    place, kind = _short_tags(raw).get(_EXTRA_SAMPLES, (0, _UNSPECIFIED))
    if kind != _STRAIGHT:
        return raw
    return raw[:place] + bytes(2) + raw[place + 2 :]


def is_premultiplied(raw: bytes) -> bool:
    """Whether a TIFF says that its colours are multiplied by its alpha."""
    return _short_tags(raw).get(_EXTRA_SAMPLES, (0, _UNSPECIFIED))[1] == _PREMULTIPLIED


def upright(stored: NDArray[Any], raw: bytes) -> NDArray[Any]:
    """A view of the [H, W, ...] samples of a PNG or WebP, turned as its EXIF says."""
    exif = b""
    if raw.startswith(_PNG):
        exif = next((raw[at:] for name, at in _png_chunks(raw) if name == b"eXIf"), b"")
    elif raw[8:12] == b"WEBP":
        exif = next((raw[at:] for name, at in _riff_chunks(raw) if name == b"EXIF"), b"")
    orientation = _short_tags(exif.removeprefix(b"Exif\0\0")).get(_ORIENTATION, (0, 1))[1]
    if orientation in (5, 6, 7, 8):
        stored = stored.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        stored = stored[::-1]
    if orientation in (2, 3, 6, 7):
        stored = stored[:, ::-1]
    return stored


def _png_chunks(raw: bytes) -> Iterator[tuple[bytes, int]]:
    """Name and place of the content of every chunk of a PNG."""
    position = len(_PNG)
    while position + 8 <= len(raw):
        yield raw[position + 4 : position + 8], position + 8
        position += 12 + int.from_bytes(raw[position : position + 4], "big")


def _riff_chunks(raw: bytes) -> Iterator[tuple[bytes, int]]:
    """Name and place of the content of every chunk of a WebP."""
    position = 12
    while position + 8 <= len(raw):
        yield raw[position : position + 4], position + 8
        size = int.from_bytes(raw[position + 4 : position + 8], "little")
        position += 8 + size + size % 2


def _short_tags(raw: bytes) -> dict[int, tuple[int, int]]:
    """Place and value of every tag of the first directory of a TIFF that is one 16-bit number."""
    order = {b"II": "<", b"MM": ">"}.get(raw[:2], "")
    found: dict[int, tuple[int, int]] = {}
    if not order:
        return found
    try:
        is_big = struct.unpack_from(f"{order}H", raw, 2)[0] == _BIG_TIFF
        offset, count, entry, stride = ("Q", "Q", "HHQ", 20) if is_big else ("I", "H", "HHI", 12)
        (directory,) = struct.unpack_from(order + offset, raw, 8 if is_big else 4)
        (entries,) = struct.unpack_from(order + count, raw, directory)
        first = directory + struct.calcsize(order + count)
        for place in range(first, first + entries * stride, stride):
            tag, kind, length = struct.unpack_from(order + entry, raw, place)
            value = place + struct.calcsize(order + entry)
            if (kind, length) == (_SHORT, 1):
                found[tag] = value, struct.unpack_from(f"{order}H", raw, value)[0]
    except struct.error:  # cut; the decoder says so
        pass
    return found
