"""Workers that are actors on Ray, on this machine or on many; the only module that imports ray.

Every machine needs this program, of the same version, and sees the folders under the same names.
"""

from __future__ import annotations

import logging
import math
import os
import queue
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cli.batch.executor import ENDS, Lost, Message, Task
from cli.batch.worker import Setup, Worker, setup_for, with_share
from shm_engine.errors import MattingError

# For a worker to drop what it has begun; a frame in the network takes most of it.
_SECONDS_TO_STOP = 10
# How long a worker that has nothing to tell lets its questioner wait.
_SECONDS_OF_SILENCE = 1.0
# Work, news and stop, at the same time.
_METHODS_AT_ONCE = 3


@dataclass(frozen=True, kw_only=True)
class Share:
    """What each worker of a cluster gets. workers: how many there can be; on one machine at most
    `beside`."""

    workers: int
    beside: int
    cpus: int
    gpus: float


def share_of(
    machines: Sequence[Mapping[str, float]], jobs: int | None, *, wants_gpus: bool
) -> Share:
    """Equal shares of the machines (Ray's resources of each) for `jobs` workers, or one a machine.

    If GPUs are wanted and there are any, machines without one get nothing to do. MattingError if
    there is no machine to work on.
    """
    usable = [machine for machine in machines if machine.get("CPU", 0) >= 1]
    with_gpus = [machine for machine in usable if machine.get("GPU", 0) > 0] if wants_gpus else []
    usable = with_gpus or usable
    if not usable:
        raise MattingError("the Ray cluster has no machine with a free core; start one there")
    wanted = jobs or len(usable)
    beside = math.ceil(wanted / len(usable))
    cpus = max(1, int(min(machine["CPU"] for machine in usable)) // beside)
    room = sum(int(machine["CPU"]) // cpus for machine in usable)
    fewest_gpus = min((machine["GPU"] for machine in with_gpus), default=0.0)
    # Ray counts in ten thousandths.
    gpus = math.floor(min(1.0, fewest_gpus / beside) * 10_000) / 10_000
    return Share(workers=min(wanted, room), beside=beside, cpus=cpus, gpus=gpus)


class RayCluster:
    """An executor on Ray; see `Executor`. A worker that has died is not restarted by Ray: its task
    is lost, and a new worker is made for the next.

    address: ray://HOST:PORT; None for the Ray of this machine, which is started if there is none.
    """

    def __init__(self, address: str | None, jobs: int | None, device: str) -> None:
        self._address, self._jobs = address, jobs
        self._wants_gpus = device == "auto" or device.startswith("cuda")
        self._open = ExitStack()
        self._idle: list[Any] = []
        self._at_work: dict[int, Any] = {}
        # Ray's references: to the return of a task, which only the death of its actor makes
        # interesting, and to the news that an actor is asked for.
        self._returns: dict[Any, int] = {}
        self._news: dict[Any, int] = {}

    @property
    def capacity(self) -> int:
        """How many workers the cluster has room for."""
        return self._share.workers

    def __enter__(self) -> Self:
        try:
            ray: Any = import_module("ray")
        except ImportError as error:
            raise MattingError(
                "--cluster needs Ray; pip install semantic-human-matting[ray]"
            ) from error
        with ExitStack() as opening:
            # Ray prints what it thinks of dead workers; the results belong there.
            nowhere = opening.enter_context(Path(os.devnull).open("w", encoding="utf-8"))
            opening.enter_context(redirect_stdout(nowhere))
            opening.callback(ray.shutdown)
            with _own_signals():
                self._connect(ray)
            machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
            self._share = share_of(machines, self._jobs, wants_gpus=self._wants_gpus)
            self._open = opening.pop_all()
        self._ray = ray
        return self

    def _connect(self, ray: Any) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        quietly = {"logging_level": logging.CRITICAL, "log_to_driver": False}
        try:
            ray.init(self._address or "auto", **quietly)
        except (ConnectionError, OSError, RuntimeError) as error:
            if self._address is not None:
                raise MattingError(
                    f"no Ray cluster answers at {self._address}; check the address, the token in "
                    "RAY_AUTH_TOKEN, and that Python and Ray are of the same versions there"
                ) from error
            cpus = max(os.cpu_count() or 1, self._jobs or 1)
            ray.init("local", num_cpus=cpus, include_dashboard=False, **quietly)

    def submit(self, task: Task) -> None:
        """Begin a task in an idle actor, or in a new one."""
        actor = self._idle.pop() if self._idle else self._start()
        self._at_work[task.number] = actor
        self._returns[actor.work.remote(with_share(task, self._share.beside))] = task.number
        self._news[actor.news.remote()] = task.number

    def _start(self) -> Any:
        share = self._share
        kind = self._ray.remote(
            num_cpus=share.cpus,
            num_gpus=share.gpus,
            max_restarts=0,
            max_concurrency=_METHODS_AT_ONCE,
        )(_Actor)
        return kind.remote(setup_for(share.cpus))

    def wait(self, seconds: float) -> Sequence[Message]:
        """What has happened, as soon as there is something; nothing after that many seconds."""
        waiting = [*self._returns, *self._news]
        if not waiting:
            time.sleep(seconds)
            return ()
        ready, _ = self._ray.wait(waiting, timeout=seconds)
        messages: list[Message] = []
        for reference in ready:
            if reference in self._news:
                messages += self._receive(reference)
            elif reference in self._returns:
                messages += self._check(reference)
        return messages

    def _receive(self, reference: Any) -> Sequence[Message]:
        number = self._news.pop(reference)
        try:
            news: Sequence[Message] = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            is_told_elsewhere = number in self._returns.values()
            return () if is_told_elsewhere else self._lost(number, error)
        actor = self._at_work[number]
        if any(isinstance(message, ENDS) for message in news):
            self._idle.append(self._at_work.pop(number))
        else:
            self._news[actor.news.remote()] = number
        return news

    def _check(self, reference: Any) -> Sequence[Message]:
        number = self._returns.pop(reference)
        try:
            self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            return self._lost(number, error)
        return ()

    def _lost(self, number: int, error: Exception) -> Sequence[Message]:
        if self._at_work.pop(number, None) is None:  # it died after its end had been told
            return ()
        self._news = {news: other for news, other in self._news.items() if other != number}
        said = str(error).strip().splitlines() or [""]
        return (Lost(task=number, reason=f"its Ray worker has died ({said[-1].strip()})"),)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._open:  # shuts Ray down
            try:
                for actor in self._at_work.values():
                    actor.stop.remote()
                if self._at_work:
                    ends = list(self._returns)
                    self._ray.wait(ends, num_returns=len(ends), timeout=_SECONDS_TO_STOP)
            finally:
                for actor in (*self._idle, *self._at_work.values()):
                    self._ray.kill(actor)
                self._idle.clear()
                for references in (self._at_work, self._returns, self._news):
                    references.clear()


@contextmanager
def _own_signals() -> Iterator[None]:
    """Ray makes SIGTERM an exit of its own; at the end of the block it is again what it was."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


class _StoppedError(Exception):
    """The work is not wanted any more."""


class _Actor:
    """A worker as Ray runs it; its methods are called from several threads."""

    def __init__(self, setup: Setup) -> None:
        self._worker = Worker(setup)
        self._unheard: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._is_stopped = False

    def work(self, task: Task) -> None:
        """Do it; what there is to tell, the end last, is news."""
        self._unheard.put(self._worker.do(task, self._send))

    def news(self) -> Sequence[Message]:
        """What has not been heard; waits a moment for it."""
        messages = []
        with suppress(queue.Empty):
            messages.append(self._unheard.get(timeout=_SECONDS_OF_SILENCE))
            while True:
                messages.append(self._unheard.get_nowait())
        return messages

    def stop(self) -> None:
        self._is_stopped = True

    def process_id(self) -> int:
        return os.getpid()

    def _send(self, message: Message) -> None:
        if self._is_stopped:
            raise _StoppedError
        self._unheard.put(message)
