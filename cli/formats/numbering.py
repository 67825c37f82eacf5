"""Numbered pictures: which files a name such as out/%05d.png stands for; opens none of them."""

from __future__ import annotations

import re
from pathlib import Path

# A width begins with a zero: "my%20day" is no pattern.
_PLACE = re.compile(r"%(?:0(\d{1,2}))?d")


def is_pattern(path: Path) -> bool:
    """Whether the name stands for numbered pictures."""
    return _PLACE.search(path.name) is not None


def numbered(pattern: Path, number: int) -> Path:
    """The file of one number. Only the first such place stands for it: other % mean nothing."""
    place = _PLACE.search(pattern.name)
    assert place is not None
    start, end = pattern.name[: place.start()], pattern.name[place.end() :]
    return pattern.with_name(start + place[0] % number + end)


def numbered_files(pattern: Path) -> dict[int, Path]:
    """The files that are there, by number, in ascending order."""
    place = _PLACE.search(pattern.name)
    if place is None or not pattern.parent.is_dir():
        return {}
    start, end = pattern.name[: place.start()], pattern.name[place.end() :]
    # As many digits as printf would write: no fewer than the width, more only without zeros.
    width = int(place[1] or 1)
    name = re.compile(f"{re.escape(start)}(\\d{{{width},}}){re.escape(end)}")
    found = {}
    for path in pattern.parent.iterdir():
        match = name.fullmatch(path.name)
        if match is not None and numbered(pattern, int(match[1])).name == path.name:
            found[int(match[1])] = path
    return dict(sorted(found.items()))
