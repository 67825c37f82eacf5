"""A movie file as an iterator of Frames; knows nothing of mattes and writes nothing."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Generator, Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from cli.formats.addresses import address_of
from cli.video.describing import describe
from cli.video.failures import read_failure
from cli.video.files import alpha_decoder, decoder_name, open_address, open_movie
from cli.video.info import VideoInfo
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

    path: a file; or an address (http, https), which is read only if `allow_url` says so, and of
        which nobody can tell beforehand whether it is whole.
    start_frame: the index of the first frame that comes; those before are decoded alone.
    start_seconds: the same, as a time after the first frame of the movie.
    keep_partial: what to do where the file is cut or damaged. False: a cut file is refused on
        entering, damage raises VideoError when it is reached. True: the frames simply end there,
        a warning is logged, and `broken_after` is the number of frames that were read.
    """

    info: VideoInfo

    def __init__(
        self,
        path: Path | str,
        *,
        keep_partial: bool = False,
        allow_url: bool = False,
        start_frame: int = 0,
        start_seconds: Fraction | int = 0,
    ) -> None:
        self.path = Path(path)
        self.keep_partial = keep_partial
        self.start_frame = start_frame
        self.start_seconds = start_seconds
        self._address = address_of(path)
        self._allow_url = allow_url
        self._name = self._address or str(self.path)
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
            self.info = self._describe(self._first)
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
                if index >= self.start_frame and self._seconds(last_pts) >= self.start_seconds:
                    yield self._frame(native, index, last_pts)
                index += 1
        except av.FFmpegError as error:
            self._end_at_damage(index, error)
        else:
            if self._is_cut and not self._is_closed:
                self._end_at_damage(index, None)

    def _seconds(self, pts: int) -> Fraction:
        """Time after the first frame."""
        return (pts - self.info.start_pts) * self.info.time_base

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
                f"{self._name} changes its picture size at frame {index}; "
                "split it there and matte the parts",
                path=self.path,
                frame_index=index,
            )
        return Frame(
            image=self._reader.image(native),
            alpha=self._reader.alpha(native),
            encoding=self.info.encoding,
            index=index,
            pts=pts,
            time_base=self.info.time_base,
            pixel_aspect=self.info.display_pixel_aspect,
            native=native,
        )

    def _check_file(self) -> bool:
        """Whether the file is cut; raises VideoError if it cannot be a movie at all."""
        if self._address is not None:
            if not self._allow_url:
                raise VideoError(
                    f"{self._name} is an address; add --url to read from the network",
                    path=self.path,
                )
            return False
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
            if self._address is None:
                return open_movie(self.path)
            return open_address(self._address)
        except av.FFmpegError as error:
            if self._address is not None and not isinstance(error, av.InvalidDataError):
                reason = f"cannot be opened ({error.strerror})"
                raise self._unusable(f"{reason}; check the address and the connection") from error
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
        self._alpha_decoder = alpha_decoder(stream)
        self._decoder = self._alpha_decoder or stream.codec_context
        self._decoder.thread_type = "AUTO"
        self._decoder.thread_count = min(os.cpu_count() or 1, _MOST_THREADS)
        return stream

    def _decode(self) -> Generator[VideoFrame, None, None]:
        for packet in self._container.demux(self._stream):
            if self._is_cut and packet.is_corrupt:  # only a part of the packet is there
                break
            yield from self._decoder.decode(packet)
        else:
            return
        yield from self._decoder.decode(None)

    def _decode_first(self) -> VideoFrame:
        problem = f"no frame of {self._name} can be decoded; check that it plays, or copy it again"
        try:
            return next(self._decoded)
        except StopIteration:
            raise VideoError(problem, path=self.path) from None
        except av.FFmpegError as error:
            raise VideoError(problem, path=self.path) from error

    def _describe(self, first: VideoFrame) -> VideoInfo:
        path = self.path if self._address is None else None
        if self._alpha_decoder is None:
            return describe(path, self._container, self._stream, first, first)
        # A decoder without the container knows nothing of what only that says.
        with self._open() as again:
            place = self._container.streams.video.index(self._stream)
            described = next(again.decode(video=place))
            return describe(path, self._container, self._stream, first, described)

    def _unusable(self, sentence: str) -> VideoError:
        """The error for a file without a readable video stream."""
        if self._is_cut:
            sentence = "is cut off before the part that says how to read it; copy it again"
        return VideoError(f"{self._name} {sentence}", path=self.path)

    def _cut_error(self, frame_index: int | None) -> VideoError:
        return VideoError(
            f"{self.path} is cut off, its end is missing; "
            "copy it again, or use --keep-partial to matte what is there",
            path=self.path,
            frame_index=frame_index,
        )

    def _end_at_damage(self, index: int, error: Exception | None) -> None:
        if not self.keep_partial:
            what, way_out = (
                ("is damaged", "copy it again")
                if self._address is None
                else ("broke off", "try again, or download it first")
            )
            raise VideoError(
                f"{self._name} {what} at frame {index}; "
                f"{way_out}, or use --keep-partial to matte what comes before",
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
