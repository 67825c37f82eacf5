"""Which image an Image Editor shows: a result in place of its source, also after undo and redo.

Knows nothing of how the result was made.
"""

from __future__ import annotations

from typing import Any

import bpy

from .modal import area_at


class _Replaced:
    """Names of (source, result), by the address of the area that shows them."""

    names: dict[int, tuple[str, str]] = {}  # noqa: RUF012 (there is one)


def is_editor(context: Any) -> bool:
    """Whether this is an Image Editor."""
    return context.space_data is not None and context.space_data.type == "IMAGE_EDITOR"


def shown(context: Any) -> Any:
    """The image in this editor; None where this is no Image Editor, or it is empty."""
    return context.space_data.image if is_editor(context) else None


def show(context: Any, source: str, result: Any) -> None:
    """Shows the result, unless the user looks at something else than the source by now."""
    editor, area = context.space_data, context.area
    if not is_editor(context):
        return
    if editor.image is None or editor.image.name == source:
        editor.image = result
        if area is not None:
            _Replaced.names[area.as_pointer()] = source, result.name


@bpy.app.handlers.persistent
def after_undo(*_: Any) -> None:
    """Blender leaves an editor empty whose image is undone; shows the source there again."""
    for editor, source, _result in _editors():
        if editor.image is None:
            editor.image = bpy.data.images.get(source)


@bpy.app.handlers.persistent
def after_redo(*_: Any) -> None:
    """Shows the result again in place of its source."""
    for editor, source, name in _editors():
        result = bpy.data.images.get(name)
        if result is not None and editor.image in {None, bpy.data.images.get(source)}:
            editor.image = result


def _editors() -> list[tuple[Any, str, str]]:
    """The editors that are still there, with the names of their images."""
    found = []
    for address, (source, result) in list(_Replaced.names.items()):
        area = area_at(address)
        if area is None or area.type != "IMAGE_EDITOR":
            del _Replaced.names[address]
        else:
            found.append((area.spaces.active, source, result))
    return found
