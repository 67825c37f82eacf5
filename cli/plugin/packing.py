"""What a host's plug-in consists of: files of shm_plugin, as they lie in the host's folder.

Knows no host's folder and runs nothing of what it packs: to the terminal the plug-ins are data.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable

# What every host runs, beside its own folder in shm_plugin.
SHARED = (
    "__init__.py",
    "asking.py",
    "choices.py",
    "client.py",
    "clips.py",
    "finding.py",
    "jobs.py",
    "messages.py",
    "protocol.py",
)

# Names the engine that a plug-in was installed from; see shm_plugin.finding.
ENGINE_FILE = "engine.txt"

# Of all files in a zip, so that equal files make equal zips.
_DATE = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, kw_only=True)
class Host:
    """A program that has plug-ins. entry, text: the file it reads first. beside: files of its own
    folder that lie beside that. folder: what all these lie in, where the host looks for folders.
    outside: files of its own folder that lie beside that one."""

    entry: str
    text: str
    beside: tuple[str, ...] = ()
    folder: str = ""
    outside: tuple[str, ...] = ()


HOSTS = {
    "blender": Host(
        entry="__init__.py",
        text="from .shm_plugin.blender import register, unregister\n",
        beside=("blender_manifest.toml",),
    ),
    "gimp": Host(
        entry="human-matte.py",
        text="#!/usr/bin/env python3\nfrom shm_plugin.gimp import run\n\nrun()\n",
        folder="human-matte",
    ),
    "krita": Host(
        entry="__init__.py",
        text="from .shm_plugin.krita import register\n\nregister()\n",
        folder="human_matte",
        outside=("human_matte.desktop",),
    ),
}


def pack(host: str, engine: str | None = None) -> dict[str, bytes]:
    """The files of a plug-in's folder by their names, which use "/".

    engine: a Python that has the engine, for a plug-in that stays on this computer.
    """
    table = HOSTS[host]
    package = files("shm_plugin")
    packed = {table.entry: table.text.encode()}
    packed |= {name: (package / host / name).read_bytes() for name in table.beside}
    packed |= {f"shm_plugin/{name}": (package / name).read_bytes() for name in SHARED}
    packed |= {
        f"shm_plugin/{host}/{each.name}": each.read_bytes() for each in _modules(package / host)
    }
    if engine is not None:
        packed[f"shm_plugin/{ENGINE_FILE}"] = engine.encode()
    return packed


def outside(host: str) -> dict[str, bytes]:
    """The files that lie beside the plug-in's folder."""
    package = files("shm_plugin")
    return {name: (package / host / name).read_bytes() for name in HOSTS[host].outside}


def archive(host: str, engine: str | None = None) -> bytes:
    """A zip of the plug-in as the host, or who unpacks it, expects it."""
    folder = HOSTS[host].folder
    if not folder:
        return zipped(pack(host, engine))
    inside = {f"{folder}/{name}": content for name, content in pack(host, engine).items()}
    # Krita looks for the folder by itself.
    return zipped({f"{folder}/": b"", **inside, **outside(host)})


def _modules(folder: Traversable) -> list[Traversable]:
    return sorted((each for each in folder.iterdir() if each.name.endswith(".py")), key=str)


def zipped(packed: dict[str, bytes]) -> bytes:
    """A zip of the files, the same for the same files; a name that ends in "/" is a folder."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        for name, content in sorted(packed.items()):
            info = zipfile.ZipInfo(name, _DATE)
            info.external_attr = (0o40755 if info.is_dir() else 0o644) << 16
            made.writestr(info, content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()
