"""What there is to do in a folder, and what each result is called; opens no file.

The names tell the order: files before folders, folders before links to them. What starts with a
dot is left out: files that are being written, journals, hidden files. A folder that is linked to
from several places, or from within itself, is visited once.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cli.formats.delivery import Delivery
from cli.formats.numbering import is_pattern
from cli.jobs.record import read_record
from shm_engine.errors import MattingError

_MOVIES = (
    ".3g2 .3gp .asf .avi .dv .f4v .flv .gif .m2t .m2ts .m2v .m4v .mkv .mov .mp4 .mpe .mpeg .mpg "
    ".mts .mxf .nut .ogm .ogv .qt .ts .vob .webm .wmv .y4m"
)
_PICTURES = ".avif .bmp .heic .heif .jp2 .jpeg .jpg .png .ppm .tif .tiff .webp"
MOVIE_SUFFIXES = frozenset(_MOVIES.split())
# Those of shm_engine.images, which imports torch.
PICTURE_SUFFIXES = frozenset(_PICTURES.split())


_PICTURE_SUFFIX = ".png"


@dataclass(frozen=True, kw_only=True)
class Unit:
    """One file to be matted. name: its path below the folder, with / on every system."""

    name: str
    source: Path
    target: Path
    is_picture: bool


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What a folder holds; ignored: files of no known kind; unreadable: folders."""

    units: tuple[Unit, ...] = ()
    ignored: tuple[Path, ...] = ()
    unreadable: tuple[Path, ...] = ()


def find_units(folder: Path, output: Path, delivery: Delivery) -> Findings:
    """The movies and pictures below `folder`, without those below `output` and other results.

    clip.mp4 becomes clip.mov, or what the delivery makes of clip. Where that would be the name of
    two results, as with take.mp4 and take.mkv, both keep their whole names: take.mp4.mov,
    take.mkv.mov.

    Raises MattingError if even then two results have one name.
    """
    seen = {_key(output)} if output.is_dir() else set()
    unreadable: list[Path] = []
    files = [path for path in _files(folder, seen, unreadable) if read_record(path) is None]
    kinds = {path: _is_picture(path) for path in files}
    sources = [path for path in files if kinds[path] is not None]
    places = _places([path.relative_to(folder) for path in sources], delivery)
    units = [
        Unit(
            name=path.relative_to(folder).as_posix(),
            source=path,
            target=output / place,
            is_picture=bool(kinds[path]),
        )
        for path, place in zip(sources, places, strict=True)
    ]
    return Findings(
        units=tuple(units),
        ignored=tuple(path for path in files if kinds[path] is None and not _is_sidecar(path)),
        unreadable=tuple(unreadable),
    )


def _files(folder: Path, seen: set[tuple[int, int]], unreadable: list[Path]) -> Iterator[Path]:
    try:
        key = _key(folder)
        names = sorted(entry.name for entry in os.scandir(folder))
    except OSError:
        unreadable.append(folder)
        return
    if key in seen:
        return
    seen.add(key)
    paths = [folder / name for name in names if not name.startswith(".")]
    folders = [path for path in paths if _is_folder(path)]
    yield from (path for path in paths if path not in folders)
    # Links last: a folder is known by its own name.
    for path in sorted(folders, key=Path.is_symlink):
        yield from _files(path, seen, unreadable)


def _key(folder: Path) -> tuple[int, int]:
    stat = folder.stat()
    return stat.st_dev, stat.st_ino


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # a link to where we may not look
        return False


def _is_picture(path: Path) -> bool | None:
    """None for what is neither a picture nor a movie."""
    suffix = path.suffix.lower()
    if suffix in PICTURE_SUFFIXES:
        return True
    return False if suffix in MOVIE_SUFFIXES else None


def _is_sidecar(path: Path) -> bool:
    return path.suffix == ".json" and path.with_suffix("").exists()


def _places(names: Sequence[Path], delivery: Delivery) -> list[Path]:
    """Where the results lie, each below the output."""
    whole: set[Path] = set()
    while True:
        places = [_place(name, delivery, keeps_suffix=name in whole) for name in names]
        counts = Counter(places)
        colliding = {name for name, place in zip(names, places, strict=True) if counts[place] > 1}
        if not colliding:
            return places
        if colliding <= whole:
            raise MattingError(
                f"{' and '.join(sorted(map(str, colliding)))} would get the same name; rename one"
            )
        whole |= colliding


def _place(name: Path, delivery: Delivery, *, keeps_suffix: bool) -> Path:
    base = name.name if keeps_suffix else name.stem
    if is_pattern(Path(base)):  # a%d.mp4 is one file, a%d.png would be many
        base = base.replace("%", "_")
    if _is_picture(name):
        return name.parent / f"{base}{_PICTURE_SUFFIX}"
    return delivery.named(name.parent / base)
