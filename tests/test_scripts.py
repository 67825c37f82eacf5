"""scripts/: one install, whatever happens to it. A stand-in for Python installs nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

# Makes a .venv of itself; `pip install` takes a moment, notes its arguments and adds a program.
_STAND_IN = """#!/bin/sh
case "$*" in
    *"-m venv --clear "*)
        for venv; do :; done
        rm -rf "$venv"
        mkdir -p "$venv/bin"
        cp "$0" "$venv/bin/python"
        echo venv >>"$LOG" ;;
    *"-m pip --version"*) ;;
    *"-m pip install"*)
        echo "$*" >>"$LOG"
        sleep "${PIP_SECONDS:-0}"
        [ -z "${PIP_FAILS:-}" ] || exit 1
        printf '#!/bin/sh\\nprintf "<%%s>" "$@"\\n' >"$(dirname "$0")/shm-matte"
        chmod +x "$(dirname "$0")/shm-matte" ;;
    *) exec "$REAL_PYTHON" "$@" ;;
esac
"""


class House:
    """A checkout in a folder with a space, and what is run in it."""

    def __init__(self, folder: Path, repository: Path) -> None:
        self.root = folder / "my checkout"
        shutil.copytree(repository / "scripts", self.root / "scripts")
        (self.root / "pyproject.toml").write_text("[project]\n")
        (self.root / "constraints.txt").write_text("torch==1\n")
        self.log = folder / "log"
        self.log.touch()
        tools = folder / "tools"
        tools.mkdir()
        (tools / "python3.11").write_text(_STAND_IN)
        (tools / "python3.11").chmod(0o755)
        self.environment = {
            "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
            "LOG": str(self.log),
            "REAL_PYTHON": sys.executable,
        }

    def start(self, *arguments: str | Path, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(argument) for argument in arguments],
            env=self.environment | environment,
            cwd=self.root.parent,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def matte(self, *arguments: str, **environment: str) -> tuple[int, str, str]:
        with self.start(self.root / "scripts" / "matte", *arguments, **environment) as process:
            out, errors = process.communicate(timeout=60)
        return process.returncode, out, errors

    def installs(self) -> list[str]:
        return [line for line in self.log.read_text().splitlines() if line != "venv"]


@pytest.fixture
def house(tmp_path: Path, repository: Path) -> House:
    return House(tmp_path, repository)


def test_the_first_run_installs_once_and_later_ones_only_run(house: House) -> None:
    code, out, errors = house.matte("a  b", "*", "")
    assert (code, out) == (0, "<a  b><*><>")
    assert errors.startswith("matte: preparing ")
    assert len(house.installs()) == 1
    assert "--constraint" in house.installs()[0]
    assert house.matte("again") == (0, "<again>", "")
    assert len(house.installs()) == 1


@pytest.mark.parametrize("file", ["pyproject.toml", "constraints.txt"])
def test_changed_requirements_are_installed_into_the_same_venv(house: House, file: str) -> None:
    house.matte()
    with (house.root / file).open("a") as changed:
        changed.write("# changed\n")
    house.matte()
    assert len(house.installs()) == 2
    assert house.log.read_text().count("venv\n") == 1


def test_a_symbolic_link_runs_the_checkout_it_leads_to(house: House, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(house.root / "scripts" / "matte")
    (tmp_path / "matte").symlink_to("link")
    with house.start(tmp_path / "matte", "x") as process:
        assert process.communicate()[0] == "<x>"


def test_two_first_runs_at_once_install_once_and_both_work(house: House) -> None:
    script = house.root / "scripts" / "matte"
    runs = [house.start(script, str(number), PIP_SECONDS="1") for number in range(3)]
    assert [run.communicate(timeout=60)[0] for run in runs] == ["<0>", "<1>", "<2>"]
    assert len(house.installs()) == 1


@pytest.mark.parametrize("stop", ["terminate", "kill"])
def test_an_install_that_was_stopped_is_begun_anew(house: House, stop: str) -> None:
    script = house.root / "scripts" / "matte"
    with house.start(script, "x", PIP_SECONDS="60") as process:
        while not house.installs():
            pass
        number = {"terminate": 15, "kill": 9}[stop]
        os.killpg(process.pid, number)
    assert process.returncode != 0
    assert house.matte("y")[:2] == (0, "<y>")
    assert house.log.read_text().count("venv\n") == 2


def test_a_failed_install_is_told_and_tried_again(house: House) -> None:
    code, out, errors = house.matte("x", PIP_FAILS="1")
    assert (code, out) == (1, "")
    assert errors.splitlines()[-1].startswith("matte: pip did not install the packages")
    assert house.matte("x")[:2] == (0, "<x>")


def test_a_venv_whose_python_has_gone_is_made_anew(house: House) -> None:
    house.matte()
    (house.root / ".venv" / "bin" / "python").unlink()
    assert house.matte("x")[:2] == (0, "<x>")
    assert house.log.read_text().count("venv\n") == 2


def test_a_checkout_that_was_moved_is_installed_again(house: House) -> None:
    house.matte()
    house.root = house.root.rename(house.root.with_name("moved"))
    assert house.matte("x")[:2] == (0, "<x>")
    assert len(house.installs()) == 2


def test_the_tools_of_a_developer_are_kept_by_a_later_plain_run(house: House) -> None:
    with house.start(house.root / "scripts" / "test") as process:
        process.communicate()
    assert "[dev,train,onnx,openvino,ray,camera]" in house.installs()[0]
    assert house.matte("x") == (0, "<x>", "")
    assert len(house.installs()) == 1


def _without_python(house: House, tmp_path: Path) -> Path:
    folder = tmp_path / "bare"
    folder.mkdir()
    for name in ("bash", "cat", "cmp", "dirname", "readlink", "rm"):
        found = shutil.which(name)
        assert found is not None
        (folder / name).symlink_to(found)
    house.environment["PATH"] = str(folder)
    return folder


def _too_old(folder: Path) -> None:
    (folder / "python3").write_text("#!/bin/sh\nexit 1\n")


def _without_venv(folder: Path) -> None:
    (folder / "python3").write_text(
        '#!/bin/sh\ncase "$*" in *ensurepip*) exit 1 ;; *) exec "$REAL_PYTHON" "$@" ;; esac\n'
    )


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda _: None, "Python 3.11 or newer is needed"),
        (_too_old, "Python 3.11 or newer is needed"),
        (_without_venv, "lacks the modules venv and ensurepip"),
    ],
    ids=["no python", "too old", "no venv"],
)
def test_a_missing_python_is_told_in_a_sentence(
    house: House, tmp_path: Path, make: Callable[[Path], None], words: str
) -> None:
    folder = _without_python(house, tmp_path)
    make(folder)
    for python in folder.glob("python*"):
        python.chmod(0o755)
    code, out, errors = house.matte("x")
    assert (code, out) == (1, "")
    assert words in errors.splitlines()[-1]


def test_a_failing_check_stops_the_tests_with_its_exit_code(house: House) -> None:
    with house.start(house.root / "scripts" / "test") as process:
        process.communicate()
    ruff = house.root / ".venv" / "bin" / "ruff"
    ruff.write_text('#!/bin/sh\n[ "$1" != format ] || exit 7\n')
    ruff.chmod(0o755)
    with house.start(house.root / "scripts" / "test") as process:
        errors = process.communicate()[1]
    assert process.returncode == 7
    assert errors.splitlines()[-1] == "test: FAILED (exit code 7): ruff format --check ."
