"""Scripts run in a real Blender, with the add-on and a worker of their own; judges nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cli.plugin.packing import pack, zipped
from shm_plugin.client import find_client

_HERE = Path(__file__).parent


def write_archive(folder: Path) -> Path:
    """The add-on as users get it."""
    archive = folder / "human_matte.zip"
    archive.write_bytes(zipped(pack("blender")))
    return archive


@contextmanager
def ended(runtime: Path) -> Iterator[None]:
    """No worker of that runtime folder survives the block."""
    try:
        yield
    finally:
        client = find_client(runtime)
        if client is not None:
            client.shut_down()


def run_inside(python: Path, script: str, job: dict[str, Any], folder: Path) -> dict[str, Any]:
    """What the script of this folder tells, in `told.json`, about the job.

    Blender's profile and the worker's runtime folder lie in `folder`; so may pictures of the job.
    """
    engine = job.get("engine", sys.executable)
    job = {"folder": str(folder), "archive": str(write_archive(folder)), "engine": engine, **job}
    (folder / "job.json").write_text(json.dumps(job))
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    environment = {
        **kept,
        "BLENDER_USER_RESOURCES": str(folder / "profile"),
        "SHM_MATTE_RUNTIME": str(folder / "runtime"),
        "OMP_NUM_THREADS": "1",
    }
    with ended(folder / "runtime"):
        done = subprocess.run(
            [str(python), "-I", str(_HERE / script), str(folder / "job.json")],
            env=environment,
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
    told = folder / "told.json"
    assert done.returncode == 0, done.stdout + done.stderr
    assert told.exists(), done.stdout + done.stderr
    return json.loads(told.read_text())


def tool(python: Path) -> Path:
    """Blender's own program for extensions: it validates them."""
    pattern = "lib/python3*/site-packages/bpy/*/scripts/addons_core/bl_pkg/cli/blender_ext.py"
    (found,) = python.parent.parent.glob(pattern)
    return found
