"""Runs within Blender's own Python: installs the add-on as a user would, calls its operator on the
images of the cases, and writes down what they are like. Knows no engine and judges nothing.

The only argument names the JSON file of the job; `test_blender_images.py` writes it.
"""

import json
import sys
from array import array
from pathlib import Path

import bpy

JOB = json.loads(Path(sys.argv[1]).read_text())
FOLDER = Path(JOB["folder"])
ADDON = "bl_ext.user_default.human_matte"


def editor():
    """The context of an Image Editor."""
    window = bpy.context.window_manager.windows[0]
    area = window.screen.areas[0]
    area.type = "IMAGE_EDITOR"
    region = next(each for each in area.regions if each.type == "WINDOW")
    return {
        "window": window,
        "area": area,
        "region": region,
        "space_data": area.spaces.active,
    }


def call(options):
    """What the operator returned, or the sentence that it failed with."""
    with bpy.context.temp_override(**editor()):
        if not bpy.ops.image.human_matte.poll():
            return "poll"
        try:
            return sorted(bpy.ops.image.human_matte(**options))
        except RuntimeError as error:
            return str(error)


def dump(image, name):
    """Writes the samples; their facts."""
    samples = array("f", bytes(4 * len(image.pixels)))
    image.pixels.foreach_get(samples)
    (FOLDER / f"{name}.f32").write_bytes(samples.tobytes())
    return {
        "name": image.name,
        "file": f"{name}.f32",
        "size": list(image.size),
        "channels": image.channels,
        "is_float": image.is_float,
        "space": image.colorspace_settings.name,
        "alpha_mode": image.alpha_mode,
        "source": image.source,
        "file_format": image.file_format,
        "packed": image.packed_file is not None,
        "dirty": image.is_dirty,
    }


def show(case):
    """Opens the image of a case in the editor."""
    if case.get("generated"):
        image = bpy.data.images.new(case["name"], *case["generated"])
    elif case.get("file") is None:
        image = None
    else:
        image = bpy.data.images.load(str(FOLDER / case["file"]), check_existing=False)
        if case.get("sequence"):
            image.source = "SEQUENCE"
        if "space" in case:
            image.colorspace_settings.name = case["space"]
        if "alpha_mode" in case:
            image.alpha_mode = case["alpha_mode"]
        if case.get("vanishes"):
            image.filepath = str(FOLDER / "nowhere.png")
            image.reload()
    space = editor()["space_data"]
    space.image = image
    if case.get("sequence"):
        space.image_user.frame_duration = 10
        space.image_user.frame_current = case["sequence"]
    return image


