"""When there is something to do: at once for a folder as it is, over time for one that is watched.

Knows nothing of the work.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from cli.batch.units import Findings, Unit

_log = logging.getLogger(__name__)

Find = Callable[[], Findings]
Stamp = tuple[int, int]

SECONDS_BETWEEN_LOOKS = 2.0
# Copying tools and cameras write more often than this. Whether a movie is complete is looked at
# after that; a picture that still grows fails, and is taken again once it has changed.
SECONDS_OF_QUIET = 5.0


class Supply(Protocol):
    """Where units come from."""

    @property
    def is_open(self) -> bool:
        """Whether `take` may ever return anything again."""

    @property
    def may_grow(self) -> bool:
        """Whether files may still be on their way when they are taken."""

    def take(self) -> Sequence[Unit]:
        """The units that have become ready since the last call, in order."""

    def unreadable(self) -> Sequence[Path]:
        """Folders that could not be looked into, each once."""


class WholeFolder:
    """What is there now, all at once."""

    may_grow = False

    def __init__(self, find: Find) -> None:
        self._find = find
        self._told = _Told()
        self.is_open = True

    def take(self) -> Sequence[Unit]:
        """All units at the first call."""
        if not self.is_open:
            return ()
        self.is_open = False
        return self._told.units_of(self._find())

    def unreadable(self) -> Sequence[Path]:
        """Folders that could not be looked into, each once."""
        return self._told.take_unreadable()


class WatchedFolder:
    """Files as they arrive: once their size and time have not changed for a while.

    A file is handed out again only after it has changed.
    """

    is_open = True
    may_grow = True

    def __init__(self, find: Find, clock: Callable[[], float] = time.monotonic) -> None:
        self._find, self._clock = find, clock
        self._told = _Told()
        self._next_look = float("-inf")
        self._seen: dict[Path, tuple[Stamp, float]] = {}
        self._taken: dict[Path, Stamp] = {}

    def take(self) -> Sequence[Unit]:
        """The units that have become ready since the last call, in order."""
        now = self._clock()
        if now < self._next_look:
            return ()
        self._next_look = now + SECONDS_BETWEEN_LOOKS
        units = self._told.units_of(self._find())
        seen, ready = {}, []
        for unit in units:
            stamp = _stamp(unit.source)
            if stamp is None:
                continue
            before, since = self._seen.get(unit.source, (None, now))
            seen[unit.source] = stamp, since if stamp == before else now
            is_quiet = stamp == before and now - since >= SECONDS_OF_QUIET
            if is_quiet and self._taken.get(unit.source) != stamp:
                self._taken[unit.source] = stamp
                ready.append(unit)
        self._seen = seen
        return ready

    def unreadable(self) -> Sequence[Path]:
        """Folders that could not be looked into, each once."""
        return self._told.take_unreadable()


class _Told:
    """What was found besides units, each told once."""

    def __init__(self) -> None:
        self._known: set[Path] = set()
        self._unreadable: list[Path] = []

    def units_of(self, findings: Findings) -> Sequence[Unit]:
        for path in findings.ignored:
            if path not in self._known:
                _log.debug("ignored, it is neither a movie nor a picture: %s", path)
        self._unreadable += [path for path in findings.unreadable if path not in self._known]
        self._known.update(findings.ignored, findings.unreadable)
        return findings.units

    def take_unreadable(self) -> Sequence[Path]:
        taken, self._unreadable = self._unreadable, []
        return taken


def _stamp(path: Path) -> Stamp | None:
    """Size and time; None if the file has gone."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_size, stat.st_mtime_ns
