"""Mattes into movie files, begun and ended while the pictures flow; knows no camera and no page."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from cli.formats.delivery import Delivery
from shm_engine.errors import MattingError, VideoError

if TYPE_CHECKING:
    from cli.formats.profiles import OutputProfile
    from cli.video import VideoInfo, VideoSink
    from shm_engine.types import Matte

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Recording:
    """A file that is being written, or was. seconds: from its first picture to its last."""

    path: Path
    frames: int = 0
    seconds: float = 0.0


class Recorder:
    """Writes what passes `write` from `start` to `stop`; may be told so by any thread.

    Records cut-outs with alpha, whatever is on the screen. Each picture keeps its time, from 0.

    current, finishing, last: the file that is open, that is being completed, that was completed.
    trouble: why the last one was not.
    """

    def __init__(self, folder: Path) -> None:
        """folder: for files that are given no name."""
        self.folder = folder
        self._lock = threading.RLock()
        self._sink: VideoSink | None = None
        self._first_pts: int | None = None
        self.current: Recording | None = None
        self.finishing: Recording | None = None
        self.last: Recording | None = None
        self.trouble: str | None = None

    def start(self, info: VideoInfo, path: Path | None = None) -> None:
        """Begin a new file of pictures that `info` describes; nothing happens if one is open.

        path: None makes a name from the time. MattingError if it cannot be written.
        """
        from cli.video import VideoSink
        from shm_engine.passes import PASSES

        with self._lock:
            if self.current is not None:
                return
            target = path if path is not None else _new_name(self.folder)
            profile = profile_for(target)
            sink = VideoSink(target, info, profile, output_pass=PASSES["rgba"])
            self._sink = sink.__enter__()
            self._first_pts = self.trouble = None
            self.current = Recording(path=target)
        _log.info("recording %s", target)

    def write(self, matte: Matte) -> None:
        """Add a matte, if a file is open. One that cannot be written ends it; see `trouble`."""
        with self._lock:
            if self.current is None or self._sink is None:
                return
            frame = matte.frame
            self._first_pts = frame.pts if self._first_pts is None else self._first_pts
            pts = frame.pts - self._first_pts
            try:
                self._sink.write(replace(matte, frame=replace(frame, pts=pts)))
            except MattingError as error:
                self._abandon(error)
                return
            self.current = replace(
                self.current,
                frames=self.current.frames + 1,
                seconds=float(pts * frame.time_base),
            )

    def stop(self) -> None:
        """Complete the file, if one is open. MattingError if that fails."""
        with self._lock:
            sink, done = self._sink, self.current
            self._sink = self.current = None
        if sink is None or done is None:
            return
        # Without the lock: it takes a while after a long recording, and the pictures flow on.
        self.finishing = done
        try:
            sink.__exit__(None, None, None)
        except MattingError as error:
            self.trouble = str(error)
            raise
        finally:
            self.finishing = None
        self.last = done
        counted = "1 frame" if done.frames == 1 else f"{done.frames} frames"
        _log.info("wrote %s: %s in %.1f s", done.path, counted, done.seconds)

    def _abandon(self, error: MattingError) -> None:
        assert self._sink is not None
        self.trouble = str(error)
        _log.warning("the recording ended: %s", error)
        sink, self._sink, self.current = self._sink, None, None
        sink.__exit__(type(error), error, error.__traceback__)


def profile_for(path: Path) -> OutputProfile:
    """How a recording of that name is stored; MattingError if something is there already, or if it
    is no movie with alpha."""
    if path.exists():
        raise VideoError(f"{path} exists already; give another name", path=path)
    if not path.parent.is_dir():
        raise VideoError(f"the folder of {path} does not exist; create it first", path=path)
    profile = Delivery().profile_for(path, needs_alpha=True)
    if profile.is_sequence:
        raise VideoError(f"{path} is no movie; give a name that ends in .mov", path=path)
    return profile


def _new_name(folder: Path) -> Path:
    stem = time.strftime("camera-%Y-%m-%d-%H%M%S")
    names = [f"{stem}.mov", *(f"{stem}-{number}.mov" for number in range(2, 1000))]
    return next(folder / name for name in names if not (folder / name).exists())
