"""Measuring mattes on pictures and clips with known alpha: figures of frames, clips and sets.

The engine is used exactly as a user's picture or clip passes through it. Knows no file of mattes
and no report.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from shm_engine.matter import Matter
from shm_engine.types import Frame
from training.evaluation.cases import (
    CLIP_KINDS,
    Case,
    EvaluationConfig,
    EvaluationSet,
    cases,
    clips,
    read_evaluation,
)
from training.evaluation.metrics import (
    Mask,
    Pair,
    connectivity_error,
    dtssd,
    gradient_error_hr,
    gradient_error_lr,
    iou,
    mad,
    mse,
    sad,
)

# What a validation needs, with the sets from where they come.
__all__ = [
    "METRICS",
    "QUICK_METRICS",
    "Case",
    "EvaluationConfig",
    "EvaluationSet",
    "Finding",
    "Row",
    "cases",
    "clips",
    "evaluate_set",
    "findings",
    "mean_figures",
    "read_evaluation",
    "summarise",
    "through_engine",
]

Alpha = NDArray[np.float32]
Metric = Callable[[Alpha, Alpha, Mask | None], float]

# Found alphas for the cases of one clip, in their order.
Predictor = Callable[[EvaluationSet, Iterator[Case]], Iterator[tuple[Case, Alpha]]]

# A fraction of a millisecond a picture: for validation while training.
QUICK_METRICS: Mapping[str, Metric] = {"mad": mad, "mse": mse, "sad": sad, "iou": iou}

# The others take about 20 ms for 600 x 436 pixels, most of it connectivity.
METRICS: Mapping[str, Metric] = {
    **QUICK_METRICS,
    "grad_lr": gradient_error_lr,
    "grad_hr": gradient_error_hr,
    "conn": connectivity_error,
}


class Finding(NamedTuple):
    """A case, the alpha that was found for it and the figures by name, as `metrics` scales them."""

    set_name: str
    clip: str
    case: Case
    predicted_alpha: Alpha
    figures: dict[str, float]


class Scored(NamedTuple):
    """What stays of a finding."""

    name: str
    figures: dict[str, float]


class Unit(NamedTuple):
    """What counts once in its set: a clip with its frames, or a picture as its only frame."""

    name: str
    frames: list[Scored]

    @property
    def means(self) -> dict[str, float]:
        """Over the frames."""
        return mean_figures([frame.figures for frame in self.frames])


class Row(NamedTuple):
    """Means over the units of a set by name; `pictures` counts the frames of clips one by one.

    `mean_alpha` is of the prediction, for sets without people. `dtssd` counts the first frame of a
    clip as 0, as the field does, `dtssd_without_first` leaves it out.
    """

    name: str
    pictures: int
    means: dict[str, float]
    units: tuple[Unit, ...] = ()


def evaluate_set(
    matter: Matter,
    data: Path,
    chosen: EvaluationSet,
    metrics: Mapping[str, Metric] = QUICK_METRICS,
) -> Row:
    """Mean metrics of one set, each picture or clip counting the same."""
    return summarise(chosen.name, findings(through_engine(matter), data, chosen, metrics))


def through_engine(matter: Matter) -> Predictor:
    """A clip as the engine mattes it, frame after frame."""

    def predict(_: EvaluationSet, found: Iterator[Case]) -> Iterator[tuple[Case, Alpha]]:
        # A matte keeps its frame, and the frame its case, however far a stage looks ahead.
        frames = (
            Frame(image=_planes(case.image), index=index, pts=index, native=case)
            for index, case in enumerate(found)
        )
        for matte in matter.mattes(frames):
            yield matte.frame.native, matte.alpha[0].numpy()

    return predict


def findings(
    predict: Predictor, data: Path, chosen: EvaluationSet, metrics: Mapping[str, Metric] = METRICS
) -> Iterator[Finding]:
    """The cases of a set, found and measured; holds two frames at a time."""
    for clip in clips(data, chosen):
        before = None
        for case, alpha in predict(chosen, clip.cases):
            now = Pair(alpha, case.true_alpha)
            figures = {name: metric(*now, case.region) for name, metric in metrics.items()}
            inside = alpha if case.region is None else alpha[case.region]
            if chosen.kind == "background":
                figures.pop("iou", None)  # with nobody there it says 0 or 1 and means nothing
            figures["mean_alpha"] = float(inside.mean(dtype=np.float64))
            if chosen.kind in CLIP_KINDS:
                figures["dtssd"] = dtssd(now, before, case.region)
                if before is not None:
                    figures["dtssd_without_first"] = figures["dtssd"]
            yield Finding(chosen.name, clip.name, case, alpha, figures)
            before = now


def summarise(name: str, found: Iterable[Finding]) -> Row:
    """The row of a set; frames count the same in their clip, clips the same in their set."""
    frames: dict[str, list[Scored]] = {}
    for finding in found:
        scored = Scored(finding.case.name, finding.figures)
        frames.setdefault(finding.clip, []).append(scored)
    units = tuple(Unit(clip, scored) for clip, scored in frames.items())
    pictures = sum(len(unit.frames) for unit in units)
    return Row(name, pictures, mean_figures([unit.means for unit in units]), units)


def mean_figures(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Means by name, each over the rows that have it."""
    columns: dict[str, list[float]] = {}
    for row in rows:
        for name, value in row.items():
            columns.setdefault(name, []).append(value)
    return {name: sum(values) / len(values) for name, values in columns.items()}


def _planes(image: NDArray[np.uint8]) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)
