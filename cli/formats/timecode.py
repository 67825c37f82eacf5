"""SMPTE timecode: hours, minutes, seconds and frames as editors count them; opens no file."""

from __future__ import annotations

import re
from fractions import Fraction

# FFmpeg writes three digits where there are more than a hundred frames a second.
_TIMECODE = re.compile(r"(\d\d):(\d\d):(\d\d)([:;.])(\d{2,3})")
# What frames are dropped for: 30000/1001 a second, which are called 30, and twice that.
_DROPPING_RATE = 30


def fitting(timecode: str, rate: Fraction) -> str | None:
    """The timecode as it may be written at `rate`; None if it is none.

    Where no frames are dropped, nothing but ":" separates.
    """
    found = _TIMECODE.fullmatch(timecode.strip())
    if found is None:
        return None
    if round(rate) % _DROPPING_RATE == 0:
        return found[0]
    return f"{found[1]}:{found[2]}:{found[3]}:{found[5]}"


def timecode_of(frame_index: int, rate: Fraction, first: str | None) -> str:
    """The timecode of a frame of a movie whose first frame has `first`; zero if that is none."""
    return later(fitting(first or "", rate) or "00:00:00:00", frame_index, rate)


def later(timecode: str, frames: int, rate: Fraction) -> str:
    """The timecode so many frames after `timecode`, which is returned as it is if it is none.

    With ";" numbers are dropped to keep up with the clock (SMPTE ST 12-1): the first two, at 60
    frames a second four, of every minute but each tenth.
    """
    found = _TIMECODE.fullmatch(timecode)
    if found is None:
        return timecode
    hours, minutes, seconds, number = (int(found[group]) for group in (1, 2, 3, 5))
    per_second = round(rate)
    dropped = round(rate / 15) if found[4] in ";." else 0
    total_minutes = 60 * hours + minutes
    count = (60 * total_minutes + seconds) * per_second + number
    count += frames - dropped * (total_minutes - total_minutes // 10)
    if dropped:
        count = _with_gaps(count, per_second, dropped)
    seconds, number = divmod(count, per_second)
    hours, seconds = divmod(seconds, 3600)
    minutes, seconds = divmod(seconds, 60)
    return f"{hours % 24:02}:{minutes:02}:{seconds:02}{found[4]}{number:02}"


def _with_gaps(count: int, per_second: int, dropped: int) -> int:
    """The number of a frame, counted with those that are dropped."""
    minute = 60 * per_second - dropped
    ten_minutes = 10 * minute + dropped
    tens, rest = divmod(count, ten_minutes)
    skipped = 9 * dropped * tens
    if rest >= 60 * per_second:
        skipped += dropped * (1 + (rest - 60 * per_second) // minute)
    return count + skipped
