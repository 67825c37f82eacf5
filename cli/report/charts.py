"""Curves over time as HTML with inline SVG, as wide as the page; knows numbers, not what they mean.

The SVG is stretched to its place, so that all text stands beside it, as HTML.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import NamedTuple

from cli.report.clock import clock

# The plot in its own units.
_WIDE, _TALL = 1000, 100

# More points than this cannot be told apart; of each column the least, the mean and the most show.
_COLUMNS = 700

_MOST_TICKS = 7
_SECONDS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600)

# Pins nearer than this part of the width are put into different lanes.
_PIN_APART = 0.045
_MOST_LANES = 5

# Further cuts would be a grey wall.
_MOST_CUTS = 200


@dataclass(frozen=True, kw_only=True)
class Chart:
    """One curve.

    values: one a time; NaN where there is none, which breaks the curve.
    at_least: the axis goes from 0 to this, or further where the values do.
    level: a value to mark. is_count: values are whole, and nothing lies between them.
    """

    title: str
    meaning: str
    unit: str
    values: Sequence[float]
    at_least: float
    level: float | None = None
    is_count: bool = False


class Pin(NamedTuple):
    """A mark over a moment. name: what it shows; target: the id of what it leads to; is_alert: in
    the colour of what asks for a look."""

    seconds: float
    name: str
    target: str
    is_alert: bool


@dataclass(frozen=True, kw_only=True)
class Axis:
    """The times of all charts of a page: of every frame, of cuts, and of pins."""

    seconds: Sequence[float]
    cuts: Sequence[float]
    pins: Sequence[Pin]

    def place(self, seconds: float) -> float:
        """Where a time lies, from 0 to 1."""
        return (seconds - self.seconds[0]) / self.span

    @property
    def span(self) -> float:
        """The length in seconds; of a single frame, one."""
        return self.seconds[-1] - self.seconds[0] or 1.0


class _Column(NamedTuple):
    x: float
    least: float
    middle: float
    most: float


def draw(chart: Chart, axis: Axis) -> str:
    """The chart as an HTML figure."""
    known = [value for value in chart.values if not math.isnan(value)]
    top, ticks = _scale(max([chart.at_least, *known]), is_count=chart.is_count)
    lanes = _lanes(axis)
    pins = "".join(
        f'<a class="pin{" look" if pin.is_alert else ""}" href="#{escape(pin.target)}" '
        f'style="left:{100 * axis.place(pin.seconds):.2f}%;--lane:{lane}">{escape(pin.name)}</a>'
        for pin, lane in zip(axis.pins, lanes, strict=True)
    )
    head = f"<b>{escape(chart.title)}</b> <span>{escape(chart.meaning)}</span>"
    return (
        f'<figure class="chart" style="--lanes:{max(lanes, default=-1) + 1}">'
        f"<figcaption>{head}</figcaption>"
        f'<div class="plot">{_labels_up(ticks, top, chart.unit)}'
        f"{_svg(chart, axis, ticks, top)}{pins}{_labels_along(axis)}"
        "</div></figure>\n"
    )


def _svg(chart: Chart, axis: Axis, ticks: Sequence[float], top: float) -> str:
    def y(value: float) -> float:
        return _TALL * (1 - value / top)

    grid = "".join(f'<path class="grid" d="M0 {y(tick):.2f}H{_WIDE}"/>' for tick in ticks)
    cuts = "".join(
        f'<path class="cut" d="M{_WIDE * axis.place(cut):.2f} 0V{_TALL}"/>'
        for cut in axis.cuts[:_MOST_CUTS]
    )
    stems = "".join(
        f'<path class="stem" d="M{_WIDE * axis.place(pin.seconds):.2f} 0V{_TALL}"/>'
        for pin in axis.pins
    )
    curves = ""
    for run in _runs(_columns(chart.values, axis)):
        middles = _steps(run) if chart.is_count else [(one.x, one.middle) for one in run]
        there = " ".join(f"{x:.2f},{y(value):.2f}" for x, value in middles)
        band = [f"{column.x:.2f},{y(column.most):.2f}" for column in run]
        band += [f"{column.x:.2f},{y(column.least):.2f}" for column in reversed(run)]
        if not chart.is_count and any(column.most > column.least for column in run):
            curves += f'<polygon class="band" points="{" ".join(band)}"/>'
        under = f"{run[0].x:.2f},{_TALL} {there} {run[-1].x:.2f},{_TALL}"
        curves += f'<polygon class="under" points="{under}"/>'
        # A single point gets a dot from the round ends of its line.
        curves += f'<path class="curve" d="M{there}h0"/>'
    level = ""
    if chart.level is not None:
        level = f'<path class="level" d="M0 {y(chart.level):.2f}H{_WIDE}"/>'
    return (
        f'<svg viewBox="0 0 {_WIDE} {_TALL}" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(chart.title)} over time">{grid}{cuts}{stems}{curves}{level}</svg>'
    )


def _columns(values: Sequence[float], axis: Axis) -> list[_Column | None]:
    """What is drawn, from left to right; None breaks the curve."""
    count = min(len(values), _COLUMNS)
    columns: list[_Column | None] = []
    for place in range(count):
        first, end = (len(values) * bound // count for bound in (place, place + 1))
        # A break of a few frames would be narrower than the line.
        known = [value for value in values[first:end] if not math.isnan(value)]
        if not known:
            columns.append(None)
            continue
        x = _WIDE * axis.place((axis.seconds[first] + axis.seconds[end - 1]) / 2)
        columns.append(_Column(x, min(known), math.fsum(known) / len(known), max(known)))
    return columns


def _runs(columns: Sequence[_Column | None]) -> Iterator[list[_Column]]:
    """The parts between breaks."""
    run: list[_Column] = []
    for column in [*columns, None]:
        if column is not None:
            run.append(column)
        elif run:
            yield run
            run = []


def _steps(run: Sequence[_Column]) -> list[tuple[float, float]]:
    """Points along the largest values, which stay level and jump half-way between two columns."""
    points = [(run[0].x, run[0].most)]
    for before, after in pairwise(run):
        between = (before.x + after.x) / 2
        points += [(between, before.most), (between, after.most)]
    return [*points, (run[-1].x, run[-1].most)]


def _scale(most: float, *, is_count: bool) -> tuple[float, list[float]]:
    """The end of an axis from 0 that holds `most`, and two to five steps on it."""
    power = 10.0 ** math.floor(math.log10(most)) if most > 0 else 1.0
    for step in (0.25, 0.5, 1, 2, 2.5):
        if is_count and step * power % 1:
            continue
        if most <= 4 * step * power * 1.0001:
            count = max(2, math.ceil(most / (step * power) - 1e-4))
            return count * step * power, [index * step * power for index in range(count + 1)]
    return 10 * power, [0, 5 * power, 10 * power]


def _labels_up(ticks: Sequence[float], top: float, unit: str) -> str:
    return "".join(
        f'<span class="up" style="bottom:{100 * tick / top:.2f}%">'
        f"{tick:g}{escape(unit) if tick == ticks[-1] else ''}</span>"
        for tick in ticks
    )


def _labels_along(axis: Axis) -> str:
    wanted = axis.span / _MOST_TICKS
    step = next((step for step in _SECONDS if step >= wanted), 3600 * math.ceil(wanted / 3600))
    first = math.ceil(axis.seconds[0] / step - 1e-6)
    last = math.floor(axis.seconds[-1] / step + 1e-6)
    return "".join(
        f'<span class="along" style="left:{100 * axis.place(index * step):.2f}%">'
        f"{clock(index * step, 1 if step < 1 else 0)}</span>"
        for index in range(first, last + 1)
    )


def _lanes(axis: Axis) -> list[int]:
    """For each pin the lowest lane in which it has room, or the last."""
    taken: list[list[float]] = [[] for _ in range(_MOST_LANES)]
    lanes = []
    for pin in axis.pins:
        x = axis.place(pin.seconds)
        free = [
            lane
            for lane, others in enumerate(taken)
            if all(abs(x - other) >= _PIN_APART for other in others)
        ]
        lanes.append(free[0] if free else _MOST_LANES - 1)
        taken[lanes[-1]].append(x)
    return lanes
