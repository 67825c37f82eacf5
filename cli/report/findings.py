"""What was found in a clip, frame by frame and as a whole; measures nothing and draws nothing."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

# Less of the picture than this is nobody.
NOBODY = 0.001

# From this severity on, a person should look at a frame.
WORTH_A_LOOK = 1.0


class Box(NamedTuple):
    """A part of the picture; all in shares of its width or height, from its upper left."""

    left: float
    top: float
    width: float
    height: float


WHOLE = Box(0.0, 0.0, 1.0, 1.0)
"""All of the picture."""


class Reason(NamedTuple):
    """Why a frame is worth a look.

    severity: from 0 to 2; from WORTH_A_LOOK on, somebody should look.
    text: one sentence. box: where in the picture.
    """

    severity: float
    text: str
    box: Box


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A frame's cut-out over green.

    index: of the frame in its source, from 0. jpeg: the file's bytes; width, height: its pixels.
    """

    index: int
    seconds: float
    jpeg: bytes
    width: int
    height: int


@dataclass(frozen=True, kw_only=True)
class Moment(Picture):
    """A frame worth a look.

    reasons: the most severe first, at least one. close_up: a JPEG of the part of the picture that
    the first is about; part: which part that is.
    """

    reasons: Sequence[Reason]
    close_up: bytes
    part: Box

    @property
    def severity(self) -> float:
        """That of the first reason."""
        return self.reasons[0].severity


@dataclass(frozen=True, kw_only=True)
class Series:
    """Numbers a frame, all of one length.

    indices: of the frames in their source, from 0. seconds: when they are shown.
    areas: share of the picture that is covered, in [0, 1].
    flickers: self-flicker in thousandths; NaN where there is no frame before of the same shot.
    softs: share of the pixels that are neither in nor out, in [0, 1].
    holes, islands: how many, as `shapes` counts them.
    starts: 1 where a shot begins, else 0.
    severities: of the frame's first reason, 0 where there is none.
    """

    indices: array[int] = field(default_factory=lambda: array("q"))
    seconds: array[float] = field(default_factory=lambda: array("d"))
    areas: array[float] = field(default_factory=lambda: array("f"))
    flickers: array[float] = field(default_factory=lambda: array("f"))
    softs: array[float] = field(default_factory=lambda: array("f"))
    holes: array[int] = field(default_factory=lambda: array("H"))
    islands: array[int] = field(default_factory=lambda: array("H"))
    starts: array[int] = field(default_factory=lambda: array("B"))
    severities: array[float] = field(default_factory=lambda: array("f"))

    def __len__(self) -> int:
        return len(self.indices)


@dataclass(frozen=True, kw_only=True)
class Findings:
    """All about a clip. worst: the most severe first; spread: evenly over the clip, in order."""

    series: Series
    worst: Sequence[Moment] = ()
    spread: Sequence[Picture] = ()

    def summary(self) -> dict[str, float]:
        """Every figure of FIGURES by its name, in their order, all finite."""
        return {name: figure.of(self.series) for name, figure in FIGURES.items()}


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One number about a clip.

    title: as a sentence begins with it. unit: after the number, with its space; may be empty.
    of: computes it; 0 where there is nothing to compute it from.
    meaning: what it tells, for people who have not read the program.
    """

    title: str
    unit: str
    of: Callable[[Series], float]
    meaning: str

    def shown(self, value: float) -> str:
        """The value as people read it."""
        # Counts are whole.
        digits = 0 if not self.unit else 2 if abs(value) < 10 else 1
        return f"{value:.{digits}f}{self.unit}"


def defined(values: Sequence[float]) -> list[float]:
    """The values that are numbers."""
    return [value for value in values if not math.isnan(value)]


def mean(values: Sequence[float]) -> float:
    """The mean of the values that are numbers; 0 if there are none."""
    known = defined(values)
    return math.fsum(known) / len(known) if known else 0.0


def _percent(share: float) -> float:
    return 100 * share


FIGURES: Mapping[str, Figure] = MappingProxyType(
    {
        "look": Figure(
            title="Frames worth a look",
            unit="",
            of=lambda series: float(sum(value >= WORTH_A_LOOK for value in series.severities)),
            meaning="something flickers, opens, comes loose, or comes or goes all at once",
        ),
        "flicker": Figure(
            title="Mean flicker",
            unit=" ‰",
            of=lambda series: mean(series.flickers),
            meaning="how much the matte changes where the picture itself only moves",
        ),
        "flicker-max": Figure(
            title="Most flicker in a frame",
            unit=" ‰",
            of=lambda series: max(defined(series.flickers), default=0.0),
            meaning="the same, in the frame where it is largest",
        ),
        "holes": Figure(
            title="Most holes in a frame",
            unit="",
            of=lambda series: float(max(series.holes, default=0)),
            meaning="background enclosed by a person; an arm on the hip makes a rightful one",
        ),
        "islands": Figure(
            title="Most separate pieces in a frame",
            unit="",
            of=lambda series: float(max(series.islands, default=0)),
            meaning="besides the largest; somebody else who stands apart is one, too",
        ),
        "area": Figure(
            title="Mean area",
            unit=" %",
            of=lambda series: _percent(mean(series.areas)),
            meaning="how much of the picture is covered",
        ),
        "area-min": Figure(
            title="Least area",
            unit=" %",
            of=lambda series: _percent(min(series.areas, default=0.0)),
            meaning="the same, in the frame where it is smallest",
        ),
        "area-max": Figure(
            title="Most area",
            unit=" %",
            of=lambda series: _percent(max(series.areas, default=0.0)),
            meaning="the same, in the frame where it is largest",
        ),
        "soft": Figure(
            title="Mean soft part",
            unit=" %",
            of=lambda series: _percent(mean(series.softs)),
            meaning="pixels that are partly in: hair, blur, and where the network is unsure",
        ),
        "empty": Figure(
            title="Frames without anybody",
            unit=" %",
            of=lambda series: _percent(mean([float(area < NOBODY) for area in series.areas])),
            meaning="less than a thousandth of the picture is covered",
        ),
    }
)
"""What the summary holds and what a limit may be set on."""
