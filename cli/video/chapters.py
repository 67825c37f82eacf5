"""Chapters of one movie in the time of another; opens no file."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from cli.video.streams import Window

# FFmpeg writes no chapter of no length.
_SHORTEST = Fraction(1, 1000)


def in_window(chapters: Sequence[Any], window: Window, end: Fraction | None) -> list[Any]:
    """The chapters, as PyAV has them, that are shown in a window, and when.

    end: of the source, in its seconds; None if it is not known. A chapter without an end lasts
        until the next one begins.
    """
    kept: list[Any] = []
    starts = [chapter["start"] * _unit(chapter) for chapter in chapters]
    for chapter, first in zip(chapters, starts, strict=True):
        last = chapter["end"] * _unit(chapter)
        if last <= first:
            last = min((start for start in starts if start > first), default=end or first)
            last = max(last, first + _SHORTEST)
        shown = first if window.begin is None else max(first, window.begin)
        last = last if window.end is None else min(last, window.end)
        if shown < last:
            unit = _unit(chapter)
            begin, finish = (round((moment + window.delay) / unit) for moment in (shown, last))
            kept.append({**chapter, "id": len(kept) + 1, "start": begin, "end": finish})
    return kept


def _unit(chapter: Any) -> Fraction:
    return Fraction(chapter["time_base"] or 1)
