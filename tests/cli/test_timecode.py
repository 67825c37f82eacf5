"""Counting in SMPTE timecode."""

from __future__ import annotations

from fractions import Fraction

import pytest

from cli.formats.timecode import later

NTSC, FILM, PAL = Fraction(30000, 1001), Fraction(24000, 1001), Fraction(25)


@pytest.mark.parametrize(
    ("timecode", "frames", "rate", "expected"),
    [
        ("01:00:00:00", 0, PAL, "01:00:00:00"),
        ("01:00:00:00", 250, PAL, "01:00:10:00"),
        ("23:59:59:24", 1, PAL, "00:00:00:00"),
        ("10:00:00:23", 1, FILM, "10:00:01:00"),
        # Drop frame: ;00 and ;01 are left out, but not in every tenth minute.
        ("00:00:59;29", 1, NTSC, "00:01:00;02"),
        ("00:09:59;29", 1, NTSC, "00:10:00;00"),
        ("00:00:00;00", 17982, NTSC, "00:10:00;00"),
        ("00:01:00;02", 1798, NTSC, "00:02:00;02"),
        ("00:00:59;59", 1, Fraction(60000, 1001), "00:01:00;04"),
        ("no timecode", 5, PAL, "no timecode"),
    ],
)
def test_frames_are_counted_as_editors_do(
    timecode: str, frames: int, rate: Fraction, expected: str
) -> None:
    assert later(timecode, frames, rate) == expected


def test_one_hour_of_drop_frame_is_one_hour_of_the_clock() -> None:
    assert later("00:00:00;00", round(3600 * NTSC), NTSC) == "01:00:00;00"


def test_counting_in_steps_is_counting_at_once() -> None:
    step = "00:00:00;00"
    for _ in range(2000):
        step = later(step, 1, NTSC)
    assert step == later("00:00:00;00", 2000, NTSC)
