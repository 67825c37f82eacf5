"""What is on the screen: the newest matte in the current look, as JPEG; knows no network."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from cli.camera.newest import Newest, Numbered

if TYPE_CHECKING:
    from cli.camera.look import Look
    from cli.camera.virtual import VirtualCamera
    from shm_engine.types import Matte

_JPEG_QUALITY = 90

# A page that asks no more is closed, or nobody sees it: then nothing is drawn.
_FORGOTTEN_SECONDS = 3.0
_TICK_SECONDS = 0.1


class Jpeg(NamedTuple):
    """A picture as bytes, and how long it took from the camera to here."""

    data: bytes
    latency_seconds: float


class Screen:
    """Draws in one thread, `run`; all else may be called by any."""

    def __init__(self, look: Look, virtual: VirtualCamera | None = None) -> None:
        self.look = look  # replaced as a whole, which is atomic
        self._virtual = virtual
        self._mattes: Newest[tuple[Matte, float]] = Newest()
        self._pictures: Newest[Jpeg] = Newest()
        self._asked_at = float("-inf")
        self._latencies: deque[float] = deque(maxlen=15)
        self._changing = threading.Lock()

    def show(self, matte: Matte, arrival: float) -> None:
        """Hand over what is to be drawn next; one that is not drawn yet is dropped.

        arrival: when its frame came, by time.monotonic().
        """
        self._mattes.put((matte, arrival))

    def replace(self, change: Callable[[Look], Look]) -> None:
        """Take what `change` makes of the look; the next picture is drawn so."""
        with self._changing:
            self.look = change(self.look)

    def after(self, number: int, timeout_seconds: float) -> Numbered[Jpeg] | None:
        """The newest picture, see `Newest.after`. Pictures are drawn while somebody asks."""
        self._asked_at = time.monotonic()
        return self._pictures.after(number, timeout_seconds)

    @property
    def latency_seconds(self) -> float | None:
        """Of the newest pictures, the one in the middle."""
        latencies = sorted(self._latencies)
        return latencies[len(latencies) // 2] if latencies else None

    def run(self) -> None:
        """Draw until it is closed."""
        from cli.camera.drawing import draw, encode

        number = 0
        while not self._mattes.is_closed:
            newer = self._mattes.after(number, _TICK_SECONDS)
            if newer is None:
                continue
            is_watched = time.monotonic() - self._asked_at < _FORGOTTEN_SECONDS
            if not is_watched and self._virtual is None:
                time.sleep(_TICK_SECONDS)
                continue
            number, (matte, arrival) = newer
            picture = draw(matte, self.look)
            if self._virtual is not None:
                self._virtual.send(picture)
            if is_watched:
                jpeg = Jpeg(encode(picture, _JPEG_QUALITY), time.monotonic() - arrival)
                self._latencies.append(jpeg.latency_seconds)
                self._pictures.put(jpeg)

    def close(self) -> None:
        """End `run`, and wake who waits for a picture."""
        self._mattes.close()
        self._pictures.close()
