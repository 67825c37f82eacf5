"""Work spread over processes that each use one core, with results in the order of the tasks."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Protocol, TypeVar

from shm_engine.errors import MattingError

Given = TypeVar("Given")
Made = TypeVar("Made")

# Libraries read these when they are imported, so they have to be set before a process starts.
_ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"
)

# Tasks under way per process: enough that a slow picture holds nobody up, few enough that an
# interruption loses little.
_AHEAD = 8


class Mapper(Protocol):
    """`map`, wherever the work is done; the results come in the order of the tasks."""

    def __call__(
        self, function: Callable[[Given], Made], tasks: Iterable[Given], /
    ) -> Iterator[Made]: ...


@contextmanager
def worker_processes(count: int | None) -> Iterator[Mapper]:
    """A mapper over `count` processes, by default one a core; what it gets must be picklable.

    An error or Ctrl-C waits for what is under way and drops the rest.
    """
    count = count or os.cpu_count() or 1
    before = {name: os.environ.get(name) for name in _ONE_THREAD}
    os.environ.update(_ONE_THREAD)
    # Started anew, not forked: torch and OpenCV may hold locks in this process.
    executor = ProcessPoolExecutor(
        count, mp_context=multiprocessing.get_context("spawn"), initializer=_begin
    )

    def spread(function: Callable[[Given], Made], tasks: Iterable[Given], /) -> Iterator[Made]:
        waiting: deque[Future[Made]] = deque()
        for task in tasks:
            waiting.append(executor.submit(function, task))
            if len(waiting) >= count * _AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    try:
        yield spread
    except BrokenProcessPool as error:
        raise MattingError(
            "a process ended before its work, perhaps for want of memory; use fewer --processes"
        ) from error
    finally:
        executor.shutdown(cancel_futures=True)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _begin() -> None:
    """What a process does before its first task."""
    import cv2

    cv2.setNumThreads(1)
    # Ctrl-C reaches every process of the terminal; the first one decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A pool's process would wait for ever for one that was killed.
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
