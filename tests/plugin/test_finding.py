"""The engine is found where the user says, and a host's environment stays with the host."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from shm_plugin.finding import (
    EngineNotFound,
    WorkerError,
    clean_environment,
    find_python,
    make_private,
    read_runtime,
    runtime_folder,
)

_NOTHING = {"PATH": ""}


def _program(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def test_a_plug_in_finds_the_engine_that_installed_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installer = _program(tmp_path / "its" / "python3")
    other = _program(tmp_path / "other" / "python3")
    note = tmp_path / "engine.txt"
    monkeypatch.setattr("shm_plugin.finding.ENGINE_FILE", note)
    note.write_text(str(installer))
    assert find_python("", _NOTHING) == installer
    assert find_python(str(other), _NOTHING) == other
    assert find_python("", {**_NOTHING, "SHM_MATTE": str(other)}) == other
    installer.unlink()
    with pytest.raises(EngineNotFound, match="not installed"):
        find_python("", _NOTHING)


def test_the_interpreter_of_a_shm_matte_is_that_of_its_first_line(tmp_path: Path) -> None:
    python = _program(tmp_path / "with space" / "bin" / "python3.12")
    plain = _program(tmp_path / "shm-matte", f"#!{python}\nimport sys\n")
    assert find_python(str(plain), _NOTHING) == python
    # What pip writes where the path is long or has a space.
    long = f"#!/bin/sh\n'''exec' \"{python}\" \"$0\" \"$@\"\n' '''\n"
    assert find_python(str(_program(tmp_path / "b" / "shm-matte", long)), _NOTHING) == python
    launcher = _program(tmp_path / "c" / "shm-matte.exe", f'MZ\0\1#!"{python}"\r\nPK')
    assert find_python(str(launcher), _NOTHING) == python


def test_else_it_is_the_one_beside_it_even_through_a_link(tmp_path: Path) -> None:
    python = _program(tmp_path / "venv" / "bin" / "python")
    real = _program(tmp_path / "venv" / "bin" / "shm-matte", "#!/usr/bin/env python\n")
    link = tmp_path / "shm-matte"
    link.symlink_to(real)
    assert find_python(str(link), _NOTHING) == python


def test_the_one_of_this_installation_can_import_the_worker() -> None:
    beside = Path(sys.executable).with_name("shm-matte")
    if not beside.exists():
        pytest.skip("shm-matte is not installed beside this Python")
    shown = subprocess.run(
        [
            find_python(str(beside), _NOTHING),
            "-c",
            "import shm_plugin.worker, sys; print(sys.prefix)",
        ],
        check=True,
        capture_output=True,
        text=True,
        cwd="/",
    )
    assert shown.stdout.strip() == sys.prefix


def test_a_folder_a_python_and_a_checkout_will_do(tmp_path: Path) -> None:
    python = _program(tmp_path / ".venv" / "bin" / "python")
    matte = _program(tmp_path / "scripts" / "matte", "#!/usr/bin/env bash\n")
    for named in (tmp_path, tmp_path / ".venv", python, matte):
        assert find_python(str(named), _NOTHING) == python
    windows = _program(tmp_path / "w" / ".venv" / "Scripts" / "python.exe")
    assert find_python(str(tmp_path / "w"), _NOTHING) == windows


def test_the_preference_comes_first_then_the_variable_then_the_path(tmp_path: Path) -> None:
    pythons = [_program(tmp_path / name / "bin" / "python3") for name in "abc"]
    programs = [_program(python.with_name("shm-matte")) for python in pythons]
    env = {"SHM_MATTE": str(programs[1]), "PATH": str(programs[2].parent)}
    assert find_python(str(programs[0]), env) == pythons[0]
    assert find_python("", env) == pythons[1]
    assert find_python("", {"PATH": env["PATH"]}) == pythons[2]


def test_what_is_named_and_wrong_is_not_replaced_by_something_else(tmp_path: Path) -> None:
    right = _program(tmp_path / "bin" / "python3").with_name("shm-matte")
    env = {"PATH": str(_program(right).parent), "SHM_MATTE": "/nowhere/shm-matte"}
    with pytest.raises(EngineNotFound, match=r"SHM_MATTE names /nowhere/shm-matte, .* choose"):
        find_python("", env)
    with pytest.raises(EngineNotFound, match="engine setting names"):
        find_python(str(tmp_path / "bin" / "other"), env)


def test_where_nothing_is_installed_it_says_what_to_install() -> None:
    with pytest.raises(EngineNotFound, match=r"not installed: get semantic-human-matting, run"):
        find_python("", _NOTHING)


def test_what_a_host_set_for_itself_is_left_out() -> None:
    of_host = ("PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "LD_PRELOAD", "DYLD_LIBRARY_PATH")
    more = ("GIMP3_DATADIR", "BLENDER_USER_RESOURCES", "GI_TYPELIB_PATH", "VIRTUAL_ENV", "OCIO")
    kept = {"PATH": "/bin", "HOME": "/nowhere", "LANG": "de", "CUDA_VISIBLE_DEVICES": "1"}
    assert clean_environment({**dict.fromkeys(of_host + more, "x"), **kept}) == kept


@pytest.mark.skipif(sys.platform != "linux", reason="folders of Linux")
def test_the_runtime_folder_is_the_users_own() -> None:
    assert runtime_folder({"SHM_MATTE_RUNTIME": "/r", "XDG_RUNTIME_DIR": "/x"}) == Path("/r")
    assert runtime_folder({"XDG_RUNTIME_DIR": "/x"}) == Path("/x/shm-matte")
    assert runtime_folder({"XDG_CACHE_HOME": "/c"}) == Path("/c/shm-matte/run")


def test_a_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir(mode=0o777)
    make_private(own)
    assert own.stat().st_mode & 0o777 == 0o700
    link = tmp_path / "link"
    link.symlink_to(own)
    with pytest.raises(WorkerError, match="somebody else"):
        make_private(link)
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(WorkerError, match="cannot be used"):
        make_private(file / "below")


@pytest.mark.skipif(os.name != "posix", reason="needs a mode")
def test_no_runtime_file_is_none(tmp_path: Path) -> None:
    assert read_runtime(tmp_path) is None
