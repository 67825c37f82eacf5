"""What is kept of an unfinished run, and when it is gone on with."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cli.journal import Journal
from shm_engine.errors import MattingError

KEY = {"source": "abc", "settings": {"size": 512, "smooth": "light"}}


def begin(target: Path, key: dict[str, Any] | None = None, **how: bool) -> Journal:
    return Journal.begin(target, key or KEY, **({"resumes": False, "overwrites": False} | how))


def leave_behind(target: Path, frames: int = 240) -> Path:
    with begin(target) as journal:
        (journal.folder / "packets").write_bytes(b"12345")
        journal.commit(frames, 5, {"draft": b"\0\1"})
    return journal.folder


def test_what_was_committed_is_there_for_the_next_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="cli.journal")
    folder = leave_behind(tmp_path / "out.mov")
    assert "240 frames are kept; the same command with --resume" in caplog.text
    with begin(tmp_path / "out.mov", resumes=True) as journal:
        assert (journal.frames, journal.written) == (240, 5)
        assert journal.states == {"draft": b"\0\1"}
        assert (folder / "packets").read_bytes() == b"12345"


def test_nothing_stays_of_work_that_is_done_or_never_got_anywhere(tmp_path: Path) -> None:
    with begin(tmp_path / "out.mov") as journal:
        (journal.folder / "packets").touch()
    with begin(tmp_path / "out.mov") as journal:
        journal.commit(120, 0, {})
        journal.close(is_done=True)
    assert list(tmp_path.iterdir()) == []


def test_work_is_not_lost_by_forgetting_an_option(tmp_path: Path) -> None:
    leave_behind(tmp_path / "out.mov")
    words = r"240 frames lies beside .* add --resume .* --overwrite"
    with pytest.raises(MattingError, match=words):
        begin(tmp_path / "out.mov")
    with begin(tmp_path / "out.mov", resumes=True) as journal:
        assert journal.frames == 240


def test_overwrite_begins_anew(tmp_path: Path) -> None:
    leave_behind(tmp_path / "out.mov")
    with begin(tmp_path / "out.mov", overwrites=True) as journal:
        assert (journal.frames, list(journal.states)) == (0, [])
        assert not (journal.folder / "packets").exists()


def test_other_options_are_named_and_nothing_is_mixed(tmp_path: Path) -> None:
    leave_behind(tmp_path / "out.mov")
    other = {"source": "abc", "settings": {"size": 384, "smooth": "light"}}
    with pytest.raises(MattingError, match=r"other options \(settings size\)"):
        begin(tmp_path / "out.mov", other, resumes=True)
    with begin(tmp_path / "out.mov", resumes=True) as journal:
        assert journal.frames == 240


@pytest.mark.parametrize("damage", ["cut", "empty", "absent", "text"])
def test_a_checkpoint_that_cannot_be_read_begins_anew(tmp_path: Path, damage: str) -> None:
    checkpoint = leave_behind(tmp_path / "out.mov") / "checkpoint"
    whole = checkpoint.read_bytes()
    if damage == "absent":
        checkpoint.unlink()
    else:
        checkpoint.write_bytes({"cut": whole[:-30], "empty": b"", "text": b"x" * 99}[damage])
    with begin(tmp_path / "out.mov", resumes=True) as journal:
        assert journal.frames == 0


def test_two_runs_do_not_write_one_output(tmp_path: Path) -> None:
    with (
        begin(tmp_path / "out.mov"),
        pytest.raises(MattingError, match="being written by another run"),
    ):
        begin(tmp_path / "out.mov", resumes=True)


@pytest.mark.skipif(os.name == "nt", reason="needs signals")
def test_a_killed_run_leaves_no_lock(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from cli.journal import Journal\n"
        "journal = Journal.begin(Path(sys.argv[1]), {}, resumes=False, overwrites=False)\n"
        "journal.commit(120, 0, {})\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", script, tmp_path / "out.mov"], check=False)
    with Journal.begin(tmp_path / "out.mov", {}, resumes=True, overwrites=False) as journal:
        assert journal.frames == 120
