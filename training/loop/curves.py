"""The curves of a run as a picture, drawn from its log alone."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from shm_engine.files import replacing
from training.disk import writing_to
from training.loop.board import figures
from training.loop.log import Row, read_log

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_curves(log: Path, picture: Path) -> None:
    """Write a PNG: loss terms over steps with the ends of phases, validations on a second panel.

    Needs the package matplotlib. MattingError if the picture cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = read_log(log)
    training = [row for row in rows if "validation" not in row]
    validations = [row for row in rows if "validation" in row]
    figure = Figure(figsize=(10, 8 if validations else 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(2 if validations else 1, 1, sharex=True, squeeze=False)[:, 0]
    _draw_losses(panels[0], training)
    if validations:
        _draw_validations(panels[1], validations)
    for panel in panels:
        _mark_phases(panel, training)
    panels[-1].set_xlabel("steps")
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=120)
    with writing_to(picture), replacing(picture) as temporary:
        temporary.write_bytes(content.getbuffer())


def _draw_losses(panel: Axes, rows: list[Row]) -> None:
    for name, (steps, values) in _series(rows, "loss/").items():
        panel.plot(steps, values, marker=".", label=name)
    _finish(panel, "loss terms")


def _draw_validations(panel: Axes, rows: list[Row]) -> None:
    for name, (steps, values) in _series(rows, "validation/").items():
        if name == "score":
            panel.plot(steps, values, color="black", linewidth=2, marker=".", label="score")
        elif name.endswith("/mad"):
            panel.plot(steps, values, linewidth=1, label=name.removesuffix("/mad"))
    best = min(rows, key=lambda row: row["validation"])
    panel.plot(best["steps_done"], best["validation"], "k*", markersize=14, label="best")
    _finish(panel, "validation: MAD by set, and the score")


def _series(rows: list[Row], group: str) -> dict[str, tuple[list[int], list[float]]]:
    """Steps and values of each figure of a group. Zeros are left out: the scale has none."""
    series: dict[str, tuple[list[int], list[float]]] = {}
    for row in rows:
        for name, value in figures(row).items():
            if name.startswith(group) and value > 0:
                steps, values = series.setdefault(name.removeprefix(group), ([], []))
                steps.append(row["steps_done"])
                values.append(value)
    return series


def _mark_phases(panel: Axes, rows: list[Row]) -> None:
    ends = [row["steps_done"] for row in rows if row["step"] == row["of"]]
    for end in ends[:-1] if rows and rows[-1]["step"] == rows[-1]["of"] else ends:
        panel.axvline(end, color="grey", linestyle=":", linewidth=1)


def _finish(panel: Axes, title: str) -> None:
    panel.set_title(title, loc="left")
    panel.grid(visible=True, alpha=0.3)
    if panel.get_lines():
        panel.set_yscale("log")
        panel.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize="small", frameon=False)
