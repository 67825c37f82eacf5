"""Where the engine is: its interpreter, and the folder where its process tells how to reach it.

Knows no socket, host or engine: hosts get a copy of this file. Standard library only, Python 3.10
or newer.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

RUNTIME_FILE = "worker.json"
LOG_FILE = "worker.log"

# Beside this file in a plug-in that `shm-matte plugin install` put there: the Python it used.
ENGINE_FILE = Path(__file__).with_name("engine.txt")

_LOG_LIMIT = 1 << 20

# What hosts set for their own libraries, and would break those of the engine.
_OF_HOSTS = re.compile(
    r"PYTHON|VIRTUAL_ENV|LD_(LIBRARY_PATH|PRELOAD)|DYLD_|GI_TYPELIB_PATH|GIMP|GEGL|BABL|BLENDER"
    r"|KRITA|QT_|OCIO$"
)
# The interpreter named in the first line of a script, or within the .exe that pip makes of one.
_INTERPRETER = re.compile(
    rb"(?:#!|exec' )\s*\"?([^\"\r\n]*?python[0-9.]*w?(?:\.exe)?)(?=[\s\"])", re.IGNORECASE
)


class WorkerError(Exception):
    """The engine cannot do what was asked of it; one sentence for the user."""


class EngineNotFound(WorkerError):  # noqa: N818 (not a mistake of the program)
    """There is no engine here; the sentence says what to install."""


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """What the runtime file says of a worker."""

    pid: int
    port: int
    token: str
    version: int


def as_sentence(text: str) -> str:
    """As hosts write them: with a capital letter and a full stop, unless a file comes first."""
    start = text[:1].upper() if not text.startswith(("/", "\\")) else text[:1]
    return f"{start}{text[1:]}" + ("" if text.endswith((".", ")")) else ".")


def has_no_engine(python: Path, words: str) -> EngineNotFound | None:
    """The error to raise where an interpreter's last words were that it has no engine."""
    if "Error while finding module specification" not in words:
        return None
    return EngineNotFound(
        f"{python} has no engine of Human Matte; choose the program shm-matte, or the folder it "
        "was installed from."
    )


def runtime_folder(environment: Mapping[str, str] | None = None) -> Path:
    """The user's folder for the runtime file and the log; it need not exist."""
    env = os.environ if environment is None else environment
    if env.get("SHM_MATTE_RUNTIME"):
        return Path(env["SHM_MATTE_RUNTIME"])
    if sys.platform == "win32":
        return Path(env.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "shm-matte"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "shm-matte"
    if env.get("XDG_RUNTIME_DIR"):
        return Path(env["XDG_RUNTIME_DIR"]) / "shm-matte"
    return Path(env.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "shm-matte" / "run"


def make_private(folder: Path) -> None:
    """Makes the folder, or makes sure that it is this user's alone; WorkerError if it is not."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if sys.platform != "win32":
            if folder.is_symlink() or folder.stat().st_uid != os.getuid():
                raise WorkerError(f"{folder} belongs to somebody else; remove it")
            folder.chmod(0o700)
    except OSError as error:
        raise WorkerError(f"{folder} cannot be used: {error.strerror}") from error


def read_runtime(folder: Path) -> Runtime | None:
    """What the runtime file says, or None where there is none that can be read."""
    try:
        said = json.loads((folder / RUNTIME_FILE).read_text(encoding="utf-8"))
        return Runtime(
            pid=int(said["pid"]),
            port=int(said["port"]),
            token=str(said["token"]),
            version=int(said["version"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def find_python(preference: str, environment: Mapping[str, str] | None = None) -> Path:
    """The interpreter that has the engine: by preference, else $SHM_MATTE, else the one that put
    the plug-in there, else shm-matte on PATH.

    EngineNotFound if there is none, also where a preference or $SHM_MATTE names what is none.
    """
    env = os.environ if environment is None else environment
    if not preference and not env.get("SHM_MATTE"):
        with suppress(OSError):
            installer = Path(ENGINE_FILE.read_text(encoding="utf-8"))
            if installer.is_file():
                return installer
    on_path = shutil.which("shm-matte", path=env.get("PATH"))
    named = {
        "The engine setting": preference,
        "SHM_MATTE": env.get("SHM_MATTE"),
        "PATH": on_path,
    }
    for who, place in named.items():
        if place:
            found = _python_of(Path(place).expanduser())
            if found is None:
                raise EngineNotFound(
                    f"{who} names {place}, which is no engine of Human Matte; choose the program "
                    "shm-matte, or the folder it was installed from."
                )
            return found
    raise EngineNotFound(
        "Human Matte's engine is not installed: get semantic-human-matting, run its scripts/matte "
        "once, then choose that file as the engine in the settings of this plug-in."
    )


def _python_of(place: Path) -> Path | None:
    beside = ("python.exe", "python3", "python")
    candidates: list[Path] = []
    if place.is_dir():
        roots = (place / ".venv", place)
        candidates = [r / sub / n for r in roots for sub in ("bin", "Scripts") for n in beside]
    elif place.is_file() and re.fullmatch(r"python[0-9.]*(\.exe)?", place.name, re.IGNORECASE):
        return place
    elif place.is_file() and place.name == "matte":
        return _python_of(place.resolve().parent.parent / ".venv")
    elif place.is_file() and place.name.lower().startswith("shm-matte"):
        inside = [found.decode(errors="replace") for found in _INTERPRETER.findall(_head(place))]
        candidates = [Path(found.strip()) for found in inside]
        candidates += [place.resolve().parent / name for name in beside]
    return next((path for path in candidates if path.is_absolute() and path.is_file()), None)


def _head(program: Path) -> bytes:
    with suppress(OSError), program.open("rb") as file:
        return file.read(1 << 20)
    return b""


def clean_environment(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment without what a host set for itself and its own Python."""
    env = os.environ if environment is None else environment
    return {name: value for name, value in env.items() if not _OF_HOSTS.match(name.upper())}


def open_log(folder: Path) -> int:
    """A file descriptor that adds to the log in the folder, which begins anew where it is long."""
    path = folder / LOG_FILE
    with suppress(OSError):
        if path.stat().st_size > _LOG_LIMIT:
            path.unlink()
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    except OSError as error:
        raise WorkerError(f"{path} cannot be written: {error.strerror}") from error
