"""Which part of a movie is meant: 10s-20s, 0:10-0:20 or 250f-500f; opens no file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from shm_engine.errors import OptionsError

if TYPE_CHECKING:
    from shm_engine.types import Frame

_SECONDS = re.compile(r"(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d+)?)s?")
_FRAME = re.compile(r"(\d+)f")


@dataclass(frozen=True, kw_only=True)
class TimeRange:
    """From `begin` up to `end`, which is not part of it; None is the end of the movie.

    begin, end: seconds after the first frame, or 0-based indices of frames.
    """

    begin: Fraction = Fraction(0)
    end: Fraction | None = None
    in_frames: bool = False

    def __post_init__(self) -> None:
        if self.end is not None and self.end <= self.begin:
            raise OptionsError("--range ends before it begins; write it as 10s-20s")

    @classmethod
    def parse(cls, text: str) -> TimeRange:
        """From A-B, A- or -B, each in seconds, as a clock shows it or in frames; OptionsError."""
        begin, dash, end = (part.strip() for part in text.partition("-"))
        if not dash or not (begin or end):
            raise _unclear(text)
        kinds = {bool(_FRAME.fullmatch(part)) for part in (begin, end) if part}
        if len(kinds) > 1:
            raise OptionsError(f"--range {text} mixes frames and seconds; use one of them")
        return cls(
            begin=_number(begin, text) if begin else Fraction(0),
            end=_number(end, text) if end else None,
            in_frames=kinds.pop(),
        )

    def place(self, frame: Frame, start: Fraction) -> Fraction:
        """Where a frame is, in the unit of this range. start: seconds of the first frame."""
        if self.in_frames:
            return Fraction(frame.index)
        return frame.pts * frame.time_base - start

    def is_over(self, frame: Frame, start: Fraction) -> bool:
        """Whether a frame comes after the range."""
        return self.end is not None and self.place(frame, start) >= self.end


def _number(text: str, whole: str) -> Fraction:
    if (frames := _FRAME.fullmatch(text)) is not None:
        return Fraction(frames[1])
    clock = _SECONDS.fullmatch(text)
    if clock is None:
        raise _unclear(whole)
    hours, minutes, seconds = (Fraction(part or 0) for part in clock.groups())
    return 3600 * hours + 60 * minutes + seconds


def _unclear(text: str) -> OptionsError:
    return OptionsError(f"--range {text} is not clear; write 10s-20s, 0:10-0:20 or 250f-500f")
