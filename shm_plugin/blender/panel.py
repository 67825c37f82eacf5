"""Where a user finds Human Matte in Blender's Image Editor: a menu entry and a panel.

Knows no picture and no engine: its buttons are operators of other modules.
"""

from __future__ import annotations

from typing import Any

import bpy

from .image import IMAGE_OT_human_matte
from .preferences import draw_options
from .saving import IMAGE_OT_human_matte_save


class IMAGE_PT_human_matte(bpy.types.Panel):  # noqa: N801 (Blender's)
    bl_label = "Human Matte"
    bl_space_type = "IMAGE_EDITOR"
    bl_region_type = "UI"
    bl_category = "Human Matte"

    def draw(self, context: Any) -> None:
        layout = self.layout
        column = layout.column(align=True)
        name = IMAGE_OT_human_matte.bl_idname
        column.operator(name, text="Cut Out", icon="OUTLINER_OB_ARMATURE")
        clean = column.operator(name, text="Cut Out, Clean Colors")
        clean.colours = "CLEAN"
        column.operator(name, text="Matte as Image").output = "MATTE"
        if IMAGE_OT_human_matte_save.poll(context):
            column.operator(IMAGE_OT_human_matte_save.bl_idname)
        draw_options(layout, context, ("quality", "device"))


def draw_entry(menu: Any, context: Any) -> None:  # noqa: ARG001 (Blender's)
    """At the end of the Image menu."""
    menu.layout.separator()
    menu.layout.operator(IMAGE_OT_human_matte.bl_idname, icon="OUTLINER_OB_ARMATURE")


# What register adds to which menus.
ENTRIES = (("IMAGE_MT_image", draw_entry),)
