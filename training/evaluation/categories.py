"""What the pictures show: figures by category, such as close-up or group; knows no network."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from shm_engine.errors import OptionsError
from training.evaluation.cases import EvaluationSet, clips
from training.evaluation.evaluate import Row, Unit, mean_figures

# (set, name) -> categories. The name is a picture's or a clip's.
Categories = Mapping[tuple[str, str], tuple[str, ...]]


def read_categories(path: Path, data: Path, sets: Iterable[EvaluationSet]) -> Categories:
    """The rows of a CSV (set, name, categories; the last separated by spaces).

    Raises OptionsError if it cannot be used or a row names a set or a picture that is not there.
    """
    known = {(chosen.name, clip.name) for chosen in sets for clip in clips(data, chosen)}
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                key = row["set"], row["name"]
                if key not in known:
                    raise ValueError(f"the set {key[0]!r} has no picture {key[1]!r}")
                if key in found:
                    raise ValueError(f"{key[1]!r} of {key[0]!r} is there twice")
                found[key] = tuple(row["categories"].split())
    except (OSError, ValueError, KeyError, AttributeError, csv.Error) as error:
        raise OptionsError(
            f"{path} is not a usable list of categories: {error}", path=path
        ) from error
    return found


def rows_by_category(rows: Sequence[Row], categories: Categories) -> list[Row]:
    """A row per category, in the order of the alphabet; a clip counts once, as in its set."""
    members: dict[str, list[Unit]] = {}
    for row in rows:
        for unit in row.units:
            for category in categories.get((row.name, unit.name), ()):
                members.setdefault(category, []).append(unit)
    return [
        Row(name, len(units), mean_figures([unit.means for unit in units]), tuple(units))
        for name, units in sorted(members.items())
    ]
