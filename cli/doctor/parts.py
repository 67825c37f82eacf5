"""What is installed: this program, the libraries it needs and those it can use; runs none."""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from cli.doctor.findings import Finding, Mark, look
from shm_engine import __version__

_PROGRAM = "shm-matte"

# What people call a library, and the module it is. PyAV says more of itself.
_NEEDED = (
    ("PyTorch", "torch"),
    ("OpenCV", "cv2"),
    ("NumPy", "numpy"),
    ("SciPy", "scipy"),
    ("safetensors", "safetensors"),
    ("tqdm", "tqdm"),
)
# They lay their files over those of the headless one, and the later one wins.
_RIVALS_OF_OPENCV = ("opencv-python", "opencv-contrib-python", "opencv-contrib-python-headless")


@dataclass(frozen=True, kw_only=True)
class Extra:
    """A package that is not needed; `purpose` completes "it is for ..."."""

    package: str
    extra: str
    purpose: str


OPTIONAL = (
    Extra(package="openvino", extra="openvino", purpose="a faster network on CPUs"),
    Extra(package="ray", extra="ray", purpose="--cluster (many machines)"),
    Extra(package="pyvirtualcam", extra="camera", purpose="camera --virtual-camera"),
    Extra(package="matplotlib", extra="bench", purpose="bench --plot"),
)


def needed() -> Iterator[Finding]:
    """This program and what it cannot do without."""
    yield Finding(name=_PROGRAM, words=__version__, facts={"version": __version__})
    yield look("on PATH", _on_path)
    python = f"{platform.python_version()}, {sys.executable}"
    yield Finding(name="Python", words=python, facts={"version": platform.python_version()})
    for name, module in _NEEDED:
        yield look(name, partial(_library, name, module))
    yield look("PyAV", _pyav)


def optional() -> Iterator[Finding]:
    """What the program can do more with, and how to get it."""
    for part in OPTIONAL:
        yield look(part.package, partial(_optional, part))


def _on_path() -> Finding:
    found = shutil.which(_PROGRAM)
    if found is not None:
        return Finding(name="on PATH", words=found, facts={"path": found})
    beside = Path(sys.executable).parent
    advice = f"add {beside} to PATH" if (beside / _PROGRAM).exists() else "add its folder to PATH"
    return Finding(
        name="on PATH",
        mark=Mark.NOTE,
        words=f"other programs do not find {_PROGRAM}; {advice}",
        facts={"path": None},
    )


def _library(name: str, module: str) -> Finding:
    found = str(import_module(module).__version__)
    facts = {"version": found}
    rivals = [rival for rival in _RIVALS_OF_OPENCV if module == "cv2" and _version(rival)]
    if rivals:
        words = (
            f"{found}; {rivals[0]} is installed too and overwrites its files: uninstall that, "
            "then install this program again"
        )
        return Finding(name=name, mark=Mark.NOTE, words=words, facts=facts)
    return Finding(name=name, words=found, facts=facts)


def _pyav() -> Finding:
    from cli.video.abilities import version_in_words

    words = version_in_words()
    return Finding(name="PyAV", words=f"{words}; no other is used", facts={"version": words})


def _optional(part: Extra) -> Finding:
    found = _version(part.package)
    facts: dict[str, str | None] = {"version": found}
    if found is not None:
        return Finding(name=part.package, words=f"{found}, for {part.purpose}", facts=facts)
    command = f'pip install "semantic-human-matting[{part.extra}]"'
    return Finding(
        name=part.package,
        mark=Mark.NOTE,
        words=f"not installed; it is for {part.purpose}:\n{command}",
        facts={**facts, "install": command},
    )


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
