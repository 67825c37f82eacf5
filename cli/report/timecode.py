"""Times as editors read them; knows nothing of containers."""

from __future__ import annotations

import re
from fractions import Fraction

_TIMECODE = re.compile(r"(\d\d):(\d\d):(\d\d)([:;.])(\d\d)")


def timecode(index: int, frame_rate: Fraction, first: str = "00:00:00:00") -> str:
    """The SMPTE 12M time code of a frame: index counts from the frame that has `first`.

    A semicolon or a point before the frames of `first` means drop-frame, which exists at 29.97 and
    59.94. What is no time code counts as 00:00:00:00.
    """
    rate = max(1, round(frame_rate))
    found = _TIMECODE.fullmatch(first)
    hours, minutes, seconds, sign, frames = found.groups() if found else ("0", "0", "0", ":", "0")
    all_minutes = 60 * int(hours) + int(minutes)
    number = (60 * all_minutes + int(seconds)) * rate + int(frames)
    dropped = rate // 15 if sign != ":" and rate % 30 == 0 else 0
    # Numbers are dropped at every minute but each tenth: back to a plain count, on, and forth.
    number += index - dropped * (all_minutes - all_minutes // 10)
    tens, rest = divmod(number, 600 * rate - 9 * dropped)
    in_tens = 1 + (rest - 60 * rate) // (60 * rate - dropped) if rest >= 60 * rate else 0
    number += dropped * (9 * tens + in_tens)
    seconds_shown, frames_shown = divmod(number, rate)
    minutes_shown, seconds_shown = divmod(seconds_shown, 60)
    hours_shown, minutes_shown = divmod(minutes_shown, 60)
    separator = ";" if dropped else ":"
    return (
        f"{hours_shown % 24:02}:{minutes_shown:02}:{seconds_shown:02}{separator}{frames_shown:02}"
    )


def clock(seconds: float, digits: int = 0) -> str:
    """12.48 s as 12.48 s; from two minutes on as 2:05.00, from an hour on as 1:02:05.00."""
    if abs(seconds) < 120:
        return f"{seconds:.{digits}f} s"
    sign = "-" if seconds < 0 else ""
    whole = round(abs(seconds) * 10**digits)
    minutes, rest = divmod(whole, 60 * 10**digits)
    hours, minutes = divmod(minutes, 60)
    width = 3 + digits if digits else 2
    tail = f"{rest / 10**digits:0{width}.{digits}f}"
    return f"{sign}{hours}:{minutes:02}:{tail}" if hours else f"{sign}{minutes}:{tail}"
