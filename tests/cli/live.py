"""Stand-ins for a live matte: a source that gives what it is told to, a network that knows the
answer, a browser; no test in here."""

from __future__ import annotations

import http.client
import json
import queue
import time
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from cli.video.info import VideoInfo
from cli.video.live import TIME_BASE
from shm_engine.errors import VideoError
from shm_engine.types import Frame, Matte

WIDTH, HEIGHT = 64, 48
TICKS = 3000  # 30 pictures a second
ORANGE = (230, 128, 26)

# JPEG at the quality of the page, away from edges.
JPEG_LEVELS = 4


def frame(index: int, colour: tuple[int, int, int] = ORANGE) -> Frame:
    """A picture of one colour."""
    image = torch.tensor(colour, dtype=torch.uint8).view(3, 1, 1).expand(3, HEIGHT, WIDTH)
    return Frame(image=image.contiguous(), index=index, pts=index * TICKS, time_base=TIME_BASE)


class HalfMatter:
    """Stands in for a Matter: the left half of every picture is the person."""

    description = "half of the picture"

    def mattes(self, frames: Iterable[Frame]) -> Iterator[Matte]:
        for given in frames:
            alpha = torch.zeros(1, *given.size)
            alpha[..., : given.size[1] // 2] = 1
            yield Matte(frame=given, alpha=alpha)


class FedSource:
    """A LiveSource that gives what it is fed; an error in place of a frame is raised."""

    name = "the fed source"
    info = VideoInfo(width=WIDTH, height=HEIGHT, time_base=TIME_BASE, frame_rate=Fraction(30))
    patience_seconds: float | None = None

    def __init__(self, frames: int = 0) -> None:
        self._fed: queue.Queue[Frame | VideoError | None] = queue.Queue()
        self._count = 0
        self.is_closed = False
        self.feed(frames)

    def feed(self, frames: int = 1, colour: tuple[int, int, int] = ORANGE) -> None:
        for _ in range(frames):
            self._fed.put(frame(self._count, colour))
            self._count += 1

    def fail(self, sentence: str) -> None:
        self._fed.put(VideoError(sentence))

    def __iter__(self) -> Iterator[Frame]:
        while (given := self._fed.get()) is not None:
            if isinstance(given, VideoError):
                raise given
            yield given

    def stop(self) -> None:
        self._fed.put(None)

    def close(self) -> None:
        self.stop()
        self.is_closed = True


def times_of(pictures: Iterable[VideoFrame]) -> list[Fraction]:
    """When each is shown, in seconds."""
    return [Fraction(shown.pts or 0) * Fraction(shown.time_base or 0) for shown in pictures]


class Reply(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def facts(self) -> Any:
        return json.loads(self.body)

    @property
    def pixels(self) -> NDArray[Any]:
        """[H, W, 3] RGB of a JPEG."""
        decoded = cv2.imdecode(np.frombuffer(self.body, np.uint8), cv2.IMREAD_COLOR)
        assert decoded is not None
        return decoded[..., ::-1]


class Browser:
    """Opens the page of an address with a token, and asks on with the cookie it got."""

    def __init__(self, address: str) -> None:
        self.port = int(address.split(":")[2].partition("/")[0])
        self.page = ask(self.port, "/" + address.split("/", 3)[3])
        self.cookie = self.page.headers.get("set-cookie", "").partition(";")[0]
        self._number = "0"

    def get(self, path: str) -> Reply:
        return ask(self.port, path, headers={"Cookie": self.cookie})

    def post(self, path: str, body: bytes | dict[str, object]) -> Reply:
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        return ask(self.port, path, "POST", sent, {"Cookie": self.cookie})

    def picture(self) -> Reply:
        """The next one that this browser has not seen."""
        while (reply := self.get(f"/frame?after={self._number}")).status == 204:
            pass
        self._number = reply.headers["x-number"]
        return reply


def ask(
    port: int,
    path: str,
    method: str = "GET",
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
) -> Reply:
    """One request on a connection of its own; headers replace the usual ones."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        given = headers or {}
        connection.putrequest(method, path, skip_host="Host" in given)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        for name, value in given.items():
            connection.putheader(name, value)
        connection.endheaders(body)
        reply = connection.getresponse()
        names = {name.lower(): value for name, value in reply.getheaders()}
        return Reply(reply.status, names, reply.read())
    finally:
        connection.close()


def until(is_true: Callable[[], bool], seconds: float = 20) -> None:
    """Wait for what other threads bring about; fails after a time that is only reached by a bug."""
    end = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.005)
