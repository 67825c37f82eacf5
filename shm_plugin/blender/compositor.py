"""Human Matte in the Compositor: the node group, and mattes for the nodes that show footage.

Knows no codec and no socket; how nodes are wired is keying.py's business, and what mattes are
called footage.py's.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy

from ..client import WorkerError
from ..jobs import Job, Tell
from .footage import FOLDER, KEPT, MattePlan, make_mattes, plan_movie, plan_pictures, plan_sequence
from .keying import TREE, add_key, choose, file_of, matte_node_of, wire
from .modal import WorkOperator
from .preferences import settings

_FOOTAGE = frozenset({"CompositorNodeImage", "CompositorNodeMovieClip"})
_ICON = "OUTLINER_OB_ARMATURE"


@dataclass(frozen=True, kw_only=True)
class _Result:
    tree: tuple[str, str]
    node: str
    plan: MattePlan


class NODE_OT_human_matte_group(bpy.types.Operator):  # noqa: N801 (Blender's)
    """Add the node group Human Matte, which cuts an image out with a matte"""

    bl_idname = "node.human_matte_group"
    bl_label = "Human Matte"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012 (Blender's)

    @classmethod
    def poll(cls, context: Any) -> bool:
        if _tree(context) is None:
            cls.poll_message_set(_no_tree(context))
            return False
        return True

    def execute(self, context: Any) -> set[str]:
        tree = _tree(context)
        node = add_key(tree)
        choose(tree, node)
        if _is_node_editor(context):
            node.location = context.space_data.cursor_location
        return {"FINISHED"}

    def invoke(self, context: Any, event: Any) -> set[str]:
        if not _is_node_editor(context):
            return self.execute(context)
        space, region = context.space_data, context.region
        if region is not None and region.type == "WINDOW":
            space.cursor_location_from_region(event.mouse_region_x, event.mouse_region_y)
        result = self.execute(context)
        bpy.ops.node.translate_attach_remove_on_cancel("INVOKE_DEFAULT")
        return result


class NODE_OT_human_matte(WorkOperator[_Result], bpy.types.Operator):  # noqa: N801 (Blender's)
    """Cut people out of what the active Image or Movie Clip node shows: its matte is written beside
    the blend file and wired to it"""

    bl_idname = "node.human_matte"
    bl_label = "Human Matte"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012 (Blender's)
    cancelled = KEPT

    @classmethod
    def obstacle(cls, context: Any) -> str | None:
        return _obstacle(context)

    def start(self, context: Any) -> Job[_Result]:
        tree = _tree(context)
        node = tree.nodes.active
        plan = _plan(node)
        wanted = settings(context)
        result = _Result(tree=_address(tree), node=node.name, plan=plan)

        def job(tell: Tell) -> _Result:
            make_mattes(plan, wanted, tell)
            return result

        return job

    def finish(self, context: Any, result: _Result) -> str:  # noqa: ARG002 (of WorkOperator)
        tree = _tree_at(result.tree)
        node = None if tree is None else tree.nodes.get(result.node)
        made = result.plan.shown[0]
        if node is None or node.bl_idname not in _FOOTAGE:
            raise WorkerError(f"{result.node} is not there any more; its matte is {made}.")
        wire(tree, node, made, result.plan.shift)
        return f"{FOLDER}/{made.name} keys {node.label or node.name}."


def draw_add_entry(menu: Any, context: Any) -> None:  # noqa: ARG001 (Blender's)
    """In the Add menu of the compositor."""
    menu.layout.separator()
    menu.layout.operator(NODE_OT_human_matte_group.bl_idname, icon=_ICON)


def draw_entry(menu: Any, context: Any) -> None:
    """In the menus of nodes, of compositors alone."""
    if _tree(context) is not None:
        menu.layout.separator()
        menu.layout.operator(NODE_OT_human_matte.bl_idname, icon=_ICON)


# What is added to which menus.
ENTRIES = (
    ("NODE_MT_compositor_node_add_all", draw_add_entry),
    ("NODE_MT_node", draw_entry),
    ("NODE_MT_context_menu", draw_entry),
)


def _is_node_editor(context: Any) -> bool:
    return context.space_data is not None and context.space_data.type == "NODE_EDITOR"


def _tree(context: Any) -> Any:
    """The tree that is edited, without an editor of nodes that of the scene; None where this is no
    compositor, or it is empty."""
    if _is_node_editor(context):
        space = context.space_data
        return space.edit_tree if space.tree_type == TREE else None
    scene = context.scene
    if hasattr(scene, "compositing_node_group"):
        return scene.compositing_node_group
    # Of before 5.0.
    return scene.node_tree if scene.use_nodes else None


def _no_tree(context: Any) -> str:
    """Why there is no tree."""
    if _is_node_editor(context) and context.space_data.tree_type != TREE:
        return "In the Compositor only"
    return "The scene has no compositor nodes yet; choose New or Use Nodes in the Compositor"


def _obstacle(context: Any) -> str | None:
    """Why there cannot be a matte; None where there can."""
    tree = _tree(context)
    if tree is None:
        return _no_tree(context)
    node = tree.nodes.active
    if node is None or node.bl_idname not in _FOOTAGE:
        return "Select an Image or Movie Clip node"
    if not bpy.data.filepath:
        return "Save the blend file first: the matte goes beside it"
    return None


def _plan(node: Any) -> MattePlan:
    kind, file = file_of(node)
    folder = Path(bpy.data.filepath).parent / FOLDER
    shows = matte_node_of(node)
    current = file_of(shows)[1] if shows is not None and shows.bl_idname in _FOOTAGE else None
    if kind == "MOVIE":
        return plan_movie(file, folder, current)
    if kind == "SEQUENCE":
        # A clip ends at a gap, an image does not.
        is_image = node.bl_idname == "CompositorNodeImage"
        last = node.frame_offset + node.frame_duration if is_image else None
        return plan_sequence(file, folder, current, last)
    return plan_pictures([file], folder, () if current is None else (current,))


def _address(tree: Any) -> tuple[str, str]:
    """What finds the tree again, whatever happens to Blender's data meanwhile."""
    for scene in bpy.data.scenes:
        # Of before 5.0: there the tree belongs to the scene.
        if getattr(scene, "node_tree", None) == tree:
            return "scene", scene.name
    return "group", tree.name


def _tree_at(address: tuple[str, str]) -> Any:
    kind, name = address
    if kind == "group":
        return bpy.data.node_groups.get(name)
    scene = bpy.data.scenes.get(name)
    return None if scene is None else getattr(scene, "node_tree", None)
