"""What became of each file: as a table for people and as JSON for programs; does none of it."""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from shm_engine.errors import MattingError
from shm_engine.files import replacing

SUMMARY_NAME = "shm-matte-summary.json"
_FORMAT_NUMBER = 1
_WIDEST_NAME = 60


class Outcome(StrEnum):
    """How it ended for a file.

    done: now. skipped: it was done before. waiting: it never became complete. stopped: Ctrl-C came
    before it was done.
    """

    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"
    WAITING = "waiting"
    STOPPED = "stopped"


@dataclass(frozen=True, kw_only=True)
class Result:
    """One file. seconds, frames: None where nothing was done; tries: how often it was begun."""

    name: str
    outcome: Outcome
    source: Path
    target: Path | None = None
    frames: int | None = None
    seconds: float | None = None
    tries: int = 0
    reason: str | None = None

    @property
    def frames_per_second(self) -> float | None:
        """None where nothing was done."""
        return self.frames / self.seconds if self.frames and self.seconds else None

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "name": self.name,
            "result": self.outcome,
            "source": str(self.source),
            "target": None if self.target is None else str(self.target),
            "frames": self.frames,
            "seconds": _rounded(self.seconds),
            "frames_per_second": _rounded(self.frames_per_second),
            "tries": self.tries,
            "reason": self.reason,
        }


def counted(results: Sequence[Result]) -> str:
    """30 files: 24 done, 6 failed."""
    if results and all(result.outcome is Outcome.SKIPPED for result in results):
        return f"{_files(len(results))}: nothing to do, all were finished before"
    counts = Counter(result.outcome for result in results)
    parts = [f"{counts[outcome]} {outcome}" for outcome in Outcome if counts[outcome]]
    return f"{_files(len(results))}{': ' if parts else ''}{', '.join(parts)}"


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"


def table(results: Sequence[Result]) -> str:
    """One line for each file, in the order given, and one for all."""
    head = ("file", "result", "frames", "seconds", "fps", "")
    rows = [head, *(_row(result) for result in results)]
    widths = [max(_width(row[column]) for row in rows) for column in range(len(head))]
    lines = [
        "  ".join(
            _padded(cell, width, to_the_right=2 <= column <= 4)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return "\n".join([*lines, "", counted(results)])


def write_summary(folder: Path, results: Sequence[Result], seconds: float) -> Path:
    """Write SUMMARY_NAME into the folder; returns its path. MattingError if that cannot be."""
    counts = Counter(result.outcome for result in results)
    contents = {
        "format": _FORMAT_NUMBER,
        "seconds": _rounded(seconds),
        "counts": {outcome: counts[outcome] for outcome in Outcome},
        "files": [result.as_dict() for result in results],
    }
    path = folder / SUMMARY_NAME
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(contents, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise MattingError(f"{path} cannot be written: {reason}", path=path) from error
    return path


def printable(text: str) -> str:
    """The text on one line of a terminal: what cannot be shown stands as its escape sequence."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text
    )


def _row(result: Result) -> tuple[str, ...]:
    fps = result.frames_per_second
    return (
        _shortened(printable(result.name)),
        result.outcome,
        "" if result.frames is None else str(result.frames),
        "" if result.seconds is None else f"{result.seconds:.1f}",
        "" if fps is None else f"{fps:.1f}",
        _told_shortly(result),
    )


def _told_shortly(result: Result) -> str:
    """The reason without the folders, which are the same in every line."""
    reason = result.reason or ""
    for path in (result.target, result.source):
        if path is not None:
            reason = reason.replace(str(path), path.name)
    return printable(reason)


def _shortened(name: str) -> str:
    """The end says more than the beginning."""
    return name if len(name) <= _WIDEST_NAME else "…" + name[1 - _WIDEST_NAME :]


def _padded(cell: str, width: int, *, to_the_right: bool) -> str:
    space = " " * (width - _width(cell))
    return space + cell if to_the_right else cell + space


def _width(text: str) -> int:
    """Columns of a terminal: some letters take two, combining ones none."""
    return sum(
        0 if unicodedata.combining(letter) else 1 + (unicodedata.east_asian_width(letter) in "WF")
        for letter in text
    )


def _rounded(number: float | None) -> float | None:
    return None if number is None else round(number, 3)
