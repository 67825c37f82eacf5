"""shm-matte export: the file another runtime opens, and what it says where it cannot be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from cli import main as door
from shm_engine.checkpoint import load_checkpoint
from shm_engine.export import AlphaAndTrimap
from tests.assertions import NETWORK_FLOAT32, assert_close


def _export(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as ended:
        door.main(["export", *map(str, arguments)])
    code = ended.value.code
    assert isinstance(code, int)
    return code


@torch.no_grad()
@pytest.mark.long
def test_the_exported_network_says_what_pytorch_says(
    random_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "net.onnx"
    size = ("--height", "64", "--width", "96")
    assert _export(target, "--model", random_weights, *size) == 0
    assert "largest difference from PyTorch" in capsys.readouterr().out
    session = onnxruntime.InferenceSession(target, providers=["CPUExecutionProvider"])
    image = np.random.default_rng(1).normal(size=(1, 3, 64, 96)).astype(np.float32)
    found = session.run(["alpha", "trimap"], {"image": image})
    expected = AlphaAndTrimap(load_checkpoint(random_weights).model)(torch.from_numpy(image))
    for one, other in zip(found, expected, strict=True):
        assert_close(torch.from_numpy(np.asarray(one)), other, NETWORK_FLOAT32)


def test_a_size_that_cannot_be_is_refused(
    random_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "net.onnx"
    assert _export(target, "--model", random_weights, "--height", "100") == 1
    assert "use multiples of 32" in capsys.readouterr().err
    assert not target.exists()


def test_a_network_that_onnx_changes_is_not_written(
    random_weights: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("shm_engine.export.onnx_bytes", lambda *_: b"changed")
    monkeypatch.setattr("cli.export._difference", lambda *_: 0.5)
    target = tmp_path / "net.onnx"
    size = ("--height", "64", "--width", "64")
    assert _export(target, "--model", random_weights, *size) == 1
    assert "differs from PyTorch by 0.5" in capsys.readouterr().err
    assert not target.exists()
