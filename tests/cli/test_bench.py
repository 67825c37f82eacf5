"""shm-matte bench: the numbers it prints, and that nothing stays behind."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest

from cli import main as door
from cli.stages import STAGES
from shm_engine.images import read_image


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


ARGUMENTS = ("--size", "64", "--device", "cpu", "--backend", "eager")


def test_stages_whole_and_codec_are_measured_over_the_same_frames(
    random_weights: Path, sample_clip: Path, temporary: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frames = ("--frames", "5", "--json")
    reading = json.loads(
        _bench(capsys, sample_clip, "--model", random_weights, *ARGUMENTS, *frames)
    )
    assert "on cpu" in reading["matter"]
    (size,) = reading["sizes"]
    whole, codec = size["end_to_end"], size["codec_alone"]
    assert whole["frames"] == codec["frames"] == 5
    assert 0 < whole["fps"] < codec["fps"]
    assert size["ratio"] == pytest.approx(codec["fps"] / whole["fps"])
    assert 50 < whole["peak_mib"] <= codec["peak_mib"]
    assert whole["settled_mib"] is None
    assert list(size["stages"]) == list(STAGES)
    for name in ("decode", "prepare", "network", "smoothing", "detail", "encode"):
        assert 0 < size["stages"][name] < 10_000, name
    assert not list(temporary.iterdir())


def test_stages_that_are_off_take_no_time(
    random_weights: Path, sample_clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    off = ("--frames", "3", "--smooth", "off", "--foreground", "source", "--json")
    output = _bench(capsys, sample_clip, "--model", random_weights, *ARGUMENTS, *off)
    (size,) = json.loads(output)["sizes"]
    assert size["stages"]["smoothing"] == size["stages"]["colours"] == 0


def test_a_clip_is_scaled_and_repeated_as_asked(
    random_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from tests.cli.clips import Clip

    clip = Clip(frames=40).write(tmp_path / "clip.mp4")
    plot = tmp_path / "bars.png"
    wanted = ("--frames", "105", "--heights", "32,96", "--plot", plot)
    table = _bench(capsys, clip, "--model", random_weights, *ARGUMENTS, *wanted)
    assert "the whole over 105 frames" in table
    rows = [line.split("|")[1:-1] for line in table.splitlines() if line.startswith("|")]
    assert [row[0].strip() for row in rows[2:]] == ["42 x 32", "128 x 96"]
    # The column after 100 frames, and the peak at the end.
    assert all(0 < float(row[-1]) <= float(row[-2]) for row in rows[2:])
    image = read_image(plot).image
    assert image.float().std() > 10


def test_heights_that_cannot_be_are_refused(
    sample_clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for wrong in ("tall", "8", "1080,"):
        with pytest.raises(SystemExit) as ended:
            door.main(["bench", str(sample_clip), "--heights", wrong])
        assert ended.value.code == 2
        assert "give numbers from 16 on" in capsys.readouterr().err
