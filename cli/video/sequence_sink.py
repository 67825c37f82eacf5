"""Mattes into numbered pictures, a file each; knows nothing of how mattes are made."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

import av
from av.video.frame import VideoFrame

from cli.formats.numbering import numbered, numbered_files
from cli.formats.profiles import OutputProfile
from cli.journal import SEGMENT_FRAMES, Journal
from cli.video.encoding import Encoder, check_encoder
from cli.video.failures import write_failure
from cli.video.files import open_movie
from cli.video.info import Orientation, VideoInfo
from cli.video.sink import SinkOptions
from cli.video.storage import Storage
from cli.video.writing import frame_writer
from shm_engine.errors import VideoError
from shm_engine.files import replacing
from shm_engine.passes import Pass
from shm_engine.types import Matte

FIRST_NUMBER = 1
"""Where numbers begin: Blender and FFmpeg's own sequences do so too."""


class SequenceSink:
    """Writes mattes to files such as out/00001.png for the path out/%05d.png; a MatteSink.

    Pictures are upright, for most of their formats cannot say how to turn them. Every one appears
    whole or not at all; without a journal all are removed again if an error ends the work. What a
    longer sequence of the same name left beyond the last picture is removed at the end.
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
        self._info = replace(
            info,
            width=info.display_width,
            height=info.display_height,
            orientation=Orientation(),
            pixel_aspect=info.display_pixel_aspect,
        )
        self._profile = profile
        self._pass = output_pass
        self._frames = self._files = 0

    def __enter__(self) -> Self:
        check_encoder(self._profile, self._info, self.storage)
        self._writer = frame_writer(self._info, self.storage, self._pass)
        try:
            if self.path.parent.parent.is_dir():
                self.path.parent.mkdir(exist_ok=True)
            self._journal = self.options.journal or Journal.passing(self.path)
        except OSError as error:
            raise write_failure(self.path, error) from error
        splice = self.options.splice
        self._frames = self._files = self._journal.frames if splice is None else splice.first
        self._check_done()
        self._encoder = self._new_encoder()
        return self

    def write(self, matte: Matte) -> None:
        """Add the next picture."""
        picture = self._writer.frame(matte)
        picture.pts, picture.time_base = self._frames, self._info.time_base
        picture.duration = 1
        try:
            self._encode(picture)
            self._frames += 1
            if self._frames % SEGMENT_FRAMES == 0:
                self._encode(None)
                if self._journal.is_kept:
                    self._journal.commit(self._frames, 0, self.options.states_of(matte))
                self._encoder = self._new_encoder()
        except (av.FFmpegError, OSError) as error:
            raise write_failure(self._file(self._files), error) from error

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
            raise write_failure(self._file(self._files), failure) from failure
        finally:
            if not is_done and not self._journal.outlives_failure:
                for index in self._written():
                    self._file(index).unlink(missing_ok=True)
            if self.options.journal is None:
                self._journal.close(is_done=is_done)

    def _complete(self) -> None:
        if self._frames == 0:
            raise VideoError(f"no frame came, {self.path} was not written", path=self.path)
        self._encode(None)
        last = self._file(self._files - 1)
        with open_movie(last) as written:
            first = next(written.decode(video=0), None)
        if first is None:
            raise VideoError(f"{last} cannot be read back; check the disk", path=last)
        if self._pass.has_alpha and not any(c.is_alpha for c in first.format.components):
            raise VideoError(f"{last} lost its alpha channel in writing", path=last)
        if (splice := self.options.splice) is not None:
            if self._files != splice.last:
                raise VideoError(f"{self.path} is no sequence of the same source; make it anew")
            return
        for number, path in numbered_files(self.path).items():
            if number >= FIRST_NUMBER + self._files:
                path.unlink(missing_ok=True)

    def _check_done(self) -> None:
        """Raise VideoError if a picture of the run that is gone on with is not there any more."""
        for index in range(self._journal.frames):
            path = self._file(index)
            if not path.is_file() or path.stat().st_size == 0:
                raise VideoError(
                    f"{path} of the unfinished run is gone; begin anew with --overwrite and "
                    "without --resume",
                    path=path,
                )

    def _written(self) -> range:
        """The pictures that are of no use alone; those of an older file are."""
        return range(self._files) if self.options.splice is None else range(0)

    def _new_encoder(self) -> Encoder:
        return Encoder(self._profile, self._info, self.storage, self.options.threads)

    def _encode(self, picture: VideoFrame | None) -> None:
        for packet in self._encoder.encode(picture):
            with replacing(self._file(self._files)) as path, path.open("wb") as file:
                file.write(cast("Any", packet))
                file.flush()
                os.fsync(file.fileno())  # a checkpoint may follow
            self._files += 1

    def _file(self, index: int) -> Path:
        return numbered(self.path, FIRST_NUMBER + index)
