"""The training loop: a resumed run is the uninterrupted run, bit for bit."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from shm_engine.checkpoint import load_checkpoint
from shm_engine.errors import CheckpointError, MattingError
from shm_engine.model.backbone import MobileNetV2
from shm_engine.model.shm import SemanticHumanMatting
from tests.assertions import HALF_PRECISION, assert_close
from tests.training.conftest import PHASES
from training.config import Phase, TrainingConfig
from training.phases import OBJECTIVES
from training.trainer import Trainer, learning_rate_factor

ROOT = Path(__file__).parents[2]

# Far above what five steps and an import take; only a deadlock reaches it.
PATIENCE_SECONDS = 40.0

pytestmark = pytest.mark.usefixtures("_one_thread")


def train(config: TrainingConfig, folder: Path, *, steps: int | None = None) -> dict[str, Any]:
    """Train in-process; the state on disk afterwards."""
    Trainer(config, folder, workers=0).run(stop_after_steps=steps)
    return state_of(folder)


def state_of(folder: Path) -> dict[str, Any]:
    return torch.load(folder / "state.pt", weights_only=True)


def leaves(value: Any, name: str = "") -> dict[str, Any]:
    """Every tensor and number of a nested state, by its path."""
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    else:
        return {name: value}
    found: dict[str, Any] = {}
    for key, inner in items:
        found |= leaves(inner, f"{name}/{key}")
    return found


def assert_same_state(found: dict[str, Any], expected: dict[str, Any]) -> None:
    one, other = leaves(found), leaves(expected)
    assert one.keys() == other.keys()
    different = [
        name
        for name, value in other.items()
        if not (
            torch.equal(one[name], value) if isinstance(value, torch.Tensor) else one[name] == value
        )
    ]
    assert different == []


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory, config_of, _one_thread) -> Path:
    """The folder of a whole run over PHASES."""
    folder = tmp_path_factory.mktemp("run") / "whole"
    train(config_of(), folder)
    return folder


def test_a_run_in_pieces_across_the_phase_boundary_is_the_run_in_one(
    config_of, tmp_path: Path, uninterrupted: Path
) -> None:
    for done in range(1, 6):
        state = train(config_of(), tmp_path / "pieces", steps=1)
        assert state["progress"]["samples"] == 2 * done
    assert state["progress"] == {"phase": 2, "step": 0, "samples": 10}
    assert_same_state(state, state_of(uninterrupted))


@pytest.mark.parametrize("first", [2, 3])
def test_a_run_in_two_pieces_is_the_run_in_one(
    config_of, tmp_path: Path, uninterrupted: Path, first: int
) -> None:
    train(config_of(), tmp_path, steps=first)
    assert_same_state(train(config_of(), tmp_path), state_of(uninterrupted))


def test_a_run_that_is_killed_goes_on_from_its_last_save(
    config_of, tmp_path: Path, uninterrupted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_of(save_every=2)
    step = Trainer._step

    def killed_in_the_last_step(self: Trainer, *arguments: Any) -> dict[str, float]:
        if self.progress.samples == 8:
            raise KeyboardInterrupt
        return step(self, *arguments)

    monkeypatch.setattr(Trainer, "_step", killed_in_the_last_step)
    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path)
    monkeypatch.undo()
    assert state_of(tmp_path)["progress"]["samples"] == 8
    assert_same_state(train(config, tmp_path), state_of(uninterrupted))


def test_a_complete_run_is_left_as_it_is(config_of, tmp_path: Path) -> None:
    first = train(config_of(), tmp_path)
    assert_same_state(train(config_of(), tmp_path), first)


def test_a_phase_that_is_added_to_a_complete_run_begins_as_it_would_have(
    config_of, tmp_path: Path, uninterrupted: Path
) -> None:
    train(config_of(phases=PHASES[:1]), tmp_path)
    assert_same_state(train(config_of(), tmp_path), state_of(uninterrupted))


def test_another_seed_is_another_run(config_of, tmp_path: Path, uninterrupted: Path) -> None:
    other = train(config_of(seed=8), tmp_path, steps=1)["model"]
    name = "m_net.draw.1.weight"
    assert not torch.equal(other[name], state_of(uninterrupted)["model"][name])


def test_a_run_leaves_weights_that_the_engine_loads(uninterrupted: Path) -> None:
    state = state_of(uninterrupted)
    loaded = load_checkpoint(uninterrupted / "weights.safetensors").model.state_dict()
    average = {
        name.removeprefix("module."): value
        for name, value in state["average"].items()
        if name.startswith("module.")
    }
    assert loaded.keys() == average.keys()
    for name, value in average.items():
        assert_close(loaded[name], value, HALF_PRECISION)
    assert not list(uninterrupted.glob("*.partial"))


def test_a_run_reports_every_phase_as_json(uninterrupted: Path) -> None:
    rows = [json.loads(line) for line in (uninterrupted / "log.jsonl").read_text().splitlines()]
    assert [(row["phase"], row["step"], row["of"]) for row in rows] == [
        ("t_net", 2, 2),
        ("end_to_end", 3, 3),
    ]
    assert rows[0].keys() >= {"trimap", "seconds_per_step", "waiting"}
    assert rows[1].keys() >= {"trimap", "alpha", "unknown", "composition"}
    assert 0.3 < rows[0]["trimap"] < 3


def test_the_first_phase_changes_t_net_alone_and_no_statistics_of_the_backbone(
    config_of, tmp_path: Path
) -> None:
    before = Trainer(config_of(), tmp_path, workers=0).model.state_dict()
    before = {name: value.clone() for name, value in before.items()}
    after = train(config_of(), tmp_path, steps=2)["model"]
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert not [name for name in changed if name.startswith("m_net.")]
    assert "t_net.classify.weight" in changed
    assert "t_net.backbone.features.0.0.weight" in changed
    assert "t_net.decoder.0.smooth.1.running_mean" in changed
    assert not [name for name in changed if "backbone" in name and "running" in name]


# Training in the main process makes OpenCV start threads; then the loader process begins.
SCRIPT = """
import sys
from pathlib import Path

