"""Human Matte in Blender 4.2 and newer: what the add-on registers and takes away again.

Knows no picture, strip or node. Importing it needs Blender.
"""

from __future__ import annotations

import bpy

from . import compositor, modal, panel, showing, strips
from .image import IMAGE_OT_human_matte
from .preferences import HumanMattePreferences, WM_OT_human_matte_test
from .saving import IMAGE_OT_human_matte_save

_CLASSES = (
    HumanMattePreferences,
    WM_OT_human_matte_test,
    IMAGE_OT_human_matte,
    IMAGE_OT_human_matte_save,
    panel.IMAGE_PT_human_matte,
    strips.SEQUENCER_OT_human_matte,
    strips.SEQUENCER_PT_human_matte,
    compositor.NODE_OT_human_matte_group,
    compositor.NODE_OT_human_matte,
)
_ENTRIES = (*panel.ENTRIES, *strips.ENTRIES, *compositor.ENTRIES)


def register() -> None:
    """Called by Blender when the add-on is switched on."""
    for each in _CLASSES:
        bpy.utils.register_class(each)
    bpy.app.handlers.undo_post.append(showing.after_undo)
    bpy.app.handlers.redo_post.append(showing.after_redo)
    for menu, draw in _ENTRIES:
        getattr(bpy.types, menu).append(draw)


def unregister() -> None:
    """Called by Blender when the add-on is switched off; what is under way is stopped."""
    modal.stop_everything()
    bpy.app.handlers.redo_post.remove(showing.after_redo)
    bpy.app.handlers.undo_post.remove(showing.after_undo)
    for menu, draw in _ENTRIES:
        getattr(bpy.types, menu).remove(draw)
    for each in reversed(_CLASSES):
        bpy.utils.unregister_class(each)
