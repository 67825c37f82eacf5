"""What a person and a program are told of a batch, on the way and at its end."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cli.batch.displays import FilesBar, FilesStatus
from cli.batch.overview import Overview
from cli.batch.results import (
    SUMMARY_NAME,
    Outcome,
    Result,
    counted,
    printable,
    table,
    write_summary,
)
from cli.progress import Status
from shm_engine.errors import MattingError
from tests.cli.batches import (
    Recorder,
)


def test_the_overview_adds_up_what_workers_say(tmp_path: Path) -> None:
    display = Recorder()
    overview = Overview(display)
    overview.workers = 2
    half = Status(frame=50, total=100, fps=10.0, seconds_left=5.0)
    done = Result(name="c", outcome=Outcome.DONE, source=tmp_path, frames=100, seconds=10.0)
    with overview:
        overview.expect(6)
        overview.advance(1, half)
        overview.advance(2, replace(half, fps=None, total=None, seconds_left=None))
        # 1 has 5 s left; 2 and the four that wait take 10 s each, as 1 does in all
        assert overview.status == FilesStatus(
            frame=100, total=None, fps=10.0, seconds_left=27.5, files=0, files_total=6
        )
        overview.drop(1)
        overview.end(done)
        assert overview.status.frame == 150
        assert overview.status.files == 1
        overview.drop(2)
        overview.end(replace(done, outcome=Outcome.SKIPPED))
        assert overview.status.frame == 100
        assert overview.status.seconds_left == 4 * 10 / 2
    assert display.events == ["c done", "c skipped", "stop", "done"]


def test_the_bar_shows_files_frames_rate_and_time(capsys: pytest.CaptureFixture[str]) -> None:
    bar = FilesBar()
    status = FilesStatus(
        frame=120, total=None, fps=7.25, seconds_left=83.0, files=2, files_total=30
    )
    bar.start(status)
    bar.stop(status)
    shown = capsys.readouterr().err
    for part in ("2/30 files", "120 frames", "7.2 frames/s", "01:23 left"):
        assert part in shown


@pytest.fixture
def results(tmp_path: Path) -> list[Result]:
    """One of every kind."""
    source = tmp_path / "in"

    def result(name: str, outcome: Outcome, **others: Any) -> Result:
        return Result(name=name, outcome=outcome, source=source / name, **others)

    return [
        result("a.mp4", Outcome.DONE, frames=300, seconds=40.0, tries=1),
        result("sub/手を.mp4", Outcome.SKIPPED, frames=12),
        result("new\nline.mp4", Outcome.FAILED, reason=f"{source}/new\nline.mp4 is empty"),
        result("x" * 100 + ".mp4", Outcome.STOPPED),
    ]


def test_the_table_has_a_line_for_each_file_and_one_for_all(results: list[Result]) -> None:
    lines = table(results).splitlines()
    assert len(lines) == len(results) + 3
    assert lines[0].split() == ["file", "result", "frames", "seconds", "fps"]
    assert lines[1].split() == ["a.mp4", "done", "300", "40.0", "7.5"]
    assert lines[3].split() == [r"new\nline.mp4", "failed", r"new\nline.mp4", "is", "empty"]
    assert "…" in lines[4]
    assert lines[-1] == "4 files: 1 done, 1 skipped, 1 failed, 1 stopped"


def test_columns_stand_below_one_another_though_letters_are_wide(results: list[Result]) -> None:
    lines = table(results).splitlines()
    # 手を take two columns each.
    assert lines[1].index("done") == lines[2].index("skipped") + 2
    assert lines[1].index("done") == lines[3].index("failed")


def test_a_run_with_nothing_to_do_says_so(results: list[Result]) -> None:
    assert counted([replace(result, outcome=Outcome.SKIPPED) for result in results]) == (
        "4 files: nothing to do, all were finished before"
    )
    assert counted([]) == "0 files"


def test_the_summary_says_all_of_it_to_programs(tmp_path: Path, results: list[Result]) -> None:
    contents = json.loads(write_summary(tmp_path / "out", results, 12.3456).read_text())
    assert contents["seconds"] == 12.346
    assert contents["counts"] == {
        "done": 1, "skipped": 1, "failed": 1, "waiting": 0, "stopped": 1,
    }  # fmt: skip
    assert contents["files"][0] == {
        "name": "a.mp4", "result": "done", "source": str(tmp_path / "in" / "a.mp4"),
        "target": None, "frames": 300, "seconds": 40.0, "frames_per_second": 7.5, "tries": 1,
        "reason": None,
    }  # fmt: skip
    assert contents["files"][2]["name"] == "new\nline.mp4"


def test_names_that_are_no_text_are_written_all_the_same(tmp_path: Path) -> None:
    name = b"caf\xe9.mp4".decode(errors="surrogateescape")
    result = Result(name=name, outcome=Outcome.DONE, source=tmp_path / name)
    assert printable(name) == r"caf\udce9.mp4"
    table([result]).encode()
    path = write_summary(tmp_path, [result], 1.0)
    assert json.loads(path.read_text())["files"][0]["name"] == name


def test_a_summary_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / SUMMARY_NAME).mkdir()
    with pytest.raises(MattingError, match=f"{SUMMARY_NAME} cannot be written"):
        write_summary(tmp_path, [], 1.0)
