"""Validation while a run goes on: its score, the best weights, and that it disturbs nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from shm_engine.checkpoint import load_checkpoint
from shm_engine.errors import MattingError
from shm_engine.matter import Matter
from shm_engine.options import MatterOptions
from tests.training.runs import assert_same_state, state_of, train
from training.config import TrainingConfig
from training.evaluation.evaluate import evaluate_set, read_evaluation
from training.loop import trainer
from training.loop.log import read_log
from training.loop.validation import Validation, Verdict

pytestmark = pytest.mark.usefixtures("_one_thread")

SETS = """
data = "{data}"
sets = [
    {{ name = "people", kind = "alpha", path = "people" }},
    {{ name = "nobody", kind = "background", path = "scenes" }},
]
"""


@pytest.fixture(scope="module")
def sets(drawn_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sets of three drawn pictures."""
    path = tmp_path_factory.mktemp("sets") / "sets.toml"
    path.write_text(SETS.format(data=drawn_data))
    return path


@pytest.fixture(scope="module")
def whole(config_of, sets: Path, tmp_path_factory: pytest.TempPathFactory, _one_thread) -> Path:
    """The folder of an uninterrupted run that is validated after steps 2, 4 and 5."""
    folder = tmp_path_factory.mktemp("run") / "whole"
    train(validated(config_of, sets), folder)
    return folder


def validated(config_of, sets: Path, **changes: Any) -> TrainingConfig:
    options = {"validation": str(sets), "validate_every": 2, "validation_pictures": 2}
    return config_of(**(options | changes))


def script_scores(monkeypatch: pytest.MonkeyPatch, scores: list[float]) -> None:
    """Validations find these, one after the other."""
    left = iter(scores)
    monkeypatch.setattr(Validation, "measure", lambda *_: Verdict(next(left), [], 0.0))


def digest(path: Path) -> str:
    return load_checkpoint(path).digest


@pytest.mark.long
def test_a_resumed_run_validates_as_the_uninterrupted_one_and_keeps_the_same_best(
    config_of, sets: Path, tmp_path: Path, whole: Path
) -> None:
    config = validated(config_of, sets)
    for steps in (1, 2, None):
        state = train(config, tmp_path, steps=steps)
    assert 0 < state["best"]["score"] < 1
    assert_same_state(state, state_of(whole))
    for name in ("weights.safetensors", "best.safetensors"):
        assert digest(tmp_path / name) == digest(whole / name)
    logs = [read_log(folder / "log.jsonl") for folder in (whole, tmp_path)]
    found = [[row | {"seconds": 0} for row in log if "validation" in row] for log in logs]
    assert [row["steps_done"] for row in found[0]] == [2, 4, 5]
    assert found[0] == found[1]


def test_a_set_without_pictures_is_named_before_the_first_step(config_of, tmp_path: Path) -> None:
    path = tmp_path / "sets.toml"
    path.write_text(SETS.format(data=tmp_path / "nowhere"))
    with pytest.raises(MattingError, match=r"no pictures in .*nowhere"):
        trainer.Trainer(validated(config_of, path), tmp_path / "run", workers=0)


def test_validation_changes_nothing_else_of_a_run(config_of, tmp_path: Path, whole: Path) -> None:
    alone = train(config_of(), tmp_path)
    assert_same_state(state_of(whole) | {"best": None}, alone | {"best": None})
    assert not (tmp_path / "best.safetensors").exists()


def test_the_score_is_the_mean_over_sets_of_what_evaluate_measures(
    config_of, sets: Path, random_weights: Path
) -> None:
    listed = read_evaluation(sets)
    matter = Matter.load(random_weights, MatterOptions(device="cpu", backend="eager"))
    rows = [evaluate_set(matter, Path(listed.data), chosen) for chosen in listed.sets]
    validation = Validation(validated(config_of, sets, validation_pictures=0))
    verdict = validation.measure(random_weights, torch.device("cpu"))
    assert verdict.score == (rows[0].means["mad"] + rows[1].means["mad"]) / 2
    # Where nobody is, the difference is the alpha itself.
    assert rows[1].means["mad"] == pytest.approx(rows[1].means["mean_alpha"], abs=1e-6)
    fewer = Validation(validated(config_of, sets)).measure(random_weights, torch.device("cpu"))
    assert [row.pictures for row in fewer.rows] == [2, 2]
    assert fewer.score != verdict.score


@pytest.mark.long
def test_the_best_weights_are_those_of_the_lowest_score(
    config_of, sets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = validated(config_of, sets)
    script_scores(monkeypatch, [0.3, 0.1, 0.1])
    train(config, tmp_path, steps=4)
    second = digest(tmp_path / "weights.safetensors")
    state = train(config, tmp_path)
    assert state["best"]["score"] == 0.1
    assert digest(tmp_path / "best.safetensors") == second
    assert digest(tmp_path / "weights.safetensors") != second


@pytest.mark.long
def test_a_run_killed_after_a_best_validation_ends_as_the_uninterrupted_one(
    config_of, sets: Path, tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = validated(config_of, sets)
    train(config, tmp_path, steps=3)

    def power_cut(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(trainer, "write_state", power_cut)
    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path)
    monkeypatch.undo()
    assert state_of(tmp_path)["progress"]["samples"] == 6
    assert_same_state(train(config, tmp_path), state_of(whole))
    assert digest(tmp_path / "best.safetensors") == digest(whole / "best.safetensors")
    rows = read_log(tmp_path / "log.jsonl")
    assert [row["steps_done"] for row in rows if "validation" in row] == [2, 4, 5]


def test_scores_over_other_pictures_are_not_compared(
    config_of, sets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script_scores(monkeypatch, [0.1, 0.2, 0.3])
    assert train(validated(config_of, sets), tmp_path, steps=2)["best"]["score"] == 0.1
    state = train(validated(config_of, sets, validation_pictures=1), tmp_path)
    assert state["best"]["score"] == 0.2


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "is not a usable list of sets"), ("data = 'x'\nsets = []", "lists no sets")],
)
def test_a_list_that_cannot_be_used_is_named_before_the_first_step(
    config_of, tmp_path: Path, content: str | None, words: str
) -> None:
    path = tmp_path / "sets.toml"
    if content is not None:
        path.write_text(content)
    with pytest.raises(MattingError, match=rf"sets\.toml {words}"):
        train(validated(config_of, path), tmp_path / "run")
    assert not (tmp_path / "run").exists()
