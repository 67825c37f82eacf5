"""A matte strip that lines up with the strip it belongs to, and the modifier that applies it.

Knows no engine and no file's content. Blender's names that changed since 4.2 are told apart here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import bpy

from ..client import WorkerError

NAME = "Human Matte"
_CHANNELS = 128

# Blender 5 looks the mask up before it mirrors the strip, older ones use it as it is shown.
_MIRRORS_LAST = bpy.app.version >= (5, 0, 0)


def all_strips(scene: Any) -> list[Any]:
    """All strips of the scene, those within meta strips too."""
    editor = scene.sequence_editor
    if editor is None:
        return []
    # Of before 4.4.
    return list(editor.strips_all if hasattr(editor, "strips_all") else editor.sequences_all)


def strip_named(scene: Any, name: str) -> Any:
    """The strip of that name, or None."""
    return next((each for each in all_strips(scene) if each.name == name), None)


def mask_of(strip: Any) -> Any:
    """The modifier that applies the matte of this strip, or None."""
    found = strip.modifiers.get(NAME)
    return found if found is not None and found.type == "MASK" else None


def matte_of(strip: Any) -> Any:
    """The strip that is the matte of this one, or None."""
    mask = mask_of(strip)
    return None if mask is None else mask.input_mask_strip


def users_of(matte: Any, scene: Any) -> list[Any]:
    """The strips whose matte this one is."""
    return [each for each in all_strips(scene) if matte_of(each) == matte]


def files_of(strip: Any) -> list[Path]:
    """What the strip shows: a movie, or its pictures."""
    if strip.type == "MOVIE":
        return [Path(bpy.path.abspath(strip.filepath))]
    folder = Path(bpy.path.abspath(strip.directory))
    return [folder / each.filename for each in strip.elements]


def length_of(strip: Any) -> tuple[int, float]:
    """How many frames or pictures the strip holds, with those cut off for good, and which share of
    them it shows."""
    cut = beyond = 0
    for end, side in (("start", "left"), ("end", "right")):
        # Of stills there is nothing to cut off.
        if strip.type == "MOVIE":
            cut += int(_of(strip, f"content_trim_{end}", f"animation_offset_{end}"))
        # Of the timeline, which goes by another rate; negative where the last one is held.
        beyond += max(0, int(_of(strip, f"{side}_handle_offset", f"frame_offset_{end}")))
    shown = max(0, _end(strip) - _first(strip))
    kept = int(_of(strip, "content_duration", "frame_duration"))
    whole = kept + cut
    return whole, shown / max(1, shown + beyond) * kept / max(1, whole)


def place_matte(context: Any, scene: Any, strip: Any, files: Sequence[Path]) -> Any:
    """The matte strip of `strip`, new or the one it has, made to show `files` and lie as it does.

    Raises WorkerError where there is no room for it.
    """
    matte = matte_of(strip)
    if matte is None or not _lines_up(matte, strip):
        matte = _replace(context, scene, strip, matte)
    _show(matte, files)
    # No conversion: a matte is no colour.
    matte.colorspace_settings.name = scene.sequencer_colorspace_settings.name
    mask = mask_of(strip)
    if mask is None:
        mask = strip.modifiers.new(NAME, "MASK")
        strip.blend_type = "ALPHA_OVER"
    mask.input_mask_type = "STRIP"
    mask.input_mask_strip = matte
    with _in_sequencer(context, scene):
        # The files may have been written anew under the same names.
        bpy.ops.sequencer.refresh_all()
    return matte


def _replace(context: Any, scene: Any, strip: Any, old: Any) -> Any:
    """A new matte strip in the place of the old one, if there is one."""
    new = _copy(context, scene, strip)
    while new.modifiers:
        new.modifiers.remove(new.modifiers[0])
    container = _container(strip, scene)
    channel = None
    if old is not None and not [each for each in users_of(old, scene) if each != strip]:
        channel = old.channel
        container.remove(old)
    channel = channel or _free_channel(new, strip, container)
    if channel is None:
        container.remove(new)
        raise WorkerError("There is no free channel for the matte; make room above the strip.")
    new.channel = channel
    new.name = f"{strip.name} matte"
    new.mute = True
    _be_plain(new)
    return new


def _be_plain(matte: Any) -> None:
    """Without what changes values, or is needless in a mask."""
    for name in ("use_deinterlace", "multiply_alpha", "use_float", "use_proxy"):
        if hasattr(matte, name):
            setattr(matte, name, False)
    matte.color_multiply = matte.color_saturation = matte.blend_alpha = 1.0
    for side in ("min_x", "max_x", "min_y", "max_y"):
        setattr(matte.crop, side, 0)
    if _MIRRORS_LAST:
        matte.use_flip_x = matte.use_flip_y = False


def _show(matte: Any, files: Sequence[Path]) -> None:
    if matte.type == "MOVIE":
        matte.filepath = _said(files[0])
        return
    matte.directory = _said(files[0].parent) + os.sep
    for element, file in zip(matte.elements, files, strict=True):
        element.filename = file.name


def _said(path: Path) -> str:
    """As the user likes paths: from the blend file on, or whole."""
    if bpy.context.preferences.filepaths.use_relative_paths and bpy.data.filepath:
        return str(bpy.path.relpath(str(path)))
    return str(path)


def _lines_up(matte: Any, strip: Any) -> bool:
    """Whether the matte covers the strip, frame by frame and point by point."""
    if matte.type != strip.type or not (
        _first(matte) <= _first(strip) and _end(matte) >= _end(strip)
    ):
        return False
    return _layout(matte, mirrors=not _MIRRORS_LAST) == _layout(strip, mirrors=not _MIRRORS_LAST)


def _layout(strip: Any, *, mirrors: bool) -> list[Any]:
    """All that says which picture is shown when, and where."""
    shape = strip.transform
    content = strip.content_start if hasattr(strip, "content_start") else strip.frame_start
    trims = _of(strip, "content_trim_start", "animation_offset_start")
    keys = getattr(strip, "retiming_keys", ())
    return [
        content,
        trims,
        len(strip.elements),
        strip.strobe,
        strip.use_reverse_frames,
        [key.timeline_frame for key in keys],
        (shape.scale_x, shape.scale_y, shape.offset_x, shape.offset_y, shape.rotation),
        (tuple(shape.origin), shape.filter),
        (strip.use_flip_x, strip.use_flip_y) if mirrors else None,
    ]


def _of(strip: Any, name: str, old_name: str) -> Any:
    return getattr(strip, name if hasattr(strip, name) else old_name)


def _first(strip: Any) -> int:
    return int(_of(strip, "left_handle", "frame_final_start"))


def _end(strip: Any) -> int:
    return int(_of(strip, "right_handle", "frame_final_end"))


def _container(strip: Any, scene: Any) -> Any:
    """The strips among which this one lies."""
    home = strip.parent_meta() or scene.sequence_editor
    return home.strips if hasattr(home, "strips") else home.sequences


def _free_channel(new: Any, strip: Any, container: Any) -> int | None:
    """Above the strip if possible, else below."""
    others = [each for each in container if each != new]
    taken = {
        each.channel for each in others if _first(each) < _end(new) and _end(each) > _first(new)
    }
    above = range(strip.channel + 1, _CHANNELS + 1)
    below = range(strip.channel - 1, 0, -1)
    return next((channel for channel in (*above, *below) if channel not in taken), None)


def _copy(context: Any, scene: Any, strip: Any) -> Any:
    """A copy with everything: speed, trim, animation. Blender offers it as an operator only."""
    container = _container(strip, scene)
    before = set(container.keys())
    chosen = [each for each in all_strips(scene) if each.select]
    for each in chosen:
        each.select = False
    strip.select = True
    with _in_sequencer(context, scene):
        bpy.ops.sequencer.duplicate()
    made = [each for each in container if each.name not in before]
    for each in all_strips(scene):
        each.select = each in chosen
    scene.sequence_editor.active_strip = strip
    if len(made) != 1:
        raise WorkerError(
            f"{strip.name} is not among the strips that are shown; open its scene or meta strip "
            "and try again, the matte itself is done."
        )
    return made[0]


@contextmanager
def _in_sequencer(context: Any, scene: Any) -> Iterator[None]:
    """Blender's operators for strips want a sequencer that shows them."""
    window = context.window or context.window_manager.windows[0]
    workspace = window.workspace
    areas = list(window.screen.areas)
    area = next((each for each in areas if each.type == "SEQUENCE_EDITOR"), areas[0])
    kind = area.type
    area.type = "SEQUENCE_EDITOR"
    space = area.spaces.active
    view, space.view_type = space.view_type, "SEQUENCER"
    shown = getattr(workspace, "sequencer_scene", None)
    if hasattr(workspace, "sequencer_scene"):
        workspace.sequencer_scene = scene
    try:
        region = next(each for each in area.regions if each.type == "WINDOW")
        with context.temp_override(window=window, area=area, region=region, scene=scene):
            yield
    finally:
        if hasattr(workspace, "sequencer_scene"):
            workspace.sequencer_scene = shown
        space.view_type = view
        area.type = kind