import cv2
import numpy as np
import torch

from tests.training.conftest import drawn_config
from training.trainer import Trainer

if __name__ == "__main__":
    torch.set_num_threads(1)
    cv2.setNumThreads(4)
    cv2.GaussianBlur(np.zeros((1000, 1000, 3), np.uint8), (0, 0), 9)
    Trainer(drawn_config(Path(sys.argv[1])), Path(sys.argv[2]), workers=1).run()
"""


def test_a_run_with_a_loader_process_is_the_run_without(
    drawn_data: Path, tmp_path: Path, uninterrupted: Path
) -> None:
    """A fork copies OpenCV's pool of threads without its threads: the loader must not wait."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    process = subprocess.Popen(
        [sys.executable, str(script), str(drawn_data), str(tmp_path / "run")],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        start_new_session=True,
    )
    try:
        assert process.wait(timeout=PATIENCE_SECONDS) == 0
    except subprocess.TimeoutExpired:
        pytest.fail("the loader process waits for ever")
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    assert_same_state(state_of(tmp_path / "run"), state_of(uninterrupted))


def damaged(kind: str, good: Path) -> bytes | dict[str, Any] | list[int]:
    whole = good.read_bytes()
    state = torch.load(good, weights_only=True)
    return {
        "empty": b"",
        "text": b"hello",
        "cut early": whole[:5000],
        "cut late": whole[:-50],
        "list": [1, 2],
        "no model": {key: value for key, value in state.items() if key != "model"},
        "other progress": state | {"progress": {"epoch": 3}},
        "past the end": state | {"progress": {"phase": 0, "step": 9, "samples": 18}},
        "other network": state | {"model": {"layer.weight": torch.zeros(3)}},
    }[kind]


