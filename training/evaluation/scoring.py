"""What `python -m training evaluate` does, from the list of sets to the report."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from shm_engine.checkpoint import load_checkpoint
from shm_engine.errors import OptionsError
from shm_engine.images import write_image
from shm_engine.matter import Matter
from shm_engine.options import MatterOptions
from training.evaluation.cases import EvaluationConfig, EvaluationSet, read_evaluation
from training.evaluation.categories import read_categories, rows_by_category
from training.evaluation.evaluate import Finding, Predictor, findings, summarise, through_engine
from training.evaluation.figures import report, write_json
from training.evaluation.predictions import from_folder, write_pictures, writing
from training.evaluation.worst import Worst, draw_sheet


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is to be measured and written; OptionsError where the wishes contradict one another.

    only: names of sets; none for all. predictions: measure these files instead of weights.
    write_images: write the pictures there and measure nothing.
    """

    sets: Path
    only: tuple[str, ...] = ()
    model: Path | None = None
    options: MatterOptions
    categories: Path | None = None
    predictions: Path | None = None
    write_predictions: Path | None = None
    write_images: Path | None = None
    json: Path | None = None
    worst: Path | None = None

    def __post_init__(self) -> None:
        if self.predictions and self.model:
            raise OptionsError("--predictions measures files, not weights; leave --model out")
        measured = (self.predictions, self.write_predictions, self.json, self.worst)
        if self.write_images and any(measured):
            raise OptionsError(
                "--write-images measures nothing; leave --predictions, --write-predictions, --json "
                "and --worst out"
            )
        # Measuring takes long: what cannot be written at its end is refused before.
        for file in filter(None, (self.json, self.worst)):
            if not file.parent.is_dir():
                raise OptionsError(f"there is no folder {file.parent} for {file.name}; make it")
        if self.worst and self.worst.suffix.lower() != ".png":
            raise OptionsError(f"--worst is {self.worst}; a sheet is a PNG, so end it in .png")


def run(job: Job) -> str:
    """Do the job; returns what to tell, in Markdown."""
    config = read_evaluation(job.sets)
    if job.categories is not None:
        config = replace(config, categories=str(job.categories))
    chosen = _chosen(config, job.only)
    if job.write_images is not None:
        data = Path(config.data)
        count = sum(write_pictures(job.write_images, data, one) for one in chosen)
        return f"{count} pictures are in {job.write_images}"
    return _measure(job, config, chosen)


def _measure(job: Job, config: EvaluationConfig, chosen: list[EvaluationSet]) -> str:
    data = Path(config.data)
    # Before the long part, so that a mistake in the list shows at once.
    listed = Path(config.categories)
    categories = read_categories(listed, data, config.sets) if config.categories else {}
    heading, about, predict = _subject(job)
    worst = Worst()
    rows = []
    for one in chosen:
        found: Iterator[Finding] = worst.watching(findings(predict, data, one))
        if job.write_predictions is not None:
            found = writing(found, job.write_predictions)
        # On a terminal alone, and gone when the set is done.
        progress = tqdm(found, desc=one.name, unit="", leave=False, disable=None)
        rows.append(summarise(one.name, progress))
    by_category = rows_by_category(rows, categories)
    if job.json is not None:
        write_json(job.json, about, rows, by_category)
    if job.worst is not None:
        write_image(job.worst, draw_sheet(worst.findings))
    return f"{heading}\n\n{report(rows, chosen, by_category)}"


def _subject(job: Job) -> tuple[str, dict[str, Any], Predictor]:
    """What is measured: in words, for the JSON, and as a function."""
    about: dict[str, Any] = {"sets_file": str(job.sets)}
    if job.predictions is not None:
        if not job.predictions.is_dir():
            raise OptionsError(f"there is no folder {job.predictions}; check --predictions")
        about["predictions"] = str(job.predictions)
        return f"predictions in {job.predictions}", about, from_folder(job.predictions)
    checkpoint = load_checkpoint(job.model)
    matter = Matter(checkpoint, job.options)
    about["weights"] = {"architecture": checkpoint.architecture, "digest": checkpoint.digest}
    about["options"] = asdict(job.options)
    about["description"] = matter.description
    return matter.description, about, through_engine(matter)


def _chosen(config: EvaluationConfig, only: tuple[str, ...]) -> list[EvaluationSet]:
    names = [chosen.name for chosen in config.sets]
    unknown = [name for name in only if name not in names]
    if unknown:
        raise OptionsError(f"there is no set {unknown[0]!r}; use one of {', '.join(names)}")
    if not names:
        raise OptionsError("the list of sets is empty; add one")
    return [chosen for chosen in config.sets if not only or chosen.name in only]
