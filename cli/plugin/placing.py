"""Where Blender, GIMP and Krita are on this computer, and how a plug-in gets there.

Knows no file of a plug-in but the entry. Of a host's settings it changes what switches that on, no
more.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from shm_engine.errors import MattingError
from shm_engine.files import replacing

# The oldest Blender that has extensions.
OLDEST_BLENDER = (4, 2)
_SECONDS = 120.0


# Where installers put Blender, and people what they unpack.
_BLENDERS = {
    "win32": ((r"C:\Program Files", "Blender Foundation/Blender */blender.exe"),),
    "darwin": (("/Applications", "Blender*.app/Contents/MacOS/Blender"),),
    "linux": (("/opt", "blender*/blender"), ("~", "blender-*/blender")),
}


def find_blenders() -> list[Path]:
    """The programs of Blender on the PATH and in the usual places."""
    on_path = shutil.which("blender")
    found = [] if on_path is None else [Path(on_path)]
    for root, pattern in _BLENDERS.get(sys.platform, ()):
        found += sorted(Path(root).expanduser().glob(pattern))
    return found


def program_of(place: Path) -> Path:
    """Blender's program, of itself or of the folder that it is in."""
    inside = ("blender", "blender.exe", "Contents/MacOS/Blender")
    within = [place / name for name in inside if (place / name).is_file()]
    # Absolute, or it would be looked for on the PATH.
    return (within or [place])[0].absolute()


def install_into_blender(program: Path, archive: Path) -> str:
    """Lets Blender install and enable the zip, as its preferences would; which version it is.

    Raises MattingError.
    """
    version = _ask(program, "--version")
    numbers = re.search(r"Blender (\d+)\.(\d+)", version)
    if numbers is None:
        raise MattingError(f"{program} does not seem to be Blender", path=program)
    found = tuple(map(int, numbers.groups()))
    if found < OLDEST_BLENDER:
        raise MattingError(
            f"{program} is {numbers.group()}; Human Matte needs Blender 4.2 or newer", path=program
        )
    install = ("--command", "extension", "install-file", "--repo", "user_default", "--enable")
    _ask(program, *install, str(archive))
    return numbers.group()


def _ask(program: Path, *arguments: str) -> str:
    try:
        answer = subprocess.run(
            [program, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise MattingError(f"{program} does not answer", path=program) from error
    except OSError as error:
        raise MattingError(
            f"{program} cannot be started: {error.strerror}; name Blender's program", path=program
        ) from error
    said = (answer.stderr + answer.stdout).strip().splitlines()
    # Blender ends with 0 whatever becomes of an extension.
    errors = [line.removeprefix("ERROR").strip() for line in said if line.startswith("ERROR")]
    if answer.returncode != 0 or errors:
        why = (errors or said or [f"it ended with code {answer.returncode}"])[-1].strip()
        raise MattingError(f"{program} did not take the plug-in: {why}", path=program)
    return answer.stdout


def find_gimp_folders() -> list[Path]:
    """The folders for plug-ins of every GIMP 3 that this user has started.

    Not those of Flatpak and Snap: from within these the engine cannot be started.
    """
    home = Path.home()
    if os.environ.get("GIMP3_DIRECTORY"):
        return [Path(os.environ["GIMP3_DIRECTORY"]) / "plug-ins"]
    if sys.platform == "win32":
        root = Path(os.environ.get("APPDATA") or home / "AppData" / "Roaming")
    elif sys.platform == "darwin":
        root = home / "Library" / "Application Support"
    else:
        root = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    return [folder / "plug-ins" for folder in sorted((root / "GIMP").glob("3.*"))]


def find_krita() -> tuple[Path, Path] | None:
    """Krita's folder for plug-ins and its settings, where this user has started it; for Flatpak and
    Snap see above."""
    home = Path.home()
    if sys.platform == "win32":
        data = Path(os.environ.get("APPDATA") or home / "AppData" / "Roaming")
        settings = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif sys.platform == "darwin":
        data = home / "Library" / "Application Support"
        settings = home / "Library" / "Preferences"
    else:
        data = Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share")
        settings = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    there = (data / "krita").is_dir()
    return (data / "krita" / "pykrita", settings / "kritarc") if there else None


def enable_in_krita(config: Path) -> bool:
    """Adds to Krita's settings that the plug-in is switched on; False where that cannot be done."""
    entry, group = b"enable_human_matte=true\n", b"[python]"
    try:
        lines = config.read_bytes().splitlines(keepends=True) if config.exists() else []
        if lines and not lines[-1].endswith(b"\n"):
            lines[-1] += b"\n"
        heads = [n for n, line in enumerate(lines) if line.startswith(b"[")]
        begin = next((n for n in heads if lines[n].strip() == group), None)
        if begin is None:
            lines += [*([b"\n"] if lines else []), group + b"\n", entry]
        else:
            end = next((n for n in heads if n > begin), len(lines))
            own = lines[begin + 1 : end]
            kept = [line for line in own if not line.startswith(b"enable_human_matte=")]
            lines[begin + 1 : end] = [entry, *kept]
        config.parent.mkdir(parents=True, exist_ok=True)
        with replacing(config.resolve()) as temporary:
            temporary.write_bytes(b"".join(lines))
            if config.exists():
                shutil.copymode(config, temporary)
    except OSError:
        return False
    return True


def install_into_folder(packed: dict[str, bytes], entry: str, folder: Path) -> None:
    """Puts the files of a plug-in into its folder, in place of those of an older one. The entry may
    be run as a program. Raises MattingError; what was there stays until all new files are."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".human-matte-", dir=folder.parent) as temporary:
            new, old = Path(temporary) / "new", Path(temporary) / "old"
            for name, content in packed.items():
                file = new / name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)
            (new / entry).chmod(0o755)
            if folder.exists():
                folder.rename(old)
            try:
                new.rename(folder)
            except OSError:
                if old.exists():
                    old.rename(folder)
                raise
    except OSError as error:
        raise MattingError(f"{folder} cannot be written: {error.strerror}", path=folder) from error
