"""Runs within Blender's own Python: installs the add-on as a user would, calls its operator on the
strips of the cases, renders frames, and writes down what the strips are like. Knows no engine and
judges nothing.

The only argument names the JSON file of the job; `test_blender_strips.py` writes it.
"""

import json
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import bpy

warnings.simplefilter("ignore", DeprecationWarning)

JOB = json.loads(Path(sys.argv[1]).read_text())
FOLDER = Path(JOB["folder"])
ADDON = "bl_ext.user_default.human_matte"
BACKDROP = (0.0, 1.0, 0.0)


def strips_of(holder):
    return holder.strips if hasattr(holder, "strips") else holder.sequences


def new_scene():
    """An empty timeline of a saved blend file, over bright green."""
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    bpy.ops.wm.save_as_mainfile(filepath=str(FOLDER / "cut.blend"))
    scene = bpy.context.scene
    render = scene.render
    render.resolution_x, render.resolution_y = JOB["size"]
    render.resolution_percentage, render.fps, render.dither_intensity = 100, JOB["fps"], 0
    scene.view_settings.view_transform = "Standard"
    settings = render.image_settings
    if hasattr(settings, "media_type"):
        settings.media_type = "IMAGE"
    settings.file_format, settings.color_mode, settings.color_depth = "PNG", "RGBA", "8"
    scene.sequence_editor_create()
    window = bpy.context.window_manager.windows[0]
    if hasattr(window.workspace, "sequencer_scene"):
        window.workspace.sequencer_scene = scene
    return scene


def add_backdrop(scene):
    kind = {"name": "backdrop", "type": "COLOR", "channel": 1, "frame_start": -50}
    strips = strips_of(scene.sequence_editor)
    ends = {"length": 200} if bpy.app.version >= (5, 0, 0) else {"frame_end": 150}
    backdrop = strips.new_effect(**kind, **ends)
    backdrop.color = BACKDROP


def add_strip(scene, case):
    strips = strips_of(scene.sequence_editor)
    first, *others = [str(FOLDER / name) for name in case["files"]]
    if first.endswith((".png", ".jpg")):
        strip = strips.new_image("shot", first, 2, 1)
        for each in others:
            strip.elements.append(Path(each).name)
        if not others:
            strip.frame_final_duration = 10
    else:
        strip = strips.new_movie("shot", first, 2, 1)
    for path, value in case.get("set", {}).items():
        target, _, name = path.rpartition(".")
        setattr(strip.path_resolve(target) if target else strip, name, value)
    for frame, scale in case.get("keyed", ()):
        strip.transform.scale_x = scale
        strip.transform.keyframe_insert("scale_x", frame=frame)
    return strip


def retime(scene, strip, frame):
    """Half as fast from a frame on, or as a whole: the versions differ."""
    with in_sequencer():
        choose(scene, strip)
        bpy.ops.sequencer.retiming_key_add(timeline_frame=frame)
        bpy.ops.sequencer.retiming_segment_speed_set(speed=50.0)


def in_sequencer():
    window = bpy.context.window_manager.windows[0]
    area = window.screen.areas[0]
    area.type = "SEQUENCE_EDITOR"
    region = next(each for each in area.regions if each.type == "WINDOW")
    return bpy.context.temp_override(window=window, area=area, region=region)


def choose(scene, strip):
    for each in strips_of(scene.sequence_editor):
        each.select = each == strip
    scene.sequence_editor.active_strip = strip


def call():
    """What the operator returned, or the sentence that it failed with, and whether it left alone
    the mattes that were there."""
    before = mattes()
    try:
        return {
            "returned": sorted(bpy.ops.sequencer.human_matte()),
            "unwritten": mattes() == before,
        }
    except RuntimeError as error:
        return {"returned": str(error), "unwritten": mattes() == before}


def mattes():
    """When the files beside the blend file were written."""
    files = (FOLDER / "human_matte").rglob("*")
    return {str(path): path.stat().st_mtime_ns for path in files if path.is_file()}


def describe(scene):
    told = {}
    for each in strips_of(scene.sequence_editor):
        told[each.name] = {
            "type": each.type,
            "channel": each.channel,
            "mute": each.mute,
            "blend": each.blend_type,
            "select": each.select,
            "start": each.frame_final_start,
            "end": each.frame_final_end,
            "path": getattr(each, "filepath", ""),
            "directory": getattr(each, "directory", ""),
            "elements": [element.filename for element in getattr(each, "elements", ())],
            "modifiers": [
                [mod.name, mod.type, mod.input_mask_strip and mod.input_mask_strip.name]
                for mod in each.modifiers
            ],
        }
    return told


def render(scene, frame, name, shown):
    """A picture of the strips that are named."""
    kept = {}
    for each in strips_of(scene.sequence_editor):
        kept[each] = each.mute
        each.mute = each.name not in shown
    scene.frame_set(frame)
    scene.render.filepath = str(FOLDER / name)
    bpy.ops.render.render(write_still=True, scene=scene.name)
    for each, mute in kept.items():
        each.mute = mute


