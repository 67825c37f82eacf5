"""A part of a finished movie made anew: the packets before and after it; decodes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.bitstream import BitStreamFilterContext
from av.packet import Packet

from cli.video.files import open_movie
from shm_engine.errors import VideoError

_TO_START_CODES = {"h264": "h264_mp4toannexb", "hevc": "hevc_mp4toannexb"}


@dataclass(frozen=True, kw_only=True)
class Splice:
    """What stays of the movie at `path`: its first `first` frames, and those from `last` on.

    Both are where a segment begins, so that every part can be decoded without the others.
    """

    path: Path
    first: int
    last: int
    frames: int

    @classmethod
    def find(cls, path: Path, first: int, last: int) -> Splice:
        """The least to make anew so that frames first to last (not with it) are; VideoError if
        the movie cannot be read or is shorter."""
        keys = [packet.is_keyframe for packet in _packets(path)]
        if first >= len(keys):
            raise VideoError(f"{path} ends before the range begins; check --range", path=path)
        beginnings = [index for index, is_key in enumerate(keys) if is_key]
        return cls(
            path=path,
            first=max(index for index in beginnings if index <= first),
            last=min((index for index in beginnings if index >= last), default=len(keys)),
            frames=len(keys),
        )

    def check(self, path: Path) -> None:
        """Raise VideoError if the new movie at `path` has another number of frames."""
        if sum(1 for _ in _packets(path)) != self.frames:
            raise VideoError(
                f"{self.path} could not be put together with the new part; it stays as it was",
                path=self.path,
            )

    def before(self, start_pts: int, time_base: Fraction) -> Iterator[Packet[Any]]:
        """The packets before the part, timed anew: the first of the movie is due at start_pts."""
        yield from self._between(range(self.first), start_pts, time_base)

    def after(self, start_pts: int, time_base: Fraction) -> Iterator[Packet[Any]]:
        """The packets after the part, timed like those before."""
        yield from self._between(range(self.last, self.frames), start_pts, time_base)

    def _between(self, wanted: range, start_pts: int, time_base: Fraction) -> Iterator[Packet[Any]]:
        first_pts = 0
        for index, packet in enumerate(_packets(self.path)):
            if index == 0:  # Matroska moves all if the sound begins before zero
                first_pts = packet.pts or 0
            if index in wanted:
                ratio = packet.time_base / time_base
                packet.pts = start_pts + round(((packet.pts or 0) - first_pts) * ratio)
                packet.dts = packet.pts
                packet.duration = round((packet.duration or 0) * ratio)
                packet.time_base = time_base
                yield packet


def _packets(path: Path) -> Iterator[Packet[Any]]:
    try:
        with open_movie(path) as movie:
            stream = movie.streams.video[0]
            # In MP4 lengths stand before the parts of a packet; an encoder writes start codes.
            name = _TO_START_CODES.get(stream.codec_context.name)
            plain = None if name is None else BitStreamFilterContext(name, stream)
            for packet in movie.demux(stream):
                if packet.size:
                    yield from [packet] if plain is None else plain.filter(packet)
    except av.FFmpegError as error:
        raise VideoError(f"{path} cannot be read; make it anew as a whole", path=path) from error


# Matroska rounds times to a millisecond.
_ROUNDING = Fraction(1, 2000)


def shown_at(path: Path) -> list[Fraction]:
    """When every frame of a movie that was written here is shown, in seconds after the first."""
    times = [(packet.pts or 0) * packet.time_base for packet in _packets(path)]
    return [time - times[0] + _ROUNDING for time in times]
