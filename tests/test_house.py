"""Properties that hold the house: folders, imports, versions, pins, lengths, tracked files."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import shm_engine

ROOT = Path(__file__).parent.parent
PACKAGES = ("cli", "shm_engine", "shm_plugin", "training")
LONGEST_MODULE, LONGEST_FUNCTION = 300, 45
LARGEST_FILE_BYTES = 8 * 2**20

# What hosts run has only the standard library; the rest of a plug-in's modules need their host.
_NOT_IMPORTABLE_HERE = re.compile(r"shm_plugin\.(blender|gimp|krita)\b|__main__$")


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    """pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def _python_files(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def _module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _tracked_files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode != 0:
        pytest.skip("needs git and a checkout: only they know which files are part of the project")
    paths = (ROOT / name for name in listed.stdout.split("\0") if name)
    return [path for path in paths if path.is_file()]


def _run_python(script: str) -> str:
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_every_package_is_listed_for_the_wheel(project: dict[str, Any]) -> None:
    listed = set(project["tool"]["setuptools"]["packages"])
    with_code = {_module_name(path) for path in _python_files(*PACKAGES) if path.stem == "__init__"}
    assert with_code <= listed
    assert all((ROOT / name.replace(".", "/")).is_dir() for name in listed)


def test_the_file_map_names_every_folder() -> None:
    described = (ROOT / "CONTRIBUTING.md").read_text()
    folders = {path.relative_to(ROOT).parts[0] for path in _tracked_files() if path.parent != ROOT}
    assert not [name for name in folders if f"{name}/" not in described]


def test_versions_agree(project: dict[str, Any]) -> None:
    assert project["project"]["version"] == shm_engine.__version__
    assert f"[{shm_engine.__version__}]" in (ROOT / "CHANGELOG.md").read_text() or (
        "[Unreleased]" in (ROOT / "CHANGELOG.md").read_text()
    )


def test_the_door_imports_nothing_slow() -> None:
    _run_python(
        "import sys, cli.main, cli.matte, cli.bench, shm_engine, shm_plugin\n"
        "slow = {'torch', 'av', 'cv2', 'numpy', 'scipy', 'tqdm'} & set(sys.modules)\n"
        "assert not slow, slow"
    )


def test_importing_any_module_does_nothing() -> None:
    names = [_module_name(path) for path in _python_files(*PACKAGES)]
    importable = [name for name in names if not _NOT_IMPORTABLE_HERE.search(name)]
    shown = _run_python(
        "import importlib, os, signal, threading\n"
        "import cv2, numpy, scipy, torch, av\n"
        "def state():\n"
        "    return (dict(os.environ), threading.active_count(), os.getcwd(),\n"
        "            signal.getsignal(signal.SIGTERM), torch.get_num_threads(),\n"
        "            torch.get_default_dtype(), torch.cuda.is_initialized())\n"
        "before = state()\n"
        f"for name in {importable!r}:\n"
        "    importlib.import_module(name)\n"
        "    assert state() == before, name\n"
    )
    assert shown == ""


def test_nothing_inside_the_engine_imports_from_its_root() -> None:
    """The root loads names on first use; an import from it inside would go round in a circle."""
    offenders = [
        f"{path.name}:{node.lineno}"
        for path in _python_files("shm_engine")
        for node in ast.walk(ast.parse(path.read_text()))
        if (isinstance(node, ast.ImportFrom) and node.module == "shm_engine")
        or (isinstance(node, ast.Import) and "shm_engine" in [name.name for name in node.names])
    ]
    assert not offenders


def _constraints() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line.split("==") for line in lines if line and not line.startswith("#")]
    assert all(len(pin) == 2 for pin in pins), "every line is NAME==VERSION"
    return {canonicalize_name(name): version for name, version in pins}


def _requirements(project: dict[str, Any]) -> Iterator[Requirement]:
    """Every package that is installed here for the project and its extras, with the packages these
    need in turn."""
    extras = project["project"]["optional-dependencies"].values()
    waiting = [*project["project"]["dependencies"], *(text for extra in extras for text in extra)]
    seen = set()
    while waiting:
        requirement = Requirement(waiting.pop())
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        if requirement.name in seen:
            continue
        seen.add(requirement.name)
        yield requirement
        waiting.extend(importlib.metadata.requires(requirement.name) or [])


def test_constraints_pin_all_that_is_installed_and_nothing_else(project: dict[str, Any]) -> None:
    pins = _constraints()
    needed = {
        canonicalize_name(requirement.name)
        for requirement in _requirements(project)
        # A package that pins its own parts (torch its CUDA libraries) leaves nothing to choose.
        if not any(part.operator == "==" for part in requirement.specifier)
    }
    assert needed == set(pins)


def test_constraints_allow_what_the_project_asks_for(project: dict[str, Any]) -> None:
    pins = _constraints()
    for text in project["project"]["dependencies"]:
        requirement = Requirement(text)
        assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)])


def test_the_licence_is_the_whole_of_apache_2() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text
    assert "APPENDIX: How to apply the Apache License to your work." in text


@pytest.mark.parametrize("name", ["scripts/matte", "scripts/test", "scripts/hosts", ".ci/run"])
def test_scripts_can_be_run(name: str) -> None:
    assert (ROOT / name).stat().st_mode & 0o111
    assert (ROOT / name).read_text().startswith("#!")


def test_no_tracked_file_names_a_path_of_somebody_s_machine() -> None:
    personal = re.compile(rb"(?<![\w.:/-])/(?:home|root|work|Users)/[\w.-]+")
    found = {
        str(path.relative_to(ROOT)): match.group().decode()
        for path in _tracked_files()
        if path.suffix not in {".png", ".mp4", ".mkv", ".safetensors"}
        if (match := personal.search(path.read_bytes()))
    }
    assert not found


def test_no_tracked_file_is_large() -> None:
    sizes = {str(path.relative_to(ROOT)): path.stat().st_size for path in _tracked_files()}
    assert {name: size for name, size in sizes.items() if size > LARGEST_FILE_BYTES} == {}


def test_modules_and_functions_stay_short() -> None:
    long = []
    for path in _python_files(*PACKAGES):
        source = path.read_text()
        if source.count("\n") > LONGEST_MODULE:
            long.append(str(path.relative_to(ROOT)))
        long += [
            f"{path.relative_to(ROOT)}: {node.name}"
            for node in ast.walk(ast.parse(source))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            and (node.end_lineno or 0) - node.lineno >= LONGEST_FUNCTION
        ]
    assert not long


def test_every_module_says_what_it_is_for() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for path in _python_files(*PACKAGES, "tests")
        if path.stat().st_size and not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert not silent
