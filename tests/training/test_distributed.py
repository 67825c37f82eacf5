"""Several processes train one network: real ones, with gloo, started by torchrun."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from shm_engine.errors import DeviceError, MattingError
from tests.assertions import DATA_PARALLEL, assert_close
from tests.training.conftest import PHASES
from tests.training.runs import assert_same_state, state_of
from training.config import Phase
from training.loop.distributed import ALONE, Share, Team, check_shares, joined_team
from training.loop.log import read_log

ROOT = Path(__file__).parents[2]

# Far above what a few imports and steps take; only a deadlock reaches it.
PATIENCE_SECONDS = 300.0

CONFIG = """
data = "{data}"
background = "scenes"
charts = false
sources = [{{ path = "people", kind = "mask", weight = 1 }}]
phases = [{{ train = "t_net", steps = 2, batch = {batch}, crop_pixels = 64, learning_rate = 1e-3 }}]
"""


def torchrun(*arguments: str) -> tuple[int, str]:
    """Two processes on this machine; exit code and all that was written."""
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    process = subprocess.Popen(
        [*launch, *arguments],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        pytest.fail("the processes wait for one another for ever")
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return process.returncode, output


@pytest.fixture(scope="module")
def team(drawn_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which tests/training/team.py has worked, with two processes."""
    folder = tmp_path_factory.mktemp("team")
    sets = folder / "sets.toml"
    sets.write_text(
        f'data = "{drawn_data}"\nsets = [{{ name = "people", kind = "alpha", path = "people" }}]'
    )
    code, output = torchrun("-m", "tests.training.team", str(drawn_data), str(folder), str(sets))
    assert code == 0, output
    return folder


def values(team: Path, rank: int, name: str) -> dict[str, torch.Tensor]:
    found: dict[str, Any] = torch.load(team / f"rank {rank}.pt", weights_only=True)
    return found[name]


@pytest.mark.long
@pytest.mark.parametrize("name", ["whole", "pieces", "comparable"])
def test_every_process_ends_with_the_same_weights(team: Path, name: str) -> None:
    assert_same_state(values(team, 0, name), values(team, 1, name))


def test_a_team_s_run_in_pieces_is_its_run_in_one(team: Path) -> None:
    whole = state_of(team / "whole")
    assert_same_state(state_of(team / "pieces"), whole)
    assert whole["progress"]["samples"] == 10
    assert len(whole["random"]) == 2
    assert not torch.equal(whole["random"][0]["cpu"], whole["random"][1]["cpu"])


def test_a_team_learns_what_one_process_learns_from_the_same_batches(team: Path) -> None:
    shared, alone = values(team, 0, "comparable"), values(team, 0, "alone")
    moved = 0.0
    start = values(team, 0, "start")
    for name, value in alone.items():
        assert_close(shared[name], value, DATA_PARALLEL)
        moved = max(moved, float((value - start[name]).abs().max()))
    assert moved > 10 * DATA_PARALLEL.largest
    losses = [
        [row["trimap"] for row in read_log(team / name / "log.jsonl")]
        for name in ("comparable", "alone")
    ]
    assert losses[0] == pytest.approx(losses[1], abs=1e-4)


def test_only_one_process_writes_and_validates(team: Path) -> None:
    rows = read_log(team / "whole" / "log.jsonl")
    found = [(row["steps_done"], "validation" in row) for row in rows]
    assert found == [(2, False), (2, True), (4, True), (5, False), (5, True)]
    assert (team / "whole" / "best.safetensors").exists()


@pytest.mark.long
def test_torchrun_starts_the_train_command(drawn_data: Path, tmp_path: Path) -> None:
    config = tmp_path / "run.toml"
    arguments = ["-m", "training", "train", str(config), "--folder", str(tmp_path / "run")]
    arguments += ["--device", "cpu", "--workers", "1"]
    config.write_text(CONFIG.format(data=drawn_data, batch=2))
    code, output = torchrun(*arguments)
    assert code == 0, output
    assert state_of(tmp_path / "run")["progress"] == {"phase": 1, "step": 0, "samples": 4}
    assert output.count("phase t_net") == 1


def test_a_batch_that_cannot_be_shared_is_named() -> None:
    odd = Phase(train="t_net", steps=1, batch=5, crop_pixels=64, learning_rate=1e-3)
    check_shares([*PHASES, odd], ALONE)
    with pytest.raises(MattingError, match=r"a batch of 5 \(t_net\).*use a multiple of 2"):
        check_shares([*PHASES, odd], Team(rank=1, size=2))


def test_a_single_value_for_batch_norm_is_refused_before_the_first_step() -> None:
    small = Phase(train="t_net", steps=1, batch=2, crop_pixels=32, learning_rate=1e-3)
    check_shares([small], ALONE)
    with pytest.raises(MattingError, match="one picture of 32 pixels"):
        check_shares([small], Team(rank=1, size=2))


def test_shares_are_the_batches_in_their_order() -> None:
    shares = [list(Share(3, 6, Team(rank=rank, size=3))) for rank in range(3)]
    whole = [[i for share in batch for i in share] for batch in zip(*shares, strict=True)]
    assert whole == list(Share(3, 6, ALONE)) == [[*range(6)], [*range(6, 12)], [*range(12, 18)]]
    assert len(Share(3, 6, Team(rank=2, size=3))) == 3


def test_each_process_of_a_machine_has_its_own_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    team = Team(rank=5, size=8, local_rank=1)
    assert team.choose_device("auto") == team.choose_device("cuda") == torch.device("cuda:1")
    assert team.choose_device("cpu") == torch.device("cpu")
    assert ALONE.choose_device("cuda") == torch.device("cuda")
    with pytest.raises(DeviceError, match="cuda:2 is not available"):
        Team(rank=2, size=4, local_rank=2).choose_device("auto")


def test_without_torchrun_a_process_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "4")  # as a scheduler sets it for its own purposes
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    with joined_team("cpu") as team:
        assert team == ALONE
