"""The program as a child of a host."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

PATIENCE = 60.0


def start(*arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-P", "-m", "cli.hosted", *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe)


def test_it_is_the_program() -> None:
    asked = start("--version")
    assert asked.stdout is not None
    # While stdin is open.
    assert asked.stdout.read().startswith(b"shm-matte ")
    asked.communicate(timeout=PATIENCE)
    assert asked.returncode == 0


def test_nothing_else_waits_for_the_stdin_that_tells_of_the_host() -> None:
    look = "import os, cli.hosted as it; h = it._take_stdin(); print(os.read(0, 1), os.read(h, 1))"
    asked = subprocess.run(
        [sys.executable, "-P", "-c", look], input=b"x", capture_output=True, check=True
    )
    assert asked.stdout.split() == [b"b''", b"b'x'"]


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is another there")
def test_it_ends_as_by_ctrl_c_when_its_host_is_gone(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    watching = start("matte", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--watch")
    deadline = time.monotonic() + PATIENCE
    # It watches once it has looked for the first time.
    while not (tmp_path / "out").exists() and time.monotonic() < deadline:
        assert watching.poll() is None
        time.sleep(0.05)
    assert watching.stdin is not None
    watching.stdin.close()
    assert watching.wait(PATIENCE) == 130
    assert watching.stdout is not None
    assert watching.stderr is not None
    assert b"Traceback" not in watching.stderr.read()
    watching.stdout.close()
    watching.stderr.close()
