"""The seam between who shares out the work and who does it: tasks one way, messages the other.

An executor does tasks somewhere: in processes of this machine, on Ray. It does not know which unit
a task belongs to, whether it is worth doing, and what happens when it fails. All that passes can be
pickled.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self, TypeAlias

from cli.jobs.job import Job
from cli.progress import Status


@dataclass(frozen=True, kw_only=True)
class Task:
    """One job for one worker. number: for the answers; no two tasks have the same.

    may_grow: whether the source may still be on its way here.
    """

    number: int
    job: Job
    may_grow: bool = False


@dataclass(frozen=True, kw_only=True)
class Advanced:
    """How far a task is."""

    task: int
    status: Status


@dataclass(frozen=True, kw_only=True)
class Logged:
    """What a worker has to say; the record's arguments are in its message."""

    record: logging.LogRecord


@dataclass(frozen=True, kw_only=True)
class Finished:
    """The output of a task is in place."""

    task: int
    frames: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Failed:
    """A task cannot be done; trying again would change nothing. trace: for --verbose."""

    task: int
    reason: str
    trace: str = ""


@dataclass(frozen=True, kw_only=True)
class Incomplete:
    """The source of a task that may grow is not complete yet; nothing was done."""

    task: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class Lost:
    """The worker of a task has died: by a crash, a kill, or with its machine."""

    task: int
    reason: str


ENDS = (Finished, Failed, Incomplete, Lost)
"""What a task ends in, after which nothing comes of it."""

Message: TypeAlias = Advanced | Logged | Finished | Failed | Incomplete | Lost


class Executor(Protocol):
    """Does tasks; a context manager, at whose end no worker is left.

    Each task ends in exactly one of ENDS.
    """

    @property
    def capacity(self) -> int:
        """How many tasks can be under way."""

    def submit(self, task: Task) -> None:
        """Begin a task; at most `capacity` may be under way."""

    def wait(self, seconds: float) -> Sequence[Message]:
        """What has happened, as soon as there is something; nothing after that many seconds."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop what is under way; it is not done, and leaves no half file."""
