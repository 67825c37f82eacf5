"""The questions that GIMP's user is asked before the work.

Knows no image and no engine. Imported only where there is a window.
"""

from __future__ import annotations

from typing import Any

import gi

gi.require_version("GimpUi", "3.0")
from gi.repository import GimpUi  # noqa: E402 (its version has to be said first)

from .choices import NAMES  # noqa: E402


def agree(procedure: Any, config: Any) -> bool:
    """Has the user change `config`, which GIMP remembers; False where they leave it at that."""
    GimpUi.init("human-matte")
    dialog = GimpUi.ProcedureDialog.new(procedure, config, "Human Matte")
    dialog.fill(list(NAMES))
    is_agreed = bool(dialog.run())
    dialog.destroy()
    return is_agreed