@pytest.mark.parametrize(
    "kind",
    [
        "empty",
        "text",
        "cut early",
        "cut late",
        "list",
        "no model",
        "other progress",
        "past the end",
        "other network",
    ],
)
def test_a_state_that_does_not_belong_is_refused_with_its_path(
    config_of, tmp_path: Path, uninterrupted: Path, kind: str
) -> None:
    path, content = tmp_path / "state.pt", damaged(kind, uninterrupted / "state.pt")
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(CheckpointError, match="does not belong to this run") as caught:
        Trainer(config_of(), tmp_path, workers=0)
    assert caught.value.path == path


def test_what_a_run_cannot_use_is_named(config_of, tmp_path: Path) -> None:
    with pytest.raises(MattingError, match="'vgg'"):
        Trainer(config_of(architecture="vgg"), tmp_path)
    with pytest.raises(MattingError, match=r"no backbone weights at .*nowhere\.npz"):
        Trainer(config_of(backbone="nowhere.npz"), tmp_path)


def test_an_absent_device_is_named(
    config_of, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(MattingError, match="cuda is not available"):
        Trainer(config_of(), tmp_path, device="cuda")


def test_a_loss_that_is_no_number_ends_the_run_and_keeps_the_last_state(
    config_of, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = train(config_of(), tmp_path, steps=1)

    def diverged(*_: Any) -> tuple[torch.Tensor, dict[str, float]]:
        return torch.tensor(math.nan, requires_grad=True), {"trimap": math.nan}

    monkeypatch.setitem(OBJECTIVES, "t_net", diverged)
    with pytest.raises(MattingError, match="no longer a number at step 1 of t_net"):
        train(config_of(), tmp_path)
    assert_same_state(state_of(tmp_path), before)


def test_a_state_is_written_whole_or_not_at_all(
    config_of, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = train(config_of(), tmp_path, steps=1)

    def full_disk(_: Any, path: Path) -> None:
        Path(path).write_bytes(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(torch, "save", full_disk)
    with pytest.raises((OSError, MattingError), match="no space left"):
        Trainer(config_of(), tmp_path, workers=0).save()
    assert_same_state(state_of(tmp_path), before)


def test_the_learning_rate_rises_to_its_peak_and_falls_to_a_fiftieth() -> None:
    phase = Phase(
        train="t_net", steps=1000, batch=1, crop_pixels=32, learning_rate=1, warmup_steps=100
    )
    factors = [learning_rate_factor(step, phase) for step in range(1000)]
    assert factors[0] == pytest.approx(0.01)
    assert factors.index(max(factors)) in range(90, 101)
    assert max(factors) == pytest.approx(1, abs=0.03)
    assert all(a > b for a, b in pairwise(factors[100:]))
    assert factors[549] == pytest.approx(0.02 + 0.98 * 0.42, abs=0.01)
    assert factors[-1] == pytest.approx(0.02, abs=1e-4)


@pytest.mark.parametrize(("steps", "warmup"), [(1, 100), (5, 0), (3, 3)])
def test_short_phases_learn_too(steps: int, warmup: int) -> None:
    phase = Phase(
        train="t_net",
        steps=steps,
        batch=1,
        crop_pixels=32,
        learning_rate=1,
        warmup_steps=warmup,
    )
    assert all(0 < learning_rate_factor(step, phase) <= 1 for step in range(steps))


def test_the_backbone_learns_at_its_own_rate(config_of, tmp_path: Path) -> None:
    groups = Trainer(config_of(), tmp_path, workers=0).optimiser.param_groups
    rate, share = PHASES[0].learning_rate, PHASES[0].backbone_rate
    assert [group["peak"] for group in groups] == [rate * share, rate]
    trainer_counts = [sum(p.numel() for p in group["params"]) for group in groups]
    with torch.device("meta"):
        model, backbone = SemanticHumanMatting(), MobileNetV2()
    counts = [sum(p.numel() for p in module.parameters()) for module in (backbone, model)]
    assert trainer_counts == [counts[0], counts[1] - counts[0]]
