"""Which frames' pictures are kept, without knowing how many will come; looks at no picture."""

from __future__ import annotations

from dataclasses import dataclass, field

from cli.report.findings import Moment, Picture

# Between half as many and so many pictures are spread over a clip.
_MOST_SPREAD = 16

# Of a stretch of a clip only the worst frame is kept; a stretch grows from one frame to about a
# second, while the clip turns out to be longer.
_MOST_STRETCHES = 32
_LONGEST_STRETCH = 32

_WORST = 10

# The worst frames lie so far apart, or closer in a clip that is shorter than twenty times that.
_APART_SECONDS, _APART_PART = 1.0, 1 / 20


@dataclass(kw_only=True)
class Spread:
    """Pictures at even steps: every so many-th frame's, twice as many whenever they get too many.

    pictures: those of the frames 0, step, 2 * step and so on of the clip, counted as they come.
    """

    step: int = 1
    pictures: list[Picture] = field(default_factory=list)

    def wants(self, number: int) -> bool:
        """Whether the picture of this frame is to be added; number counts from 0."""
        return number % self.step == 0

    def add(self, picture: Picture) -> None:
        """Keep the picture of a frame that is wanted."""
        self.pictures.append(picture)
        if len(self.pictures) > _MOST_SPREAD:
            del self.pictures[1::2]
            self.step *= 2


@dataclass(kw_only=True)
class Worst:
    """The worst frame of each of the worst stretches.

    stretch: how many frames one has. moments: by the number of their stretch.
    """

    stretch: int = 1
    moments: dict[int, Moment] = field(default_factory=dict)

    def wants(self, number: int, severity: float) -> bool:
        """Whether a moment of this severity is to be added; number counts frames from 0."""
        rival = self.moments.get(number // self.stretch)
        if rival is not None:
            return severity > rival.severity
        return len(self.moments) < _MOST_STRETCHES or severity > self._mildest()[1].severity

    def add(self, number: int, moment: Moment) -> None:
        """Keep a moment that is wanted; another one may go."""
        self.moments[number // self.stretch] = moment
        if len(self.moments) > _MOST_STRETCHES:
            del self.moments[self._mildest()[0]]

    def grow(self, count: int) -> None:
        """Make the stretches longer if a clip of `count` frames has too many of them."""
        if count < _MOST_STRETCHES * self.stretch or self.stretch >= _LONGEST_STRETCH:
            return
        self.stretch *= 2
        pairs: dict[int, Moment] = {}
        for stretch, moment in self.moments.items():
            rival = pairs.get(stretch // 2)
            if rival is None or rival.severity < moment.severity:
                pairs[stretch // 2] = moment
        self.moments = pairs

    def chosen(self, clip_seconds: float) -> list[Moment]:
        """The worst moments that lie apart, the most severe first."""
        apart = min(_APART_SECONDS, clip_seconds * _APART_PART)
        found: list[Moment] = []
        for moment in sorted(self.moments.values(), key=lambda one: (-one.severity, one.index)):
            if all(abs(moment.seconds - other.seconds) >= apart for other in found):
                found.append(moment)
        return found[:_WORST]

    def _mildest(self) -> tuple[int, Moment]:
        return min(self.moments.items(), key=lambda item: (item[1].severity, -item[0]))
