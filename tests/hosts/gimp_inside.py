"""Runs within GIMP's own Python: makes images as cases describe them, calls the plug-in, and writes
down what they are like before and after. Knows no engine and judges nothing.

$SHM_CASES names the JSON file of the cases; gimp.py beside this file writes it.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from gi.repository import Gegl, Gimp, Gio

JOB = Path(os.environ["SHM_CASES"])


def make_image(case):
    """The image of a case, and what is selected in it."""
    precision = getattr(Gimp.Precision, case["precision"])
    base = Gimp.ImageBaseType.GRAY if case["base"] == "GRAY" else Gimp.ImageBaseType.RGB
    image = Gimp.Image.new_with_precision(*case["canvas"], base, precision)
    if case["is_adobe"]:
        image.set_color_profile(Gimp.ColorProfile.new_rgb_adobe())
    layers = [make_layer(image, case, number) for number in range(case["layers"])]
    if case["base"] == "INDEXED":
        kind = Gimp.ConvertPaletteType.GENERATE
        image.convert_indexed(Gimp.ConvertDitherType.NONE, kind, 255, False, False, "")
    if case["selection"]:
        x, y, width, height, feather = case["selection"]
        image.select_rectangle(Gimp.ChannelOps.REPLACE, x, y, width, height)
        if feather:
            Gimp.Selection.feather(image, feather)
    if case["mask"]:
        for layer in layers:
            layer.add_mask(layer.create_mask(getattr(Gimp.AddMaskType, case["mask"])))
            layer.set_apply_mask(case["mask_applies"])
            layer.set_edit_mask(case["pick"] == "mask")
    return image, pick(image, layers, case["pick"])


def make_layer(image, case, number):
    """The picture as a layer, with its offset."""
    names = {("GRAY", False): "GRAY_IMAGE", ("GRAY", True): "GRAYA_IMAGE"}
    name = names.get((case["base"], case["alpha"]), "RGBA_IMAGE" if case["alpha"] else "RGB_IMAGE")
    width, height = case["size"]
    kind, mode = getattr(Gimp.ImageType, name), Gimp.LayerMode.NORMAL
    layer = Gimp.Layer.new(image, f"layer {number}", width, height, kind, 100, mode)
    image.insert_layer(layer, None, -1)
    layer.set_offsets(*case["offset"])
    format_name = "R'G'B'A u8" if case["alpha"] else "R'G'B' u8"
    buffer = layer.get_buffer()
    buffer.set(whole(layer), format_name, (JOB.parent / case["picture"]).read_bytes())
    buffer.flush()
    layer.update(0, 0, width, height)
    return layer


def pick(image, layers, what):
    """The drawables that the plug-in is called with."""
    if what == "mask":
        return [layer.get_mask() for layer in layers]
    if what == "group":
        group = Gimp.GroupLayer.new(image, "a group")
        image.insert_layer(group, None, 0)
        return [group]
    if what == "channel":
        channel = Gimp.Channel.new_from_component(image, Gimp.ChannelType.RED, "red")
        image.insert_channel(channel, None, 0)
        return [channel]
    if what == "in group":
        group = Gimp.GroupLayer.new(image, "a group")
        image.insert_layer(group, None, 0)
        for layer in layers:
            image.reorder_item(layer, group, 0)
    if what == "locked":
        for layer in layers:
            layer.set_lock_alpha(True)
            layer.set_lock_content(True)
    return layers


def whole(drawable):
    """Its rectangle."""
    return Gegl.Rectangle.new(0, 0, drawable.get_width(), drawable.get_height())


def write_down(image, folder):
    """All layers, with their pixels as files."""
    folder.mkdir(parents=True)
    return [describe(layer, folder) for layer in every(image.get_layers())]


def every(layers):
    """Those of groups too."""
    for layer in layers:
        if layer.is_group():
            yield from every(layer.get_children())
        else:
            yield layer


def describe(layer, folder):
    """What there is to know about a layer."""
    mask = layer.get_mask()
    stem = folder / layer.get_name().replace(" ", "-")
    rgba = layer.get_buffer().get(whole(layer), 1.0, "R'G'B'A float", Gegl.AbyssPolicy.NONE)
    stem.with_suffix(".rgba").write_bytes(rgba)
    if mask is not None:
        alpha = mask.get_buffer().get(whole(layer), 1.0, "Y float", Gegl.AbyssPolicy.NONE)
        stem.with_suffix(".mask").write_bytes(alpha)
    parent = layer.get_parent()
    return {
        "name": layer.get_name(),
        "size": [layer.get_width(), layer.get_height()],
        "offset": list(layer.get_offsets())[1:],
        "stem": str(stem.relative_to(JOB.parent)),
        "has_mask": mask is not None,
        "mask_applies": layer.get_apply_mask(),
        "is_visible": layer.get_visible(),
        "mask_is_edited": layer.get_edit_mask(),
        "parent": None if parent is None else parent.get_name(),
    }


def run(case):
    """A case, from its image to what became of it."""
    image, drawables = make_image(case)
    before = write_down(image, JOB.parent / case["name"] / "before")
    selection = image.get_selection()
    chosen = selection.get_buffer().get(whole(selection), 1.0, "Y float", Gegl.AbyssPolicy.NONE)
    (JOB.parent / case["name"] / "selection").write_bytes(chosen)
    procedure = Gimp.get_pdb().lookup_procedure("plug-in-human-matte")
    config = procedure.create_config()
    config.set_property("run-mode", Gimp.RunMode.NONINTERACTIVE)
    config.set_property("image", image)
    config.set_core_object_array("drawables", drawables)
    for name, value in case["arguments"].items():
        config.set_property(name, Gio.File.new_for_path(value) if name == "engine" else value)
    start = time.monotonic()
    result = procedure.run(config)
    seconds = time.monotonic() - start
    status = result.index(0)
    after = write_down(image, JOB.parent / case["name"] / "after")
    said = {
        "status": status.value_nick,
        "sentence": "" if status.value_nick == "success" else str(result.index(1)),
        "seconds": seconds,
        "selected": [layer.get_name() for layer in image.get_selected_layers()],
        "before": before,
        "after": after,
    }
    image.delete()
    return said


def main():
    """All cases; what became of them is written beside the file that lists them."""
    cases = json.loads(JOB.read_text())
    menu = Gimp.get_pdb().lookup_procedure("plug-in-human-matte")
    said = {case["name"]: run(case) for case in cases}
    said["procedure"] = {"label": menu.get_menu_label(), "paths": list(menu.get_menu_paths())}
    JOB.with_name("results.json").write_text(json.dumps(said))


Gegl.init(None)
main()
