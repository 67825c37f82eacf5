"""Human Matte in the Sequencer: a matte for the active strip, rendered beside the blend file.

Knows no codec and no socket; how strips are laid out is placing.py's business, and what their
mattes are called footage.py's.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy

from ..client import WorkerError
from ..jobs import Job, Tell
from .footage import FOLDER, KEPT, MattePlan, frames_of, make_mattes, plan_movie, plan_pictures
from .modal import WorkOperator
from .placing import files_of, length_of, matte_of, place_matte, strip_named, users_of
from .preferences import draw_options, settings

_ICON = "OUTLINER_OB_ARMATURE"

# A strip that shows less than this part of what is matted: users are told.
_FEW = 0.5


@dataclass(frozen=True, kw_only=True)
class _Result:
    scene: str
    strip: str
    plan: MattePlan


class SEQUENCER_OT_human_matte(WorkOperator[_Result], bpy.types.Operator):  # noqa: N801 (Blender's)
    """Cut people out of the active movie or image strip: its matte becomes a movie beside the
    blend file, and a muted strip that masks the active one"""

    bl_idname = "sequencer.human_matte"
    bl_label = "Human Matte"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012 (Blender's)
    cancelled = KEPT

    @classmethod
    def obstacle(cls, context: Any) -> str | None:
        return _obstacle(context)

    def start(self, context: Any) -> Job[_Result]:
        scene = _scene(context)
        strip = scene.sequence_editor.active_strip
        plan = _plan(strip)
        wanted = settings(context)
        result = _Result(scene=scene.name, strip=strip.name, plan=plan)
        beginning = "; ".join(["starting the engine", *_more_than_shown(strip)])

        def job(tell: Tell) -> _Result:
            make_mattes(plan, wanted, tell, beginning)
            return result

        return job

    def finish(self, context: Any, result: _Result) -> str:
        scene = bpy.data.scenes.get(result.scene)
        strip = None if scene is None else strip_named(scene, result.strip)
        made = result.plan.shown[0]
        if strip is None or len(files_of(strip)) != len(result.plan.shown):
            raise WorkerError(f"{result.strip} is not there any more; its matte is {made}.")
        matte = place_matte(context, scene, strip, result.plan.shown)
        where = f"{FOLDER}/{made.name} on channel {matte.channel}"
        again = f"choose {self.bl_label} again after cutting, moving or scaling it"
        return f"{strip.name} is masked by {where}; {again}."


class SEQUENCER_PT_human_matte(bpy.types.Panel):  # noqa: N801 (Blender's)
    bl_label = "Human Matte"
    bl_space_type = "SEQUENCE_EDITOR"
    bl_region_type = "UI"
    bl_category = "Human Matte"

    def draw(self, context: Any) -> None:
        layout = self.layout
        layout.operator(SEQUENCER_OT_human_matte.bl_idname, text="Mask the People", icon=_ICON)
        reason = _obstacle(context)
        if reason is not None:
            layout.label(text=reason, icon="INFO")
        else:
            for words in _more_than_shown(_scene(context).sequence_editor.active_strip):
                layout.label(text=words, icon="INFO")
        draw_options(layout, context, ("quality", "smoothing", "device"))


def draw_entry(menu: Any, context: Any) -> None:  # noqa: ARG001 (Blender's)
    """In the menus of strips."""
    menu.layout.separator()
    menu.layout.operator(SEQUENCER_OT_human_matte.bl_idname, icon=_ICON)


# What is added to which menus.
ENTRIES = (("SEQUENCER_MT_strip", draw_entry), ("SEQUENCER_MT_context_menu", draw_entry))


def _scene(context: Any) -> Any:
    """The scene whose strips are shown, which since 5.0 need not be the window's."""
    return getattr(context, "sequencer_scene", None) or context.scene


def _obstacle(context: Any) -> str | None:
    """Why there cannot be a matte; None where there can."""
    scene = _scene(context)
    editor = None if scene is None else scene.sequence_editor
    strip = None if editor is None else editor.active_strip
    if strip is None:
        return "Select a movie or image strip"
    if strip.type not in {"MOVIE", "IMAGE"}:
        return "Movie and image strips only"
    if users_of(strip, scene):
        return "This strip is a matte itself"
    if not bpy.data.filepath:
        return "Save the blend file first: the matte goes beside it"
    return None


def _more_than_shown(strip: Any) -> list[str]:
    """One line where far more is matted than the strip shows, else none."""
    held, share = length_of(strip)
    if strip.type == "MOVIE":
        return [f"The whole file is matted: {held} frames"] if share < _FEW else []
    files = list(dict.fromkeys(files_of(strip)))
    whole = frames_of(files)
    is_more = share * len(files) < _FEW * whole
    return [f"All numbered pictures are matted: {whole}"] if is_more else []


def _plan(strip: Any) -> MattePlan:
    folder = Path(bpy.data.filepath).parent / FOLDER
    now = matte_of(strip)
    current = [] if now is None else files_of(now)
    files = files_of(strip)
    if strip.type == "MOVIE":
        return plan_movie(files[0], folder, current[0] if current else None)
    return plan_pictures(files, folder, current)
