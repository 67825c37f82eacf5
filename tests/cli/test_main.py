"""The door: help, the default command, exit codes, one sentence for whatever goes wrong."""

from __future__ import annotations

import errno
import json
import signal
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest

from cli import main as door
from cli import matte
from shm_engine import MattingError, __version__
from shm_engine.errors import OptionsError

_HEAVY = ("torch", "av", "cv2", "numpy", "scipy", "tqdm")


def _run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        door.main(arguments)
    shown = capsys.readouterr()
    assert isinstance(ended.value.code, int)
    return ended.value.code, shown.out, shown.err


def _fails_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr(matte, "perform", fail)


@pytest.mark.parametrize("arguments", [[], ["-h"], ["--help"]])
def test_help_shows_how_to_matte_and_what_else_there_is(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    code, shown, errors = _run(capsys, *arguments)
    assert (code, errors) == (0, "")
    for text in ("INPUT -o OUTPUT", "--device", "--size", "512", "--pass", "bench", "matte"):
        assert text in shown


@pytest.mark.parametrize("command", list(door.COMMANDS))
def test_every_command_has_help_with_a_summary(
    capsys: pytest.CaptureFixture[str], command: str
) -> None:
    code, shown, _ = _run(capsys, command, "--help")
    assert code == 0
    assert "Options:" in shown
    listed = door.group.get_command(click.Context(door.group), command)
    assert listed is not None
    assert listed.short_help


def test_version_is_the_engine_s(capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(capsys, "--version") == (0, f"shm-matte {__version__}\n", "")


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["bench", "-h"], ["no-such-file"]]
)
def test_help_and_early_refusals_import_nothing_slow(arguments: list[str]) -> None:
    script = (
        "import sys\n"
        "from cli.main import main\n"
        "try:\n"
        f"    main({arguments!r})\n"
        "except SystemExit:\n"
        f"    print([m for m in {_HEAVY!r} if m in sys.modules], file=sys.stderr)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    # A sentence on stderr is written past a bar.
    slow = ["tqdm"] if "no-such-file" in arguments else []
    assert ended.stderr.splitlines()[-1] == str(slow)


@pytest.mark.parametrize(
    "arguments",
    [
        ["clip.mp4"],
        ["-o", "out.mov"],
        ["clip.mp4", "-o"],
        ["clip.mp4", "-o", "out.mov", "--no-such-option"],
        ["clip.mp4", "-o", "out.mov", "--pass", "colour"],
        ["clip.mp4", "-o", "out.mov", "--size", "large"],
        ["clip.mp4", "-o", "out.mov", "--size", "5"],
        ["clip.mp4", "-o", "out.mov", "--device", "tpu"],
        ["clip.mp4", "-o", "out.mov", "--progress", "loud"],
        ["clip.mp4", "-o", "out.mov", "--pass", "composite"],
        ["clip.mp4", "-o", "out.mov", "--background", "green"],
        ["clip.mp4", "-o", "out.mov", "--pass", "composite", "--background", "no-such-colour"],
        ["clip.mp4", "other.mp4", "-o", "out.mov"],
        ["bench"],
        ["bench", "clip.mp4", "--frames", "0"],
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    code, out, errors = _run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert errors.startswith("shm-matte: ")
    assert errors.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (MattingError("the clip is bad; use another"), 1, "the clip is bad; use another"),
        (OptionsError("size is 5; use 64"), 2, "size is 5; use 64"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (MemoryError(), 1, "not enough memory"),
        (OSError(errno.ENOSPC, "No space left on device", "out.mov"), 1, "disk is full: out.mov"),
        (PermissionError(errno.EACCES, "Permission denied", "x.mov"), 1, "denied: x.mov"),
        (ZeroDivisionError("division by zero\nmore"), 1, "please report it"),
    ],
)
def test_every_error_is_one_sentence_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    code: int,
    words: str,
) -> None:
    _fails_with(monkeypatch, error)
    ended, out, errors = _run(capsys, "clip.mp4", "-o", "out.mov")
    assert (ended, out) == (code, "")
    assert words in errors
    assert errors.startswith("shm-matte: ")
    assert errors.count("\n") == 1


def test_verbose_shows_where_an_unexpected_error_came_from(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _fails_with(monkeypatch, ZeroDivisionError("division by zero"))
    assert "Traceback" in _run(capsys, "clip.mp4", "-o", "out.mov", "-v")[2]
    _fails_with(monkeypatch, MattingError("the clip is bad"))
    assert "Traceback" not in _run(capsys, "-v", "clip.mp4", "-o", "out.mov")[2]


def test_verbose_shows_the_cause_of_an_expected_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    error = MattingError("the clip is bad")
    error.__cause__ = ZeroDivisionError("the cause")
    _fails_with(monkeypatch, error)
    arguments = ("clip.mp4", "-o", "out.mov")
    shown = _run(capsys, *arguments, "-v")[2].splitlines()
    assert (shown[0], shown[-1]) == (
        "shm-matte: the clip is bad",
        "ZeroDivisionError: the cause",
    )
    assert _run(capsys, *arguments)[2] == "shm-matte: the clip is bad\n"


@pytest.mark.parametrize(
    ("error", "path", "frame"),
    [
        (MattingError("it is bad", path="clip.mp4", frame_index=7), "clip.mp4", 7),
        (MattingError("it is bad"), None, None),
        (MemoryError(), None, None),
    ],
)
def test_an_error_in_json_mode_is_one_event(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
    path: str | None,
    frame: int | None,
) -> None:
    _fails_with(monkeypatch, error)
    code, _, errors = _run(capsys, "clip.mp4", "-o", "out.mov", "--progress", "json")
    assert code == 1
    event = json.loads(errors)
    assert event.pop("message")
    assert event == {"event": "error", "path": path, "frame": frame}


@pytest.mark.parametrize(
    "arguments",
    [
        ["clip.mp4", "--progress", "json"],
        ["clip.mp4", "--progress=json"],
        ["clip.mp4", "-o", "out.mov", "--progress", "json", "--bogus"],
        ["--bogus", "clip.mp4", "--progress=json"],
        ["bench", "clip.mp4", "--progress", "json"],
    ],
)
def test_wrong_usage_in_json_mode_is_an_event_too(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    code, _, errors = _run(capsys, *arguments)
    assert code == 2
    assert json.loads(errors)["event"] == "error"


@pytest.mark.parametrize("name", ["-dash.mp4", "-output.mp4"])
def test_a_file_taken_for_an_option_gets_a_hint(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    hint = f"write ./{name} for a file"
    assert hint not in _run(capsys, name, "-o", "x.mov")[2]
    Path(name).touch()
    code, _, errors = _run(capsys, name, "-o", "x.mov")
    assert (code, errors.count("\n")) == (2, 1)
    assert hint in errors


def _start_job_with_temporary(file: Path, before: str = "") -> subprocess.Popen[str]:
    """The program, working for a minute on a temporary file, after the statements `before`."""
    script = (
        "import pathlib, signal, time\n"
        "from cli import main, matte\n"
        "def run(*_):\n"
        f"    file = pathlib.Path({str(file)!r})\n"
        "    try:\n"
        "        file.touch()\n"
        "        print('working', flush=True)\n"
        "        time.sleep(60)\n"
        "    finally:\n"
        "        file.unlink()\n"
        "matte.perform = run\n"
        f"{before}\n"
        "main.main(['clip.mp4', '-o', 'out.mov'])"
    )
    return subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="needs terminals that hang up")
def test_a_closed_terminal_leaves_no_temporary_file(tmp_path: Path) -> None:
    file = tmp_path / "temporary"
    listen = "signal.signal(signal.SIGHUP, signal.SIG_DFL)"  # this test may run under nohup
    with _start_job_with_temporary(file, listen) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        assert file.exists()
        process.stderr.close()  # nobody can be told
        process.send_signal(signal.SIGHUP)
    assert process.returncode == 130
    assert not file.exists()


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="needs terminals that hang up")
def test_under_nohup_it_goes_on_when_the_terminal_is_closed(tmp_path: Path) -> None:
    ignore = "signal.signal(signal.SIGHUP, signal.SIG_IGN)"
    with _start_job_with_temporary(tmp_path / "temporary", ignore) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=0.3)
        process.send_signal(signal.SIGTERM)
    assert process.returncode == 130


@pytest.mark.parametrize("module", ["click", "cli.main", "shm_engine"])
def test_stopped_while_it_is_still_imported_it_says_one_line(repository: Path, module: str) -> None:
    script = (
        "import sys\n"
        "from cli.entry import main\n"
        f"assert not {{'click', 'cli.main', 'shm_engine'}} & set(sys.modules)\n"
        "class Interrupt:\n"
        "    @staticmethod\n"
        "    def find_spec(name, *_):\n"
        f"        if name == {module!r}:\n"
        "            raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupt)\n"
        "main()\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert (ended.returncode, ended.stderr) == (130, b"shm-matte: interrupted\n")
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    assert project["scripts"]["shm-matte"] == "cli.entry:main"


def test_a_reader_that_has_gone_is_no_error() -> None:
    script = (
        "import sys\n"
        "from cli import bench, main\n"
        "def shout(*_, **__):\n"
        "    for _ in range(100_000):\n"
        "        print('x' * 100)\n"
        "bench.command.callback = shout\n"
        "main.main(['bench', 'clip'])\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1
