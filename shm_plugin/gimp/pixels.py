"""Pixels out of GIMP's drawables, and into them.

Knows no engine and nothing of what the pixels show.
"""

from __future__ import annotations

from typing import Any

from gi.repository import Gegl

# Primes stand for encoding with the curve of sRGB: without them GIMP gives light, whatever the
# image's own precision. Masks are the other way round: their values are plain without a prime.
_PICTURES = {3: "R'G'B'", 4: "R'G'B'A"}
MASK = "Y float"
GREY = "Y' u8"

_SAMPLES = {"u8": "u8", "u16": "u16", "f32": "float"}
_CHANNELS = {"R'G'B'": 3, "R'G'B'A": 4, "Y": 1, "Y'": 1}
_BYTES = {"u8": 1, "u16": 2, "float": 4}


def dtype_of(image: Any) -> str:
    """ "u8", "u16" or "f32": samples for `picture` that hold the image's own without a loss."""
    kind, _, curve = image.get_precision().value_nick.partition("-")
    is_srgb = curve != "linear" and image.get_color_profile() is None
    return kind if is_srgb and kind in ("u8", "u16") else "f32"


def picture(dtype: str, channels: int) -> str:
    """The name of the format of straight pixels, sRGB-encoded, with 3 or 4 channels."""
    return f"{_PICTURES[channels]} {_SAMPLES[dtype]}"


def size_of(drawable: Any, format_name: str) -> int:
    """The bytes of all pixels of the drawable in that format."""
    model, sample = format_name.split(" ")
    area = int(drawable.get_width()) * int(drawable.get_height())
    return area * _CHANNELS[model] * _BYTES[sample]


def read(drawable: Any, format_name: str) -> bytes:
    """All of its pixels, rows top-down."""
    pixels = drawable.get_buffer().get(_all_of(drawable), 1.0, format_name, Gegl.AbyssPolicy.NONE)
    return bytes(pixels)


def fill(drawable: Any, format_name: str, content: bytes) -> None:
    """Writes all pixels of a drawable that is new, so that there is nothing to be undone."""
    _write(drawable.get_buffer(), drawable, format_name, content)
    drawable.update(0, 0, drawable.get_width(), drawable.get_height())


def paint(drawable: Any, format_name: str, content: bytes) -> None:
    """Writes all pixels as a filter does: as much as the selection selects, and undoably."""
    _write(drawable.get_shadow_buffer(), drawable, format_name, content)
    drawable.merge_shadow(True)
    drawable.update(0, 0, drawable.get_width(), drawable.get_height())


def _write(buffer: Any, drawable: Any, format_name: str, content: bytes) -> None:
    # Gegl itself would write nothing and say nothing.
    if len(content) != size_of(drawable, format_name):
        raise ValueError(f"{len(content)} bytes are not {size_of(drawable, format_name)}")
    buffer.set(_all_of(drawable), format_name, content)
    buffer.flush()


def _all_of(drawable: Any) -> Any:
    return Gegl.Rectangle.new(0, 0, drawable.get_width(), drawable.get_height())
