"""The work: frames of a live source into mattes, onto the screen and into a file; knows no page."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from cli.camera.grabbing import Grabber
from cli.camera.recording import Recorder
from cli.camera.screen import Screen
from shm_engine.errors import MattingError, VideoError

if TYPE_CHECKING:
    from cli.video.live import LiveSource
    from shm_engine.types import Frame, Matte

_log = logging.getLogger(__name__)

# How often a camera that went away is looked for, and over how long rates are measured.
_SECONDS_BETWEEN_TRIES = 1.0
_RATE_SECONDS = 2.0


class Mattes(Protocol):
    """What a session asks of a Matter."""

    description: str

    def mattes(self, frames: Iterable[Frame]) -> Iterator[Matte]: ...


class Rate:
    """How many a second, of late."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: deque[tuple[float, int]] = deque()

    def tell(self, count: int) -> None:
        """There have been so many by now."""
        now = self._clock()
        self._seen.append((now, count))
        while now - self._seen[0][0] > _RATE_SECONDS:
            self._seen.popleft()

    @property
    def per_second(self) -> float | None:
        """None before there is something to measure, and when nothing comes any more."""
        if len(self._seen) < 2 or self._clock() - self._seen[-1][0] > _RATE_SECONDS:
            return None
        (first, before), (last, after) = self._seen[0], self._seen[-1]
        return (after - before) / (last - first) if last > first else None


class Session:
    """Works in one thread, `run`; all else may be called by any.

    A source that fails is told in `facts`, and opened again as soon as that works.
    """

    def __init__(
        self,
        source: LiveSource,
        reopen: Callable[[], LiveSource],
        matter: Mattes,
        recorder: Recorder,
        screen: Screen,
    ) -> None:
        """Takes over `source`, and closes it."""
        self._source = source
        self._reopen = reopen
        self._matter = matter
        self._recorder = recorder
        self.screen = screen
        self._stopped = threading.Event()
        self._trouble: str | None = None
        self._mattes_made = 0
        self._rate, self._source_rate = Rate(), Rate()

    def run(self) -> None:
        """Matte until `stop`; what is being recorded then goes on to be open."""
        is_open = True
        while is_open:
            with closing(self._source):
                try:
                    self._work(self._source)
                except MattingError as error:
                    self._note(error)
            is_open = self._open_again()

    def stop(self) -> None:
        """Let `run` end; from any thread."""
        self._stopped.set()

    def start_recording(self, path: Path | None = None) -> None:
        """Begin a file, see `Recorder.start`; MattingError if that cannot be now."""
        if self._trouble is not None:
            raise VideoError(f"nothing can be recorded: {self._trouble}")
        self._recorder.start(self._source.info, path)

    def stop_recording(self) -> None:
        """Complete the file; MattingError if that fails."""
        self._recorder.stop()

    def facts(self) -> dict[str, object]:
        """For JSON: what the page shows beside the picture. Times in seconds."""
        info, recorder = self._source.info, self._recorder
        current, finishing, last = recorder.current, recorder.finishing, recorder.last
        return {
            "source": self._source.name,
            "matter": self._matter.description,
            "width": info.display_width,
            "height": info.display_height,
            "fps": self._rate.per_second,
            "source_fps": self._source_rate.per_second,
            "latency": self.screen.latency_seconds,
            "look": self.screen.look.facts(),
            "recording": current
            and {"name": current.path.name, "seconds": current.seconds, "frames": current.frames},
            "finishing": finishing and {"name": finishing.path.name},
            "saved": last and {"name": last.path.name, "seconds": last.seconds},
            "trouble": self._trouble,
            "folder": str(recorder.folder.resolve()),
            "recording_trouble": recorder.trouble,
        }

    def _work(self, source: LiveSource) -> None:
        with Grabber(source, self._stopped) as frames:
            for matte in self._matter.mattes(frames):
                self._trouble = None
                self._recorder.write(matte)
                self.screen.show(matte, frames.arrival(matte.frame))
                self._mattes_made += 1
                self._rate.tell(self._mattes_made)
                self._source_rate.tell(frames.count)

    def _open_again(self) -> bool:
        if not self._stopped.is_set():
            with suppress(MattingError):  # `facts` tell it
                self._recorder.stop()
        while not self._stopped.wait(_SECONDS_BETWEEN_TRIES):
            try:
                self._source = self._reopen()
            except MattingError as error:
                self._note(error)
            else:
                return True
        return False

    def _note(self, error: MattingError) -> None:
        if str(error) != self._trouble:
            _log.warning("%s", error)
        self._trouble = str(error)
