"""From outcomes to the manifest's rows: which pictures stay, what for, and how often drawn."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from training.data.manifest import KINDS_WITH_ALPHA, ManifestRow
from training.prepare.journal import Outcome
from training.prepare.layouts import Refusal
from training.prepare.options import SetOptions
from training.prepare.pictures import Done, Task


class Prepared(NamedTuple):
    """A set and what became of its pictures, in order; `refused`: what was refused by name.

    seconds: between the end of the first picture and of the last.
    """

    chosen: SetOptions
    tasks: Sequence[Task]
    done: Sequence[Done]
    refused: Sequence[Refusal]
    seconds: float


class Usable(NamedTuple):
    """A set's rows, in the order of its pictures, and all that was refused."""

    prepared: Prepared
    rows: tuple[ManifestRow, ...]
    refused: tuple[Refusal, ...]


class _Known(NamedTuple):
    """Where a picture was seen first, and as what."""

    path: Path
    split: str
    kinds: set[str]


def usable(sets: Iterable[Prepared]) -> list[Usable]:
    """The rows of every set. A picture that comes twice is refused, wherever it comes again, unless
    the same file is listed in the same split as something else ("mask" and "pasted_mask")."""
    known: dict[str, _Known] = {}
    return [_usable_of(prepared, known) for prepared in sets]


def _usable_of(prepared: Prepared, known: dict[str, _Known]) -> Usable:
    rows: list[ManifestRow] = []
    refused = list(prepared.refused)
    for index, (task, done) in enumerate(zip(prepared.tasks, prepared.done, strict=True)):
        if done.outcome.refused:
            refused.append(Refusal(task.entry.image, done.outcome.refused))
            continue
        row = _row_of(task, done.outcome, _split(prepared.chosen, index))
        first = known.setdefault(row.image_sha256, _Known(row.image.resolve(), row.split, set()))
        fresh = row.kind not in first.kinds and row.split == first.split
        if first.kinds and not (fresh and row.image.resolve() == first.path):
            refused.append(Refusal(row.image, f"it is the same picture as {first.path.name}"))
            continue
        first.kinds.add(row.kind)
        rows.append(row)
    drawn = sum(row.split == "train" for row in rows)
    weighted = tuple(
        replace(row, weight=prepared.chosen.weight / drawn) if row.split == "train" else row
        for row in rows
    )
    return Usable(prepared, weighted, tuple(refused))


def _split(chosen: SetOptions, index: int) -> str:
    every = chosen.validate_every
    return "val" if every and index % every == every - 1 else chosen.split


def _row_of(task: Task, outcome: Outcome, split: str) -> ManifestRow:
    image_sha256, truth_sha256, _ = outcome.sources
    kind, alpha, alpha_sha256 = task.chosen.kind, task.entry.truth, truth_sha256
    if "alpha" in outcome.outputs:
        alpha, alpha_sha256 = task.output("alpha"), outcome.outputs["alpha"]
    if task.chosen.alpha != "keep":
        kind = "solved"  # a mask no longer, and not exact
    if kind not in KINDS_WITH_ALPHA:
        alpha, alpha_sha256 = None, ""
    made = "trimap" in outcome.outputs
    return ManifestRow(
        set=task.chosen.name,
        split=split,
        kind=kind,
        weight=float(split == "train"),
        image=task.entry.image,
        alpha=alpha,
        trimap=task.output("trimap") if made else task.entry.trimap,
        image_sha256=image_sha256,
        alpha_sha256=alpha_sha256,
        width=outcome.width,
        height=outcome.height,
    )
