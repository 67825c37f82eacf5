"""What a run tells while it goes on: rows to the terminal, the log and TensorBoard, and curves.

Knows no network; only the first process of a team has readers.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

from shm_engine.errors import OptionsError
from training.config import TrainingConfig
from training.disk import writing_to
from training.loop.board import Board, open_board
from training.loop.curves import draw_curves
from training.loop.distributed import Team
from training.loop.log import Row, append_row, forget_after
from training.loop.validation import Verdict

Batch = TypeVar("Batch")
Reader = Callable[[Row], None]

# What the log keeps of a set's means.
_FIGURES = ("mad", "iou", "mean_alpha")


class Stopwatch:
    """Seconds of a run spent waiting for pictures and working on them; the rest is not counted."""

    def __init__(self) -> None:
        self.waited = 0.0
        self.worked = 0.0

    def waiting_for(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """The batches; adds up how long each took to come."""
        began = time.monotonic()
        iterator = iter(batches)
        for batch in iterator:
            self.waited += time.monotonic() - began
            yield batch
            began = time.monotonic()

    @contextmanager
    def working(self) -> Iterator[None]:
        """Adds up how long the block takes."""
        began = time.monotonic()
        yield
        self.worked += time.monotonic() - began

    @property
    def share_waited(self) -> float:
        """The part of the time that was spent waiting."""
        return self.waited / max(self.waited + self.worked, 1e-9)


class Report:
    """Gathers the figures of steps, and gives every reader their means in rows (see `log`)."""

    def __init__(self, readers: list[Reader], board: Board | None = None) -> None:
        self.board = board
        self.total = Stopwatch()
        self._readers = readers
        self._place: Row = {}
        self._terms: list[dict[str, float]] = []
        self._before = (0.0, 0.0)

    def add(self, place: Row, terms: dict[str, float], learning_rate: float) -> None:
        """A step that is done. place: phase, step, of, steps_done."""
        self._place = place | {"learning_rate": learning_rate}
        self._terms.append(terms)

    def flush(self) -> None:
        """Give out the row of the steps since the last one."""
        if not self._terms:
            return
        count = len(self._terms)
        part = Stopwatch()
        part.waited = self.total.waited - self._before[0]
        part.worked = self.total.worked - self._before[1]
        row = self._place | {
            "learning_rate": float(f"{self._place['learning_rate']:.4g}"),
            "seconds_per_step": round((part.waited + part.worked) / count, 3),
            "waiting": round(part.share_waited, 3),
        }
        for name in self._terms[-1]:
            row[name] = round(sum(terms[name] for terms in self._terms) / count, 5)
        self._terms = []
        self._before = (self.total.waited, self.total.worked)
        self._give(row)

    def validated(self, place: Row, verdict: Verdict, best: float) -> None:
        """A validation; `best` is the lowest score with this one."""
        sets = {
            row.name: {n: round(row.means[n], 6) for n in _FIGURES if n in row.means}
            for row in verdict.rows
        }
        self._give(
            place
            | {
                "validation": round(verdict.score, 6),
                "best": round(best, 6),
                "seconds": round(verdict.seconds, 1),
                "sets": sets,
            }
        )

    def _give(self, row: Row) -> None:
        for reader in self._readers:
            reader(row)


@contextmanager
def open_report(
    folder: Path, config: TrainingConfig, steps_done: int, team: Team
) -> Iterator[Report]:
    """A report that goes on after so many steps; at the end it draws the curves of all so far."""
    if not team.leads:
        yield Report([])
        return
    log, picture = folder / "log.jsonl", folder / "curves.png"
    with writing_to(folder):
        folder.mkdir(parents=True, exist_ok=True)
    forget_after(log, steps_done)
    readers: list[Reader] = [_print_row, partial(append_row, log)]
    if config.charts:
        _check_charts()
        with open_board(folder / "tensorboard", steps_done) as board:
            report = Report([*readers, board.write], board)
            yield report
        draw_curves(log, picture)
    else:
        report = Report(readers)
        yield report
    total = report.total
    print(
        f"{total.waited:.1f} of {total.waited + total.worked:.1f} seconds were spent waiting for "
        f"pictures ({total.share_waited:.0%}); more --workers shorten that",
        flush=True,
    )


def _check_charts() -> None:
    missing = [name for name in ("tensorboard", "matplotlib") if find_spec(name) is None]
    if missing:
        raise OptionsError(
            f"{' and '.join(missing)} cannot be found; install the extra with "
            "pip install 'semantic-human-matting[train]', or write charts = false into the run"
        )


def _print_row(row: Row) -> None:
    shown = {name: value for name, value in row.items() if name != "sets"}
    for chosen, means in row.get("sets", {}).items():
        shown[f"[{chosen}]"] = json.dumps(means)
    print("  ".join(f"{name} {value}" for name, value in shown.items()), flush=True)
