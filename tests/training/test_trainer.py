"""The training loop: a resumed run is the uninterrupted run, bit for bit."""

from __future__ import annotations

import json
import math
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from click.testing import CliRunner

from shm_engine.checkpoint import load_checkpoint
from shm_engine.errors import CheckpointError, MattingError
from shm_engine.model import MODELS
from shm_engine.model.shm import SemanticHumanMatting
from tests.assertions import HALF_PRECISION, assert_close
from tests.training.conftest import PHASES
from tests.training.runs import assert_same_state, state_of, train
from training.__main__ import commands
from training.config import TrainingConfig
from training.loop import trainer
from training.loop.phases import OBJECTIVES
from training.loop.state import check_identity, identity_of
from training.loop.trainer import Trainer

ROOT = Path(__file__).parents[2]

# Far above what five steps and an import take; only a deadlock reaches it.
PATIENCE_SECONDS = 300.0

pytestmark = pytest.mark.usefixtures("_one_thread")


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


class Forgetful(SemanticHumanMatting):
    """A network that draws random numbers while it learns."""

    def __init__(self) -> None:
        super().__init__()
        self.t_net.register_forward_hook(
            lambda module, _, logits: F.dropout(logits, 0.2, module.training)
        )


def test_a_network_that_draws_random_numbers_draws_the_same_when_resumed(
    config_of, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(MODELS, "forgetful", Forgetful)
    config = config_of(architecture="forgetful")
    whole = train(config, tmp_path / "whole")
    train(config, tmp_path / "pieces", steps=1)
    torch.manual_seed(99)
    train(config, tmp_path / "pieces", steps=2)
    assert_same_state(train(config, tmp_path / "pieces"), whole)
    fresh = state_of_a_fresh_run(config_of(), tmp_path)
    assert not torch.equal(whole["random"][0]["cpu"], fresh["random"][0]["cpu"])


def state_of_a_fresh_run(config: TrainingConfig, folder: Path) -> dict[str, Any]:
    Trainer(config, folder / "fresh", workers=0).save()
    return state_of(folder / "fresh")


def test_the_loop_itself_draws_no_random_numbers(
    config_of, tmp_path: Path, uninterrupted: Path
) -> None:
    fresh = state_of_a_fresh_run(config_of(), tmp_path)
    assert_same_state(fresh["random"], state_of(uninterrupted)["random"])


def test_a_run_in_float16_goes_on_with_its_scale(
    config_of, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "training_precision", lambda _: torch.float16)
    config = config_of(phases=PHASES[:1])
    whole = train(config, tmp_path / "whole")
    assert whole["scaler"]["_growth_tracker"] + (whole["scaler"]["scale"] < 2**16) > 0
    train(config, tmp_path / "pieces", steps=1)
    assert_same_state(train(config, tmp_path / "pieces"), whole)


def test_a_run_goes_on_with_the_learning_rate_that_it_is_given_now(
    config_of, tmp_path: Path
) -> None:
    phase = replace(PHASES[1], frozen_layers=19)
    train(config_of(phases=(phase,)), tmp_path, steps=1)
    lower = replace(phase, learning_rate=1e-12)
    before = state_of(tmp_path)
    state = train(config_of(phases=(lower,)), tmp_path, steps=1)
    assert state["optimiser"]["state"].keys() == before["optimiser"]["state"].keys()
    assert [group["peak"] for group in state["optimiser"]["param_groups"]] == [2e-13, 1e-12]
    name = "m_net.draw.1.weight"
    assert_close(state["model"][name], before["model"][name], HALF_PRECISION)
    change = (state["model"][name] - before["model"][name]).abs().max()
    assert change < 1e-9, "as if by the old rate"


def test_a_complete_run_says_so(tmp_path: Path, drawn_data: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text(
        f'data = "{drawn_data}"\nseed = 7\ncharts = false\n'
        'sources = [{ path = "people", kind = "mask", weight = 1 }]\n'
        "phases = [{ train = 't_net', steps = 1, batch = 1, crop_pixels = 64, learning_rate = 1 }]"
    )
    arguments = ["train", str(path), "--folder", str(tmp_path / "run"), "--workers", "0"]
    first, second = (
        CliRunner().invoke(commands, arguments, catch_exceptions=False).output for _ in range(2)
    )
    assert "is complete" not in first
    assert (
        second == f"the run in {tmp_path / 'run'} is complete; add a phase, or choose another "
        "--folder\n"
    )


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


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """No file can grow beyond that: a disk that has room for the log, but not for a state."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_one_sentence_and_the_last_state_stays_whole(
    config_of, tmp_path: Path
) -> None:
    before = train(config_of(), tmp_path, steps=2)
    trainer = Trainer(config_of(), tmp_path, workers=0)
    with (
        largest_file(100_000),
        pytest.raises(MattingError, match=r"state\.pt cannot be written") as e,
    ):
        trainer.run(stop_after_steps=1)
    assert e.value.path == tmp_path / "state.pt"
    assert "make room" in str(e.value)
    assert "\n" not in str(e.value)
    assert not list(tmp_path.glob(".*"))
    assert_same_state(state_of(tmp_path), before)


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
from training.loop.trainer import Trainer

if __name__ == "__main__":
    torch.set_num_threads(1)
    cv2.setNumThreads(4)
    cv2.GaussianBlur(np.zeros((1000, 1000, 3), np.uint8), (0, 0), 9)
    Trainer(drawn_config(Path(sys.argv[1])), Path(sys.argv[2]), workers=1).run()
"""


@pytest.mark.long
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


@pytest.mark.parametrize(
    ("name", "value"),
    [("hair", 0.9), ("seed", 8), ("ema_decay", 0.5), ("background", "people/alpha")],
)
def test_a_run_goes_on_only_as_it_began(
    config_of, uninterrupted: Path, name: str, value: object
) -> None:
    with pytest.raises(CheckpointError, match=f"another {name}") as caught:
        Trainer(config_of(**{name: value}), uninterrupted, workers=0)
    assert caught.value.path == uninterrupted / "state.pt"
    Trainer(config_of(log_every=1, save_every=3), uninterrupted, workers=0)


def test_a_key_that_is_newer_than_the_state_had_its_default(config_of) -> None:
    known = identity_of(config_of())
    del known["hair"]
    check_identity(known, config_of(), Path("state.pt"))
    with pytest.raises(CheckpointError, match="another hair"):
        check_identity(known, config_of(hair=0.9), Path("state.pt"))


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
