"""shm-matte bench: the numbers it prints, and that nothing stays behind."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest

from cli import main as door


def _bench(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    with pytest.raises(SystemExit) as ended:
        door.main(["bench", *map(str, arguments)])
    shown = capsys.readouterr()
    assert ended.value.code == 0, shown.err
    return shown.out


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where temporary files go during a test."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_matting_and_codec_are_measured_over_the_same_frames(
    random_weights: Path, sample_clip: Path, temporary: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("--model", random_weights, "--size", "64", "--device", "cpu", "--frames", "5")
    reading = json.loads(_bench(capsys, sample_clip, *arguments, "--json"))
    assert reading["end_to_end"]["frames"] == reading["codec_alone"]["frames"] == 5
    assert 0 < reading["end_to_end"]["fps"] < reading["codec_alone"]["fps"]
    assert 50 < reading["end_to_end"]["peak_mib"] <= reading["codec_alone"]["peak_mib"]
    assert reading["end_to_end"]["settled_mib"] is None
    assert "on cpu" in reading["matter"]
    assert not list(temporary.iterdir())


def test_memory_after_100_frames_stands_beside_that_at_the_end(
    random_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from tests.cli.clips import Clip

    clip = Clip(frames=110).write(tmp_path / "clip.mp4")
    arguments = ("--model", random_weights, "--size", "64", "--device", "cpu")
    table = _bench(capsys, clip, *arguments)
    assert "110 frames" in table
    assert "end to end" in table
    assert "codec alone" in table
    assert "after 100 frames" in table
