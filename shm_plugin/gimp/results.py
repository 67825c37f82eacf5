"""What the engine made becomes part of the image: a layer mask, or a new layer; one undo step.

Knows no engine. The selection holds as for any filter: outside of it nothing changes, and where it
is soft the change is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import repeat
from typing import Any

from gi.repository import Gimp

from ..messages import MatteReply
from . import pixels
from .choices import Wishes


class UnfitError(Exception):
    """A layer that cannot have what was chosen; one sentence for the user."""


def fit(image: Any, drawables: Sequence[Any], wishes: Wishes) -> list[Any]:
    """The layers that are meant, each once; UnfitError if one of them cannot be done."""
    layers: list[Any] = []
    for drawable in drawables:
        # While a mask is edited, it is what GIMP has selected.
        is_mask = isinstance(drawable, Gimp.LayerMask)
        layer = Gimp.Layer.from_mask(drawable) if is_mask else drawable
        _check(image, layer)
        _check_locks(layer if wishes.output == "mask" else layer.get_parent())
        if layer not in layers:
            layers.append(layer)
    if not layers:
        raise UnfitError("Select a layer with a picture first.")
    if wishes.output != "mask" and image.get_base_type() == Gimp.ImageBaseType.INDEXED:
        raise UnfitError(
            "An indexed image cannot have layers with soft edges; choose a layer mask, or use "
            "Image > Mode > RGB first."
        )
    return layers


def _check(image: Any, layer: Any) -> None:
    if not isinstance(layer, Gimp.Layer):
        raise UnfitError("Human Matte looks at layers, not at channels; select a layer first.")
    name = layer.get_name()
    if layer.is_group():
        raise UnfitError(f"{name} is a group; select the layer in it that shows the picture.")
    if layer.is_floating_sel():
        raise UnfitError("The selection floats; anchor it first (Layer > Anchor).")
    if not Gimp.Selection.is_empty(image) and not layer.mask_intersect()[0]:
        raise UnfitError(f"Nothing of {name} is selected; use Select > None for all of it.")


def _check_locks(item: Any) -> None:
    while item is not None:
        if item.get_lock_content():
            raise UnfitError(
                f"The pixels of {item.get_name()} are locked; unlock them in the list of layers."
            )
        item = item.get_parent()


def place(image: Any, layers: Sequence[Any], replies: Sequence[MatteReply], wishes: Wishes) -> None:
    """Puts what `asking` returned for each layer into the image; UnfitError if that is no longer
    what the engine saw: its window lives on while one waits."""
    for layer, reply in zip(layers, replies, strict=True):
        _check_seen(image, layer, reply)
    with _one_undo_step(image):
        contents = [reply.rgba or reply.trimap or reply.alpha for reply in replies]
        made = list(map(_PLACES[wishes.output], repeat(image), layers, contents))
        if wishes.output != "mask":
            image.set_selected_layers(made)
    Gimp.displays_flush()


def _check_seen(image: Any, layer: Any, reply: MatteReply) -> None:
    if not image.is_valid() or not layer.is_valid():
        raise UnfitError("The layer was removed while the engine looked at it.")
    is_same = (layer.get_width(), layer.get_height()) == (reply.width, reply.height)
    if reply.rgba:
        form = pixels.picture(pixels.dtype_of(image), 4)
        is_same = is_same and pixels.size_of(layer, form) == len(reply.rgba)
    if not is_same:
        raise UnfitError(
            f"{layer.get_name()} was changed while the engine looked at it; choose Human Matte "
            "again."
        )


@contextmanager
def _one_undo_step(image: Any) -> Iterator[None]:
    image.undo_group_start()
    try:
        yield
    finally:
        image.undo_group_end()


def _mask(_: Any, layer: Any, alpha: bytes) -> Any:
    mask = layer.get_mask()
    if mask is None:
        mask = layer.create_mask(Gimp.AddMaskType.WHITE)
        layer.add_mask(mask)
    elif not layer.get_apply_mask():
        # Else nobody would see what was asked for.
        layer.set_apply_mask(True)
    pixels.paint(mask, pixels.MASK, alpha)
    return layer


def _cut_out(image: Any, layer: Any, alpha: bytes) -> Any:
    copy = _copy_above(image, layer)
    _apply_mask(copy)
    mask = copy.create_mask(Gimp.AddMaskType.BLACK)
    copy.add_mask(mask)
    pixels.paint(mask, pixels.MASK, alpha)
    _apply_mask(copy)
    return copy


def _clean_cut_out(image: Any, layer: Any, rgba: bytes) -> Any:
    copy = _copy_above(image, layer)
    pixels.fill(copy, pixels.picture(pixels.dtype_of(image), 4), rgba)
    _apply_mask(copy)
    _keep_selected(image, copy)
    return copy


def _copy_above(image: Any, layer: Any) -> Any:
    copy = layer.copy()
    copy.set_name(f"{layer.get_name()} cut out")
    copy.set_lock_content(False)
    copy.set_lock_alpha(False)
    _insert_above(image, copy, layer)
    copy.add_alpha()
    # Else the picture would look as before: what was cut away lies below.
    layer.set_visible(False)
    return copy


def _apply_mask(layer: Any) -> None:
    """What its mask hides, if there is one, its alpha does instead."""
    if layer.get_mask() is not None:
        is_seen = layer.get_apply_mask()
        layer.remove_mask(Gimp.MaskApplyMode.APPLY if is_seen else Gimp.MaskApplyMode.DISCARD)


def _trimap(image: Any, layer: Any, content: bytes) -> Any:
    is_grey = image.get_base_type() == Gimp.ImageBaseType.GRAY
    made = Gimp.Layer.new(
        image,
        f"{layer.get_name()} trimap",
        layer.get_width(),
        layer.get_height(),
        Gimp.ImageType.GRAYA_IMAGE if is_grey else Gimp.ImageType.RGBA_IMAGE,
        100,
        Gimp.LayerMode.NORMAL,
    )
    _insert_above(image, made, layer)
    _, x, y = layer.get_offsets()
    made.set_offsets(x, y)
    pixels.fill(made, pixels.GREY, content)
    _keep_selected(image, made)
    return made


def _insert_above(image: Any, new: Any, layer: Any) -> None:
    image.insert_layer(new, layer.get_parent(), image.get_item_position(layer))


def _keep_selected(image: Any, layer: Any) -> None:
    if not Gimp.Selection.is_empty(image):
        layer.add_mask(layer.create_mask(Gimp.AddMaskType.SELECTION))
        _apply_mask(layer)


_PLACES = {
    "mask": _mask,
    "layer": _cut_out,
    "clean-layer": _clean_cut_out,
    "trimap": _trimap,
}
