"""A host's way to the engine: starts its process, sends it pictures, yields what comes back.

Knows no host and no engine: hosts get a copy of this file, and of messages.py, protocol.py and
finding.py. Standard library only, Python 3.10 or newer. All of it may run in a thread of the host.
"""

from __future__ import annotations

import itertools
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from . import finding, messages
from .finding import EngineNotFound, Runtime, WorkerError
from .protocol import Channel

__all__ = ["Cancelled", "Client", "EngineNotFound", "Preferences", "WorkerError", "connect"]

# Exit code of a worker that found another one alive.
ALREADY_RUNNING = 3

_GREETING_SECONDS = 10.0
_ENDING_SECONDS = 20.0
_POLL_SECONDS = 0.05

# DETACHED_PROCESS and CREATE_NEW_PROCESS_GROUP, which subprocess names on Windows alone.
_DETACHED = 0x00000008 | 0x00000200

# Ended ones are reaped; without this list Python would complain about those still running.
_started: list[subprocess.Popen[bytes]] = []


class Cancelled(WorkerError):  # noqa: N818 (not a mistake of the program)
    """The request was cancelled, by whoever called `cancel`."""


@dataclass(frozen=True, kw_only=True)
class Preferences:
    """What a user may set in a host.

    engine: a shm-matte or python program, or a folder with .venv in it; "" looks for one.
    arguments: options of a worker that has to be started, as `("--device", "cpu")`; one that is
        there already is taken as it is.
    start_seconds: how long a new process may take until it answers.
    """

    engine: str = ""
    arguments: tuple[str, ...] = ()
    start_seconds: float = 120.0


def connect(
    preferences: Preferences | None = None, *, told: Callable[[str], None] | None = None
) -> Client:
    """A Client of the living worker of this user, or of one that is started.

    told: gets a few words, several times a second, while there is to wait; what it raises ends the
    waiting. Raises EngineNotFound where nothing can be started, else WorkerError.
    """
    wanted = preferences or Preferences()
    tell = told or (lambda _: None)
    folder = finding.runtime_folder()
    finding.make_private(folder)
    client = find_client(folder)
    if client is not None and client.welcome.version == messages.VERSION:
        return client
    try:
        python = finding.find_python(wanted.engine)
    except EngineNotFound:
        if client is not None:
            client.close()
        raise
    if client is not None:
        tell("ending another version of the engine")
        client.shut_down()
    process = _start(python, folder, wanted)
    try:
        return _wait_for(process, folder, wanted, tell)
    except WorkerError as error:
        missing = finding.has_no_engine(python, str(error))
        if missing is None:
            raise
        raise missing from error


def find_client(folder: Path) -> Client | None:
    """A Client of the worker, of any version, that the runtime file names; None if none answers."""
    runtime = finding.read_runtime(folder)
    if runtime is None:
        return None
    channel = _open_channel(runtime)
    if channel is None:
        return None
    try:
        channel.send(messages.Hello(token=runtime.token))
        answer = channel.receive(patience=_GREETING_SECONDS)
    except messages.ProtocolError:
        # Somebody else has the port of a worker that was killed.
        answer = None
    if isinstance(answer, messages.Welcome):
        return Client(channel, answer, folder)
    channel.close()
    if isinstance(answer, messages.Failure):
        raise WorkerError(answer.sentence)
    return None


def _open_channel(runtime: Runtime) -> Channel | None:
    try:
        return Channel(socket.create_connection(("127.0.0.1", runtime.port), _GREETING_SECONDS))
    except (OSError, OverflowError):
        return None


def _start(python: Path, folder: Path, wanted: Preferences) -> subprocess.Popen[bytes]:
    """A worker that outlives this process, with its log in the folder."""
    _started[:] = [process for process in _started if process.poll() is None]
    env = finding.clean_environment()
    env["SHM_MATTE_RUNTIME"] = str(folder)
    command = [str(python), "-m", "shm_plugin.worker", *wanted.arguments]
    log = finding.open_log(folder)
    try:
        process = subprocess.Popen(
            command,
            # -m would import what lies in the host's folder.
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            creationflags=_DETACHED if sys.platform == "win32" else 0,
        )
    except OSError as error:
        raise EngineNotFound(f"{python} cannot be started: {error.strerror}.") from error
    finally:
        os.close(log)
    _started.append(process)
    return process


