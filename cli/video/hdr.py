"""What a movie in high dynamic range says of the display it was graded on; knows no codec library
but the layout of FFmpeg's structures."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Self

# AVMasteringDisplayMetadata: ten rationals, then two flags; AVContentLightMetadata: two numbers.
_DISPLAY, _LIGHT = struct.Struct("=22i"), struct.Struct("=2I")


@dataclass(frozen=True, kw_only=True)
class MasteringDisplay:
    """The display a movie was graded on (SMPTE ST 2086).

    primaries: x and y (CIE 1931) of red, green, blue and white; None if that is not said.
    luminance: the least and the most light it shows, in cd/m2; None if that is not said.
    """

    primaries: tuple[tuple[Fraction, Fraction], ...] | None = None
    luminance: tuple[Fraction, Fraction] | None = None

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Of FFmpeg's AVMasteringDisplayMetadata; ValueError if it is none."""
        numbers = _unpacked(_DISPLAY, data)
        has_primaries, has_luminance = numbers[20:22]
        pairs = zip(numbers[0:20:2], numbers[1:20:2], strict=True)
        values = [Fraction(part, whole) if whole else Fraction(0) for part, whole in pairs]
        return cls(
            primaries=tuple(zip(values[0:8:2], values[1:8:2], strict=True))
            if has_primaries
            else None,
            luminance=(values[8], values[9]) if has_luminance else None,
        )


@dataclass(frozen=True, kw_only=True)
class ContentLight:
    """How bright the content gets (CTA-861.3): its brightest pixel, and the brightest mean of a
    frame, in cd/m2; 0 is "not said"."""

    most: int
    most_of_a_mean: int

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Of FFmpeg's AVContentLightMetadata; ValueError if it is none."""
        most, most_of_a_mean = _unpacked(_LIGHT, data)
        return cls(most=most, most_of_a_mean=most_of_a_mean)


def as_numbers(mastering: MasteringDisplay | None, light: ContentLight | None) -> dict[str, Any]:
    """What is said of display and content, as JSON has it; empty if nothing is."""
    said: dict[str, Any] = {}
    if mastering is not None and mastering.primaries is not None:
        pairs = zip(("red", "green", "blue", "white"), mastering.primaries, strict=True)
        said["primaries"] = {name: [float(value) for value in pair] for name, pair in pairs}
    if mastering is not None and mastering.luminance is not None:
        said["luminance"] = [float(value) for value in mastering.luminance]
    if light is not None:
        said["content_light"] = [light.most, light.most_of_a_mean]
    return said


def _unpacked(layout: struct.Struct, data: bytes) -> tuple[int, ...]:
    # A later FFmpeg may add to the end.
    if len(data) < layout.size:
        raise ValueError(f"{len(data)} bytes; {layout.size} are needed")
    return layout.unpack_from(data)
