"""docs/training.md, followed to the letter on drawn pictures."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.training.drawn import draw_training_data
from training.__main__ import commands
from training.config import read_config
from training.evaluation.cases import KINDS, read_evaluation

ONE_STEP = (
    '[{ train = "end_to_end", steps = 1, batch = 2, crop_pixels = 64, learning_rate = 1e-4 }]'
)


@pytest.mark.usefixtures("_one_thread")
def test_the_two_commands_train_on_ones_own_pictures(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (repository / "docs" / "training.md").read_text(encoding="utf-8")
    (first, *_) = re.findall(r"(?ms)^```sh\n(.*?)^```", text)
    run, _, sets = re.findall(r"(?ms)^```toml\n(.*?)^```", text)
    prepare, train = (shlex.split(line)[3:] for line in first.splitlines())

    drawn = draw_training_data(tmp_path / "drawn")
    shutil.copytree(drawn / "people", tmp_path / "my-pictures")
    shutil.copytree(drawn / "scenes", tmp_path / "my-scenes")
    (tmp_path / "shm_engine").symlink_to(repository / "shm_engine")
    (tmp_path / "my-run.toml").write_text(run, encoding="utf-8")
    monkeypatch.chdir(tmp_path)

    for arguments in (
        [*prepare, "--processes", "1", "--validate-every", "2"],
        [*train, "--workers", "0", "--set", f"phases = {ONE_STEP}", "--set", "charts = false"],
    ):
        result = CliRunner().invoke(commands, arguments, catch_exceptions=False)
        assert result.exit_code == 0, result.output
    assert (tmp_path / "prepared" / "manifest.csv").is_file()
    weights = tmp_path / "runs" / "my-run" / "weights.safetensors"
    assert weights.is_file()
    (tmp_path / "my-sets.toml").write_text(sets, encoding="utf-8")
    measure = ["evaluate", "--sets", "my-sets.toml", "--only", "put aside", "--model", str(weights)]
    result = CliRunner().invoke(commands, measure, catch_exceptions=False)
    assert "| put aside | 2 |" in result.output, "one of three people, one of three scenes"


def test_the_files_that_the_page_shows_can_be_read(repository: Path, tmp_path: Path) -> None:
    text = (repository / "docs" / "training.md").read_text(encoding="utf-8")
    run, validated, sets = re.findall(r"(?ms)^```toml\n(.*?)^```", text)
    (tmp_path / "my-run.toml").write_text(run, encoding="utf-8")
    (tmp_path / "my-sets.toml").write_text(sets, encoding="utf-8")
    config = read_config(tmp_path / "my-run.toml", validated.splitlines())
    assert (config.validation, config.validate_every) == ("my-sets.toml", 500)
    assert {one.kind for one in read_evaluation(tmp_path / "my-sets.toml").sets} < set(KINDS)
