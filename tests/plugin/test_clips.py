"""Whole clips as a child process, with a stand-in for the program."""

from __future__ import annotations

import json
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest

from shm_plugin import clips
from shm_plugin.client import Cancelled
from shm_plugin.clips import ClipProgress, ClipRequest, ClipRun
from shm_plugin.finding import EngineNotFound, WorkerError
from tests.cli.clips import Clip

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the stand-in is a script")

# What the stand-in for Python does instead of starting the program.
_PROGRAM = """#!{python}
import json, os, sys
from pathlib import Path
HERE = Path(__file__).parent
with (HERE / "calls").open("a") as calls:
    calls.write(json.dumps([sys.argv[1:], dict(os.environ)]) + "\\n")
def tell(event, **fields):
    print(json.dumps({{"event": event, **fields}}), file=sys.stderr, flush=True)
def show(frame, total, left=None):
    tell("progress", frame=frame, total=total, fps=None, seconds_left=left)
def fail(message):
    tell("error", message=message, path=None, frame=None)
    sys.exit(1)
"""


@dataclass(frozen=True, kw_only=True)
class StandIn:
    """A program that does what `acts`, some Python, says."""

    folder: Path

    def acts(self, script: str) -> None:
        program = self.folder / "python3"
        program.write_text(_PROGRAM.format(python=sys.executable) + script)
        program.chmod(0o755)

    def run(self, target: str = "out.mov") -> ClipRun:
        request = ClipRequest(source=self.folder / "in.mp4", target=self.folder / target)
        return ClipRun(request, str(self.folder / "python3"))

    def calls(self) -> list[list[str]]:
        lines = (self.folder / "calls").read_text().splitlines()
        return [json.loads(line)[0] for line in lines]

    def environments(self) -> list[dict[str, str]]:
        lines = (self.folder / "calls").read_text().splitlines()
        return [json.loads(line)[1] for line in lines]


@pytest.fixture
def program(tmp_path: Path) -> StandIn:
    return StandIn(folder=tmp_path)


def test_progress_is_a_share_and_words_with_the_time_that_is_left(program: StandIn) -> None:
    program.acts(
        "show(0, 10); show(4, 10, 75.2); show(9, 10, 0.4); show(5, None); show(1, 2, 7300)"
    )
    assert list(program.run().progress()) == [
        ClipProgress(share=0, text="frame 0 of 10"),
        ClipProgress(share=0.4, text="frame 4 of 10, 1 min 15 s left"),
        ClipProgress(share=0.9, text="frame 9 of 10, 0 s left"),
        ClipProgress(share=0, text="frame 5"),
        ClipProgress(share=0.5, text="frame 1 of 2, 2 h 01 min left"),
    ]


@pytest.mark.parametrize(
    ("target", "codec"), [("out.mov", "png"), ("out.mkv", "ffv1"), ("out.png", None)]
)
def test_the_program_is_asked_for_the_alpha_in_a_format_that_hosts_read_exactly(
    program: StandIn, target: str, codec: str | None
) -> None:
    program.acts("")
    list(program.run(target).progress())
    (call,) = program.calls()
    assert call[:5] == ["-P", "-X", "utf8", "-m", "cli.hosted"]
    assert call[call.index("--pass") + 1] == "alpha"
    assert call[call.index("--output") + 1] == str(program.folder / target)
    assert ("--codec" in call) == (codec is not None)
    assert codec is None or call[call.index("--codec") + 1] == codec
    assert call[call.index("--progress") + 1] == "json"
    assert {"--resume", "--overwrite"} <= set(call)
    assert call[-2:] == ["--", str(program.folder / "in.mp4")]


def test_the_environment_of_the_host_is_not_passed_on(
    program: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", "/host/lib")
    monkeypatch.setenv("BLENDER_USER_RESOURCES", "/host")
    monkeypatch.setenv("SHM_SOMETHING", "kept")
    program.acts("")
    list(program.run().progress())
    (environment,) = program.environments()
    assert "LD_LIBRARY_PATH" not in environment
    assert "BLENDER_USER_RESOURCES" not in environment
    assert environment["SHM_SOMETHING"] == "kept"


def test_an_error_is_the_sentence_of_the_program(program: StandIn) -> None:
    program.acts("show(1, 9); fail('the disk is full; make room')")
    with pytest.raises(WorkerError, match=r"^The disk is full; make room\.$"):
        list(program.run().progress())


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("free some space, or add --no-disk-check", "Free some space."),
        (
            "/a/5.png is missing; add it, or use --keep-partial to go on",
            "/a/5.png is missing; add it.",
        ),
        (
            "a.mov is being written; wait for it, or give another OUTPUT",
            "A.mov is being written; wait for it.",
        ),
    ],
)
def test_what_is_meant_for_terminals_is_not_told_to_hosts(
    program: StandIn, said: str, told: str
) -> None:
    program.acts(f"fail({said!r})")
    with pytest.raises(WorkerError) as caught:
        list(program.run().progress())
    assert str(caught.value) == told


