"""GIMP 3 without a window: cases go in, what became of the images comes out.

Knows nothing of what a matte should look like.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from click.testing import CliRunner
from numpy.typing import NDArray

from cli.main import group
from shm_plugin import client
from shm_plugin.client import Preferences, connect
from tests.hosts.blender import ended

_INSIDE = Path(__file__).with_name("gimp_inside.py")
_SECONDS = 400.0


@dataclass(frozen=True, kw_only=True)
class Case:
    """An image with one picture in it, and how the plug-in is called.

    picture: [H, W, 3 or 4] uint8, sRGB-encoded, straight. canvas: of the image, as wide and high as
    the picture if None. selection: x, y, width, height and radius of the feather. mask: name of an
    AddMaskType, "" for none. pick: what is given to the plug-in, see gimp_inside.py.
    """

    name: str
    picture: NDArray[np.uint8]
    base: str = "RGB"
    precision: str = "U8_NON_LINEAR"
    is_adobe: bool = False
    canvas: tuple[int, int] | None = None
    offset: tuple[int, int] = (0, 0)
    layers: int = 1
    selection: tuple[int, int, int, int, int] | None = None
    mask: str = ""
    mask_applies: bool = True
    pick: str = "layer"
    arguments: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A layer as GIMP told it. rgba: [H, W, 4] float32, straight, sRGB-encoded. mask: [H, W]
    float32, linear, or None."""

    name: str
    offset: tuple[int, int]
    rgba: NDArray[np.float32]
    mask: NDArray[np.float32] | None
    mask_applies: bool
    is_visible: bool
    mask_is_edited: bool
    parent: str | None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a case. selection: [H, W] float32 of the canvas, 0 everywhere if none."""

    status: str
    sentence: str
    seconds: float
    selected: list[str]
    before: list[Layer]
    after: list[Layer]
    selection: NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Gimp:
    """GIMP in a system of its own. root: of that system, as this one sees it. settings: the folder
    of this GIMP's, as that one sees it."""

    root: Path
    settings: str

    @property
    def plug_in(self) -> Path:
        """The folder of the plug-in."""
        return self.root / self.settings[1:] / "plug-ins" / "human-matte"

    def install(self) -> None:
        """Puts the plug-in where GIMP finds it, as users do."""
        there = str(self.plug_in.parent)
        result = CliRunner().invoke(group, ["plugin", "install", "gimp", "--to", there])
        assert result.exit_code == 0, result.output

    def command(self, variables: dict[str, str], *arguments: str) -> list[str]:
        """Runs a program of that system, with no more of this one's environment than it needs."""
        there = {"HOME": "/root", "LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"}
        there |= {"GIMP3_DIRECTORY": self.settings, **variables}
        said = [f"{name}={value}" for name, value in there.items()]
        return ["chroot", str(self.root), "/usr/bin/env", "-i", *said, *arguments]


@contextmanager
def new_gimp(root: Path) -> Iterator[Gimp]:
    """A GIMP that was never started, with the plug-in, which does not know where an engine is."""
    with tempfile.TemporaryDirectory(prefix="shm-gimp-", dir=root / "tmp") as folder:
        new = Gimp(root=root, settings=f"/tmp/{Path(folder).name}")
        new.install()
        yield new


@contextmanager
def worker(root: Path) -> Iterator[str]:
    """An engine outside of GIMP's system that GIMP finds; the value of $SHM_MATTE_RUNTIME there."""
    with tempfile.TemporaryDirectory(prefix="shm-matte-", dir=root / "tmp") as folder:
        inside = Path("/tmp") / Path(folder).name
        before = os.environ.get("SHM_MATTE_RUNTIME")
        os.environ["SHM_MATTE_RUNTIME"] = folder
        try:
            connect(Preferences(engine=sys.executable)).close()
            with ended(Path(folder)):
                yield str(inside)
            for process in client._started:
                process.wait(_SECONDS)
        finally:
            del os.environ["SHM_MATTE_RUNTIME"]
            if before is not None:
                os.environ["SHM_MATTE_RUNTIME"] = before


