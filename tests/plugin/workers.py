"""Workers for tests: in this process with a stand-in for the engine, or as a process of their own;
knows no network."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from shm_plugin import finding, messages
from shm_plugin.client import Client, find_client
from shm_plugin.messages import MatteReply, MatteRequest
from shm_plugin.protocol import Channel
from shm_plugin.queueing import Engine, EngineError
from shm_plugin.serving import Limits, serve

# Long enough for a busy machine, short enough for a test that hangs.
PATIENCE = 30.0


@dataclass
class RedEngine:
    """Alpha is the red channel of a "u8" picture. A picture whose first byte is 13 fails; one whose
    first byte is 66 waits for `gate`."""

    description: str = "a stand-in"
    gate: threading.Event = field(default_factory=threading.Event)
    begun: threading.Event = field(default_factory=threading.Event)
    done: list[bytes] = field(default_factory=list)

    def matte(self, request: MatteRequest, tell: Callable[[float, str], None]) -> MatteReply:
        if request.pixels[0] == 13:
            raise EngineError("This picture is unlucky.")
        if request.pixels[0] == 66:
            self.begun.set()
            assert self.gate.wait(PATIENCE)
        tell(0.5, "half")
        self.done.append(request.pixels)
        return red_reply(request)


def red_reply(request: MatteRequest) -> MatteReply:
    """What RedEngine answers."""
    import numpy as np

    # Of other forms any byte a pixel is as good.
    red = np.frombuffer(request.pixels, np.uint8)[:: request.channels]
    alpha = red[: request.width * request.height] / np.float32(255)
    return MatteReply(
        id=request.id,
        width=request.width,
        height=request.height,
        alpha=alpha.astype("<f4").tobytes(),
        foreground=b"",
        trimap=b"",
        rgba=b"",
    )


def picture(first: int, *, width: int = 4, height: int = 3) -> MatteRequest:
    """A request whose pixels begin with `first` and go on from there."""
    pixels = bytes((first + n) % 256 for n in range(width * height * 3))
    return MatteRequest(width=width, height=height, pixels=pixels)


@contextmanager
def living(
    folder: Path, make_engine: Callable[[], Engine] = RedEngine, limits: Limits | None = None
) -> Iterator[threading.Thread]:
    """A worker in a thread of this process, ended with the block."""
    stop = threading.Event()
    thread = threading.Thread(target=lambda: serve(make_engine, folder, limits, stop))
    thread.start()
    try:
        wait_until(lambda: finding.read_runtime(folder) is not None)
        yield thread
    finally:
        stop.set()
        thread.join(PATIENCE)
        assert not thread.is_alive()


@contextmanager
def other_version(folder: Path) -> Iterator[threading.Event]:
    """A worker of another version, which only knows how to be greeted and how to end."""
    has_ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        said = {"pid": 1, "port": listener.getsockname()[1], "token": "t", "version": 99}
        (folder / finding.RUNTIME_FILE).write_text(json.dumps(said))

        def answer() -> None:
            channel = Channel(listener.accept()[0])
            assert channel.receive() == messages.Hello(token="t")
            channel.send(messages.Welcome(version=99, pid=1, engine=""))
            if channel.receive() == messages.Shutdown():
                listener.close()
                has_ended.set()
            channel.close()

        thread = threading.Thread(target=answer)
        thread.start()
        yield has_ended
        thread.join(PATIENCE)
        assert not thread.is_alive()


def client_of(folder: Path) -> Client:
    """A client of the worker that lives there."""
    client = find_client(folder)
    assert client is not None
    return client


def stranger(folder: Path) -> socket.socket:
    """A connection to the worker that has said nothing yet."""
    runtime = finding.read_runtime(folder)
    assert runtime is not None
    return socket.create_connection(("127.0.0.1", runtime.port), PATIENCE)


def greeted(folder: Path) -> Channel:
    """A connection to the worker that knows the token."""
    runtime = finding.read_runtime(folder)
    assert runtime is not None
    channel = Channel(stranger(folder))
    channel.send(messages.Hello(token=runtime.token))
    assert isinstance(channel.receive(patience=PATIENCE), messages.Welcome)
    return channel


def reply_to(client: Client, request: MatteRequest) -> MatteReply:
    """The last of what comes back."""
    *_, last = client.matte(request)
    assert isinstance(last, MatteReply)
    return last


def wait_until(holds: Callable[[], object]) -> None:
    """Returns as soon as it holds; fails where it never does."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.01)
