"""The rows of a run's log.jsonl: training figures and validations; knows nobody who reads them.

A training row has phase, step, of, steps_done, the means of the loss terms since the row before,
learning_rate, seconds_per_step and waiting (the share of the time spent waiting for pictures). A
validation row has phase, step, of, steps_done, validation (the score), best, seconds and sets.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from shm_engine.files import replacing
from training.disk import writing_to

Row = dict[str, Any]


def read_log(path: Path) -> list[Row]:
    """The rows of a log, oldest first; a line that a crash cut is left out."""
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            rows.append(json.loads(line))
        except ValueError:
            continue
    return rows


def append_row(path: Path, row: Row) -> None:
    """Add a line; MattingError if the disk is full."""
    with writing_to(path), path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def forget_after(path: Path, steps_done: int) -> None:
    """Drop the rows of steps that a resumed run does again."""
    if not path.exists():
        return
    kept = [row for row in read_log(path) if row.get("steps_done", math.inf) <= steps_done]
    with writing_to(path), replacing(path) as temporary:
        temporary.write_text("".join(json.dumps(row) + "\n" for row in kept), encoding="utf-8")
