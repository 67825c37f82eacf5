"""Mattes into a movie file like the one they came from; knows nothing of how mattes are made."""

from __future__ import annotations

import contextlib
import errno
import os
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self, cast

import av
from av.container import OutputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from cli.profiles import OutputProfile
from cli.video.audio import AudioCopy
from cli.video.failures import write_failure
from cli.video.files import open_movie
from cli.video.info import VideoInfo
from cli.video.output_file import OutputFile
from cli.video.truncation import missing_bytes
from cli.video.writing import FrameWriter
from shm_engine.errors import OptionsError, VideoError
from shm_engine.passes import Pass
from shm_engine.types import Matte

# What a container says about itself, which the new one says anew.
_OWN_METADATA = ("major_brand", "minor_version", "compatible_brands", "encoder")
_KEPT_STREAM_METADATA = ("timecode", "language", "title", "reel_name")
_LARGEST_TIMESCALE = 2**31 - 1
_BUFFER_BYTES = 1 << 20


class VideoSink:
    """Writes mattes to `path`; a MatteSink.

    The file appears under its name only when everything was written and read back; until then it
    lies beside it, and an older file stays as it is.

    info: of the movie the mattes belong to; times, orientation, colour tags and metadata are kept.
    output_pass: what the pictures show, see `shm_engine.passes`.
    audio_from: a movie whose sound is copied, or None.
    threads: of the encoder; 0 starts one a core.
    """

    def __init__(
        self,
        path: Path | str,
        info: VideoInfo,
        profile: OutputProfile,
        *,
        output_pass: Pass,
        audio_from: Path | None = None,
        threads: int = 0,
    ) -> None:
        self.path = Path(path)
        self._threads = threads
        self._info = info
        self._profile = profile
        self._pass = output_pass
        self._audio_from = audio_from
        self._partial = self.path.with_name(f".{self.path.stem}.{os.getpid()}.part")
        # An edit list can delay a movie, but what lies before zero it cuts away.
        self._delay = max(Fraction(0), -info.start_seconds)
        self._written = 0
        self._durations: dict[int | None, int] = {}  # of the frames inside the encoder, by pts
        if output_pass.has_alpha and not profile.has_alpha:
            raise OptionsError(f"{profile.name} holds no alpha; {output_pass.name} needs it")

    def __enter__(self) -> Self:
        self._refuse_input_as_output()
        try:
            if self.path.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            self._file = OutputFile(self._partial)
        except OSError as error:
            raise write_failure(self.path, error) from error
        self._frames = FrameWriter(self._info, self._profile.pixel_format, self._pass)
        with contextlib.ExitStack() as undo:
            undo.callback(self._partial.unlink, missing_ok=True)
            undo.callback(self._file.close)
            self._output = undo.enter_context(self._open())
            self._stream = self._add_stream(self._output)
            self._audio = self._add_audio(self._output)
            undo.pop_all()
        return self

    def write(self, matte: Matte) -> None:
        """Add the picture of the next matte."""
        upright = (self._info.display_height, self._info.display_width)
        if matte.frame.size != upright:
            raise ValueError(f"the matte is {matte.frame.size}, the movie {upright} (H, W)")
        picture = self._frames.frame(matte)
        self._stamp(picture, matte)
        try:
            if self._audio is not None:
                self._audio.write_until(matte.frame.pts * matte.frame.time_base + self._delay)
            self._mux(self._stream.encode(picture))
            self._file.check()
        except (av.FFmpegError, OSError) as error:
            raise write_failure(self.path, error) from error
        self._written += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self._complete()
        except (av.FFmpegError, OSError) as failure:
            raise write_failure(self.path, failure) from failure
        finally:
            self._discard()

    def _complete(self) -> None:
        if self._written == 0:
            raise VideoError(f"no frame came, {self.path} was not written", path=self.path)
        self._mux(self._stream.encode(None))
        if self._audio is not None:
            self._audio.write_until(None)
        self._output.close()
        self._file.close()
        self._file.check()
        self._verify()
        self._partial.replace(self.path)

    def _mux(self, packets: list[Packet[VideoStream]]) -> None:
        for packet in packets:
            # Not every encoder hands a frame's duration on, and without it the last frame is
            # shown for as long as the muxer likes.
            packet.duration = self._durations.pop(packet.pts, packet.duration)
            self._output.mux(packet)

    def _discard(self) -> None:
        """Close what is open and remove the unfinished file, if there still is one."""
        if self._audio is not None:
            self._audio.close()
        with contextlib.suppress(av.FFmpegError, OSError):
            self._output.close()
        with contextlib.suppress(OSError):
            self._file.close()
        self._partial.unlink(missing_ok=True)

    def _refuse_input_as_output(self) -> None:
        for source in (self._info.path, self._audio_from):
            if source is None or not source.exists() or not self.path.exists():
                continue
            if self.path.samefile(source):
                raise VideoError(
                    f"{self.path} is the movie that is read; give another name", path=self.path
                )

    def _open(self) -> OutputContainer:
        # mov measures when a track starts in a unit of its own, by default a millisecond.
        unit = min(max(self._info.time_base.denominator, 1000), _LARGEST_TIMESCALE)
        options = {"movie_timescale": str(unit)} if self._profile.container == "mov" else {}
        output = av.open(
            self._file,
            "w",
            format=self._profile.container,
            options=options,
            buffer_size=_BUFFER_BYTES,
        )
        for key, value in self._info.metadata.items():
            if key not in _OWN_METADATA:
                output.metadata[key] = value
        return output

    def _add_stream(self, output: OutputContainer) -> VideoStream:
        info, tags = self._info, self._frames.output_tags
        stream = cast(
            "VideoStream",
            output.add_stream(
                self._profile.codec, rate=info.frame_rate, options=dict(self._profile.codec_options)
            ),
        )
        stream.width, stream.height = info.width, info.height
        stream.pix_fmt = self._profile.pixel_format
        stream.thread_type = "AUTO"
        context = stream.codec_context
        context.thread_count = self._threads
        context.time_base = info.time_base
        context.sample_aspect_ratio = info.pixel_aspect
        context.color_primaries = tags.primaries
        context.color_trc = tags.transfer
        context.colorspace = tags.matrix
        context.color_range = tags.range
        if info.orientation.display_matrix is not None:
            stream.set_display_matrix(info.orientation.display_matrix)
        for key in _KEPT_STREAM_METADATA:
            if key in info.stream_metadata:
                stream.metadata[key] = info.stream_metadata[key]
        return stream

    def _add_audio(self, output: OutputContainer) -> AudioCopy | None:
        if self._audio_from is None:
            return None
        try:
            return AudioCopy(self._audio_from, output, self._delay)
        except av.FFmpegError as error:
            raise VideoError(
                f"the sound of {self._audio_from} cannot be read; check that it plays",
                path=self._audio_from,
            ) from error

    def _stamp(self, picture: VideoFrame, matte: Matte) -> None:
        frame = matte.frame
        picture.time_base = frame.time_base
        picture.pts = frame.pts + round(self._delay / frame.time_base)
        shown = frame.native.duration if isinstance(frame.native, VideoFrame) else 0
        picture.duration = shown or max(1, round(1 / (self._info.frame_rate * frame.time_base)))
        unit = frame.time_base / self._info.time_base
        self._durations[round(picture.pts * unit)] = round(picture.duration * unit)

    def _verify(self) -> None:
        """Open the finished file as a reader would; raises VideoError if it is not as promised."""
        problem = None
        with open_movie(self._partial) as written:
            stream = written.streams.video[0]
            first = next(written.decode(stream), None)
            if missing_bytes(self._partial) or stream.frames not in (0, self._written):
                problem = "is not complete after writing; check the disk and try again"
            elif first is None:
                problem = "cannot be read back; check the disk and try again"
            elif self._pass.has_alpha and not any(c.is_alpha for c in first.format.components):
                problem = "lost its alpha channel in writing; choose another format"
        if problem is not None:
            raise VideoError(f"{self.path} {problem}", path=self.path)
