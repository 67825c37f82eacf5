"""Answers hosts on 127.0.0.1, whatever they send, and ends when nobody asks any more.

Knows no network, picture or library but the standard one. Threads: one accepts, two serve each
connection (what it says, what it is told), one works, see `queueing`.
"""

from __future__ import annotations

import hmac
import json
import logging
import os
import secrets
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from shm_plugin.client import find_client
from shm_plugin.finding import RUNTIME_FILE, Runtime, WorkerError, make_private, read_runtime
from shm_plugin.messages import (
    BLOB_LIMIT,
    VERSION,
    Cancel,
    Failure,
    Hello,
    MatteRequest,
    Message,
    ProtocolError,
    Shutdown,
    StatusRequest,
    Welcome,
)
from shm_plugin.protocol import Channel
from shm_plugin.queueing import Bench, Engine, Host, Job

_log = logging.getLogger(__name__)

# How often the accepting thread looks whether it is time to end.
_TICK_SECONDS = 0.1

# For what is under way when it is time to end; the device is freed with the process at the latest.
_LAST_SECONDS = 5.0


class AlreadyRunningError(WorkerError):
    """Another worker of this version lives."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How long is waited for what, and how much there may be of it.

    idle_seconds: without work or a question from anybody, until the worker ends.
    hello_seconds: for a new connection to say who it is. message_seconds: for a message to pass.
    strangers, hosts: connections that have not said it yet, and that have. waiting: requests.
    blob_bytes: of a request.
    """

    idle_seconds: float = 600.0
    hello_seconds: float = 5.0
    message_seconds: float = 60.0
    strangers: int = 32
    hosts: int = 32
    waiting: int = 32
    blob_bytes: int = BLOB_LIMIT


def serve(
    make_engine: Callable[[], Engine],
    folder: Path,
    limits: Limits | None = None,
    stop: threading.Event | None = None,
) -> None:
    """Serves until nobody asked for a while, a host asks it to end, or `stop` is set.

    make_engine: called once, in another thread. folder: for the runtime file. Raises
    AlreadyRunningError, and WorkerError where the folder cannot be used.
    """
    bounds = limits or Limits()
    make_private(folder)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(bounds.strangers)
        listener.settimeout(_TICK_SECONDS)
        port = listener.getsockname()[1]
        mine = Runtime(pid=os.getpid(), port=port, token=secrets.token_hex(32), version=VERSION)
        with _one_at_a_time(folder):
            _take_over(folder, mine)
        server = _Server(listener, mine.token, Bench(make_engine, bounds.waiting), bounds)
        try:
            server.run(stop or threading.Event())
        finally:
            # In this order: who waits for the end must not find the way in again.
            listener.close()
            if read_runtime(folder) == mine:
                (folder / RUNTIME_FILE).unlink(missing_ok=True)
            server.end()


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Two workers that start at once must not both find nobody. Held by a file's lock, which ends
    with its process whatever happens to it."""
    with (folder / "worker.lock").open("a") as file:
        if sys.platform == "win32":
            import msvcrt

            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _take_over(folder: Path, mine: Runtime) -> None:
    """Puts the runtime file in place, unless a living worker of this version has one."""
    try:
        other = find_client(folder)
    except WorkerError as error:
        # It lives, and has its hands full.
        raise AlreadyRunningError(str(error)) from error
    if other is not None:
        if other.welcome.version == VERSION:
            other.close()
            raise AlreadyRunningError(f"a worker runs already, as process {other.welcome.pid}")
        other.shut_down()
    temporary = folder / f".{RUNTIME_FILE}.{os.getpid()}"
    temporary.unlink(missing_ok=True)
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(asdict(mine), file)
    temporary.replace(folder / RUNTIME_FILE)


class _Server:
    """Takes connections in, and ends."""

    def __init__(self, listener: socket.socket, token: str, bench: Bench, limits: Limits) -> None:
        self._listener = listener
        self._token = token.encode()
        self._bench = bench
        self._limits = limits
        self._stop = threading.Event()
        self._worker: threading.Thread | None = None
        self._strangers = threading.BoundedSemaphore(limits.strangers)
        self._hosts: set[Host] = set()
        self._guard = threading.Lock()

    def run(self, stop: threading.Event) -> None:
        self._stop = stop
        self._worker = _start(self._bench.work)
        while not stop.is_set() and self._bench.idle_seconds < self._limits.idle_seconds:
            self._accept()

    def end(self) -> None:
        self._stop.set()
        self._bench.end()
        with self._guard:
            hosts = list(self._hosts)
        for host in hosts:
            host.channel.close()
        if self._worker is not None:
            self._worker.join(_LAST_SECONDS)

    def _accept(self) -> None:
        try:
            connection, address = self._listener.accept()
        except TimeoutError:
            return
        except OSError as error:
            # No handles left, for example: it passes.
            _log.warning("a connection was not accepted: %s", error)
            self._stop.wait(_TICK_SECONDS)
            return
        # Strangers are shown the door after a few seconds, so that nobody waits for long here.
        if not address[0].startswith("127.") or not self._strangers.acquire(
            timeout=self._limits.hello_seconds
        ):
            connection.close()
            return
        _start(lambda: self._meet(connection))

    def _meet(self, connection: socket.socket) -> None:
        channel = Channel(connection, message_seconds=self._limits.message_seconds)
        host = None
        try:
            try:
                host = self._greet(channel)
            finally:
                self._strangers.release()
            if host is not None:
                _start(host.tell_all)
                self._listen(host)
        except ProtocolError as error:
            _log.info("a connection was ended: %s", error)
        finally:
            if host is not None:
                self._forget(host)
            channel.close()

    def _greet(self, channel: Channel) -> Host | None:
        """The host, if it knows the token; all others get no answer."""
        seconds = self._limits.hello_seconds
        hello = channel.receive(patience=seconds, message_seconds=seconds, blob_limit=0)
        if not isinstance(hello, Hello):
            return None
        if not hmac.compare_digest(hello.token.encode(), self._token):
            _log.warning("a connection with a wrong token was ended")
            return None
        host = Host(channel)
        with self._guard:
            is_full = len(self._hosts) >= self._limits.hosts
            if not is_full:
                self._hosts.add(host)
        if is_full:
            channel.send(Failure(id=0, sentence="The engine serves too many programs already."))
            return None
        self._bench.touch()
        channel.send(Welcome(version=VERSION, pid=os.getpid(), engine=self._bench.description))
        return host

    def _listen(self, host: Host) -> None:
        receive = host.channel.receive
        while (message := receive(blob_limit=self._limits.blob_bytes)) is not None:
            self._bench.touch()
            self._answer(host, message)

    def _answer(self, host: Host, message: Message) -> None:
        match message:
            case MatteRequest():
                self._bench.add(Job(host, message))
            case Cancel():
                self._bench.cancel(host, message.id)
            case StatusRequest():
                host.told.put(self._bench.status())
            case Shutdown():
                _log.info("a host asks for the end")
                self._stop.set()
            case _:
                raise ProtocolError(f"a host does not send a {type(message).__name__}")

    def _forget(self, host: Host) -> None:
        self._bench.cancel(host)
        host.told.put(None)
        with self._guard:
            self._hosts.discard(host)


def _start(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread
