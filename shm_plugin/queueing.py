"""Requests wait here for the engine, which does one after the other in a thread of its own.

Knows no address, token or library but the standard one; who knows what the engine is, makes it.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from shm_plugin.messages import (
    Failure,
    MatteReply,
    MatteRequest,
    Message,
    Progress,
    ProtocolError,
    Status,
)
from shm_plugin.protocol import Channel

_log = logging.getLogger(__name__)

_CANCELLED = "cancelled"


class EngineError(Exception):
    """The engine cannot do it; one sentence for the user."""


class Engine(Protocol):
    """What mattes pictures."""

    @property
    def description(self) -> str:
        """What works on which device."""
        ...

    def matte(self, request: MatteRequest, tell: Callable[[float, str], None]) -> MatteReply:
        """The reply to a request. tell: gets the share done and words; what it raises ends the
        work. Raises EngineError."""
        ...


class _Dropped(Exception):  # noqa: N818 (not a mistake)
    """Nobody wants the answer any more."""


@dataclass(eq=False)
class Host:
    """A connection that knows the token, and what it is still to be told."""

    channel: Channel
    told: queue.SimpleQueue[Message | None] = field(default_factory=queue.SimpleQueue)

    def tell_all(self) -> None:
        """Sends what is put into `told`, until None."""
        while (message := self.told.get()) is not None:
            try:
                self.channel.send(message)
            except ProtocolError as error:
                _log.info("a host does not listen: %s", error)
                self.channel.close()
                return


@dataclass(eq=False)
class Job:
    """A request of a host."""

    host: Host
    request: MatteRequest
    is_cancelled: bool = False

    def tell(self, share: float, text: str) -> None:
        if self.is_cancelled:
            raise _Dropped
        self.host.told.put(Progress(id=self.request.id, share=share, text=text))

    def fail(self, sentence: str) -> None:
        self.host.told.put(Failure(id=self.request.id, sentence=sentence))


class Bench:
    """Where requests wait for the engine, which one thread works with."""

    def __init__(self, make_engine: Callable[[], Engine], most: int) -> None:
        self.used = time.monotonic()
        self._make_engine = make_engine
        self._most = most
        self._changed = threading.Condition()
        self._waiting: deque[Job] = deque()
        self._running: Job | None = None
        self._engine: Engine | None = None
        self._failure = ""
        self._is_loading = True
        self._has_ended = False

    @property
    def description(self) -> str:
        return "" if self._engine is None else self._engine.description

    @property
    def idle_seconds(self) -> float:
        with self._changed:
            is_busy = self._is_loading or self._running is not None or self._waiting
            return 0.0 if is_busy else time.monotonic() - self.used

    def touch(self) -> None:
        self.used = time.monotonic()

    def status(self) -> Status:
        with self._changed:
            state = "ready" if self._running is None else "working"
            if self._is_loading:
                state = "loading"
            elif self._engine is None:
                state = "failed"
            text = self._failure or self.description
            return Status(state=state, text=text, waiting=len(self._waiting))

    def add(self, job: Job) -> None:
        with self._changed:
            if len(self._waiting) >= self._most:
                job.fail("the engine has too much to do; try again later")
                return
            job.tell(0.0, "loading the engine" if self._is_loading else "waiting")
            self._waiting.append(job)
            self._changed.notify()

    def cancel(self, host: Host, number: int | None = None) -> None:
        """Drops the host's request of that id, or all of them."""
        with self._changed:
            mine = [
                job
                for job in (*self._waiting, *([self._running] if self._running else ()))
                if job.host is host and number in (None, job.request.id)
            ]
            for job in mine:
                job.is_cancelled = True
                if job is not self._running:
                    self._waiting.remove(job)
                    job.fail(_CANCELLED)

    def end(self) -> None:
        with self._changed:
            self._has_ended = True
            for job in (*self._waiting, *([self._running] if self._running else ())):
                job.is_cancelled = True
            self._changed.notify()

    def work(self) -> None:
        """Loads the engine, then does what comes, until `end`."""
        self._load()
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._has_ended)
                if self._has_ended:
                    return
                self._running = job = self._waiting.popleft()
            try:
                self._do(job)
            finally:
                with self._changed:
                    self._running = None
                    self.used = time.monotonic()

    def _load(self) -> None:
        self._is_loading = True
        try:
            self._engine = self._make_engine()
            self._failure = ""
        except EngineError as error:
            self._failure = str(error)
        except Exception:  # noqa: BLE001 (one picture must not end the work of all hosts)
            _log.exception("the engine cannot be loaded")
            self._failure = "The engine cannot be loaded; its log says why."
        self._is_loading = False

    def _do(self, job: Job) -> None:
        if self._engine is None:
            # What was in the way (a full device, a missing file) may have gone.
            self._load()
        try:
            if self._engine is None:
                raise EngineError(self._failure)
            reply = self._engine.matte(job.request, job.tell)
            with self._changed:
                if job.is_cancelled:
                    raise _Dropped
                job.host.told.put(reply)
        except _Dropped:
            job.fail(_CANCELLED)
        except EngineError as error:
            job.fail(str(error))
        except Exception:  # noqa: BLE001 (one picture must not end the work of all hosts)
            _log.exception("a request failed")
            job.fail("The engine failed on this picture; its log says why.")
