"""Recorder: watches mattes go by and remembers what the report needs; changes nothing.

Knows neither where mattes come from nor what a page looks like.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from cli.report.findings import Findings, Moment, Picture, Reason
from cli.report.motion import Follower
from cli.report.reasons import reasons
from cli.report.shapes import shapes
from cli.report.state import Memory, pack, unpack
from cli.report.views import cut_out, surroundings, view
from shm_engine.types import Matte


class Recorder:
    """Measures one clip.

    Memory: about 40 bytes a frame, and at most 48 thumbnails.
    """

    def __init__(self, state: bytes | None = None) -> None:
        """Begins anew, or goes on after the frame at which `state` was taken.

        MattingError if the state is damaged or of another version.
        """
        self._memory = Memory() if state is None else unpack(state)
        self._follower = Follower()

    def watch(self, mattes: Iterable[Matte]) -> Iterator[Matte]:
        """The same mattes, in order and untouched, each measured before it is handed on."""
        for matte in mattes:
            self._look(matte)
            yield matte

    def state(self) -> bytes:
        """All that is known after the last matte that was handed on: a Recorder of it goes on as
        this one would, to the last bit. The same clip gives the same bytes."""
        return pack(self._memory)

    def findings(self) -> Findings:
        """What was found up to now."""
        memory = self._memory
        times = memory.series.seconds
        return Findings(
            series=memory.series,
            worst=memory.worst.chosen(times[-1] - times[0] if times else 0.0),
            spread=tuple(memory.spread.pictures),
        )

    def _look(self, matte: Matte) -> None:
        memory, series = self._memory, self._memory.series
        earlier, now = memory.earlier, view(matte)
        change = None if earlier is None else self._follower.change(earlier, now)
        found = shapes(now.alpha)
        area = float(now.alpha.mean())
        why = reasons(area, series.areas[-1] if len(series) else area, found, change)
        self._keep(matte, now.seconds, why)
        series.indices.append(matte.frame.index)
        series.seconds.append(now.seconds)
        series.areas.append(area)
        series.flickers.append(math.nan if change is None else change.flicker)
        series.softs.append(now.soft)
        series.holes.append(len(found.holes))
        series.islands.append(len(found.islands))
        series.starts.append(change is None)
        series.severities.append(why[0].severity if why else 0.0)
        memory.earlier = now

    def _keep(self, matte: Matte, seconds: float, why: tuple[Reason, ...]) -> None:
        """Keep the frame's picture if it is one of those that are worth it."""
        spread, worst = self._memory.spread, self._memory.worst
        index, number = matte.frame.index, len(self._memory.series)
        worst.grow(number)
        is_even = spread.wants(number)
        is_bad = bool(why) and worst.wants(number, why[0].severity)
        if not is_even and not is_bad:
            return
        drawn = cut_out(matte)._asdict()
        if is_even:
            spread.add(Picture(index=index, seconds=seconds, **drawn))
        if is_bad:
            part = surroundings(why[0].box, matte)
            close_up = cut_out(matte, part).jpeg
            worst.add(
                number,
                Moment(
                    index=index,
                    seconds=seconds,
                    reasons=why,
                    close_up=close_up,
                    part=part,
                    **drawn,
                ),
            )