def _wait_for(
    process: subprocess.Popen[bytes],
    folder: Path,
    wanted: Preferences,
    tell: Callable[[str], None],
) -> Client:
    deadline = time.monotonic() + wanted.start_seconds
    while time.monotonic() < deadline:
        tell("starting the engine")
        client = find_client(folder)
        if client is not None:
            if client.welcome.version == messages.VERSION:
                return client
            client.close()
            raise WorkerError(
                "The engine and this plug-in are of different versions; update the older one."
            )
        # Another host may have been quicker: then its worker is as good.
        if process.poll() not in (None, ALREADY_RUNNING):
            raise WorkerError(f"The engine ended at once: {_last_words(folder)}")
        time.sleep(_POLL_SECONDS)
    raise WorkerError(
        f"The engine did not answer within {wanted.start_seconds:g} s; {_see(folder)}"
    )


def _last_words(folder: Path) -> str:
    with suppress(OSError):
        lines = (folder / finding.LOG_FILE).read_text("utf-8", "replace").strip().splitlines()
        if lines:
            return f"{lines[-1].strip()} ({_see(folder)})"
    return _see(folder)


def _see(folder: Path) -> str:
    return f"its log is {folder / finding.LOG_FILE}"


def _reply_bytes(request: messages.MatteRequest) -> int:
    sample = messages.SAMPLE_BYTES[request.dtype]
    each = {"alpha": 4, "foreground": 3 * sample, "trimap": 1, "rgba": 4 * sample}
    return request.width * request.height * sum(each[name] for name in request.wants)


class Client:
    """A connection to the worker. One request at a time; `cancel` and `close` from any thread.

    The worker ends when nothing was asked of it for a while: connect anew for every task.
    """

    def __init__(self, channel: Channel, welcome: messages.Welcome, folder: Path) -> None:
        self.welcome = welcome
        self._channel = channel
        self._folder = folder
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._current: int | None = None
        self._is_cancelled = False

    def matte(
        self, request: messages.MatteRequest
    ) -> Iterator[messages.Progress | messages.MatteReply]:
        """Progress as it is made, and finally the reply. Who stops early cancels the request; it is
        sent when the first item is asked for.

        The id of the request is chosen here. Raises Cancelled after `cancel`, else WorkerError.
        """
        if max(len(request.pixels), _reply_bytes(request)) > messages.BLOB_LIMIT:
            raise WorkerError("The picture is too large for the engine; use a smaller one.")
        numbered = replace(request, id=next(self._numbers))
        with self._lock:
            self._current, self._is_cancelled = numbered.id, False
        try:
            self._send(numbered)
            while True:
                message = self._receive()
                if isinstance(message, messages.Failure) and message.id == numbered.id:
                    kind = Cancelled if self._is_cancelled else WorkerError
                    raise kind(finding.as_sentence(message.sentence))
                if isinstance(message, messages.Progress) and message.id == numbered.id:
                    yield message
                elif isinstance(message, messages.MatteReply) and message.id == numbered.id:
                    self._current = None
                    yield message
                    return
        except GeneratorExit:
            with suppress(WorkerError):
                self.cancel()
            raise
        finally:
            self._current = None

    def cancel(self) -> None:
        """Asks the worker to drop the request under way, if there is one."""
        with self._lock:
            number = self._current
            self._is_cancelled = number is not None
        if number is not None:
            self._send(messages.Cancel(id=number))

    def status(self) -> messages.Status:
        """How the worker is, at once. While `matte` is under way, ask on a second connection."""
        self._send(messages.StatusRequest())
        while True:
            message = self._receive()
            if isinstance(message, messages.Status):
                return message

    def shut_down(self) -> None:
        """Asks the worker to end, whoever else uses it, and waits until it has."""
        with suppress(messages.ProtocolError):
            self._channel.send(messages.Shutdown())
            deadline = time.monotonic() + _ENDING_SECONDS
            while self._channel.receive(patience=deadline - time.monotonic()) is not None:
                pass
        self.close()

    def close(self) -> None:
        """Leaves; the worker drops what was under way here and goes on for others."""
        self._channel.close()

    def _send(self, message: messages.Message) -> None:
        try:
            self._channel.send(message)
        except messages.ProtocolError as error:
            raise self._broken() from error

    def _receive(self) -> messages.Message:
        try:
            message = self._channel.receive()
        except messages.ProtocolError as error:
            raise self._broken() from error
        if message is None:
            raise self._broken()
        return message

    def _broken(self) -> WorkerError:
        return WorkerError(f"The engine stopped while it worked; try again ({_see(self._folder)}).")