def test_a_python_without_the_engine_is_named(program: StandIn) -> None:
    bare = program.folder / "bare"
    bare.mkdir()
    (bare / "python3").write_text(f"#!/bin/sh\nexec {sys.executable} -S -I -m cli.hosted\n")
    (bare / "python3").chmod(0o755)
    request = ClipRequest(source=program.folder / "in.mp4", target=program.folder / "out.mov")
    with pytest.raises(EngineNotFound, match=r"bare/python3 has no engine .* choose"):
        list(ClipRun(request, str(bare / "python3")).progress())


def test_a_program_that_is_killed_is_not_told_by_a_number(program: StandIn) -> None:
    program.acts("show(1, 2); os.kill(os.getpid(), 9)")
    with pytest.raises(WorkerError, match=r"ended by the system.*what is done is kept"):
        list(program.run().progress())


def test_a_program_that_cannot_start_is_told_in_its_last_words(program: StandIn) -> None:
    program.acts("print('No module named cli.hosted', file=sys.stderr); sys.exit(1)")
    with pytest.raises(WorkerError, match=r"^No module named cli\.hosted\.$"):
        list(program.run().progress())


def test_a_program_that_says_nothing_is_told_by_its_code(program: StandIn) -> None:
    program.acts("sys.exit(9)")
    with pytest.raises(WorkerError, match=r"^The engine ended with code 9\.$"):
        list(program.run().progress())


def test_without_an_engine_it_is_told_what_to_choose(program: StandIn) -> None:
    with pytest.raises(EngineNotFound, match="which is no engine of Human Matte"):
        list(program.run().progress())


def test_what_libraries_print_blocks_nothing_and_is_no_progress(program: StandIn) -> None:
    program.acts(
        "print('noise ' * 200_000); print('[1, 2]', file=sys.stderr)\n"
        "for _ in range(20): print('noise' * 20_000, file=sys.stderr)\n"
        "show(1, 1)"
    )
    assert [item.share for item in program.run().progress()] == [1]


def test_an_unfinished_run_of_other_options_is_begun_anew(program: StandIn) -> None:
    program.acts(
        "if '--resume' in sys.argv: fail('use the same, or --overwrite without --resume')\n"
        "show(1, 1)"
    )
    assert [item.share for item in program.run().progress()] == [1]
    resumed, anew = program.calls()
    assert "--resume" in resumed
    assert "--resume" not in anew
    assert "--overwrite" in anew


# Ends as the program does: when its stdin is closed.
_WAITS = "show(1, 9)\nsys.stdin.read()\n(HERE / 'ended').touch()\nsys.exit(130)"


def test_cancel_lets_the_program_end_in_peace(program: StandIn) -> None:
    program.acts(_WAITS)
    run = program.run()
    progress = run.progress()
    next(progress)
    threading.Timer(0.05, run.cancel).start()
    with pytest.raises(Cancelled):
        next(progress)
    assert (program.folder / "ended").exists()


def test_cancel_before_the_beginning_starts_nothing(program: StandIn) -> None:
    program.acts("")
    run = program.run()
    run.cancel()
    with pytest.raises(Cancelled):
        list(run.progress())
    assert not (program.folder / "calls").exists()


def test_who_stops_listening_ends_the_program(program: StandIn) -> None:
    program.acts(_WAITS)
    progress = program.run().progress()
    next(progress)
    progress.close()
    assert (program.folder / "ended").exists()


def test_a_program_that_does_not_listen_is_ended(
    program: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clips, "_ENDING_SECONDS", 0.2)
    program.acts(
        "import signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "show(1, 9)\ntime.sleep(60)\n(HERE / 'ended').touch()"
    )
    progress = program.run().progress()
    next(progress)
    progress.close()
    assert not (program.folder / "ended").exists()


@pytest.mark.long
def test_the_real_program_makes_a_matte_once_and_goes_on_where_it_was_stopped(
    tmp_path: Path,
) -> None:
    source = Clip(frames=300).write(tmp_path / "in.mp4")
    target = tmp_path / "out.mov"
    request = ClipRequest(source=source, target=target, device="cpu", size=64)
    run = ClipRun(request, sys.executable)
    progress = run.progress()
    while next(progress).share <= 0.5:
        pass
    run.cancel()
    with pytest.raises(Cancelled):
        list(progress)
    assert not target.exists()
    assert [path.name for path in tmp_path.glob(".*")] == [".out.mov.journal"]
    first = next(iter(ClipRun(request, sys.executable).progress()))
    assert first.share >= 0.4
    list(ClipRun(request, sys.executable).progress())
    written = target.stat().st_mtime_ns
    assert list(ClipRun(request, sys.executable).progress()) == []
    assert target.stat().st_mtime_ns == written
    assert list(tmp_path.glob(".*")) == []
