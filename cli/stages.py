"""How long each stage takes, alone: what `bench` prints beside the whole."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from shm_engine.matter import Matter
    from shm_engine.stream import FrameSource, MatteSink
    from shm_engine.types import Draft, Matte

STAGES = ("decode", "prepare", "network", "smoothing", "detail", "colours", "encode")

Item = TypeVar("Item")


class Stopwatch:
    """Seconds by name, each without what was measured inside."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(STAGES, 0.0)
        self._inside = 0.0

    def over(self, name: str, items: Iterator[Item]) -> Iterator[Item]:
        """The same items; the time that making them takes goes to `name`."""
        while True:
            outside, self._inside = self._inside, 0.0
            started = time.perf_counter()
            item = next(items, None)
            taken = time.perf_counter() - started
            self.seconds[name] += taken - self._inside
            self._inside = outside + taken
            if item is None:
                return
            yield item


def milliseconds_by_stage(
    source: FrameSource,
    matter: Matter,
    new_sink: Callable[[], AbstractContextManager[MatteSink]],
    frames: int,
) -> dict[str, float]:
    """Milliseconds a frame of each stage over the first frames of a clip.

    One stage works at a time, so that none waits for another or takes its core; codecs and network
    use the threads they always use.
    """
    from shm_engine.smoothing import STRENGTHS, smooth

    given = iter(source)
    # The first frames make buffers and code.
    *_, last = matter.mattes(islice(given, 2))
    watch = Stopwatch()
    prepared = watch.over("prepare", matter.prepare(watch.over("decode", islice(given, frames))))
    drafts = watch.over("network", matter.predict(prepared))
    if matter.options.smoothing != "off":
        drafts = watch.over("smoothing", smooth(drafts, STRENGTHS[matter.options.smoothing]))
    count = 0
    for draft in drafts:
        last = _draw(draft, matter.options.foreground, watch)
        count += 1
    _encode(last, new_sink, count, watch)
    return {name: 1e3 * seconds / max(1, count) for name, seconds in watch.seconds.items()}


def _draw(draft: Draft, foreground: str, watch: Stopwatch) -> Matte:
    from shm_engine.detail import draw

    started = time.perf_counter()
    (matte,) = draw(iter([draft]), foreground="source")
    drawn = time.perf_counter()
    watch.seconds["detail"] += drawn - started
    if foreground == "estimate":
        (matte,) = draw(iter([draft]), foreground="estimate")
        # The same once more, and the colours.
        watch.seconds["colours"] += time.perf_counter() - drawn - (drawn - started)
    return matte


def _encode(
    matte: Matte,
    new_sink: Callable[[], AbstractContextManager[MatteSink]],
    count: int,
    watch: Stopwatch,
) -> None:
    """One matte as often as there are frames: an encoder works ahead, only a file can be timed."""
    started = time.perf_counter()
    step = round(1 / (25 * matte.frame.time_base)) or 1
    with new_sink() as sink:
        for index in range(count):
            frame = replace(matte.frame, index=index, pts=matte.frame.pts + index * step)
            sink.write(replace(matte, frame=frame))
    watch.seconds["encode"] = time.perf_counter() - started
