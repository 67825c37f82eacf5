"""Bytes of Krita's layers -> pictures as the engine takes them; alpha -> bytes of Krita's masks.

Knows no Krita: colours come here in one of FORMS. Krita's Python has no numpy.
"""

from __future__ import annotations

import struct
from array import array
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Form:
    """How Krita keeps samples: dtype and colour as in messages.MatteRequest, the depth and profile
    as Krita names them; code is that of an array, of half floats as whole numbers; places are where
    red, green and blue are of the four channels."""

    dtype: str
    colour: str
    depth: str
    profile: str
    code: str
    places: tuple[int, int, int]


_SRGB, _LINEAR = "sRGB-elle-V2-srgbtrc.icc", "sRGB-elle-V2-g10.icc"
_BLUE_FIRST, _RED_FIRST = (2, 1, 0), (0, 1, 2)

# Integers are blue first, floats are light.
FORMS = {
    "U8": Form(dtype="u8", colour="srgb", depth="U8", profile=_SRGB, code="B", places=_BLUE_FIRST),
    "U16": Form(
        dtype="u16", colour="srgb", depth="U16", profile=_SRGB, code="H", places=_BLUE_FIRST
    ),
    "F16": Form(
        dtype="f32", colour="linear", depth="F16", profile=_LINEAR, code="H", places=_RED_FIRST
    ),
    "F32": Form(
        dtype="f32", colour="linear", depth="F32", profile=_LINEAR, code="f", places=_RED_FIRST
    ),
}


@dataclass(frozen=True, kw_only=True)
class Picture:
    """raw: height * width pixels of four channels, as the form says, rows top-down. selection: a
    byte a pixel, None where all is selected. before: a byte a pixel of the mask that holds where
    nothing is selected, None where all is shown."""

    width: int
    height: int
    form: Form
    raw: bytes
    selection: bytes | None = None
    before: bytes | None = None


def form_of(depth: str) -> Form:
    """The form that holds all that samples of this depth do."""
    return FORMS.get(depth, FORMS["F32"])


def rgb(picture: Picture) -> bytes:
    """Its red, green and blue. Krita shows a mask times the layer's own alpha, so that the engine
    need not know that."""
    form = picture.form
    samples = array(form.code, picture.raw)
    colours = array(form.code, bytes(len(picture.raw) // 4 * 3))
    for channel, place in enumerate(form.places):
        colours[channel::3] = samples[place::4]
    return _floats(colours.tobytes()) if form.depth == "F16" else colours.tobytes()


def _floats(halves: bytes) -> bytes:
    """Half floats as float32."""
    floats = array("f")
    for at in range(0, len(halves), 2 * _BLOCK):
        block = halves[at : at + 2 * _BLOCK]
        floats.extend(struct.unpack(f"<{len(block) // 2}e", block))
    return floats.tobytes()


# Most of a matte, and of a selection, is all or nothing: whole blocks are told by one look.
_BLOCK = 256
_NOTHING, _ALL = bytes(_BLOCK), b"\xff" * _BLOCK
_ZEROS, _ONES = bytes(4 * _BLOCK), array("f", [1] * _BLOCK).tobytes()


def mask(picture: Picture, alpha: bytes) -> bytes:
    """Float32 in [0, 1] as 8 bits, as much of it as is selected."""
    starts = range(0, len(alpha), 4 * _BLOCK)
    made = b"".join(_rounded(alpha[at : at + 4 * _BLOCK]) for at in starts)
    if picture.selection is None:
        return made
    before = picture.before or b"\xff" * len(made)
    blocks = [slice(at, at + _BLOCK) for at in range(0, len(made), _BLOCK)]
    return b"".join(_mixed(before[b], made[b], picture.selection[b]) for b in blocks)


def _rounded(alpha: bytes) -> bytes:
    if alpha == _ZEROS:
        return _NOTHING
    if alpha == _ONES:
        return _ALL
    return bytes([int(255 * value + 0.5) for value in array("f", alpha)])


def _mixed(before: bytes, after: bytes, selection: bytes) -> bytes:
    if selection == _ALL or before == after:
        return after
    if selection == _NOTHING:
        return before
    values = zip(before, after, selection)  # noqa: B905 (as long as one another)
    return bytes([(old * (255 - much) + new * much + 127) // 255 for old, new, much in values])
