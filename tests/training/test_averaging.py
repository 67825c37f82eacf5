"""The mean of weights of one run."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from shm_engine.checkpoint import load_checkpoint
from shm_engine.errors import OptionsError
from tests.assertions import HALF_PRECISION, assert_close
from tests.training.runs import train
from training.__main__ import commands
from training.loop.averaging import average_weights

pytestmark = pytest.mark.usefixtures("_one_thread")


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory, config_of, _one_thread) -> list[Path]:
    """What the phases of a run leave."""
    folder = tmp_path_factory.mktemp("run")
    train(config_of(), folder)
    return sorted(folder.glob("phase_*.safetensors"))


def test_a_run_leaves_the_weights_of_every_phase(stages: list[Path]) -> None:
    assert [path.name for path in stages] == ["phase_1.safetensors", "phase_2.safetensors"]
    first, second, last = (
        load_checkpoint(path).model.state_dict()
        for path in (*stages, stages[0].with_name("weights.safetensors"))
    )
    assert all(torch.equal(second[name], last[name]) for name in last)
    assert not all(torch.equal(first[name], last[name]) for name in last)


def test_the_mean_counts_every_part_by_its_share(stages: list[Path], tmp_path: Path) -> None:
    parts = [word for path, share in zip(stages, "31", strict=True) for word in (path, share)]
    arguments = ["average", "--part", *parts[:2], "--part", *parts[2:], "--out", tmp_path / "m.sf"]
    ended = CliRunner().invoke(commands, [str(word) for word in arguments], catch_exceptions=False)
    assert ended.exit_code == 0
    first, second, mean = (
        load_checkpoint(path).model.state_dict() for path in (*stages, tmp_path / "m.sf")
    )
    assert any((first[name] != second[name]).any() for name in first)
    for name, values in mean.items():
        assert_close(values, 0.75 * first[name] + 0.25 * second[name], HALF_PRECISION)


@pytest.mark.parametrize("share", [0.0, -1.0])
def test_a_share_of_nothing_is_refused(stages: list[Path], tmp_path: Path, share: float) -> None:
    with pytest.raises(OptionsError, match="a share above 0"):
        average_weights([(stages[0], 1.0), (stages[1], share)], tmp_path / "mean.safetensors")
    assert list(tmp_path.iterdir()) == []
