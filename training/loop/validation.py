"""The averaged weights on fixed pictures while a run goes on, through the engine as users have it.

The score of a validation is the mean over its sets of MAD, mean absolute difference of alpha over
the whole picture; in a set without people that is its mean alpha. Lower is better; each set counts
the same, however many pictures it has. Of each set the first pictures are taken, in its own order.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import torch

from shm_engine.errors import OptionsError
from shm_engine.matter import Matter
from shm_engine.options import MatterOptions
from training.config import TrainingConfig
from training.evaluation.evaluate import (
    QUICK_METRICS,
    EvaluationSet,
    Row,
    clips,
    findings,
    read_evaluation,
    summarise,
    through_engine,
)


class Verdict(NamedTuple):
    """What a validation found: its score, the figures of each set, the time it took."""

    score: float
    rows: list[Row]
    seconds: float


@dataclass
class Best:
    """The lowest score so far, and over which pictures; other pictures begin anew."""

    score: float = math.inf
    pictures: str = ""


class Validation:
    """The sets that a run is watched on. Reads their list at once, so that mistakes show early."""

    def __init__(self, config: TrainingConfig) -> None:
        path = Path(config.validation)
        listed = read_evaluation(path)
        if not listed.sets:
            raise OptionsError(f"{path} lists no sets to validate on; add one", path=path)
        self._data = Path(listed.data)
        self._sets = listed.sets
        self._most = config.validation_pictures or None
        self._every = config.validate_every

    def find_pictures(self) -> None:
        """OptionsError if a set has none: now, not after hours of training."""
        for chosen in self._sets:
            next(clips(self._data, chosen))

    @property
    def pictures(self) -> str:
        """Which pictures are measured: scores compare only where this is the same."""
        return f"{self._most} of {self._data}: {self._sets}"

    def is_due(self, steps_done: int) -> bool:
        """Whether to validate after so many steps of the run."""
        return steps_done % self._every == 0

    def measure(self, weights: Path, device: torch.device) -> Verdict:
        """Figures of a weights file. Draws no random numbers from the run's generators."""
        began = time.monotonic()
        with torch.random.fork_rng(devices=[]):  # building a network does; on the CPU
            options = MatterOptions(device=str(device), backend="eager", foreground="source")
            matter = Matter.load(weights, options)
        rows = [self._row(matter, chosen) for chosen in self._sets]
        score = sum(row.means["mad"] for row in rows) / len(rows)
        return Verdict(score, rows, time.monotonic() - began)

    def _row(self, matter: Matter, chosen: EvaluationSet) -> Row:
        found = findings(through_engine(matter), self._data, chosen, QUICK_METRICS)
        return summarise(chosen.name, islice(found, self._most))
