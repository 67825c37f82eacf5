"""The whole way in seconds: train on drawn figures, measure, matte a picture with the result."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from training.data.drawn import draw_data
from training.data.sources import read_pixels
from training.evaluation.metrics import iou

CONFIGS = Path("training") / "configs"


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Path:
    """A folder in which tiny.toml has been trained."""
    folder = tmp_path_factory.mktemp("tiny")
    (folder / CONFIGS).mkdir(parents=True)
    for name in ("tiny.toml", "tiny_val.toml"):
        shutil.copy(repository / CONFIGS / name, folder / CONFIGS / name)
    training_does(folder, repository, "train", CONFIGS / "tiny.toml", "--threads", 1)
    return folder


def training_does(folder: Path, repository: Path, *arguments: object) -> str:
    """`python -m training ...` in a folder that is not the checkout's, as a user would."""
    return subprocess.run(
        [sys.executable, "-m", "training", *map(str, arguments)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(repository)},
        check=True,
        capture_output=True,
        text=True,
        timeout=600,
    ).stdout


@pytest.mark.long
def test_a_run_leaves_weights_the_best_of_them_a_log_and_curves(workplace: Path) -> None:
    run = workplace / "runs" / "tiny"
    assert {"weights.safetensors", "best.safetensors", "log.jsonl", "curves.png"} <= {
        path.name for path in run.iterdir()
    }
    assert list((run / "tensorboard").iterdir())


@pytest.mark.long
def test_what_was_trained_is_measured(workplace: Path, repository: Path) -> None:
    found = workplace / "found.json"
    table = training_does(
        workplace,
        repository,
        *("evaluate", "--sets", CONFIGS / "tiny_val.toml", "--threads", 1),
        *("--model", workplace / "runs" / "tiny" / "weights.safetensors", "--json", found),
    )
    assert "| drawn" in table
    (row,) = json.loads(found.read_text())["sets"]
    assert row["means"]["iou"] > 0.7, "random weights reach less than 0.3"


@pytest.mark.long
def test_what_was_trained_mattes_a_picture(workplace: Path) -> None:
    picture = workplace / "runs" / "tiny_data" / "val" / "image" / "0.png"
    alpha = workplace / "alpha.png"
    model = workplace / "runs" / "tiny" / "weights.safetensors"
    subprocess.run(
        [
            *(Path(sys.executable).with_name("shm-matte"), picture, "-o", alpha),
            *("--pass", "alpha", "--model", model),
        ],
        check=True,
        timeout=120,
    )
    truth = picture.parents[1] / "alpha" / "0.png"
    found, true = (
        read_pixels(path, cv2.IMREAD_GRAYSCALE) / np.float32(255) for path in (alpha, truth)
    )
    assert iou(found, true) > 0.7


def test_drawing_again_changes_no_file(tmp_path: Path) -> None:
    draw_data(tmp_path, 3, seed=4)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.png")}
    assert len(before) == 3 * 2 + 2 * 2
    draw_data(tmp_path, 3, seed=4)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.png")} == before
