"""Runs within Blender's own Python: installs the add-on as a user would, has it key the nodes of
the cases in a compositor, renders, and writes down what is wired. Knows no engine and judges
nothing.

The only argument names the JSON file of the job; `test_blender_compositor.py` writes it.
"""

import json
import sys
from pathlib import Path

import bpy

JOB = json.loads(Path(sys.argv[1]).read_text())
FOLDER = Path(JOB["folder"])
ADDON = "bl_ext.user_default.human_matte"
BACKDROP = (0.05, 0.6, 0.2, 1.0)


def new_tree():
    """A scene in a saved file whose compositor is empty but for its end."""
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    bpy.ops.wm.save_as_mainfile(filepath=str(FOLDER / "cut.blend"))
    scene = bpy.context.scene
    render = scene.render
    render.resolution_x, render.resolution_y = JOB["size"]
    render.resolution_percentage, render.dither_intensity = 100, 0
    scene.view_settings.view_transform = "Standard"
    settings = render.image_settings
    if hasattr(settings, "media_type"):
        settings.media_type = "IMAGE"
    settings.file_format, settings.color_mode, settings.color_depth = "PNG", "RGBA", "16"
    if bpy.app.version >= (5, 0, 0):
        tree = bpy.data.node_groups.new("Compositing", "CompositorNodeTree")
        scene.compositing_node_group = tree
        tree.interface.new_socket("Image", in_out="OUTPUT", socket_type="NodeSocketColor")
        end = tree.nodes.new("NodeGroupOutput")
    else:
        scene.use_nodes = True
        tree = scene.node_tree
        tree.nodes.clear()
        end = tree.nodes.new("CompositorNodeComposite")
    return scene, tree, end


def editor(tree):
    """The context of a compositor that shows the tree."""
    window = bpy.context.window_manager.windows[0]
    area = window.screen.areas[0]
    area.type = "NODE_EDITOR"
    area.ui_type = "CompositorNodeTree"
    space = area.spaces.active
    space.node_tree = tree
    region = next(each for each in area.regions if each.type == "WINDOW")
    return bpy.context.temp_override(window=window, area=area, region=region, space_data=space)


def add_footage(tree, case):
    path = str(FOLDER / case["file"])
    if case["node"] == "CLIP":
        node = tree.nodes.new("CompositorNodeMovieClip")
        node.clip = bpy.data.movieclips.load(path)
        node.clip.frame_start = case.get("start", 1)
        return node
    node = tree.nodes.new("CompositorNodeImage")
    node.image = bpy.data.images.load(path)
    node.image.source = case["node"]
    if case["node"] != "FILE":
        node.frame_duration, node.frame_start = 100, case.get("start", 1)
        node.frame_offset = case.get("offset", 0)
    return node


def call(operator):
    try:
        return sorted(operator())
    except RuntimeError as error:
        return str(error)


def describe(tree):
    nodes = {}
    for node in tree.nodes:
        inputs = {s.name: s.links[0].from_node.name for s in node.inputs if s.is_linked}
        nodes[node.name] = {"kind": node.bl_idname, "inputs": inputs}
    return nodes


def render(scene, frame, name):
    scene.frame_set(frame)
    scene.render.filepath = str(FOLDER / name)
    bpy.ops.render.render(write_still=True, scene=scene.name)


def key(case):
    scene, tree, end = new_tree()
    node = add_footage(tree, case)
    tree.links.new(node.outputs["Image"], end.inputs[0])
    tree.nodes.active = node
    name = case["name"]
    for frame in case["frames"]:
        render(scene, frame, f"{name}-{frame}-plain.png")
    with editor(tree):
        told = {"first": call(bpy.ops.node.human_matte), "nodes": describe(tree)}
        told["second"] = call(bpy.ops.node.human_matte)
        told["later"] = describe(tree)
    for frame in case["frames"]:
        render(scene, frame, f"{name}-{frame}-cut.png")
    keys = [each for each in tree.nodes if each.bl_idname == "CompositorNodeGroup"]
    if len(keys) == 1:
        tree.links.new(keys[0].outputs["Alpha"], end.inputs[0])
        for frame in case["frames"]:
            render(scene, frame, f"{name}-{frame}-alpha.png")
        tree.links.new(keys[0].outputs["Image"], end.inputs[0])
        keys[0].inputs["Background"].default_value = BACKDROP
        for frame in case["frames"]:
            render(scene, frame, f"{name}-{frame}-over.png")
    told["groups"] = sorted(each.name for each in bpy.data.node_groups)
    return told


def group():
    """What the entry of the Add menu adds, twice."""
    _, tree, _ = new_tree()
    with editor(tree):
        told = {"returned": [call(bpy.ops.node.human_matte_group) for _ in range(2)]}
        told["nothing"] = call(bpy.ops.node.human_matte)
    keys = [each for each in tree.nodes if each.bl_idname == "CompositorNodeGroup"]
    told["trees"] = [each.node_tree.name for each in keys]
    told["sockets"] = [[s.name for s in keys[0].inputs], [s.name for s in keys[0].outputs]]
    return told


def script():
    """What scripts get without an editor, and where there are no compositor nodes."""
    _, tree, end = new_tree()
    node = add_footage(tree, JOB["cases"][-1])
    tree.links.new(node.outputs["Image"], end.inputs[0])
    tree.nodes.active = node
    told = {"first": call(bpy.ops.node.human_matte), "nodes": describe(tree)}
    told["group"] = call(bpy.ops.node.human_matte_group)
    told["added"] = len(tree.nodes) - len(told["nodes"])
    gap = tree.nodes.new("CompositorNodeImage")
    gap.image = bpy.data.images.load(str(FOLDER / JOB["gap"]))
    gap.image.source = "SEQUENCE"
    gap.frame_duration = 100
    tree.nodes.active = gap
    told["gap"] = call(bpy.ops.node.human_matte)
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    operators = (bpy.ops.node.human_matte, bpy.ops.node.human_matte_group)
    told["none"] = [call(each) for each in operators]
    with editor(None):
        told["none"] += [call(each) for each in operators]
    area = bpy.context.window_manager.windows[0].screen.areas[0]
    area.ui_type = "ShaderNodeTree"
    with bpy.context.temp_override(area=area, space_data=area.spaces.active):
        told["shader"] = [call(each) for each in operators]
    return told


def main():
    bpy.ops.extensions.package_install_files(
        filepath=JOB["archive"], repo="user_default", enable_on_install=True
    )
    preferences = bpy.context.preferences.addons[ADDON].preferences
    preferences.engine = JOB["engine"]
    preferences.device, preferences.quality = "cpu", "draft"
    told = {"version": bpy.app.version[:2], "backdrop": BACKDROP}
    told["cases"] = {case["name"]: key(case) for case in JOB["cases"]}
    told["group"] = group()
    told["script"] = script()
    (FOLDER / "told.json").write_text(json.dumps(told))


main()
