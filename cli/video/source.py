"""A movie file as an iterator of Frames; knows nothing of mattes and writes nothing."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Generator, Iterator
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Self, cast

import av
import numpy as np
from av.container import InputContainer
from av.stream import Disposition
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from cli.video.failures import read_failure
from cli.video.files import decoder_name, open_movie
from cli.video.info import ColourTags, Orientation, VideoInfo
from cli.video.reading import RgbReader
from cli.video.truncation import missing_bytes
from shm_engine.errors import VideoError
from shm_engine.types import Frame

log = logging.getLogger(__name__)

_NO_VIDEO = Disposition.attached_pic | Disposition.timed_thumbnails
# FFmpeg "plays" any text as a terminal screen; nobody means that by a movie.
_TEXT_CODECS = ("ansi", "bintext", "idf", "xbin")


# Each holds frames; a decoder is never what all wait for.
_MOST_THREADS = 4


class VideoSource:
    """The frames of a movie, in presentation order, once; a context manager.

    Nothing but the frame at hand is kept. After entering, `info` describes the movie.

    keep_partial: what to do where the file is cut or damaged. False: a cut file is refused on
        entering, damage raises VideoError when it is reached. True: the frames simply end there,
        a warning is logged, and `broken_after` is the number of frames that were read.
    """

    info: VideoInfo

    def __init__(self, path: Path | str, *, keep_partial: bool = False) -> None:
        self.path = Path(path)
        self.keep_partial = keep_partial
        self.broken_after: int | None = None
        self._is_cut = False
        # A reading thread may still be at work when an error ends the `with` block, and FFmpeg
        # crashes the process if a container is closed under a decoder.
        self._decoding = threading.Lock()
        self._is_closed = False

    def __enter__(self) -> Self:
        self._is_cut = self._check_file()
        self._container = self._open()
        try:
            self._stream = self._find_stream()
            if self._is_cut and not self.keep_partial:
                raise self._cut_error(_whole_packets(self._stream, self.path.stat().st_size))
            self._decoded = self._decode()
            self._first: VideoFrame | None = self._decode_first()
            self.info = _describe(self.path, self._container, self._stream, self._first)
            self._reader = RgbReader(self.info)
        except BaseException:
            self._container.close()
            raise
        if self._first.interlaced_frame:
            log.warning("%s is interlaced; deinterlace it first for clean edges.", self.path.name)
        if self.info.colour_is_assumed:
            log.info(
                "%s does not say how its colours are coded; %s is assumed.",
                self.path.name,
                self.info.tags.matrix_name,
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._decoding:
            self._is_closed = True
            self._decoded.close()
            self._container.close()

    def __iter__(self) -> Iterator[Frame]:
        index, last_pts, damage_was_logged = 0, None, False
        try:
            for native in self._natives():
                last_pts = _presentation_time(native, last_pts, self.info)
                # At best: with several threads FFmpeg may hand a frame out before it marks it.
                if native.is_corrupt and not damage_was_logged:
                    damage_was_logged = True
                    log.warning("%s is damaged near frame %d.", self.path.name, index)
                yield self._frame(native, index, last_pts)
                index += 1
        except av.FFmpegError as error:
            self._end_at_damage(index, error)
        else:
            if self._is_cut and not self._is_closed:
                self._end_at_damage(index, None)

    def _natives(self) -> Iterator[VideoFrame]:
        if self._first is not None:
            first, self._first = self._first, None
            yield first
            del first
        while (native := self._next_native()) is not None:
            yield native

    def _next_native(self) -> VideoFrame | None:
        with self._decoding:
            return None if self._is_closed else next(self._decoded, None)

    def _frame(self, native: VideoFrame, index: int, pts: int) -> Frame:
        if (native.width, native.height) != (self.info.width, self.info.height):
            raise VideoError(
                f"{self.path} changes its picture size at frame {index}; "
                "split it there and matte the parts",
                path=self.path,
                frame_index=index,
            )
        return Frame(
            image=self._reader.image(native),
            index=index,
            pts=pts,
            time_base=self.info.time_base,
            pixel_aspect=self.info.display_pixel_aspect,
            native=native,
        )

    def _check_file(self) -> bool:
        """Whether the file is cut; raises VideoError if it cannot be a movie at all."""
        try:
            with self.path.open("rb") as file:
                is_empty = not file.read(1)
            cut = missing_bytes(self.path) > 0
        except OSError as error:
            raise read_failure(self.path, error) from error
        if is_empty:
            raise VideoError(f"{self.path} is empty; copy it again", path=self.path)
        return cut

    def _open(self) -> InputContainer:
        try:
            return open_movie(self.path)
        except av.FFmpegError as error:
            raise self._unusable(
                "is not a movie that can be read; check that it plays, or copy it again"
            ) from error

    def _find_stream(self) -> VideoStream:
        streams = [s for s in self._container.streams.video if not s.disposition & _NO_VIDEO]
        if not streams and self._container.streams.audio:
            raise self._unusable("holds sound but no video; give the file with the picture")
        if not streams or decoder_name(streams[0]) in _TEXT_CODECS:
            raise self._unusable("holds no video; give a movie file")
        stream = max(streams, key=lambda s: bool(s.disposition & Disposition.default))
        if decoder_name(stream) is None:
            raise self._unusable(
                "uses a video codec that cannot be decoded here; convert it to H.264 first"
            )
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = min(os.cpu_count() or 1, _MOST_THREADS)
        return stream

    def _decode(self) -> Generator[VideoFrame, None, None]:
        for packet in self._container.demux(self._stream):
            if self._is_cut and packet.is_corrupt:  # only a part of the packet is there
                break
            yield from packet.decode()
        else:
            return
        yield from self._stream.decode(None)

    def _decode_first(self) -> VideoFrame:
        problem = f"no frame of {self.path} can be decoded; check that it plays, or copy it again"
        try:
            return next(self._decoded)
        except StopIteration:
            raise VideoError(problem, path=self.path) from None
        except av.FFmpegError as error:
            raise VideoError(problem, path=self.path) from error

    def _unusable(self, sentence: str) -> VideoError:
        """The error for a file without a readable video stream."""
        if self._is_cut:
            sentence = "is cut off before the part that says how to read it; copy it again"
        return VideoError(f"{self.path} {sentence}", path=self.path)

    def _cut_error(self, frame_index: int | None) -> VideoError:
        return VideoError(
            f"{self.path} is cut off, its end is missing; "
            "copy it again, or use --keep-partial to matte what is there",
            path=self.path,
            frame_index=frame_index,
        )

    def _end_at_damage(self, index: int, error: Exception | None) -> None:
        if not self.keep_partial:
            raise VideoError(
                f"{self.path} is damaged at frame {index}; "
                "copy it again, or use --keep-partial to matte what comes before",
                path=self.path,
                frame_index=index,
            ) from error
        self.broken_after = index
        log.warning("%s is cut or damaged; %d frames were read.", self.path.name, index)


def _presentation_time(native: VideoFrame, last: int | None, info: VideoInfo) -> int:
    """The frame's own pts; a missing one follows the last, and none stands still or goes back."""
    if native.pts is None:
        return info.start_pts if last is None else last + info.ticks_per_frame
    return native.pts if last is None else max(native.pts, last + 1)


