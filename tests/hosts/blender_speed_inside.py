"""Runs within Blender's own Python: how long its operator takes for a picture, several times.

The only argument names the JSON file of the job; `docs/plugin_speed.py` writes it.
"""

import json
import sys
import time
from pathlib import Path

import bpy

JOB = json.loads(Path(sys.argv[1]).read_text())
FOLDER = Path(JOB["folder"])
ADDON = "bl_ext.user_default.human_matte"

bpy.ops.extensions.package_install_files(
    filepath=JOB["archive"], repo="user_default", enable_on_install=True
)
bpy.context.preferences.addons[ADDON].preferences.engine = JOB["engine"]
window = bpy.context.window_manager.windows[0]
area = window.screen.areas[0]
area.type = "IMAGE_EDITOR"
space = area.spaces.active
seconds = []
for _ in range(JOB["times"]):
    space.image = bpy.data.images.load(str(FOLDER / JOB["picture"]), check_existing=False)
    # Blender reads the file when its samples are asked for; that is not our time.
    _ = space.image.pixels[0]
    region = next(each for each in area.regions if each.type == "WINDOW")
    begun = time.perf_counter()
    with bpy.context.temp_override(window=window, area=area, region=region, space_data=space):
        returned = bpy.ops.image.human_matte()
    seconds.append(time.perf_counter() - begun)
    assert returned == {"FINISHED"}, returned
(FOLDER / "told.json").write_text(json.dumps({"seconds": seconds}))
