"""A host's side, with worker processes that are stand-ins: started, killed, found, replaced."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from cli.plugin.packing import pack
from shm_plugin import finding, messages
from shm_plugin.client import EngineNotFound, Preferences, WorkerError, connect
from tests.plugin.workers import (
    PATIENCE,
    RedEngine,
    living,
    other_version,
    picture,
    red_reply,
    reply_to,
    wait_until,
)

# A shm_plugin.worker whose engine is RedEngine, which never lets a picture go that begins with 66.
_STAND_IN = """
import pathlib, sys, threading
sys.path.insert(0, {repository!r})
from shm_plugin import client, serving
from tests.plugin.workers import RedEngine
try:
    serving.serve(RedEngine, pathlib.Path({folder!r}), serving.Limits(idle_seconds=30))
except serving.AlreadyRunningError:
    sys.exit(client.ALREADY_RUNNING)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The runtime folder; a worker process that is left there is ended."""
    folder = tmp_path / "run"
    monkeypatch.setenv("SHM_MATTE_RUNTIME", str(folder))
    yield folder
    runtime = finding.read_runtime(folder)
    if runtime is not None and runtime.pid not in (1, os.getpid()):
        with suppress(ProcessLookupError):
            os.kill(runtime.pid, signal.SIGKILL)


def _python(tmp_path: Path, script: str) -> Preferences:
    """Preferences with an interpreter that runs `script` whatever it is asked to run."""
    file = tmp_path / "script.py"
    file.write_text(script)
    program = tmp_path / "bin" / "python3"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{file}" "$@"\n')
    program.chmod(0o755)
    return Preferences(engine=str(program))


@pytest.fixture
def stand_in(tmp_path: Path, repository: Path, folder: Path) -> Preferences:
    """Preferences that start a worker process with a RedEngine."""
    script = _STAND_IN.format(repository=str(repository), folder=str(folder))
    return _python(tmp_path, script)


def test_a_worker_is_started_once_and_serves_the_next_one(
    folder: Path, stand_in: Preferences
) -> None:
    told: list[str] = []
    with closing(connect(stand_in, told=told.append)) as client:
        assert client.welcome.pid != os.getpid()
        assert os.getsid(client.welcome.pid) == client.welcome.pid
        assert reply_to(client, picture(1)).alpha == red_reply(picture(1)).alpha
        with closing(connect(Preferences(engine="/nowhere"))) as second:
            assert second.welcome.pid == client.welcome.pid
    assert set(told) == {"starting the engine"}
    assert stat.S_IMODE((folder / finding.RUNTIME_FILE).stat().st_mode) == 0o600
    assert stat.S_IMODE((folder / finding.LOG_FILE).stat().st_mode) == 0o600


def test_a_killed_worker_is_one_clear_error_and_the_next_call_starts_a_new_one(
    stand_in: Preferences,
) -> None:
    with closing(connect(stand_in)) as client:
        answers = client.matte(picture(66))
        next(answers)
        os.kill(client.welcome.pid, signal.SIGKILL)
        with pytest.raises(WorkerError, match=r"stopped while it worked; try again .*worker\.log"):
            list(answers)
        killed = client.welcome.pid
    with closing(connect(stand_in)) as client:
        assert client.welcome.pid != killed
        assert reply_to(client, picture(1)).alpha == red_reply(picture(1)).alpha


def test_two_hosts_that_start_at_once_share_one_worker(stand_in: Preferences) -> None:
    pids: list[int] = []

    def ask() -> None:
        with closing(connect(stand_in)) as client:
            pids.append(client.welcome.pid)

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert len(pids) == 2
    assert len(set(pids)) == 1


def test_a_stale_file_and_a_foreign_server_at_its_port_are_survived(
    folder: Path, stand_in: Preferences
) -> None:
    folder.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as foreign:
        said = {"pid": 1, "port": foreign.getsockname()[1], "token": "t", "version": 1}
        (folder / finding.RUNTIME_FILE).write_text(json.dumps(said))

        def answer() -> None:
            with suppress(OSError):
                while True:
                    with suppress(ConnectionError), foreign.accept()[0] as connection:
                        connection.recv(100)
                        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with closing(connect(stand_in)) as client:
            assert client.status().state in {"loading", "ready"}
        # A closed socket wakes nobody who accepts.
        foreign.shutdown(socket.SHUT_RDWR)
        thread.join(PATIENCE)
        assert not thread.is_alive()


def test_another_version_is_asked_to_end_and_replaced(folder: Path, stand_in: Preferences) -> None:
    folder.mkdir()
    told: list[str] = []
    with other_version(folder) as has_ended:
        with closing(connect(stand_in, told=told.append)) as client:
            assert client.welcome.version == messages.VERSION
        assert has_ended.is_set()
    assert told[0] == "ending another version of the engine"


def test_another_version_stays_where_there_is_nothing_to_replace_it(folder: Path) -> None:
    folder.mkdir()
    with other_version(folder) as has_ended:
        with pytest.raises(EngineNotFound, match="/nowhere"):
            connect(Preferences(engine="/nowhere"))
        assert not has_ended.is_set()


def test_a_worker_that_ends_at_once_is_told_with_its_last_words(
    tmp_path: Path, folder: Path
) -> None:
    wrong = _python(tmp_path, "import sys; sys.exit('No module named shm_plugin')")
    with pytest.raises(WorkerError, match=r"ended at once: No module named shm_plugin \(its log"):
        connect(wrong)
    assert folder.is_dir()


def test_a_python_without_the_engine_is_named(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "python3").write_text(
        f"#!/bin/sh\nexec {sys.executable} -S -I -m shm_plugin.worker\n"
    )
    (tmp_path / "python3").chmod(0o755)
    with pytest.raises(EngineNotFound, match="python3 has no engine of Human Matte; choose"):
        connect(Preferences(engine=str(tmp_path / "python3")))
    assert folder.is_dir()


def test_a_worker_that_never_answers_is_given_up(tmp_path: Path, folder: Path) -> None:
    script = f"import os, time; open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\n"
    mute = _python(tmp_path, script + "time.sleep(60)")
    with pytest.raises(WorkerError, match=r"did not answer within 0\.5 s; its log is"):
        connect(Preferences(engine=mute.engine, start_seconds=0.5))
    wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
    assert not (folder / finding.RUNTIME_FILE).exists()


def test_what_progress_raises_ends_the_waiting(tmp_path: Path, folder: Path) -> None:
    slow = _python(tmp_path, "import time; time.sleep(3)")

    def escape(_: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        connect(slow, told=escape)
    assert folder.is_dir()


def test_the_worker_gets_no_environment_of_the_host(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PYTHONPATH", "PYTHONHOME", "LD_PRELOAD", "GIMP_X"):
        monkeypatch.setenv(name, "")
    shown = (
        "import json, os, sys; sys.exit(json.dumps([sorted(os.environ), sys.argv, os.getcwd()]))"
    )
    preferences = _python(tmp_path, shown)
    with pytest.raises(WorkerError):
        connect(Preferences(engine=preferences.engine, arguments=("--device", "cpu")))
    names, arguments, cwd = json.loads((folder / finding.LOG_FILE).read_text())
    assert not {"PYTHONPATH", "PYTHONHOME", "LD_PRELOAD", "GIMP_X"} & set(names)
    assert "SHM_MATTE_RUNTIME" in names
    assert arguments[1:] == ["-m", "shm_plugin.worker", "--device", "cpu"]
    assert Path(cwd) == folder


def test_a_picture_that_is_too_large_is_not_sent(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with living(folder), closing(connect(Preferences(engine="/nowhere"))) as client:
        monkeypatch.setattr("shm_plugin.messages.BLOB_LIMIT", 35)
        with pytest.raises(WorkerError, match="too large"):
            next(client.matte(picture(1)))
        monkeypatch.setattr("shm_plugin.messages.BLOB_LIMIT", 47)
        with pytest.raises(WorkerError, match="too large"):
            next(client.matte(picture(1)))
        monkeypatch.setattr("shm_plugin.messages.BLOB_LIMIT", 48)
        assert reply_to(client, picture(1)).alpha


def _oldest_python() -> str:
    """Python 3.10, the floor of hosts, where it is here, else this one."""
    for found in (shutil.which("python3.10"), sys.executable):
        if found and subprocess.run([found, "-c", ""], check=False).returncode == 0:
            return found
    raise AssertionError


def test_a_packed_plug_in_works_alone_in_a_host(tmp_path: Path) -> None:
    plug_in = tmp_path / "human-matte"
    for name, content in pack("gimp").items():
        (plug_in / name).parent.mkdir(parents=True, exist_ok=True)
        (plug_in / name).write_bytes(content)
    script = (
        f"import sys; sys.path.insert(0, {str(plug_in)!r})\n"
        "from shm_plugin.client import Preferences, connect\n"
        "from shm_plugin.messages import MatteRequest\n"
        "client = connect(Preferences(engine='/nowhere'))\n"
        "*_, reply = client.matte(MatteRequest(width=1, height=1, pixels=bytes(3)))\n"
        "client.close()\n"
        "foreign = {'numpy', 'torch', 'shm_engine', 'cli'} & set(sys.modules)\n"
        "print(reply.alpha.hex(), foreign)\n"
    )
    folder = tmp_path / "run"
    with living(folder, RedEngine):
        shown = subprocess.run(
            [_oldest_python(), "-I", "-W", "error", "-c", script],
            env={**os.environ, "SHM_MATTE_RUNTIME": str(folder)},
            capture_output=True,
            text=True,
            check=False,
        )
    assert (shown.stdout.strip(), shown.stderr) == ("00000000 set()", "")
