"""Limits on a clip's figures, as `--fail-on` takes them; measures nothing and ends nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from cli.report.findings import FIGURES
from shm_engine.errors import OptionsError

_LIMIT = re.compile(r"\s*([a-z-]+)\s*([<>])\s*(\d+(?:\.\d+)?|\.\d+)\s*")


@dataclass(frozen=True, kw_only=True)
class Limit:
    """What a clip must not be.

    name: one of FIGURES. sign: "<" or ">". bound: in the unit of the figure; to reach it exactly is
    not to break it.
    """

    name: str
    sign: str
    bound: float

    @classmethod
    def parse(cls, text: str) -> Limit:
        """The limit of what is written as flicker>3.5; OptionsError if it cannot be one."""
        found = _LIMIT.fullmatch(text)
        if found is None or found[1] not in FIGURES:
            raise OptionsError(
                f"{text!r} is no limit; write a figure, < or >, and a number, such as "
                f"'flicker>3.5'; the figures are {', '.join(FIGURES)}"
            )
        return cls(name=found[1], sign=found[2], bound=float(found[3]))

    def __str__(self) -> str:
        return f"{self.name}{self.sign}{self.bound:g}"

    def broken_by(self, figures: Mapping[str, float]) -> str | None:
        """One sentence with what was measured if a clip breaks the limit, else None.

        figures: by name, as `Findings.summary` gives them.
        """
        value = figures[self.name]
        is_broken = value > self.bound if self.sign == ">" else value < self.bound
        return self.measured(figures) if is_broken else None

    def measured(self, figures: Mapping[str, float]) -> str:
        """What was measured and what was asked for, without a full stop."""
        figure, value = FIGURES[self.name], figures[self.name]
        shown = figure.shown(value)
        # Rounded to the bound itself, a broken limit would look like a mistake.
        if value != self.bound and shown == figure.shown(self.bound):
            shown = f"{value:.6g}{figure.unit}"
        side = "at most" if self.sign == ">" else "at least"
        asked = f"{side} {self.bound:g}{figure.unit} is asked for ({self})"
        return f"{figure.title.lower()}: {shown}; {asked}"
