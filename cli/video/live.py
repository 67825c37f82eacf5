"""Pictures as they happen, and a clip that plays over and over in place of a camera.

Waits for each picture; knows nothing of who is too slow for them.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Protocol

from av.video.frame import VideoFrame

from cli.video.info import VideoInfo
from cli.video.source import VideoSource
from shm_engine.types import Frame

# Fine enough for any camera, and a unit that every container has.
TIME_BASE = Fraction(1, 90_000)

# A clip that is so late does not rush to catch up: the computer slept, or decodes too slowly.
_HOPELESS_SECONDS = 0.5


class LiveSource(Protocol):
    """Pictures that do not wait, in one thread at a time; open from its making on.

    info: as for a sink: times are in 1/90000 second, begin with 0 and always rise.
    patience_seconds: without a picture for so long something is wrong; None where nothing can be.
    """

    name: str
    info: VideoInfo
    patience_seconds: float | None

    def __iter__(self) -> Iterator[Frame]: ...

    def stop(self) -> None:
        """Let the iteration end soon; from any thread."""

    def close(self) -> None: ...


def live_info(info: VideoInfo) -> VideoInfo:
    """What is known of a movie or a camera, without what means nothing for live pictures."""
    return replace(
        info,
        time_base=TIME_BASE,
        start_pts=0,
        frame_count=None,
        has_audio=False,
        metadata={},
        stream_metadata={},
    )


def stamp(native: VideoFrame, info: VideoInfo, pts: int) -> None:
    """Give a decoded picture its live time: sinks look for its duration there."""
    native.pts, native.time_base, native.duration = pts, TIME_BASE, info.ticks_per_frame


class LoopedClip:
    """A LiveSource that plays a movie in real time, again and again; its times go on rising.

    VideoError if it cannot be read; the end of a damaged movie is where it is damaged.
    """

    patience_seconds: float | None = None

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self._path = path
        self._stopped = threading.Event()
        self._opening = threading.Lock()
        self._source = VideoSource(path, keep_partial=True).__enter__()
        self.info = live_info(self._source.info)

    def __iter__(self) -> Iterator[Frame]:
        begin, last, index = time.monotonic(), -1, 0
        offset = Fraction(0)
        while not self._stopped.is_set():
            for frame in self._source:
                since_start = frame.pts * frame.time_base - self._source.info.start_seconds
                last = max(round((offset + since_start) / TIME_BASE), last + 1)
                begin = self._wait_until(begin, float(last * TIME_BASE))
                if self._stopped.is_set():
                    return
                stamp(frame.native, self.info, last)
                yield replace(frame, index=index, pts=last, time_base=TIME_BASE)
                index += 1
            offset = (last + self.info.ticks_per_frame) * TIME_BASE
            self._rewind()

    def stop(self) -> None:
        self._stopped.set()

    def close(self) -> None:
        self.stop()
        with self._opening:
            self._source.__exit__(None, None, None)

    def _wait_until(self, begin: float, seconds: float) -> float:
        """Wait for a time after `begin`, and say when it would have begun to be in time."""
        early = begin + seconds - time.monotonic()
        if early > 0:
            self._stopped.wait(early)
        return begin - early if early < -_HOPELESS_SECONDS else begin

    def _rewind(self) -> None:
        log = logging.getLogger(VideoSource.__module__)
        with self._opening:
            if self._stopped.is_set():
                return
            self._source.__exit__(None, None, None)
            log.addFilter(_say_nothing)  # what there is to say of the file was said the first time
            try:
                self._source = VideoSource(self._path, keep_partial=True).__enter__()
            finally:
                log.removeFilter(_say_nothing)


def _say_nothing(record: logging.LogRecord) -> bool:
    return record.levelno > logging.WARNING
