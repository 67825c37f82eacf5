"""How far the work on many files is, on stderr: a bar or JSON lines; knows nothing of the work."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from cli.progress import (
    SECONDS_BETWEEN_EVENTS,
    Event,
    JsonLines,
    ProgressMode,
    Silence,
    Status,
    chosen,
    json_line,
    write_line,
)


@dataclass(frozen=True, kw_only=True)
class FilesStatus(Status):
    """`files` of them have ended, well or not; frame counts those of all."""

    files: int
    files_total: int


class FilesDisplay(Protocol):
    """Something that shows a FilesStatus; `ended` takes the fields of Event.FILE."""

    def start(self, status: FilesStatus) -> None: ...

    def advance(self, status: FilesStatus) -> None: ...

    def ended(self, fields: Mapping[str, Any]) -> None: ...

    def stop(self, status: FilesStatus) -> None:
        """The work has ended, well or not."""

    def done(self, status: FilesStatus) -> None:
        """All files are done; called after `stop`."""


class FilesSilence(Silence):
    """Shows nothing."""

    def ended(self, fields: Mapping[str, Any]) -> None:
        pass


class FilesJsonLines(JsonLines):
    """The lines of JsonLines, and one for each file that has ended."""

    def ended(self, fields: Mapping[str, Any]) -> None:
        write_line(json_line(Event.FILE, **fields))


class FilesBar:
    """A bar with files, the frames of all of them, frames a second and the time that is left."""

    def start(self, status: FilesStatus) -> None:
        from tqdm import tqdm

        form = "{percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} files{postfix}"
        self._bar = tqdm(
            total=status.files_total, bar_format=form, dynamic_ncols=True, file=sys.stderr
        )
        self._shown_at = float("-inf")

    def advance(self, status: FilesStatus) -> None:
        if time.monotonic() - self._shown_at >= SECONDS_BETWEEN_EVENTS:
            self._shown_at = time.monotonic()
            self._show(status)

    def ended(self, fields: Mapping[str, Any]) -> None:
        pass

    def stop(self, status: FilesStatus) -> None:
        self._show(status)
        self._bar.close()

    def done(self, status: FilesStatus) -> None:
        pass

    def _show(self, status: FilesStatus) -> None:
        parts = [f"{status.frame} frames"]
        if status.fps is not None:
            parts.append(f"{status.fps:.1f} frames/s")
        if status.seconds_left is not None:
            parts.append(f"{self._bar.format_interval(status.seconds_left)} left")
        self._bar.total, self._bar.n = status.files_total, status.files
        self._bar.set_postfix_str(", ".join(parts))


def display_for_files(mode: ProgressMode) -> FilesDisplay:
    """The display of a mode for work on many files."""
    displays: dict[ProgressMode, Callable[[], FilesDisplay]] = {
        ProgressMode.BAR: FilesBar,
        ProgressMode.JSON: FilesJsonLines,
        ProgressMode.NONE: FilesSilence,
    }
    return displays[chosen(mode)]()