def make_exr():
    """Three times the light of the 16-bit picture: brighter than white in places."""
    image = bpy.data.images.load(str(FOLDER / "sixteen.png"), check_existing=False)
    samples = array("f", bytes(4 * len(image.pixels)))
    image.pixels.foreach_get(samples)
    samples = array("f", (3 * value for value in samples))
    samples[3::4] = array("f", [1]) * (len(samples) // 4)
    bright = bpy.data.images.new("bright", *image.size, float_buffer=True)
    bright.pixels.foreach_set(samples)
    bright.filepath_raw, bright.file_format = str(FOLDER / "bright.exr"), "OPEN_EXR"
    bright.save()
    bpy.data.images.remove(bright)


def save(image, name):
    """What a user gets from Image > Save As with no other choice than the format."""
    for suffix, kind in (("png", "PNG"), ("exr", "OPEN_EXR")):
        image.file_format = kind
        editor()["space_data"].image = image
        with bpy.context.temp_override(**editor()):
            path = FOLDER / f"{name}-saved.{suffix}"
            bpy.ops.image.save_as(filepath=str(path), copy=True)
    with bpy.context.temp_override(**editor()):
        if bpy.ops.image.human_matte_save.poll():
            bpy.ops.image.human_matte_save(filepath=str(FOLDER / f"{name}-sixteen.png"))
    again = bpy.data.images.load(str(FOLDER / f"{name}-saved.exr"), check_existing=False)
    return dump(again, f"{name}-exr")


def matte(case):
    """The image of a case before and after, and the one that was made of it."""
    name = case["name"]
    image = show(case)
    told = {"source": image and image.name}
    if image is not None and not case.get("sequence") and len(image.pixels):
        told["before"] = dump(image, f"{name}-before")
    known = set(bpy.data.images.keys())
    told["returned"] = call(case.get("options", {}))
    new = set(bpy.data.images.keys()) - known
    told["new"] = sorted(new)
    if "before" in told:
        told["after"] = dump(image, f"{name}-after")
    if len(new) == 1:
        result = bpy.data.images[new.pop()]
        told["shown"] = editor()["space_data"].image == result
        told["result"] = dump(result, f"{name}-result")
        if case.get("saved"):
            told["exr"] = save(result, name)
        result.reload()
        told["reloaded"] = dump(result, f"{name}-reloaded")
    return told


def undo(case):
    """The names of the images before, after, after undo and after redo."""
    image = show(case)
    bpy.ops.ed.undo_push(message="begin")
    name = image.name
    told = {"source": name, "before": sorted(bpy.data.images.keys())}
    told["returned"] = call({})
    # Blender's own push crashes without a window, in any operator that can be adjusted afterwards.
    bpy.ops.ed.undo_push(message="Human Matte")
    told["after"] = sorted(bpy.data.images.keys())
    bpy.ops.ed.undo()
    told["undone"] = sorted(bpy.data.images.keys())
    told["untouched"] = dump(bpy.data.images[name], "undone")
    bpy.ops.ed.redo()
    told["redone"] = sorted(bpy.data.images.keys())
    again = set(told["redone"]) - set(told["before"])
    told["result"] = dump(bpy.data.images[again.pop()], "redone") if again else None
    return told


def render(case):
    """The operator on a render result."""
    scene = bpy.context.scene
    show({"file": None})
    space = editor()["space_data"]
    scene.sequence_editor_create()
    editing = scene.sequence_editor
    strips = editing.strips if hasattr(editing, "strips") else editing.sequences
    strips.new_image("a", str(FOLDER / case["file"]), 1, 1)
    scene.render.resolution_x, scene.render.resolution_y = case["size"]
    scene.render.resolution_percentage = 100
    bpy.ops.render.render()
    space.image = bpy.data.images["Render Result"]
    before = scene.render.image_settings.file_format
    told = {"returned": call({}), "kept": scene.render.image_settings.file_format == before}
    told["result"] = dump(bpy.data.images["Render matte"], "render")
    told["images"] = sorted(bpy.data.images.keys())
    return told


def script(case):
    """The operator as a script without an editor calls it, and what is left of the results in a
    file that was saved and opened twice."""
    image = bpy.data.images.load(str(FOLDER / case["file"]), check_existing=False)
    image.name = "plain.png"

    def run(**options):
        try:
            return sorted(bpy.ops.image.human_matte(**options))
        except RuntimeError as error:
            return str(error)

    told = {"unnamed": run(), "unknown": run(source="nobody")}
    told["named"] = run(source="plain.png")
    told["result"] = dump(bpy.data.images["plain matte"], "plain-result")
    told["again"] = run(source="plain matte", output="MATTE")
    path = str(FOLDER / "kept.blend")
    for _ in range(2):
        bpy.ops.wm.save_as_mainfile(filepath=path)
        bpy.ops.wm.open_mainfile(filepath=path)
    told["kept"] = sorted(each.name for each in bpy.data.images if each.name.startswith("plain"))
    told["opened"] = dump(bpy.data.images["plain matte"], "plain-opened")
    for each in list(bpy.data.images):
        bpy.data.images.remove(each)
    told["nothing"] = run()
    return told


def connection_elsewhere():
    """The test where an engine lives, but the setting names none."""
    preferences = bpy.context.preferences.addons[ADDON].preferences
    preferences.engine = str(FOLDER / "nowhere")
    said = connection()
    preferences.engine = JOB["engine"]
    return said


def toggle():
    """Whether the operator and the menu entry are there: enabled, disabled, enabled again."""

    def here():
        entries = [f.__name__ for f in bpy.types.IMAGE_MT_image._dyn_ui_initialize()]
        return [hasattr(bpy.types, "IMAGE_OT_human_matte"), entries.count("draw_entry")]

    told = [here()]
    bpy.ops.preferences.addon_disable(module=ADDON)
    told.append(here())
    bpy.ops.preferences.addon_enable(module=ADDON)
    told.append(here())
    return told


def main():
    bpy.ops.extensions.package_install_files(
        filepath=JOB["archive"], repo="user_default", enable_on_install=True
    )
    preferences = bpy.context.preferences.addons[ADDON].preferences
    preferences.engine = JOB["engine"]
    preferences.device = "cpu"
    told = {"version": bpy.app.version[:2], "numpy": "numpy" in sys.modules}
    told["connection"] = connection()
    make_exr()
    told["cases"] = {case["name"]: matte(case) for case in JOB["cases"]}
    if "undo" in JOB:
        told["undo"] = undo(JOB["undo"])
        told["render"] = render(JOB["render"])
        told["elsewhere"] = connection_elsewhere()
        told["script"] = script(JOB["script"])
        told["toggle"] = toggle()
    (FOLDER / "told.json").write_text(json.dumps(told))


def connection():
    try:
        return sorted(bpy.ops.wm.human_matte_test())
    except RuntimeError as error:
        return str(error)


main()
