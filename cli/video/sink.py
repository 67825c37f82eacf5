"""Mattes into a movie file like the one they came from; knows nothing of how mattes are made."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Self

import av
from av.packet import Packet
from av.video.frame import VideoFrame

from cli.formats.profiles import OutputProfile
from cli.journal import SEGMENT_FRAMES, Journal
from cli.video.assembly import Recipe, assemble, rehearse, verify
from cli.video.encoding import Encoder, check_encoder
from cli.video.failures import write_failure
from cli.video.info import VideoInfo
from cli.video.metadata import statement
from cli.video.packet_log import PacketLog
from cli.video.splicing import Splice
from cli.video.storage import Storage
from cli.video.streams import Window
from cli.video.writing import frame_writer
from shm_engine.errors import VideoError
from shm_engine.passes import Pass
from shm_engine.types import Frame, Matte

StatesOf = Callable[[Matte], Mapping[str, bytes]]


def _nothing(_: Matte) -> Mapping[str, bytes]:
    return MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class SinkOptions:
    """How a movie is written, apart from what it shows.

    alpha: "straight" or "premultiplied"; None is what the profile is used to.
    streams_from: a movie whose sound, subtitles and chapters are taken, or None.
    is_part: whether the output begins with the first matte that comes and ends with the last, sound
        too, and not where the source does.
    splice: what stays of an older file, if only the part between is given.
    threads: of the encoder; 0 starts one a core.
    journal: where work is kept in case it breaks off; closed by whoever began it. None keeps
        nothing.
    states_of: what the stages have to remember after a matte, for the journal.
    """

    alpha: str | None = None
    streams_from: Path | None = None
    is_part: bool = False
    splice: Splice | None = None
    threads: int = 0
    journal: Journal | None = None
    states_of: StatesOf = _nothing


class VideoSink:
    """Writes mattes to the movie `path`; a MatteSink.

    Packets are kept in the journal, a segment at a time with an encoder of its own, and become a
    file at the end: so the result is the same whether or not work was broken off between segments.
    The file appears under its name only when everything was written and read back; until then an
    older file stays as it is.

    info: of the movie the mattes belong to; times, orientation, colour tags and metadata are kept.
    output_pass: what the pictures show, see `shm_engine.passes`.
    """

    def __init__(
        self,
        path: Path | str,
        info: VideoInfo,
        profile: OutputProfile,
        *,
        output_pass: Pass,
        options: SinkOptions | None = None,
    ) -> None:
        self.path = Path(path)
        self.options = options or SinkOptions()
        self.storage = Storage.of(profile, info, output_pass, self.options.alpha)
        # A matte is no light: a display must not map its tones.
        self._info = (
            replace(info, mastering=None, content_light=None) if output_pass.is_grey else info
        )
        self._profile = profile
        self._pass = output_pass
        # An edit list can delay a movie, but what lies before zero it cuts away.
        self._window = Window(delay=max(Fraction(0), -info.start_seconds))
        self._frames = 0

    def __enter__(self) -> Self:
        self._refuse_input_as_output()
        check_encoder(self._profile, self._info, self.storage)
        rehearse(self._recipe())
        self._writer = frame_writer(self._info, self.storage, self._pass)
        try:
            if self.path.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            self._journal = self.options.journal or Journal.passing(self.path)
            self._frames = self._journal.frames
            self._log = PacketLog(
                self._journal.folder / "packets", self._info.time_base, self._journal.written
            )
            if self.options.splice is not None:
                self._append(self.options.splice.before(*self._first_moment()))
        except OSError as error:
            raise write_failure(self.path, error) from error
        self._encoder = self._new_encoder()
        return self

    def write(self, matte: Matte) -> None:
        """Add the picture of the next matte."""
        upright = (self._info.display_height, self._info.display_width)
        if matte.frame.size != upright:
            raise ValueError(f"the matte is {matte.frame.size}, the movie {upright} (H, W)")
        picture = self._writer.frame(matte)
        if self.options.is_part:
            self._extend(matte)
        self._stamp(picture, matte)
        try:
            self._append(self._encoder.encode(picture))
            self._frames += 1
            if self._frames % SEGMENT_FRAMES == 0:
                self._append(self._encoder.encode(None))
                if self._journal.is_kept:
                    states = self.options.states_of(matte)
                    self._journal.commit(self._frames, self._log.sync(), states)
                self._encoder = self._new_encoder()
        except (av.FFmpegError, OSError) as error:
            raise write_failure(self.path, error) from error

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        is_done = False
        try:
            if kind is None:
                self._complete()
                is_done = True
        except (av.FFmpegError, OSError) as failure:
            raise write_failure(self.path, failure) from failure
        finally:
            self._log.close()
            if self.options.journal is None:
                self._journal.close(is_done=is_done)

    def _complete(self) -> None:
        if self._frames == 0:
            raise VideoError(f"no frame came, {self.path} was not written", path=self.path)
        self._append(self._encoder.encode(None))
        frames = self._frames
        if (splice := self.options.splice) is not None:
            if frames != splice.last - splice.first:
                raise VideoError(f"{self.path} is no movie of the same source; make it anew")
            self._append(splice.after(*self._first_moment()))
            frames = splice.frames
        # In the journal: what a killed run leaves is found there by the next.
        partial = self._journal.folder / "movie"
        try:
            assemble(self._log, partial, self._recipe())
            verify(partial, self.path, frames, has_alpha=self._pass.has_alpha)
            if splice is not None:
                splice.check(partial)
            partial.replace(self.path)
        finally:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)

    def _recipe(self) -> Recipe:
        alpha_mode = self.storage.alpha_mode if self._pass.has_alpha else None
        return Recipe(
            info=self._info,
            profile=self._profile,
            storage=self.storage,
            window=self._window,
            streams_from=self.options.streams_from,
            comments=statement(alpha_mode),
        )

    def _new_encoder(self) -> Encoder:
        return Encoder(self._profile, self._info, self.storage, self.options.threads)

    def _append(self, packets: Iterable[Packet[Any]]) -> None:
        for packet in packets:
            self._log.append(packet)

    def _refuse_input_as_output(self) -> None:
        for source in (self._info.path, self.options.streams_from):
            if source is None or not source.exists() or not self.path.exists():
                continue
            if self.path.samefile(source):
                raise VideoError(
                    f"{self.path} is the movie that is read; give another name", path=self.path
                )

    def _first_moment(self) -> tuple[int, Fraction]:
        """When the source's first frame is due in the output, in units of the second value."""
        unit = self._info.time_base
        return self._info.start_pts + round(self._window.delay / unit), unit

    def _extend(self, matte: Matte) -> None:
        """Have the window reach from the first matte to the end of this one."""
        frame = matte.frame
        now = frame.pts * frame.time_base
        begin = now if self._window.begin is None else self._window.begin
        end = now + self._duration(frame) * frame.time_base
        self._window = Window(begin=begin, end=end, delay=-begin)

    def _stamp(self, picture: VideoFrame, matte: Matte) -> None:
        frame = matte.frame
        picture.time_base = frame.time_base
        picture.pts = frame.pts + round(self._window.delay / frame.time_base)
        picture.duration = self._duration(frame)

    def _duration(self, frame: Frame) -> int:
        shown = frame.native.duration if isinstance(frame.native, VideoFrame) else 0
        return shown or max(1, round(1 / (self._info.frame_rate * frame.time_base)))
