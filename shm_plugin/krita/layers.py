"""Krita's layers: the picture in one of them, and a transparency mask for it.

Knows no engine and no window. The selection holds: outside of it nothing changes. A new mask is one
undo step; that an older one of ours makes way for it is another.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from krita import Krita, Selection

from ..messages import BLOB_LIMIT, LONGEST_SIDE, SAMPLE_BYTES
from .pixels import Form, Picture, form_of
from .qt import QtCore

NAME = "Human Matte"

_PAINTED = "paintlayer"
# These show a picture too, though none that could be painted on.
_SHOWING = ("grouplayer", "filelayer", "clonelayer")

Area = tuple[int, int, int, int]


class UnfitError(Exception):
    """A layer that cannot have a matte; one sentence for the user."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """A layer, where it lies in its document (left, top, width, height), and what it shows."""

    document: Any
    layer: Any
    area: Area
    picture: Picture


def read(document: Any, node: Any) -> Target:
    """The node, or the layer whose mask it is; UnfitError if that shows nothing."""
    if document is None or node is None:
        raise UnfitError("Open a picture first.")
    if not hasattr(document, "createTransparencyMask"):
        raise UnfitError("Human Matte needs Krita 5.2 or newer.")
    layer = node.parentNode() if node.type().endswith("mask") else node
    if layer.type() not in (_PAINTED, *_SHOWING):
        raise UnfitError(f"{layer.name()} holds no picture; select the layer that shows it.")
    # What was painted beyond the edges of the document belongs to the layer.
    bounds = layer.bounds()
    area = bounds.x(), bounds.y(), bounds.width(), bounds.height()
    form = form_of(layer.colorDepth())
    _check(layer, area, form)
    masks = _masks(layer)
    picture = Picture(
        width=area[2],
        height=area[3],
        form=form,
        raw=_pixels(layer, area, form),
        selection=_selected(document, layer, area),
        before=bytes(masks[0].pixelData(*area)) if masks else None,
    )
    return Target(document=document, layer=layer, area=area, picture=picture)


def _check(layer: Any, area: Area, form: Form) -> None:
    _, _, width, height = area
    if width < 1 or height < 1:
        raise UnfitError(f"{layer.name()} is empty; select the layer that shows the picture.")
    size = 3 * SAMPLE_BYTES[form.dtype] * width * height
    if size > BLOB_LIMIT or max(width, height) > LONGEST_SIDE:
        raise UnfitError(
            f"The layer {layer.name()} is too large for the engine; make it smaller with "
            "Layer > Transform > Scale Layer, or cut it into parts."
        )


def _masks(layer: Any) -> list[Any]:
    """Those of ours."""
    children = layer.childNodes()
    return [each for each in children if each.type() == "transparencymask" and each.name() == NAME]


def _selected(document: Any, layer: Any, area: Area) -> bytes | None:
    selection = document.selection()
    if selection is None:
        return None
    chosen = bytes(selection.pixelData(*area))
    if not any(chosen):
        raise UnfitError(
            f"Nothing of {layer.name()} is selected; use Select > Deselect for all of it."
        )
    return chosen


def _pixels(layer: Any, area: Area, form: Form) -> bytes:
    is_painted = layer.type() == _PAINTED
    raw = bytes((layer.pixelData if is_painted else layer.projectionPixelData)(*area))
    space = layer.colorModel(), layer.colorDepth(), layer.colorProfile()
    if space == ("RGBA", form.depth, form.profile):
        return raw
    return _converted(raw, area[2:], space, form)


def _converted(raw: bytes, size: tuple[int, int], space: tuple[str, str, str], form: Form) -> bytes:
    """The samples as the form wants them, by way of a document that nobody sees."""
    aside = Krita.instance().createDocument(*size, NAME, *space, 72.0)
    try:
        aside.setBatchmode(True)
        aside.topLevelNodes()[0].setPixelData(QtCore.QByteArray(raw), 0, 0, *size)
        aside.setColorSpace("RGBA", form.depth, form.profile)
        aside.waitForDone()
        return bytes(aside.topLevelNodes()[0].pixelData(0, 0, *size))
    finally:
        # Else Krita would ask whether to save it.
        aside.setModified(False)
        aside.close()


def place(target: Target, values: bytes) -> None:
    """Puts the mask, a byte a pixel, on the layer; an older one of ours makes way."""
    document, layer = target.document, target.layer
    for older in _masks(layer):
        older.remove()
    selection = Selection()
    selection.setPixelData(QtCore.QByteArray(values), *target.area)
    mask = document.createTransparencyMask(NAME)
    layer.addChildNode(mask, None)
    mask.setSelection(selection)
    document.refreshProjection()
    document.waitForDone()
