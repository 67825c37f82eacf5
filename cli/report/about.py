"""What a report tells that was not measured; draws nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from cli.report.limits import Limit


@dataclass(frozen=True, kw_only=True)
class About:
    """What the page tells that was not measured; plain text, shown as it is.

    source: the clip's name. facts: short ones beside it, such as "1920 × 1080".
    tables: by heading, the names and values of settings, timing, weights and so on, in this order.
    limits: what --fail-on asked for.
    frame_rate: of clips whose rate is constant, for time codes; None where it varies.
    first_timecode: of the source's first frame.
    """

    source: str
    facts: Sequence[str] = ()
    tables: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    limits: Sequence[Limit] = ()
    frame_rate: Fraction | None = None
    first_timecode: str = "00:00:00:00"
