"""Semantic Human Matting: frames in, mattes out.

Names are loaded on first use, so that importing the package (a menu, `--help`) imports no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from shm_engine.errors import MattingError
from shm_engine.options import MatterOptions

if TYPE_CHECKING:
    from shm_engine.images import read_image, write_image
    from shm_engine.matter import Matter
    from shm_engine.types import Frame, Matte

__version__ = "0.1.0"

__all__ = [
    "Frame",
    "Matte",
    "Matter",
    "MatterOptions",
    "MattingError",
    "__version__",
    "read_image",
    "write_image",
]

_HOMES = {
    "Frame": "shm_engine.types",
    "Matte": "shm_engine.types",
    "Matter": "shm_engine.matter",
    "read_image": "shm_engine.images",
    "write_image": "shm_engine.images",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
