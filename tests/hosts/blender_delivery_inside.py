"""Runs within Blender's own Python: renders a frame of movies with alpha over bright green.

The only argument names the JSON file of the job; `test_blender_delivery.py` writes it.
"""

import json
import sys
from pathlib import Path

import bpy

JOB = json.loads(Path(sys.argv[1]).read_text())
FOLDER = Path(JOB["folder"])
IS_NEW = bpy.app.version >= (5, 0, 0)


def render(movie):
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    scene = bpy.context.scene
    scene.view_settings.view_transform = "Standard"
    scene.render.dither_intensity, scene.render.resolution_percentage = 0, 100
    scene.render.resolution_x, scene.render.resolution_y = JOB["size"]
    if IS_NEW:
        scene.render.image_settings.media_type = "IMAGE"
    scene.render.image_settings.file_format = "PNG"
    scene.render.image_settings.color_mode = "RGB"
    editor = scene.sequence_editor_create()
    strips = editor.strips if hasattr(editor, "strips") else editor.sequences
    ends = {"length": 20} if IS_NEW else {"frame_end": 21}
    backdrop = strips.new_effect(name="below", type="COLOR", channel=1, frame_start=1, **ends)
    backdrop.color = (0, 1, 0)
    strip = strips.new_movie("movie", str(FOLDER / movie), 2, 1)
    strip.blend_type = "ALPHA_OVER"
    scene.frame_set(JOB["frame"] + 1)
    scene.render.filepath = str(FOLDER / f"{movie}.png")
    bpy.ops.render.render(write_still=True)


for each in JOB["movies"]:
    render(each)
(FOLDER / "told.json").write_text("{}")
