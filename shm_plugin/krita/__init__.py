"""Krita 5.2 and newer: the plug-in's way in.

Imports nothing until Krita starts it, and then nothing that could keep its menu entry away.
"""

from __future__ import annotations


def register() -> None:
    """Called when Krita imports the plug-in."""
    from krita import Krita

    from .extension import HumanMatte

    application = Krita.instance()
    application.addExtension(HumanMatte(application))
