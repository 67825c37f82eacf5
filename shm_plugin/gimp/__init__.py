"""GIMP 3: the plug-in's way in.

Imports nothing until GIMP starts it, and then nothing that could keep its menu entry away.
"""

from __future__ import annotations


def run() -> None:
    """Answers GIMP: says what the plug-in is, or does what was chosen."""
    import gi

    gi.require_version("Gegl", "0.4")
    gi.require_version("Gimp", "3.0")
    from .plug_in import main

    main()
