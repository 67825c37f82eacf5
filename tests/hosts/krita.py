"""Krita without a window: cases go in, what became of the documents comes out.

Knows nothing of what a matte should look like.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from numpy.typing import NDArray

from cli.plugin.command import command as plugin
from shm_engine.images import read_image
from tests.hosts import installed

_INSIDE = Path(__file__).with_name("krita_inside.py")
_IMPORTER = "/usr/share/krita/pykrita/plugin_importer/plugin_importer.py"
_SECONDS = 400.0

SRGB, LINEAR = "sRGB-elle-V2-srgbtrc.icc", "sRGB-elle-V2-g10.icc"


@dataclass(frozen=True, kw_only=True)
class Case:
    """A document with one picture in it, and how the plug-in is called.

    picture: [H, W, 4] uint8, BGRA, sRGB-encoded. space: model, depth and profile that it is
    converted to. canvas: of the document, as wide and high as the picture if None. selection: left,
    top, width, height and value. pick: what is selected, see krita_inside.py. times: how often the
    plug-in is called.
    """

    name: str
    picture: NDArray[np.uint8]
    space: tuple[str, str, str] = ("RGBA", "U8", SRGB)
    canvas: tuple[int, int] | None = None
    offset: tuple[int, int] = (0, 0)
    selection: tuple[int, int, int, int, int] | None = None
    pick: str = "layer"
    quality: str = "draft"
    engine: str = ""
    times: int = 1


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a case. raw: the bytes of the layer. area: left, top, width and height of it.
    masks: [H, W] uint8 of the selected layer's masks. texts: what the dialog said. shown: [3, H, W]
    of the document as Krita saves it; below the layer it is white."""

    sentences: list[str]
    texts: list[str]
    seconds: float
    area: tuple[int, int, int, int]
    raw: bytes
    is_unchanged: bool
    masks: dict[str, NDArray[np.uint8]]
    documents: int
    shown: torch.Tensor


def root() -> Path:
    """The root of the system that has Krita: $SHM_KRITA, else that of GIMP."""
    given = os.environ.get("SHM_KRITA")
    folder = Path(given) if given else installed.debian()
    if not (folder / "usr/bin/kritarunner").exists():
        pytest.fail(f"Krita is not in {folder}; run scripts/hosts --windows --install")
    return folder


def install(folder: Path) -> Path:
    """Has Krita's own importer unpack the zip, as for a user; where the plug-ins are."""
    archive = folder / "tmp" / "human_matte_krita.zip"
    result = CliRunner().invoke(plugin, ["build", "krita", "-o", str(archive)])
    assert result.exit_code == 0, result.output
    (folder / "home-of-tests").mkdir(exist_ok=True)
    said = run(folder, ["python3", _IMPORTER, "/tmp/human_matte_krita.zip", "/home-of-tests"], {})
    assert "Imported plugin: Human Matte" in said
    return Path("/home-of-tests/pykrita")


def run_cases(folder: Path, runtime: str, cases: Sequence[Case]) -> dict[str, Outcome]:
    """What becomes of each, by its name; one Krita does them all."""
    plug_ins = install(folder)
    scripts = folder / "root/.local/share/kritarunner/pykrita"
    scripts.mkdir(parents=True, exist_ok=True)
    shutil.copy(_INSIDE, scripts / "krita_inside.py")
    with tempfile.TemporaryDirectory(prefix="shm-cases-", dir=folder / "tmp") as name:
        there = Path(name)
        (there / "cases.json").write_text(json.dumps([_written(c, there) for c in cases]))
        variables = {
            "QT_QPA_PLATFORM": "offscreen",
            "SHM_MATTE_RUNTIME": runtime,
            "SHM_CASES": f"/tmp/{there.name}/cases.json",
            "SHM_PLUG_INS": str(plug_ins),
        }
        said = run(folder, ["kritarunner", "-s", "krita_inside", "-f", "main"], variables)
        assert (there / "results.json").exists(), said
        results = json.loads((there / "results.json").read_text())
        assert results["qt"] == "PyQt5.QtCore"
        return {case.name: _read(case, results[case.name], there) for case in cases}


def run(folder: Path, command: list[str], variables: dict[str, str]) -> str:
    """Runs a program of that system with little more than these variables; what it said."""
    there = {"HOME": "/root", "LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin", **variables}
    settings = [f"{name}={value}" for name, value in there.items()]
    result = subprocess.run(
        ["chroot", folder, "/usr/bin/env", "-i", *settings, *command],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=_SECONDS,
        check=False,
    )
    return result.stdout + result.stderr


def _written(case: Case, there: Path) -> dict[str, Any]:
    height, width, _ = case.picture.shape
    picture = there / f"{case.name.replace(' ', '-')}.picture"
    picture.write_bytes(case.picture.tobytes())
    said = {key: value for key, value in asdict(case).items() if key != "picture"}
    said |= {"picture": picture.name, "size": (width, height)}
    return said | {"canvas": case.canvas or (width, height)}


def _read(case: Case, said: dict[str, Any], there: Path) -> Outcome:
    stem = there / case.name.replace(" ", "-")
    _, _, width, height = said["area"]
    masks = {
        name: np.fromfile(stem.with_suffix(f".{name.replace(' ', '-')}.mask"), np.uint8).reshape(
            height, width
        )
        for name in said["masks"]
    }
    kept = {
        key: said[key] for key in ("sentences", "texts", "seconds", "is_unchanged", "documents")
    }
    return Outcome(
        **kept,
        area=tuple(said["area"]),
        raw=stem.with_suffix(".raw").read_bytes(),
        masks=masks,
        shown=read_image(stem.with_suffix(".png")).image,
    )