def _whole_packets(stream: VideoStream, size: int) -> int | None:
    """How many frames lie before the cut, where the container has an index of every frame."""
    entries = stream.index_entries  # which point into the open container's memory
    if not stream.frames or len(entries) < stream.frames:
        return None
    return sum(entry.pos + entry.size <= size for entry in entries)


def _describe(
    path: Path, container: InputContainer, stream: VideoStream, first: VideoFrame
) -> VideoInfo:
    rate = stream.average_rate or stream.guessed_rate or Fraction(25)
    time_base = stream.time_base or 1 / rate
    duration = _duration_seconds(container, stream)
    matrix = first.side_data.get("DISPLAYMATRIX")
    return VideoInfo(
        path=path,
        width=first.width,
        height=first.height,
        orientation=Orientation()
        if matrix is None
        else Orientation.from_display_matrix(
            tuple(np.frombuffer(cast("Any", matrix), np.int32).tolist())
        ),
        pixel_aspect=stream.sample_aspect_ratio or Fraction(1),
        frame_rate=rate,
        time_base=time_base,
        start_pts=first.pts or 0,
        frame_count=stream.frames or (None if duration is None else round(duration * rate)),
        bit_depth=max(component.bits for component in first.format.components),
        is_rgb=first.format.is_rgb or first.format.has_palette,
        # The bit stream first; ProRes cannot say everything there, and its container can.
        tags_read=_tags(first).or_else(_tags(stream.codec_context)),
        has_audio=bool(container.streams.audio),
        metadata=MappingProxyType(dict(container.metadata)),
        stream_metadata=MappingProxyType(dict(stream.metadata)),
    )


def _tags(tagged: VideoFrame | VideoCodecContext) -> ColourTags:
    return ColourTags(
        primaries=int(tagged.color_primaries),
        transfer=int(tagged.color_trc),
        matrix=int(tagged.colorspace),
        range=int(tagged.color_range),
    )


def _duration_seconds(container: InputContainer, stream: VideoStream) -> Fraction | None:
    if stream.duration and stream.time_base:
        return stream.duration * stream.time_base
    return None if container.duration is None else Fraction(container.duration, av.time_base)
