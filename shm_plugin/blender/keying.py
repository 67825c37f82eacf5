"""The node group that keys an image with a matte, and how it is wired to the nodes of a tree.

Knows no engine and no operator. Blender's names that changed since 4.2 are told apart here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy

from ..client import WorkerError

GROUP = "Human Matte"
TREE = "CompositorNodeTree"
_INPUTS = (
    ("Image", "NodeSocketColor", (0.0, 0.0, 0.0, 0.0)),
    ("Matte", "NodeSocketFloat", 1.0),
    ("Background", "NodeSocketColor", (0.0, 0.0, 0.0, 0.0)),
)
_OUTPUTS = (("Image", "NodeSocketColor"), ("Alpha", "NodeSocketFloat"))


def key_group() -> Any:
    """The group of this file: Image times Matte, over Background, and the alpha of that; made if
    there is none."""
    for each in bpy.data.node_groups:
        if each.name.split(".")[0] == GROUP and _is_ours(each):
            return each
    tree = bpy.data.node_groups.new(GROUP, TREE)
    for name, kind, value in _INPUTS:
        tree.interface.new_socket(name, in_out="INPUT", socket_type=kind).default_value = value
    for name, kind in _OUTPUTS:
        tree.interface.new_socket(name, in_out="OUTPUT", socket_type=kind)
    _fill(tree)
    return tree


def _is_ours(tree: Any) -> bool:
    if tree.bl_idname != TREE:
        return False
    sockets = [item for item in tree.interface.items_tree if item.item_type == "SOCKET"]
    named = {(item.in_out, item.name) for item in sockets}
    return named >= {("INPUT", "Image"), ("INPUT", "Matte"), ("OUTPUT", "Image")}


def _fill(tree: Any) -> None:
    given, result = tree.nodes.new("NodeGroupInput"), tree.nodes.new("NodeGroupOutput")
    # Both multiply colours and alpha by the matte: "Apply Mask" is what a new one does.
    keyed = tree.nodes.new("CompositorNodeSetAlpha")
    over = tree.nodes.new("CompositorNodeAlphaOver")
    parts = tree.nodes.new("CompositorNodeSeparateColor")
    for place, node in enumerate((given, keyed, over, result)):
        node.location = (220 * place, 0)
    parts.location = (440, -180)
    # Their names changed, their order did not: what lies below comes first.
    below, above = [each for each in over.inputs if each.type == "RGBA"]
    for source, target in (
        (given.outputs["Image"], keyed.inputs["Image"]),
        (given.outputs["Matte"], keyed.inputs["Alpha"]),
        (given.outputs["Background"], below),
        (keyed.outputs["Image"], above),
        (keyed.outputs["Image"], parts.inputs["Image"]),
        (over.outputs["Image"], result.inputs["Image"]),
        (parts.outputs["Alpha"], result.inputs["Alpha"]),
    ):
        tree.links.new(source, target)


def add_key(tree: Any) -> Any:
    """A new node of the group in the tree."""
    node = tree.nodes.new("CompositorNodeGroup")
    node.node_tree = key_group()
    node.width = 180
    return node


def choose(tree: Any, node: Any) -> None:
    """Makes the node the only one that is selected, and the active one."""
    for each in tree.nodes:
        each.select = each == node
    tree.nodes.active = node


def file_of(node: Any) -> tuple[str, Path]:
    """What the node shows: "FILE", "SEQUENCE" or "MOVIE", and its file, of a sequence any.

    WorkerError where that is no file.
    """
    shown = _shown(node)
    if shown is None:
        raise WorkerError("The node shows nothing yet; choose its image or movie first.")
    packed = getattr(shown, "packed_file", None)
    if packed is not None or shown.source not in {"FILE", "SEQUENCE", "MOVIE"}:
        raise WorkerError(f"{shown.name} is no file on the disk; save it as one first.")
    return shown.source, Path(bpy.path.abspath(shown.filepath, library=shown.library))


def _shown(node: Any) -> Any:
    return node.clip if node.bl_idname == "CompositorNodeMovieClip" else node.image


def matte_node_of(node: Any) -> Any:
    """The node whose matte keys this one, or None."""
    key = _key_of(node)
    links = () if key is None else key.inputs["Matte"].links
    return links[0].from_node if links else None


def _key_of(node: Any) -> Any:
    ends = [link.to_node for link in node.outputs["Image"].links]
    groups = [each for each in ends if each.bl_idname == "CompositorNodeGroup"]
    named = [each for each in groups if each.node_tree is not None and _is_ours(each.node_tree)]
    return named[0] if named else None


def wire(tree: Any, node: Any, matte: Path, shift: int) -> Any:
    """Has `matte` key what the node shows, at the same frames; the node that shows the matte.

    shift: how much higher the numbers of the node's pictures are than those of the matte's.
    """
    key, shows = _key_of(node), matte_node_of(node)
    if shows is None or shows.bl_idname != node.bl_idname:
        shows = tree.nodes.new(node.bl_idname)
        shows.location = (node.location[0], node.location[1] - 340)
        shows.label = "Matte"
    _load(node, shows, matte, shift)
    if key is None:
        readers = [link.to_socket for link in node.outputs["Image"].links]
        key = add_key(tree)
        key.location = (node.location[0] + 300, node.location[1])
        for reader in readers:
            tree.links.new(key.outputs["Image"], reader)
        tree.links.new(node.outputs["Image"], key.inputs["Image"])
    # So that asking again is about the same footage.
    choose(tree, node)
    tree.links.new(shows.outputs["Image"], key.inputs["Matte"])
    return shows


def _load(node: Any, shows: Any, matte: Path, shift: int) -> None:
    if node.bl_idname == "CompositorNodeMovieClip":
        clip = bpy.data.movieclips.load(str(matte), check_existing=True)
        clip.colorspace_settings.name = "Non-Color"
        clip.frame_start, clip.frame_offset = node.clip.frame_start, node.clip.frame_offset
        shows.clip = clip
        return
    image = bpy.data.images.load(str(matte), check_existing=True)
    image.source = node.image.source
    image.colorspace_settings.name = "Non-Color"
    image.reload()
    shows.image = image
    if image.source != "FILE":
        for name in ("frame_duration", "frame_start", "use_cyclic", "use_auto_refresh"):
            setattr(shows, name, getattr(node, name))
        shows.frame_offset = node.frame_offset - shift
