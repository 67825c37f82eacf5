"""The manifest: one CSV row per picture that training may use; knows no pixels.

Paths in the file start from its folder, with forward slashes, so that a folder which holds data and
manifest can be moved. In a `ManifestRow` they are absolute.
"""

from __future__ import annotations

import csv
import io
import math
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path

from shm_engine.errors import OptionsError
from training.config import KINDS
from training.stored import store

COLUMNS = (
    "set",
    "split",
    "kind",
    "weight",
    "image",
    "alpha",
    "trimap",
    "image_sha256",
    "alpha_sha256",
    "width",
    "height",
)
SPLITS = ("train", "val")

# Kinds whose opacity is a file of its own. The others carry it with them, or show nobody.
KINDS_WITH_ALPHA = ("mask", "alpha", "solved", "pasted_mask", "pseudo")

_CHECKSUM = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class ManifestRow:
    """One picture.

    set: name of the set it belongs to. split: one of SPLITS. kind: one of training.config.KINDS.
    weight: how often the row is drawn, relative to all other rows; 0 where split is "val".
    image: the picture. alpha: its mask or alpha; None where kind is "cutout" or "background".
    trimap: 0, 128 and 255 for background, unknown and foreground; None where nobody is shown.
    alpha_sha256: empty where alpha is None. width, height: of the picture, in pixels.
    """

    set: str
    split: str
    kind: str
    weight: float
    image: Path
    alpha: Path | None
    trimap: Path | None
    image_sha256: str
    alpha_sha256: str
    width: int
    height: int

    def __post_init__(self) -> None:
        if not self.set:
            raise OptionsError("set is empty; a row belongs to a named set")
        if self.split not in SPLITS:
            raise OptionsError(f"split is {self.split!r}; use one of {', '.join(SPLITS)}")
        if self.kind not in KINDS:
            raise OptionsError(f"kind is {self.kind!r}; use one of {', '.join(KINDS)}")
        self._check_weight()
        if (self.alpha is not None) != (self.kind in KINDS_WITH_ALPHA):
            has = "needs" if self.alpha is None else "has no place for"
            raise OptionsError(f"a row of kind {self.kind!r} {has} an alpha file")
        if self.kind == "pseudo" and self.trimap is None:
            raise OptionsError("a row of kind 'pseudo' needs a trimap, which says what is believed")
        self._check_checksum("image_sha256", self.image)
        self._check_checksum("alpha_sha256", self.alpha)
        if min(self.width, self.height) < 1:
            raise OptionsError(f"width and height are {self.width} and {self.height}; 1 is least")

    def _check_checksum(self, name: str, file: Path | None) -> None:
        value = getattr(self, name)
        if file is None and value:
            raise OptionsError(f"{name} is the checksum of no file; leave it empty")
        if file is not None and not _CHECKSUM.fullmatch(value):
            raise OptionsError(f"{name} is {value!r}; 64 hexadecimal digits are needed")

    def _check_weight(self) -> None:
        if not (math.isfinite(self.weight) and self.weight >= 0):
            raise OptionsError(f"weight is {self.weight}; use a number of 0 or more")
        if (self.weight > 0) != (self.split == "train"):
            rule = "above 0 for train, 0 for val"
            raise OptionsError(f"weight is {self.weight} in split {self.split!r}; it is {rule}")


def read_manifest(path: Path) -> tuple[ManifestRow, ...]:
    """The rows of a manifest, in its order.

    Raises OptionsError with the path, and the line where there is one, for a missing file, other
    columns, a value out of range or no rows. Whether the pictures are there is not looked at.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise OptionsError(f"the manifest {path} cannot be read: {reason}", path=path) from error
    lines = csv.reader(io.StringIO(text, newline=""))
    if tuple(next(lines, ())) != COLUMNS:
        raise OptionsError(
            f"{path}, line 1: the columns of a manifest are {','.join(COLUMNS)}", path=path
        )
    folder = path.parent.resolve()
    rows = []
    for cells in lines:
        try:
            rows.append(_row_of(cells, folder))
        except ValueError as error:
            raise OptionsError(f"{path}, line {lines.line_num}: {error}", path=path) from error
    if not rows:
        raise OptionsError(f"{path} lists no picture; prepare it again", path=path)
    return tuple(rows)


def write_manifest(path: Path, rows: Iterable[ManifestRow]) -> bool:
    """Write rows sorted by set and picture; whether the file was not so already."""
    folder = path.parent.resolve()
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    lines = [_cells_of(row, folder) for row in rows]
    # By set and picture, then by kind: a picture may be there as "mask" and as "pasted_mask".
    lines.sort(key=itemgetter(0, 4, 2))
    writer.writerows(lines)
    return store(path, text.getvalue().encode())


def relative_path(path: Path, folder: Path) -> str:
    """The way from `folder` to `path`, with forward slashes; absolute where there is none."""
    # A link to a picture is kept: what it leads to may have another name.
    absolute = path.parent.resolve() / path.name
    try:
        return Path(os.path.relpath(absolute, folder.resolve())).as_posix()
    except ValueError:  # another drive
        return absolute.as_posix()


def _cells_of(row: ManifestRow, folder: Path) -> list[str]:
    files = [
        "" if file is None else relative_path(file, folder)
        for file in (row.image, row.alpha, row.trimap)
    ]
    named = [row.set, row.split, row.kind, repr(float(row.weight)), *files]
    return [*named, row.image_sha256, row.alpha_sha256, str(row.width), str(row.height)]


def _row_of(cells: list[str], folder: Path) -> ManifestRow:
    if len(cells) != len(COLUMNS):
        raise OptionsError(f"{len(cells)} values where {len(COLUMNS)} are needed")
    value = dict(zip(COLUMNS, cells, strict=True))
    if not value["image"]:
        raise OptionsError("image is empty; every row names its picture")
    return ManifestRow(
        set=value["set"],
        split=value["split"],
        kind=value["kind"],
        weight=_number(float, "weight", value["weight"]),
        image=_absolute(value["image"], folder),
        alpha=_absolute(value["alpha"], folder) if value["alpha"] else None,
        trimap=_absolute(value["trimap"], folder) if value["trimap"] else None,
        image_sha256=value["image_sha256"],
        alpha_sha256=value["alpha_sha256"],
        width=_number(int, "width", value["width"]),
        height=_number(int, "height", value["height"]),
    )


def _absolute(text: str, folder: Path) -> Path:
    return Path(os.path.normpath(folder / text))


def _number(kind, name: str, text: str):
    try:
        return kind(text)
    except ValueError as error:
        raise OptionsError(f"{name} is {text!r}; a number is needed") from error
