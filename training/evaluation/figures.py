"""What was measured, as Markdown for people and JSON for programs; measures nothing."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from shm_engine.errors import MattingError
from shm_engine.files import replacing
from training.evaluation.cases import CLIP_KINDS, EvaluationSet
from training.evaluation.evaluate import Row


class Column(NamedTuple):
    """A figure by its name in a row, and how it is printed."""

    figure: str
    title: str
    scale: float
    decimals: int


COLUMNS = (
    Column("mad", "MAD e-3", 1e3, 2),
    Column("mse", "MSE e-3", 1e3, 2),
    Column("sad", "SAD", 1, 2),
    Column("grad_lr", "grad_lr", 1, 2),
    Column("grad_hr", "grad_hr", 1, 2),
    Column("conn", "conn", 1, 2),
    Column("iou", "mean IoU", 1, 4),
    Column("dtssd", "dtSSD e-2", 1e2, 2),
    Column("mean_alpha", "mean alpha", 1, 4),
)

_NOTES = (
    "Means over pictures; of a clip, which counts once, over its frames. "
    "SAD, grad and conn are sums in thousands: compare them at equal size only. "
    "dtSSD counts the first frame of a clip as 0."
)


def report(
    rows: Sequence[Row], sets: Sequence[EvaluationSet], by_category: Sequence[Row] = ()
) -> str:
    """Tables of the sets, of clips and of categories, and how to read them."""
    moving = [chosen.name for chosen in sets if chosen.kind in CLIP_KINDS]
    clips = [
        Row(f"{row.name}/{unit.name}", len(unit.frames), unit.means)
        for row in rows
        if row.name in moving
        for unit in row.units
    ]
    parts = [table("set", rows)]
    if clips:
        parts.append(table("clip", clips))
    if by_category:
        parts.append(table("category", by_category, figures=("mad", "iou")))
    boxed = [chosen.name for chosen in sets if chosen.region == "target_box"]
    inside = f" Inside a box round the labelled person: {', '.join(boxed)}." if boxed else ""
    return "\n\n".join([*parts, _NOTES + inside])


def table(title: str, rows: Iterable[Row], *, figures: Iterable[str] | None = None) -> str:
    """The rows as Markdown, the scale in the heading; a figure that a row lacks is a dash."""
    columns = [column for column in COLUMNS if figures is None or column.figure in figures]
    lines = [[title, "pictures", *(column.title for column in columns)]]
    lines.append(["---"] * len(lines[0]))
    for row in rows:
        cells = [_cell(column, row.means) for column in columns]
        lines.append([row.name.replace("|", "\\|"), str(row.pictures), *cells])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(column: Column, means: Mapping[str, float]) -> str:
    if column.figure not in means:
        return "–"
    return f"{means[column.figure] * column.scale:.{column.decimals}f}"


def write_json(
    path: Path, about: Mapping[str, Any], rows: Sequence[Row], by_category: Sequence[Row]
) -> None:
    """Write `about` and all figures, unscaled, down to the frame; whole or not at all."""
    content = {
        **about,
        "sets": [_as_dict(row) | {"pictures_by_name": _units(row)} for row in rows],
        "categories": [
            _as_dict(row) | {"names": [unit.name for unit in row.units]} for row in by_category
        ],
    }
    try:
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise MattingError(
            f"{path} cannot be written: {(error.strerror or str(error)).lower()}", path=path
        ) from error


def _as_dict(row: Row) -> dict[str, Any]:
    return {"name": row.name, "pictures": row.pictures, "means": row.means}


def _units(row: Row) -> dict[str, Any]:
    """Figures by name; of a clip its means and those of its frames."""
    return {
        unit.name: unit.means
        if len(unit.frames) == 1 and unit.frames[0].name == unit.name
        else {"means": unit.means, "frames": {f.name: f.figures for f in unit.frames}}
        for unit in row.units
    }
