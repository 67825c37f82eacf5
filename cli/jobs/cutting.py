"""Which frames of a source are matted, and which of them are written; decodes none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import takewhile
from typing import TYPE_CHECKING, Protocol

from cli.jobs.time_range import TimeRange

if TYPE_CHECKING:
    from cli.video import VideoInfo
    from shm_engine.types import Frame, Matte

# Smoothing remembers: after so many frames what came before them makes no difference to be seen.
WARM_UP_FRAMES = 24


class Cut(Protocol):
    """Which frames of a source are wanted."""

    @property
    def start_frame(self) -> int:
        """Before it no frame is of use."""

    @property
    def start_seconds(self) -> Fraction:
        """The same, as a time after the first frame."""

    def frames(self, source: Iterator[Frame], info: VideoInfo) -> Iterator[Frame]:
        """Those that are matted."""

    def mattes(self, mattes: Iterator[Matte]) -> Iterator[Matte]:
        """Those that are written."""

    def count(self, info: VideoInfo) -> int | None:
        """How many are written, done ones too, as far as that is known."""


@dataclass(frozen=True)
class Whole:
    """All frames, but for those that are done."""

    start_frame: int
    start_seconds = Fraction(0)

    def frames(self, source: Iterator[Frame], info: VideoInfo) -> Iterator[Frame]:  # noqa: ARG002
        return source

    def mattes(self, mattes: Iterator[Matte]) -> Iterator[Matte]:
        return mattes

    def count(self, info: VideoInfo) -> int | None:
        return info.frame_count


class Part:
    """The frames of a range, as a movie of its own that begins at zero."""

    def __init__(self, time_range: TimeRange) -> None:
        self._range = time_range
        self.start_frame = int(time_range.begin) if time_range.in_frames else 0
        self.start_seconds = Fraction(0) if time_range.in_frames else time_range.begin

    def frames(self, source: Iterator[Frame], info: VideoInfo) -> Iterator[Frame]:
        start = info.start_seconds
        return takewhile(lambda frame: not self._range.is_over(frame, start), source)

    def mattes(self, mattes: Iterator[Matte]) -> Iterator[Matte]:
        return mattes

    def count(self, info: VideoInfo) -> int | None:
        rate = 1 if self._range.in_frames else info.frame_rate
        ends = [end for end in (self._range.end, _end(info, rate)) if end is not None]
        return max(0, round((min(ends) - self._range.begin) * rate)) if ends else None


def _end(info: VideoInfo, rate: Fraction | int) -> Fraction | None:
    return None if info.frame_count is None else Fraction(info.frame_count) / rate


@dataclass(frozen=True)
class Gap:
    """Frames first to last (not with it), with some more on both sides for smoothing to look at."""

    first: int
    last: int
    start_seconds = Fraction(0)

    @property
    def start_frame(self) -> int:
        return max(0, self.first - WARM_UP_FRAMES)

    def frames(self, source: Iterator[Frame], info: VideoInfo) -> Iterator[Frame]:  # noqa: ARG002
        return takewhile(lambda frame: frame.index <= self.last, source)

    def mattes(self, mattes: Iterator[Matte]) -> Iterator[Matte]:
        for matte in mattes:
            if self.first <= matte.frame.index < self.last:
                yield matte

    def count(self, info: VideoInfo) -> int | None:  # noqa: ARG002
        return self.last - self.first
