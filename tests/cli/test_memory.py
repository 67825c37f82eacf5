"""--memory: what is given up for a ceiling, what is refused, and that the ceiling holds."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cli import main as door
from cli.memory import Allowance, allowance, parse_size
from cli.video import copy_clip
from shm_engine.errors import OptionsError

GIB = 1 << 30

UHD = (3840, 2160)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("2G", 2 * GIB), ("1500M", 1500 << 20), (" 1.5g ", 3 * GIB // 2), ("2GiB", 2 * GIB)],
)
def test_sizes_are_read_as_people_write_them(text: str, expected: int) -> None:
    assert parse_size(text) == expected


@pytest.mark.parametrize("text", ["", "2", "-1G", "lots", "2 G", "0x2G"])
def test_what_is_no_size_is_refused_with_one_that_is(text: str) -> None:
    with pytest.raises(OptionsError, match="write 2G or 1500M"):
        parse_size(text)


def test_without_a_ceiling_nothing_is_given_up() -> None:
    assert allowance(None, *UHD, 8) == Allowance()


def test_the_lower_the_ceiling_the_less_is_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    ways = [allowance(int(gib * GIB), *UHD, 8) for gib in (8, 2.4, 1.5, 1.25, 1.1)]
    assert ways[0] == Allowance(frames_ahead=2, encoder_threads=8)
    assert ways[-1] == Allowance(frames_ahead=0, encoder_threads=1)
    costs = [(way.frames_ahead, way.encoder_threads) for way in ways]
    assert costs == sorted(costs, reverse=True)
    assert len(set(costs)) == len(costs)


def test_deeper_sources_take_more() -> None:
    with pytest.raises(OptionsError):
        allowance(int(1.2 * GIB), *UHD, 10)
    assert allowance(int(1.2 * GIB), *UHD, 8)


def test_too_little_is_refused_with_the_least_that_works() -> None:
    with pytest.raises(OptionsError, match=r"--memory 1\.0G is too little .*; use 2\.4G or more"):
        allowance(GIB, 7680, 4320, 8)
    assert allowance(int(2.4 * GIB), 7680, 4320, 8) == Allowance(frames_ahead=0, encoder_threads=1)


def test_the_command_refuses_too_little_before_it_works(
    sample_clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "out.mov"
    with pytest.raises(SystemExit) as ended:
        door.main([str(sample_clip), "-o", str(target), "--memory", "100M"])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert "--memory 0.1G is too little for 640 x 360; use 0.7G or more" in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.long
@pytest.mark.skipif(sys.platform == "win32", reason="needs a system that tells peak memory")
def test_the_ceiling_holds_at_3840_x_2160(
    sample_clip: Path, repository: Path, tmp_path: Path
) -> None:
    large = tmp_path / "large.mp4"
    copy_clip(sample_clip, large, 2160, None)
    script = (
        "import sys\n"
        "from cli import main as door\n"
        "from cli.bench import peak_memory_mib\n"
        "try:\n    door.main(sys.argv[1:])\n"
        "finally:\n    print(peak_memory_mib())\n"
    )
    arguments = [str(large), "-o", str(tmp_path / "out.mov"), "--memory", "1200M", "--quiet"]
    ended = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        cwd=repository,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert float(ended.stdout) < 1200
