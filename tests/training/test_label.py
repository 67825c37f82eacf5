"""Self-training: labels hold where the network is sure both ways round, and only there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import cast

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner

from shm_engine.errors import OptionsError
from shm_engine.matter import Matter
from shm_engine.types import Frame, Matte
from tests.synthetic import disc_alpha
from tests.training.drawn import interleaved, store
from training.__main__ import commands
from training.config import Phase, TrainingConfig
from training.data.dataset import IGNORED, MattingDataset
from training.data.label import LabelOptions, label, label_folder
from training.data.manifest import read_manifest

WIDTH = 80
ALPHA = disc_alpha(60, WIDTH, centre=(30, 40), radius=18)


class Oracle:
    """Stands in for a Matter: alpha is the red of the picture, whichever way round it is."""

    def __init__(self, *, prejudice: float = 0.0) -> None:
        self.prejudice = prejudice

    def mattes(self, frames: Iterable[Frame]) -> Iterator[Matte]:
        for frame in frames:
            alpha = frame.image[:1] / 255
            # Something that is only seen at the left.
            alpha[:, :10, :10] = alpha[:, :10, :10].clamp(min=self.prejudice)
            yield Matte(frame=frame, alpha=alpha)


def oracle(**options: float) -> Matter:
    return cast("Matter", Oracle(**options))


def photograph(alpha: torch.Tensor = ALPHA) -> np.ndarray:
    return interleaved(alpha.repeat(3, 1, 1))


def test_what_is_sure_is_believed_and_the_soft_edge_is_not() -> None:
    found = label(photograph(), oracle(), LabelOptions(sure_alpha=0.9))
    assert found is not None
    codes = photograph()[..., 0]
    expected = np.where(codes >= 0.9 * 255, 255, np.where(codes <= 0.1 * 255, 0, 128))
    assert (found.trimap == expected).all()
    assert (found.alpha[found.trimap == 255] == 255).all()
    assert (found.alpha[found.trimap == 0] == 0).all()
    soft = found.trimap == 128
    assert 0 < soft.sum() < 400
    assert (np.abs(found.alpha[soft].astype(int) - codes[soft]) <= 1).all()


def test_what_is_said_one_way_round_only_is_not_believed() -> None:
    found = label(photograph(), oracle(prejudice=1.0), LabelOptions())
    assert found is not None
    assert (found.trimap[:10, :10] == 128).all()
    assert (found.trimap[:10, -10:] == 128).all()


@pytest.mark.parametrize(
    "options", [LabelOptions(least_person=0.5), LabelOptions(most_doubt=0.001)]
)
def test_a_picture_with_too_little_that_is_sure_is_left_out(options: LabelOptions) -> None:
    assert label(photograph(), oracle(), options) is None


def test_labels_of_a_folder_can_be_trained_on(tmp_path: Path) -> None:
    for name in "ab":
        store(tmp_path / "photos" / f"{name}.png", photograph())
    store(tmp_path / "photos" / "nobody.png", photograph(torch.zeros(1, 50, 50)))
    out = tmp_path / "labels"
    counted = label_folder(tmp_path / "photos", out, oracle(), LabelOptions(), weight=0.5)
    assert counted == (2, 3, ())
    rows = read_manifest(out / "manifest.csv")
    assert [row.image.name for row in rows] == ["a.png", "b.png"]
    assert sum(row.weight for row in rows) == pytest.approx(0.5)
    run = TrainingConfig(
        manifests=(str(out / "manifest.csv"),),
        phases=(Phase(train="t_net", steps=1, batch=1, crop_pixels=64, learning_rate=1e-3),),
    )
    samples = MattingDataset(run, crop_pixels=64, first=0, count=4)
    for index in range(4):
        assert (samples[index].trimap == IGNORED).any()
        assert (samples[index].trimap != IGNORED).any()


def test_a_network_that_is_sure_of_nothing_is_an_error(tmp_path: Path) -> None:
    store(tmp_path / "grey.png", np.full((40, 40, 3), 128, np.uint8))
    with pytest.raises(OptionsError, match="not sure of any picture"):
        label_folder(tmp_path, tmp_path / "out", oracle(), LabelOptions(), weight=1.0)


def test_a_picture_that_cannot_be_read_is_left_out_by_name(tmp_path: Path) -> None:
    store(tmp_path / "a.png", photograph())
    (tmp_path / "b.png").write_bytes(b"no picture")
    used, found, refused = label_folder(
        tmp_path, tmp_path / "out", oracle(), LabelOptions(), weight=1.0
    )
    assert (used, found) == (1, 2)
    assert refused == (f"{tmp_path / 'b.png'} cannot be read as a picture",)


def test_two_pictures_of_one_name_would_share_a_label(tmp_path: Path) -> None:
    for name in ("a.png", "a.webp"):
        store(tmp_path / name, photograph())
    with pytest.raises(OptionsError, match="two pictures called a; rename one"):
        label_folder(tmp_path, tmp_path / "out", oracle(), LabelOptions(), weight=1.0)


def test_a_weight_of_nothing_is_refused_before_anything_is_labelled(tmp_path: Path) -> None:
    arguments = ["label", str(tmp_path), "--out", str(tmp_path / "out"), "--weight", "0"]
    result = CliRunner().invoke(commands, arguments)
    assert result.exit_code == 2
    assert "weight" in result.output


def test_the_command_labels_with_real_weights(tmp_path: Path, sample_clip: Path) -> None:
    capture = cv2.VideoCapture(str(sample_clip))
    store(tmp_path / "photos" / "frame.png", np.asarray(capture.read()[1], np.uint8))
    capture.release()
    arguments = ["label", str(tmp_path / "photos"), "--out", str(tmp_path / "labels")]
    result = CliRunner().invoke(commands, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    assert "1 of 1" in result.output
    assert len(read_manifest(tmp_path / "labels" / "manifest.csv")) == 1
