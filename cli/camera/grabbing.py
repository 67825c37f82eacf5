"""The newest frame of a live source, however long the work on the one before took."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Self

from cli.camera.newest import Newest, Task
from shm_engine.errors import VideoError

if TYPE_CHECKING:
    from cli.video.live import LiveSource
    from shm_engine.types import Frame

# How soon it is seen that all is to end.
_TICK_SECONDS = 0.1

# A camera's driver may hang, and nothing wakes it.
_CLOSING_SECONDS = 2.0


class Grabber:
    """Iterates over the newest frames of a source, which a thread reads; a context manager.

    None comes twice; those that came during the work on another are dropped. Raises what the source
    raises, and VideoError if it falls silent. Ends when `stopped` is set.
    """

    def __init__(self, source: LiveSource, stopped: threading.Event) -> None:
        self._source = source
        self._stopped = stopped
        self._newest: Newest[tuple[Frame, float]] = Newest()
        self._task = Task("shm-camera-grabbing", self._grab, threading.Event())
        self._arrivals: dict[int, float] = {}

    def __enter__(self) -> Self:
        self._task.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._source.stop()
        self._task.join(_CLOSING_SECONDS)

    def __iter__(self) -> Iterator[Frame]:
        number, since = 0, time.monotonic()
        patience = self._source.patience_seconds
        while not self._stopped.is_set():
            newer = self._newest.after(number, _TICK_SECONDS)
            if newer is not None:
                number, (frame, since) = newer
                self._arrivals[frame.index] = since
                yield frame
            elif not self._task.is_alive:
                self._task.check()
                return
            elif patience is not None and time.monotonic() - since > patience:
                raise VideoError(
                    f"the camera {self._source.name} has sent no picture for {patience:.0f} s; "
                    "unplug it and plug it in again"
                )

    @property
    def count(self) -> int:
        """How many frames came, dropped ones included."""
        return self._newest.count

    def arrival(self, frame: Frame) -> float:
        """When a frame came, by time.monotonic(); of frames before it nobody asks any more."""
        self._arrivals = {i: t for i, t in self._arrivals.items() if i >= frame.index}
        return self._arrivals[frame.index]

    def _grab(self) -> None:
        try:
            for frame in self._source:
                self._newest.put((frame, time.monotonic()))
        finally:
            self._newest.close()