def matte(case):
    scene = new_scene()
    add_backdrop(scene)
    strip = add_strip(scene, case)
    if "retimed" in case:
        retime(scene, strip, case["retimed"])
    choose(scene, strip)
    name = case["name"]
    for frame in case["frames"]:
        render(scene, frame, f"{name}-{frame}-plain.png", {"shot"})
    told = {"before": describe(scene), "first": call(), "after": describe(scene)}
    for frame in case["frames"]:
        render(scene, frame, f"{name}-{frame}.png", {"backdrop", "shot"})
        render(scene, frame, f"{name}-{frame}-matte.png", {"shot matte"})
    if case.get("again"):
        strip.transform.offset_x += case["again"]
        told["second"] = call()
        told["later"] = describe(scene)
        for frame in case["frames"]:
            render(scene, frame, f"{name}-{frame}-later.png", {"backdrop", "shot"})
            render(scene, frame, f"{name}-{frame}-moved.png", {"shot matte"})
    return told


class Layout:
    """In the place of Blender's, which shows nobody what was drawn."""

    def __init__(self):
        self.labels = []

    def label(self, *, text, **_):
        self.labels.append(text)

    def column(self, **_):
        return self

    def operator(self, *_, **__):
        pass

    def prop(self, *_, **__):
        pass


def drawn():
    """What the panel says of the active strip."""
    layout = Layout()
    with in_sequencer():
        bpy.types.SEQUENCER_PT_human_matte.draw(SimpleNamespace(layout=layout), bpy.context)
    return layout.labels


def lengths():
    """What the panel says of strips that show all, half and little of their files."""
    scene = new_scene()
    strip = add_strip(scene, {"files": [JOB["cases"][0]["files"][0]]})
    choose(scene, strip)
    told = {"whole": drawn()}
    strip.frame_final_end = strip.frame_final_start + 4
    told["half"] = drawn()
    strip.frame_final_end = strip.frame_final_start + 3
    told["little"] = drawn()
    is_old = hasattr(strip, "animation_offset_start") and bpy.app.version < (5, 0, 0)
    strip.frame_final_end = strip.frame_final_start + 8
    setattr(strip, "animation_offset_start" if is_old else "content_trim_start", 5)
    told["trimmed"] = drawn()
    for name, count, shown in (("all", 4, 4), ("one", 1, 10), ("some", 2, 1)):
        scene = new_scene()
        strip = add_strip(scene, {"files": JOB["numbered"][:count]})
        strip.frame_final_end = strip.frame_final_start + shown
        choose(scene, strip)
        told[name] = drawn()
    return told


def refusals():
    """What the operator says where it cannot work."""
    told = {}
    scene = new_scene()
    told["empty"] = call()["returned"]
    add_backdrop(scene)
    choose(scene, strips_of(scene.sequence_editor)["backdrop"])
    told["colour"] = call()["returned"]
    strip = add_strip(scene, {"files": ["gone.mp4"]})
    choose(scene, strip)
    told["gone"] = call()["returned"]
    preferences = bpy.context.preferences.addons[ADDON].preferences
    preferences.engine = str(FOLDER / "nothing")
    told["engine"] = call()["returned"]
    preferences.engine = JOB["engine"]
    matte = strips_of(scene.sequence_editor).new_movie(
        "cut", str(FOLDER / JOB["cases"][0]["files"][0]), 5, 1
    )
    mask = strip.modifiers.new("Human Matte", "MASK")
    mask.input_mask_strip = matte
    choose(scene, matte)
    told["matte"] = call()["returned"]
    choose(scene, add_strip(scene, {"files": JOB["mixed"]}))
    told["mixed"] = call()["returned"]
    told["left"] = sorted(path.name for path in FOLDER.glob("human_matte/*gone*"))
    told["left"] += sorted(path.name for path in FOLDER.glob("human_matte/mixed*"))
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    scene = bpy.context.scene
    scene.sequence_editor_create()
    window = bpy.context.window_manager.windows[0]
    if hasattr(window.workspace, "sequencer_scene"):
        window.workspace.sequencer_scene = scene
    choose(scene, add_strip(scene, {"files": [JOB["cases"][0]["files"][0]]}))
    told["unsaved"] = call()["returned"]
    return told


def main():
    bpy.ops.extensions.package_install_files(
        filepath=JOB["archive"], repo="user_default", enable_on_install=True
    )
    preferences = bpy.context.preferences.addons[ADDON].preferences
    preferences.engine = JOB["engine"]
    preferences.device, preferences.quality = "cpu", "draft"
    told = {"version": bpy.app.version[:2]}
    told["cases"] = {case["name"]: matte(case) for case in JOB["cases"]}
    told["lengths"] = lengths()
    told["refusals"] = refusals()
    (FOLDER / "told.json").write_text(json.dumps(told))


main()
