"""How far the work is, on stderr: a bar for people or JSON lines for programs (see `Event`).

Knows nothing of frames: anything can be counted.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

Item = TypeVar("Item")

_log = logging.getLogger(__name__)

# Often enough for a smooth bar in a host, seldom enough to cost nothing.
SECONDS_BETWEEN_EVENTS = 0.2


class ProgressMode(StrEnum):
    """auto is a bar on a terminal, and nothing elsewhere or with --quiet."""

    AUTO = "auto"
    BAR = "bar"
    JSON = "json"
    NONE = "none"


class Event(StrEnum):
    """The value of "event" in a JSON line.

    start, progress, done: with frame, total, fps, seconds_left; a number that is unknown is null.
        done comes after the output is in place.
    file: one of several files has ended; with name, result (done, skipped, failed), frames,
        seconds, reason. Where there are several, start, progress and done also have files (those
        that have ended) and files_total, and frame counts those of all.
    log: with level and message.
    error: with message, path and frame, null where unknown; the last line of a run that failed.
    """

    START = "start"
    PROGRESS = "progress"
    DONE = "done"
    FILE = "file"
    LOG = "log"
    ERROR = "error"


@dataclass(frozen=True, kw_only=True)
class Status:
    """How far the work is; None where it cannot be known."""

    frame: int
    total: int | None
    fps: float | None
    seconds_left: float | None


class Display(Protocol):
    """Something that shows a Status."""

    def start(self, status: Status) -> None: ...

    def advance(self, status: Status) -> None: ...

    def stop(self, status: Status) -> None:
        """The work has ended, well or not."""

    def done(self, status: Status) -> None:
        """The work has ended well; called after `stop`."""


class Progress:
    """Counts what passes through `track` and shows it.

    Enter it before the sinks of the work: then the end is told after they have completed.

    done: how many were done by an earlier run.
    """

    def __init__(
        self,
        display: Display,
        total: int | None,
        clock: Callable[[], float] = time.monotonic,
        *,
        done: int = 0,
    ) -> None:
        self._display, self._total, self._clock = display, total, clock
        self._frame = self._done = done
        self._first = self._last = clock()

    def __enter__(self) -> Self:
        self._display.start(self.status)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._display.stop(self.status)
        if error is None:
            self._total = self._frame
            self._display.done(self.status)

    def track(self, items: Iterable[Item]) -> Iterator[Item]:
        """The same items; each counts when the consumer comes back for the next."""
        for item in items:
            yield item
            self._frame += 1
            self._last = self._clock()
            if self._frame == self._done + 1:
                self._first = self._last
            self._display.advance(self.status)

    @property
    def status(self) -> Status:
        """Measured from the end of the first item: before that, the work warms up."""
        seconds = self._last - self._first
        count = self._frame - self._done
        fps = (count - 1) / seconds if count > 1 and seconds > 0 else None
        # A container's own count can be wrong.
        total = None if self._total is None or self._total < self._frame else self._total
        left = None if fps is None or total is None else (total - self._frame) / fps
        return Status(frame=self._frame, total=total, fps=fps, seconds_left=left)


class Silence:
    """Shows nothing."""

    def start(self, status: Status) -> None:
        pass

    def advance(self, status: Status) -> None:
        pass

    def stop(self, status: Status) -> None:
        pass

    def done(self, status: Status) -> None:
        pass


class Bar:
    """A bar with frames, frames a second and the time that is left."""

    def start(self, status: Status) -> None:
        from tqdm import tqdm

        self._bar = tqdm(total=status.total, unit=" frames", dynamic_ncols=True, file=sys.stderr)

    def advance(self, status: Status) -> None:
        self._bar.update(status.frame - self._bar.n)

    def stop(self, status: Status) -> None:  # noqa: ARG002 - the bar has counted already
        self._bar.close()

    def done(self, status: Status) -> None:
        pass


class JsonLines:
    """One JSON object a line: the first and the last, and at most five a second between them."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._told_at = float("-inf")
        self._told_frame = 0

    def start(self, status: Status) -> None:
        self._tell(Event.START, status)

    def advance(self, status: Status) -> None:
        if status.frame == 1 or self._clock() - self._told_at >= SECONDS_BETWEEN_EVENTS:
            self._told_at = self._clock()
            self._tell(Event.PROGRESS, status)

    def stop(self, status: Status) -> None:
        if status.frame != self._told_frame:
            self._tell(Event.PROGRESS, status)

    def done(self, status: Status) -> None:
        self._tell(Event.DONE, status)

    def _tell(self, event: Event, status: Status) -> None:
        self._told_frame = status.frame
        write_line(json_line(event, **asdict(status)))


def display_for(mode: ProgressMode) -> Display:
    """The display of a mode."""
    displays: dict[ProgressMode, Callable[[], Display]] = {
        ProgressMode.BAR: Bar,
        ProgressMode.JSON: JsonLines,
        ProgressMode.NONE: Silence,
    }
    return displays[chosen(mode)]()


def chosen(mode: ProgressMode) -> ProgressMode:
    """The mode itself, or what auto means here and now."""
    if mode is not ProgressMode.AUTO:
        return mode
    # A bar is as dispensable as a fact in the log: --quiet turns off both.
    shows = _log.isEnabledFor(logging.INFO) and sys.stderr.isatty()
    return ProgressMode.BAR if shows else ProgressMode.NONE


def json_line(event: Event, **fields: Any) -> str:
    """One event as JSON; numbers are rounded to what a reader can use."""
    rounded = {k: round(v, 3) if isinstance(v, float) else v for k, v in fields.items()}
    return json.dumps({"event": event, **rounded})


def write_line(line: str) -> None:
    """A line on stderr, above the bar if there is one."""
    from tqdm import tqdm

    tqdm.write(line, file=sys.stderr)
