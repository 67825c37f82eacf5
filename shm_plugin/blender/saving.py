"""A cutout of more than 8 bits as a PNG file, which Blender's own Save As writes too bright.

Blender encodes such images for displays while their colours are multiplied with alpha, so that soft
edges shine (4.2 to 5.2). As a render it does so in the right order; that way is taken here.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import bpy

from .showing import shown


class IMAGE_OT_human_matte_save(bpy.types.Operator):  # noqa: N801 (Blender's)
    """Save this image with straight alpha and 16 bits, which Save As does for OpenEXR alone"""

    bl_idname = "image.human_matte_save"
    bl_label = "Save as PNG"

    # Not as annotations: those of strings would be read as names of types.
    __annotations__ = {
        "filepath": bpy.props.StringProperty(subtype="FILE_PATH"),
        "check_existing": bpy.props.BoolProperty(default=True, options={"HIDDEN"}),
        "filter_glob": bpy.props.StringProperty(default="*.png", options={"HIDDEN"}),
    }
    if TYPE_CHECKING:
        filepath: str

    @classmethod
    def poll(cls, context: Any) -> bool:
        image = shown(context)
        if image is not None and image.is_float and not image.colorspace_settings.is_data:
            return True
        cls.poll_message_set("Show a cutout of more than 8 bits in an Image Editor first")
        return False

    def invoke(self, context: Any, event: Any) -> set[str]:  # noqa: ARG002 (Blender's)
        beside = Path(bpy.data.filepath).parent if bpy.data.filepath else Path.home()
        self.filepath = str(beside / f"{bpy.path.clean_name(shown(context).name)}.png")
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: Any) -> set[str]:
        path = Path(bpy.path.ensure_ext(bpy.path.abspath(self.filepath), ".png"))
        try:
            _save(shown(context), path)
        except RuntimeError:
            self.report({"ERROR"}, f"{path} cannot be written; choose another folder.")
            return {"CANCELLED"}
        self.report({"INFO"}, f"{path} is saved.")
        return {"FINISHED"}


def _save(image: Any, path: Path) -> None:
    # A scene of its own, because what is set for the user's is the user's.
    scene = bpy.data.scenes.new("Human Matte")
    try:
        view = scene.view_settings
        view.view_transform, view.look = "Standard", "None"
        scene.render.dither_intensity = 0
        wanted = scene.render.image_settings
        wanted.file_format, wanted.color_mode, wanted.color_depth = "PNG", "RGBA", "16"
        image.save_render(str(path), scene=scene)
    finally:
        bpy.data.scenes.remove(scene)
