"""What a worker does with a task, wherever it runs; knows neither pipe nor cluster."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from cli.batch.completeness import what_is_missing
from cli.batch.executor import Advanced, Failed, Finished, Incomplete, Logged, Message, Task
from cli.jobs.identity import digest_of
from cli.jobs.performing import load_matter, perform
from cli.progress import Status
from cli.sentences import sentence_for
from shm_engine.errors import MattingError
from shm_engine.options import MatterOptions

if TYPE_CHECKING:
    from shm_engine.matter import Matter

Send = Callable[[Message], None]

# Whose records a worker passes on, each as far down as is shown at the other end.
_LOGGERS = ("", "py.warnings", "cli", "shm_engine")

# A coordinator shows nothing more often than this.
_SECONDS_BETWEEN_NEWS = 0.1


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What a worker has to know once. threads: its share of the cores; levels: by logger."""

    threads: int
    levels: Mapping[str, int]


def setup_for(threads: int) -> Setup:
    """A setup whose log levels are those of this process."""
    return Setup(threads=threads, levels={name: logging.getLogger(name).level for name in _LOGGERS})


def with_share(task: Task, workers: int) -> Task:
    """The task for one of several workers, with its part of the memory if that has a ceiling."""
    if task.job.memory is None:
        return task
    return replace(task, job=replace(task.job, memory=task.job.memory // workers))


class Worker:
    """Does one task after the other and keeps the network for the next."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._load = _Remembering()
        self._is_ready = False

    def do(self, task: Task, send: Send) -> Message:
        """Do the task, telling `send` how far it is; returns how it ended.

        What `send` raises ends the work.
        """
        with forwarding_logs(self._setup.levels, send):
            try:
                return self._do(task, send)
            except Exception as error:  # noqa: BLE001 - the others go on; it is told in full
                trace = "".join(traceback.format_exception(error))
                return Failed(task=task.number, reason=sentence_for(error), trace=trace)

    def _do(self, task: Task, send: Send) -> Message:
        job = task.job
        if task.may_grow and (missing := what_is_missing(job.source)):
            return Incomplete(task=task.number, reason=missing)
        self._share_cores()
        started = time.monotonic()
        _make_folder(job.target.parent)
        if job.report is not None:
            _make_folder(job.report.parent)
        frames = perform(job, _Forwarding(task.number, send), self._load)
        seconds = time.monotonic() - started
        return Finished(task=task.number, frames=frames, seconds=seconds)

    def _share_cores(self) -> None:
        if self._is_ready:
            return
        import cv2
        import torch

        torch.set_num_threads(min(torch.get_num_threads(), self._setup.threads))
        cv2.setNumThreads(min(cv2.getNumThreads(), self._setup.threads))
        self._is_ready = True


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise MattingError(
            f"the folder {folder} cannot be made ({reason}); write elsewhere", path=folder
        ) from error


class _Remembering:
    """Loads a Matter, or hands out the last one if it would be the same."""

    def __init__(self) -> None:
        self._key: object = None
        self._matter: Matter | None = None

    def __call__(self, weights: Path | None, options: MatterOptions) -> Matter:
        key = options, weights, None if weights is None else digest_of(weights)
        if self._matter is None or key != self._key:
            self._matter = None  # not two at once in memory
            self._matter, self._key = load_matter(weights, options), key
        return self._matter


class _Forwarding:
    """A display at the other end."""

    def __init__(self, task: int, send: Send) -> None:
        self._task, self._send = task, send
        self._sent_at = float("-inf")

    def start(self, status: Status) -> None:
        self._tell(status)

    def advance(self, status: Status) -> None:
        if time.monotonic() - self._sent_at >= _SECONDS_BETWEEN_NEWS:
            self._tell(status)

    def stop(self, status: Status) -> None:
        pass

    def done(self, status: Status) -> None:
        self._tell(status)

    def _tell(self, status: Status) -> None:
        self._sent_at = time.monotonic()
        self._send(Advanced(task=self._task, status=status))


@contextmanager
def forwarding_logs(levels: Mapping[str, int], send: Send) -> Iterator[None]:
    """Until the end of the block records go to `send` and nowhere else."""
    root, handler = logging.getLogger(), _LogHandler(send)
    before = root.handlers, {name: logging.getLogger(name).level for name in levels}
    root.handlers = [handler]
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    logging.captureWarnings(True)
    try:
        yield
    finally:
        logging.captureWarnings(False)
        root.handlers = before[0]
        for name, level in before[1].items():
            logging.getLogger(name).setLevel(level)


class _LogHandler(logging.Handler):
    def __init__(self, send: Send) -> None:
        super().__init__()
        self._send_message = send

    def emit(self, record: logging.LogRecord) -> None:
        # Arguments and tracebacks need not survive pickling; a text does.
        record.msg, record.args = record.getMessage(), None
        if record.exc_info:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
            record.exc_info = None
        self._send_message(Logged(record=record))
