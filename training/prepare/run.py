"""A preparation from folders to manifest, list of refusals and sheets; goes on where it stopped."""

from __future__ import annotations

import csv
import hashlib
import io
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from shm_engine.errors import MattingError, OptionsError
from training.data.manifest import relative_path, write_manifest
from training.prepare.journal import Journal
from training.prepare.layouts import Refusal, list_files, resolve
from training.prepare.options import ALPHAS, SOLVABLE_KINDS, PrepareOptions, SetOptions
from training.prepare.pictures import Done, Task, prepare_picture
from training.prepare.pool import Mapper
from training.prepare.rows import Prepared, Usable, usable
from training.prepare.sheet import draw_sheet
from training.prepare.solve import check_solver
from training.stored import store


class Summary(NamedTuple):
    """What became of all sets, and whether any picture or file is not as it was before."""

    sets: tuple[Usable, ...]
    changed: bool


def choose(
    options: PrepareOptions, *, alpha: str | None, validate_every: int | None, seed: int | None
) -> PrepareOptions:
    """The options with every layout and kind found; what is not None here replaces what they say,
    `alpha` only in sets of a kind that has something to solve. Raises OptionsError."""
    if alpha not in (None, *ALPHAS):
        raise OptionsError(f"alpha is {alpha!r}; use one of {', '.join(ALPHAS)}")
    sets = []
    for chosen in options.sets:
        found = resolve(chosen, Path(options.data))
        if alpha is not None and found.kind in SOLVABLE_KINDS:
            found = replace(found, alpha=alpha)
        if validate_every is not None:
            found = replace(found, validate_every=validate_every)
        sets.append(found)
    return replace(options, sets=tuple(sets), seed=options.seed if seed is None else seed)


def prepare(
    options: PrepareOptions, out: Path, mapper: Mapper, *, limit: int | None = None
) -> Summary:
    """Prepare sets that `choose` returned into the folder `out`.

    mapper: see `pool`; builtin `map` does all work in this process. limit: the first pictures of
    every set only. Raises MattingError if nothing is usable or the disk refuses.
    """
    for chosen in options.sets:
        if Path(chosen.path).resolve() == (out / chosen.name).resolve():
            raise OptionsError(f"{chosen.path} would be written into; choose another --out")
    if any(chosen.alpha != "keep" for chosen in options.sets):
        check_solver()
    journal = Journal(out / "journal.jsonl")
    waiting = [_list_set(chosen, options, out, journal, limit) for chosen in options.sets]
    total = sum(len(one.tasks) for one in waiting)
    with tqdm(total=total, unit=" pictures", dynamic_ncols=True, disable=None) as bar:

        def count(done: Done) -> None:
            if done.is_new:
                journal.add(done.outcome)
            bar.set_description(done.outcome.set, refresh=False)
            bar.update()

        prepared = [_prepare_set(one, mapper, count) for one in waiting]
    changed = any(done.is_new for one in prepared for done in one.done)
    if changed:
        journal.put_in_order()
    sets = tuple(usable(prepared))
    files_changed = _write_results(sets, out, options.seed)
    return Summary(sets, changed or files_changed)


def report(summary: Summary, out: Path) -> str:
    """What to tell people: a line a set, in columns, and where to look. Rates are of new work."""
    head = ("set", "layout", "kind", "usable", "refused", "train", "val", "new", "pictures/s")
    lines = [(*head, "alphas/min"), *(_line_of(one) for one in summary.sets)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    columns = [
        "  ".join(
            # Words to the left, numbers to the right.
            cell.ljust(width) if column < 3 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    ]
    where = f"{out / 'manifest.csv'}, {out / 'refused.csv'}; look at {out / '*' / 'sheet.png'}"
    done = "prepared" if summary.changed else "nothing to do"
    return "\n".join([*columns, "", f"{done}: {where}"])


def _line_of(one: Usable) -> tuple[str, ...]:
    chosen, done = one.prepared.chosen, one.prepared.done
    validation = sum(row.split == "val" for row in one.rows)
    new = sum(d.is_new for d in done)
    solved = sum(d.is_new and "alpha" in d.outcome.outputs for d in done)
    counts = (len(one.rows), len(one.refused), len(one.rows) - validation, validation, new)
    rate = "-"
    minute = "-"
    # The first picture includes the start of the processes.
    if new > 1 and one.prepared.seconds > 0:
        rate = f"{(new - 1) / one.prepared.seconds:.1f}"
        if chosen.alpha != "keep" and solved > 1:
            minute = f"{60 * (solved - 1) / one.prepared.seconds:.1f}"
    return chosen.name, chosen.layout, chosen.kind, *map(str, counts), rate, minute


def _list_set(
    chosen: SetOptions, options: PrepareOptions, out: Path, journal: Journal, limit: int | None
) -> Prepared:
    """A set with all its work still to do."""
    listing = list_files(chosen)
    tasks = [
        Task(
            chosen=chosen,
            entry=entry,
            folder=out / chosen.name,
            seed=options.seed,
            radii=options.trimap_radius_pixels,
            previous=journal.find(chosen.name, entry.key),
        )
        for entry in listing.entries[:limit]
    ]
    return Prepared(chosen, tasks, (), listing.refused, 0.0)


def _prepare_set(waiting: Prepared, mapper: Mapper, count: Callable[[Done], None]) -> Prepared:
    done: list[Done] = []
    moments: list[float] = []
    for one in mapper(prepare_picture, waiting.tasks):
        count(one)
        done.append(one)
        moments.append(time.monotonic())
    seconds = moments[-1] - moments[0] if moments else 0.0
    return waiting._replace(done=done, seconds=seconds)


def _write_results(sets: Sequence[Usable], out: Path, seed: int) -> bool:
    """Write sheets, refusals and, last, the manifest; whether any of them changed."""
    changed = [
        store(
            out / one.prepared.chosen.name / "sheet.png",
            draw_sheet(one.rows, _random_of(one.prepared.chosen, seed)),
        )
        for one in sets
        if one.rows
    ]
    refusals = out / "refused.csv"
    changed.append(store(refusals, _refusals(sets, out)))
    rows = [row for one in sets for row in one.rows]
    if not rows:
        raise MattingError(f"no picture can be used; {refusals} says why", path=refusals)
    changed.append(write_manifest(out / "manifest.csv", rows))
    return any(changed)


def _random_of(chosen: SetOptions, seed: int) -> np.random.Generator:
    name = hashlib.sha256(chosen.name.encode()).digest()
    return np.random.default_rng([seed, int.from_bytes(name[:8], "big")])


def _refusals(sets: Sequence[Usable], out: Path) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(Refusal._fields)
    refused = {(relative_path(r.path, out), r.reason) for one in sets for r in one.refused}
    writer.writerows(sorted(refused))
    return text.getvalue().encode()