# Leaves the system that GIMP is in (who is root can), and is this machine's Python from then on.
_LEAVING = """#!/usr/bin/python3
import os, sys
os.makedirs("{folder}/empty", exist_ok=True)
os.chroot("{folder}/empty")
for _ in range(32):
    os.chdir("..")
os.chroot(".")
os.chdir("{outside}")
os.environ["SHM_MATTE_RUNTIME"] = "{outside}/run"
os.execv("{python}", [{python!r}, *sys.argv[1:]])
"""


@contextmanager
def engine_to_start(root: Path) -> Iterator[tuple[str, str]]:
    """A program in GIMP's system that is the engine of this machine; and $SHM_MATTE_RUNTIME, where
    nobody has started it. It has ended when the block does."""
    with tempfile.TemporaryDirectory(prefix="shm-engine-", dir=root / "tmp") as folder:
        inside = f"/tmp/{Path(folder).name}"
        (Path(folder) / "run").mkdir(mode=0o700)
        program = Path(folder) / "python3"
        script = _LEAVING.format(folder=inside, outside=folder, python=sys.executable)
        program.write_text(script)
        program.chmod(0o755)
        with ended(Path(folder) / "run"):
            yield f"{inside}/python3", f"{inside}/run"
            log = Path(folder) / "run" / "worker.log"
            living = client.find_client(log.parent)
            assert living is not None, log.read_text()
            living.close()


def run_cases(gimp: Gimp, runtime: str, cases: Sequence[Case]) -> dict[str, Outcome]:
    """What becomes of each, by its name; one GIMP does them all."""
    with tempfile.TemporaryDirectory(prefix="shm-cases-", dir=gimp.root / "tmp") as name:
        folder = Path(name)
        (folder / "cases.json").write_text(json.dumps([_written(c, folder) for c in cases]))
        shutil.copy(_INSIDE, folder / "inside.py")
        job = f"/tmp/{folder.name}"
        variables = {"SHM_MATTE_RUNTIME": runtime, "SHM_CASES": f"{job}/cases.json"}
        said = run_console(gimp, f"exec(open('{job}/inside.py').read())", variables)
        assert (folder / "results.json").exists(), said
        results = json.loads((folder / "results.json").read_text())
        return {case.name: _read(case, results[case.name], folder) for case in cases}


def run_console(gimp: Gimp, script: str, variables: dict[str, str]) -> str:
    """Runs Python within GIMP; what it said."""
    command = ["gimp-console-3.0", "--no-interface", "--no-data", "--no-fonts"]
    command += ["--batch-interpreter", "python-fu-eval", "-b", script, "--quit"]
    result = subprocess.run(
        gimp.command(variables, *command),
        capture_output=True,
        text=True,
        errors="replace",
        timeout=_SECONDS,
        check=False,
    )
    said = result.stdout + result.stderr
    assert result.returncode == 0, said
    return said


def _written(case: Case, folder: Path) -> dict[str, Any]:
    height, width, channels = case.picture.shape
    picture = folder / f"{case.name.replace(' ', '-')}.picture"
    picture.write_bytes(case.picture.tobytes())
    said = {key: value for key, value in asdict(case).items() if key != "picture"}
    said |= {"picture": picture.name, "size": (width, height), "alpha": channels == 4}
    return said | {"canvas": case.canvas or (width, height)}


def _read(case: Case, said: dict[str, Any], folder: Path) -> Outcome:
    height, width, _ = case.picture.shape
    canvas = case.canvas or (width, height)
    selection = np.fromfile(folder / case.name / "selection", np.float32)
    return Outcome(
        status=said["status"],
        sentence=said["sentence"],
        seconds=said["seconds"],
        selected=said["selected"],
        before=[_layer(each, folder) for each in said["before"]],
        after=[_layer(each, folder) for each in said["after"]],
        selection=selection.reshape(canvas[1], canvas[0]),
    )


def _layer(said: dict[str, Any], folder: Path) -> Layer:
    width, height = said["size"]
    stem = folder / said["stem"]
    mask = None
    if said["has_mask"]:
        mask = np.fromfile(stem.with_suffix(".mask"), np.float32).reshape(height, width)
    return Layer(
        name=said["name"],
        offset=tuple(said["offset"]),
        rgba=np.fromfile(stem.with_suffix(".rgba"), np.float32).reshape(height, width, 4),
        mask=mask,
        mask_applies=said["mask_applies"],
        is_visible=said["is_visible"],
        mask_is_edited=said["mask_is_edited"],
        parent=said["parent"],
    )
