"""How far a batch is, from what is told of each file; does none of the work."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from cli.batch.displays import FilesDisplay, FilesStatus
from cli.batch.results import Outcome, Result
from cli.progress import Status

# What programs are told of each file.
_EVENT_FIELDS = ("name", "result", "frames", "seconds", "reason")


class Overview:
    """Adds up and shows; a context manager around the work. workers: how many share it."""

    def __init__(self, display: FilesDisplay) -> None:
        self.workers = 1
        self._display = display
        self._total = self._ended = self._failed = 0
        self._frames = 0
        self._seconds: list[float] = []
        self._under_way: dict[int, Status] = {}

    def __enter__(self) -> Self:
        self._display.start(self.status)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._under_way.clear()
        self._display.stop(self.status)
        if error is None and not self._failed:
            self._display.done(self.status)

    def expect(self, files: int) -> None:
        """So many more have been found."""
        self._total += files
        self._display.advance(self.status)

    def advance(self, task: int, status: Status) -> None:
        """A task is so far."""
        self._under_way[task] = status
        self._display.advance(self.status)

    def drop(self, task: int) -> None:
        """A task is no longer under way."""
        self._under_way.pop(task, None)

    def end(self, result: Result) -> None:
        """A file has ended, well or not."""
        self._ended += 1
        self._failed += result.outcome is Outcome.FAILED
        if result.outcome is Outcome.DONE:
            self._frames += result.frames or 0
            self._seconds.append(result.seconds or 0.0)
        fields = result.as_dict()
        self._display.ended({name: fields[name] for name in _EVENT_FIELDS})
        self._display.advance(self.status)

    @property
    def status(self) -> FilesStatus:
        """Frames of what is done and under way; the rate is that of all workers together."""
        under_way = self._under_way.values()
        rates = [status.fps for status in under_way if status.fps]
        return FilesStatus(
            frame=self._frames + sum(status.frame for status in under_way),
            total=None,
            fps=sum(rates) if rates else None,
            seconds_left=self._seconds_left(),
            files=self._ended,
            files_total=self._total,
        )

    def _seconds_left(self) -> float | None:
        """As if the files that wait took as long as those that are known, on the average."""
        under_way = self._under_way.values()
        known = [status.total / status.fps for status in under_way if status.total and status.fps]
        known += self._seconds
        if not known:
            return None
        mean = sum(known) / len(known)
        waiting = self._total - self._ended - len(under_way)
        begun = sum(
            mean if status.seconds_left is None else status.seconds_left for status in under_way
        )
        return (begun + mean * waiting) / self.workers
