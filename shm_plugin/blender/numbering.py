"""Numbered pictures: the pattern that stands for them, and the numbers that are on the disk.

Knows no matte, and no Blender: it is given paths.
"""

from __future__ import annotations

import itertools
import re
from contextlib import suppress
from pathlib import Path

_NUMBERED = re.compile(r"(.*?)(\d+)(\D*)", re.DOTALL)
# Where a pattern has the number.
PLACE = re.compile(r"%(?:0\d{1,2})?d")


def on_disk(picture: Path) -> tuple[Path, set[int]]:
    """The pattern of a numbered picture, and the numbers that are there; none of another one."""
    match = _NUMBERED.fullmatch(picture.stem)
    if match is None or "%" in picture.name or "#" in picture.name:
        return picture, set()
    start, digits, end = match.groups()
    pattern = picture.with_name(f"{start}%0{len(digits)}d{end}{picture.suffix}")
    return pattern, _numbers(pattern, re.escape(start), re.escape(end + picture.suffix))


def gap(there: set[int]) -> int:
    """The first number that is missing."""
    return next(number for number in itertools.count(min(there)) if number not in there)


def _numbers(pattern: Path, start: str, end: str) -> set[int]:
    """Those of the files that are there."""
    name = re.compile(f"{start}(\\d+){end}")
    found = set()
    with suppress(OSError):
        for path in pattern.parent.iterdir():
            match = name.fullmatch(path.name)
            # As many digits as the program would write.
            if match is not None and numbered(pattern, int(match[1])).name == path.name:
                found.add(int(match[1]))
    return found


def number_of(picture: Path) -> int:
    """The number of a numbered picture."""
    match = _NUMBERED.fullmatch(picture.stem)
    assert match is not None
    return int(match[2])


def numbered(pattern: Path, number: int) -> Path:
    """The picture of that number."""
    return pattern.with_name(PLACE.sub(lambda place: place[0] % number, pattern.name, count=1))
