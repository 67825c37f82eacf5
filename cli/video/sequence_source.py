"""Numbered pictures as an iterator of Frames; knows nothing of mattes and writes nothing."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self, cast

import av
import torch
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from cli.formats.sequences import expand
from cli.video.describing import colour_tags, depth_of, has_alpha, is_float
from cli.video.exr import problem_of
from cli.video.info import BT709, FULL_RANGE, SRGB, ColourTags, VideoInfo
from cli.video.reading import RgbReader
from shm_engine.compositing import as_unit, from_unit
from shm_engine.errors import ImageFileError, VideoError
from shm_engine.images import read_image
from shm_engine.types import Frame

log = logging.getLogger(__name__)

# What OpenCV reads badly or not at all; the rest is read like single pictures.
_DECODERS = {".exr": "exr", ".dpx": "dpx"}
_MOST_THREADS = 4


class SequenceSource:
    """The frames of numbered pictures such as in/%04d.exr or in/####.png, with the interface of
    VideoSource. Numbers begin with the smallest that is there.

    frame_rate: how many are shown in a second.
    start_frame: the index of the first frame that comes; those before are not opened.
    start_seconds: the same, as a time after the first picture.
    keep_partial: what to do where a number is missing or a file is damaged. False: a gap is refused
        on entering, damage raises VideoError when it is reached. True: the frames end there, a
        warning is logged, and `broken_after` is the number of frames that were read.
    """

    info: VideoInfo
    paths: tuple[Path, ...]

    def __init__(
        self,
        path: Path | str,
        *,
        frame_rate: Fraction = Fraction(25),
        keep_partial: bool = False,
        start_frame: int = 0,
        start_seconds: Fraction | int = 0,
    ) -> None:
        self.path = Path(path)
        self.keep_partial = keep_partial
        self.start_frame = start_frame
        self.start_seconds = start_seconds
        self.broken_after: int | None = None
        self._frame_rate = frame_rate
        self._is_closed = False

    def __enter__(self) -> Self:
        files = expand(self.path)
        self.paths, self._missing = files.paths, files.missing
        if self._missing is not None and not self.keep_partial:
            raise VideoError(
                f"frame {files.missing_number} is missing: there is no {self._missing}; "
                "add it, or use --keep-partial to matte what comes before",
                path=self._missing,
                frame_index=len(self.paths),
            )
        codec = _DECODERS.get(self.path.suffix.lower())
        self._pictures: _Pictures = _Stills() if codec is None else _Decoded(codec)
        self.info = replace(
            self._pictures.describe(self.paths[0]),
            frame_rate=self._frame_rate,
            time_base=1 / self._frame_rate,
            frame_count=len(self.paths),
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._is_closed = True

    def __iter__(self) -> Iterator[Frame]:
        first = max(self.start_frame, math.ceil(self.start_seconds * self._frame_rate))
        for index in range(first, len(self.paths)):
            if self._is_closed:
                return
            try:
                yield self._frame(self.paths[index], index)
            except _DamagedError as error:
                error.frame_index = index
                if not self.keep_partial:
                    raise
                self._end(index, str(error))
                return
        if self._missing is not None:
            self._end(len(self.paths), f"{self._missing} is missing")

    def _end(self, index: int, reason: str) -> None:
        self.broken_after = index
        log.warning("%s; %d frames were read.", reason, index)

    def _frame(self, path: Path, index: int) -> Frame:
        frame = self._pictures.frame(path, self.info)
        if frame.size != (self.info.height, self.info.width):
            height, width = frame.size
            raise VideoError(
                f"{path} is {width} x {height}, the first picture {self.info.width} x "
                f"{self.info.height}; give pictures of one size",
                path=path,
                frame_index=index,
            )
        return replace(
            frame,
            index=index,
            pts=index,
            time_base=self.info.time_base,
            pixel_aspect=self.info.pixel_aspect,
            encoding=self.info.encoding,
        )


class _DamagedError(VideoError):
    """A picture that cannot be read."""


class _Pictures(Protocol):
    """A way to read the pictures of one sequence."""

    def describe(self, path: Path) -> VideoInfo:
        """What the first picture says of all, apart from time."""

    def frame(self, path: Path, info: VideoInfo) -> Frame:
        """A picture, without its time; _DamagedError if it cannot be read."""


class _Stills:
    """Reads each picture like a single one, by OpenCV; RGB needs no native frame."""

    def describe(self, path: Path) -> VideoInfo:
        frame = self._read(path)
        return VideoInfo(
            width=frame.size[1],
            height=frame.size[0],
            bit_depth=frame.image.dtype.itemsize * 8,
            is_rgb=True,
            has_alpha=frame.alpha is not None,
            tags_read=ColourTags(primaries=BT709, transfer=SRGB, range=FULL_RANGE),
        )

    def frame(self, path: Path, info: VideoInfo) -> Frame:
        frame = self._read(path)
        if frame.image.dtype.itemsize * 8 == info.bit_depth:
            return frame
        # Some programs save a picture of few colours in fewer bits.
        dtype = torch.uint8 if info.bit_depth == 8 else torch.uint16
        alpha = None if frame.alpha is None else from_unit(as_unit(frame.alpha), dtype)
        return replace(frame, image=from_unit(as_unit(frame.image), dtype), alpha=alpha)

    def _read(self, path: Path) -> Frame:
        try:
            return read_image(path)
        except ImageFileError as error:
            raise _DamagedError(str(error), path=path) from error


class _Decoded:
    """Reads pictures by one of FFmpeg's decoders; the decoded samples are the native frame."""

    def __init__(self, codec: str) -> None:
        self._codec = codec
        self._decoder = cast("VideoCodecContext", av.CodecContext.create(codec, "r"))
        # Threads that work at several frames hold pictures back.
        self._decoder.thread_type = "SLICE"
        self._decoder.thread_count = min(os.cpu_count() or 1, _MOST_THREADS)
        self._reader: RgbReader | None = None

    def describe(self, path: Path) -> VideoInfo:
        native = self._read(path)
        stored = native.format
        return VideoInfo(
            width=native.width,
            height=native.height,
            pixel_aspect=self._decoder.sample_aspect_ratio or Fraction(1),
            pixel_format=stored.name,
            bit_depth=depth_of(stored),
            is_rgb=stored.is_rgb or is_float(stored),
            is_linear=is_float(stored),
            has_alpha=has_alpha(stored),
            alpha_is_premultiplied=self._codec == "exr" and has_alpha(stored),
            tags_read=colour_tags(native).or_else(ColourTags(primaries=BT709, range=FULL_RANGE)),
        )

    def frame(self, path: Path, info: VideoInfo) -> Frame:
        if self._reader is None:
            self._reader = RgbReader(info)
        native = self._read(path)
        return Frame(
            image=self._reader.image(native), alpha=self._reader.alpha(native), native=native
        )

    def _read(self, path: Path) -> VideoFrame:
        problem = f"{path} is no {self._codec.upper()} picture that can be read, or it is damaged"
        try:
            data = path.read_bytes()
            if self._codec == "exr" and (known := problem_of(data)) is not None:
                raise _DamagedError(f"{path} {known}", path=path)
            (native,) = self._decoder.decode(Packet(data))
        except OSError as error:
            raise _DamagedError(f"{path} cannot be read ({error.strerror})", path=path) from error
        except (av.FFmpegError, ValueError) as error:
            raise _DamagedError(f"{problem}; write it again", path=path) from error
        return native
