"""A name that stands for numbered pictures to read, and their files; opens none of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from cli.formats.numbering import is_pattern, numbered, numbered_files
from shm_engine.errors import VideoError

SUFFIXES = frozenset(
    {".png", ".tif", ".tiff", ".jpg", ".jpeg", ".webp", ".exr", ".dpx", ".bmp", ".jp2", ".ppm"}
)

_PLACES = re.compile(r"%(?:0\d{1,2})?d")
# A single one is part of a name: "take #2.png".
_MARKS = re.compile("#{2,}")


@dataclass(frozen=True, kw_only=True)
class NumberedFiles:
    """The files of a sequence, in order, without a gap.

    missing: the file that is not there although later ones are, and its number as it is written;
        None and empty if there is no gap.
    """

    paths: tuple[Path, ...]
    missing: Path | None = None
    missing_number: str = ""


def is_sequence(text: Path | str) -> bool:
    """Whether `text`, such as in/%04d.exr or in/####.png, stands for numbered pictures to read: a
    file of that very name is only itself."""
    path = Path(text)
    is_picture = path.suffix.lower() in SUFFIXES
    return is_picture and is_pattern(as_pattern(path)) and not path.is_file()


def as_pattern(text: Path | str) -> Path:
    """The same name with %04d where it has #### (the last such place)."""
    path = Path(text)
    places = list(_MARKS.finditer(path.name))
    if is_pattern(path) or not places:
        return path
    start, end = places[-1].span()
    return path.with_name(f"{path.name[:start]}%0{end - start}d{path.name[end:]}")


def expand(text: Path | str) -> NumberedFiles:
    """The files that a sequence consists of, from the smallest number that is there up to a gap.

    VideoError if there is none.
    """
    pattern = as_pattern(text)
    files = numbered_files(pattern)
    if not files:
        raise VideoError(f"there is no file such as {text}; check its name and folder", path=text)
    first = min(files)
    count = next(count for count in range(1, len(files) + 1) if first + count not in files)
    paths = tuple(files[first + index] for index in range(count))
    if count == len(files):
        return NumberedFiles(paths=paths)
    return NumberedFiles(
        paths=paths,
        missing=numbered(pattern, first + count),
        missing_number=_PLACES.findall(pattern.name)[0] % (first + count),
    )
