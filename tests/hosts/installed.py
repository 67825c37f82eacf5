"""The real hosts here, as scripts/hosts installs them; where one is missing, tests fail."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def folder() -> Path:
    """Where scripts/hosts installs to."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("SHM_HOSTS") or Path(cache) / "shm-matte-hosts")


def blenders() -> list[Path]:
    """The Pythons that have Blender as the module bpy, the oldest first."""
    found = sorted(folder().glob("bpy-*/.installed"))
    if len(found) < 2:
        pytest.fail(f"two versions of Blender are not in {folder()}; run scripts/hosts --install")
    return [stamp.parent / "bin" / "python" for stamp in found]


def debian() -> Path:
    """The root of the system that has GIMP 3."""
    root = folder() / "debian"
    if not (root / ".installed").exists():
        pytest.fail(f"GIMP is not in {folder()}; run scripts/hosts --install")
    return root
