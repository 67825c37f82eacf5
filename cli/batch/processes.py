"""Workers that are processes of this machine: a crash in a codec takes one of them, not the rest.

Each is started when there is work for it, and kept for the next task. What a process writes to its
own stderr is its affair; records and news come through a pipe.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import connection
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from types import TracebackType
from typing import Any, Self

from cli.batch.executor import ENDS, Lost, Message, Task
from cli.batch.worker import Setup, Worker, setup_for, with_share

# For a worker to drop what it has begun; a frame in the network takes most of it.
_SECONDS_TO_STOP = 10


@dataclass(frozen=True, kw_only=True)
class _Process:
    process: SpawnProcess
    pipe: Connection[Any, Any]


class LocalProcesses:
    """An executor with so many processes, which share the cores; see `Executor`."""

    def __init__(self, processes: int) -> None:
        self._capacity = processes
        self._idle: list[_Process] = []
        self._at_work: dict[int, _Process] = {}

    @property
    def capacity(self) -> int:
        """How many processes there can be."""
        return self._capacity

    def submit(self, task: Task) -> None:
        """Begin a task in an idle process, or in a new one."""
        task = with_share(task, self._capacity)
        while self._idle:
            worker = self._idle.pop()
            with contextlib.suppress(OSError):  # it died while it had nothing to do
                worker.pipe.send(task)
                self._at_work[task.number] = worker
                return
            _end([worker])
        worker = self._start()
        self._at_work[task.number] = worker
        with contextlib.suppress(OSError):  # `wait` finds it dead
            worker.pipe.send(task)

    def wait(self, seconds: float) -> Sequence[Message]:
        """What has happened, as soon as there is something; nothing after that many seconds."""
        ready = connection.wait([worker.pipe for worker in self._at_work.values()], seconds)
        messages = []
        for task, worker in list(self._at_work.items()):
            if worker.pipe in ready:
                messages.append(self._receive(task, worker))
        return messages

    def _receive(self, task: int, worker: _Process) -> Message:
        try:
            message: Message = worker.pipe.recv()
        except (EOFError, OSError):
            del self._at_work[task]
            worker.process.join(_SECONDS_TO_STOP)
            code = worker.process.exitcode
            _end([worker])
            return Lost(task=task, reason=f"its worker process {_cause(code)}")
        if isinstance(message, ENDS):
            self._idle.append(self._at_work.pop(task))
        return message

    def _start(self) -> _Process:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        threads = max(1, (os.cpu_count() or 1) // self._capacity)
        process = context.Process(target=_work, args=(theirs, setup_for(threads)), daemon=True)
        with _interrupts_held_back():
            process.start()
        theirs.close()
        return _Process(process=process, pipe=ours)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        workers = [*self._idle, *self._at_work.values()]
        self._idle.clear()
        self._at_work.clear()
        _end(workers)


def _end(workers: Sequence[_Process]) -> None:
    """Ask all to stop, and kill those that do not."""
    for worker in workers:
        worker.process.terminate()
    deadline = time.monotonic() + _SECONDS_TO_STOP
    try:
        for worker in workers:
            worker.process.join(max(0.0, deadline - time.monotonic()))
    finally:  # also for who cannot wait, and presses Ctrl-C again
        for worker in workers:
            worker.process.kill()
            worker.process.join()
            worker.process.close()
            worker.pipe.close()


@contextlib.contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Ctrl-C reaches every process of a terminal; one that starts in this block never sees it.

    Its parent does, once the block has ended, and stops it in order.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _cause(exit_code: int | None) -> str:
    if exit_code is None:
        return "does not answer"
    if exit_code >= 0:
        return f"ended with code {exit_code}"
    name = signal.Signals(-exit_code).name
    hint = ", perhaps for want of memory" if name == "SIGKILL" else ""
    return f"was ended by {name}{hint}"


def _work(pipe: Connection[Any, Any], setup: Setup) -> None:
    """The life of a process: tasks from the pipe until it closes or SIGTERM comes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # So that what was begun is cleaned up.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    worker = Worker(setup)
    with contextlib.suppress(EOFError, OSError, KeyboardInterrupt):
        while True:
            task: Task = pipe.recv()
            pipe.send(worker.do(task, pipe.send))
