"""Runs within GIMP beside its window: says what the image is like, and does what only a script can,
such as masks and selections that were there before. Knows no engine and judges nothing.

$SHM_FOLDER names a folder: `N.ask` there says what to do, `N.told` what came of it.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path

from gi.repository import Gegl, Gimp

FOLDER = Path(os.environ["SHM_FOLDER"])


def state(image):
    """All that a user could find changed."""
    selection = image.get_selection()
    return {
        "layers": [layer_state(layer) for layer in image.get_layers()],
        "selected": [layer.get_name() for layer in image.get_selected_layers()],
        "selection": digest(selection, "Y float"),
        "size": [image.get_width(), image.get_height()],
    }


def layer_state(layer):
    """A layer, with its pixels as digests."""
    mask = layer.get_mask()
    return {
        "name": layer.get_name(),
        "offset": list(layer.get_offsets())[1:],
        "has_alpha": layer.has_alpha(),
        "is_visible": layer.get_visible(),
        "pixels": digest(layer, "R'G'B'A double"),
        "mask": mask and digest(mask, "Y double"),
        "mask_applies": layer.get_apply_mask(),
        "mask_is_edited": layer.get_edit_mask(),
        "mask_is_shown": layer.get_show_mask(),
    }


def pixels(drawable, format_name):
    """All of them."""
    rect = Gegl.Rectangle.new(0, 0, drawable.get_width(), drawable.get_height())
    return drawable.get_buffer().get(rect, 1.0, format_name, Gegl.AbyssPolicy.NONE)


def digest(drawable, format_name):
    """What two drawables share only if they show the same."""
    return hashlib.sha256(pixels(drawable, format_name)).hexdigest()


def call(image, arguments):
    """The plug-in, on what is selected, as a script calls it."""
    procedure = Gimp.get_pdb().lookup_procedure("plug-in-human-matte")
    config = procedure.create_config()
    config.set_property("run-mode", Gimp.RunMode.NONINTERACTIVE)
    config.set_property("image", image)
    config.set_core_object_array("drawables", image.get_selected_drawables())
    for name, value in arguments.items():
        config.set_property(name, value)
    return procedure.run(config).index(0).value_nick


def prepare(image, wish):
    """A second layer, a mask or a selection, before the plug-in is called."""
    if wish == "mask":
        layer = image.get_layers()[0]
        layer.add_mask(layer.create_mask(Gimp.AddMaskType.BLACK))
        layer.set_apply_mask(False)
    elif wish == "selection":
        image.select_rectangle(Gimp.ChannelOps.REPLACE, 200, 50, 200, 200)
        Gimp.Selection.feather(image, 20)
    elif wish == "layers":
        copy = image.get_layers()[0].copy()
        image.insert_layer(copy, None, 0)
        copy.set_offsets(-100, 40)
        image.set_selected_layers(image.get_layers())


def step(asked):
    """One of the above; what to tell."""
    image = Gimp.get_images()[0]
    if asked["do"] == "prepare":
        prepare(image, asked["wish"])
    elif asked["do"] == "call":
        return call(image, asked["arguments"])
    elif asked["do"] == "mask":
        (FOLDER / "mask").write_bytes(pixels(image.get_layers()[0].get_mask(), "Y float"))
    Gimp.displays_flush()
    return state(image)


def main():
    """Does what it is asked until the test ends."""
    number = 0
    while not (FOLDER / "end").exists():
        asked = FOLDER / f"{number}.ask"
        if asked.exists():
            number += 1
            partial = asked.with_suffix(".partial")
            partial.write_text(json.dumps(step(json.loads(asked.read_text()))))
            partial.rename(asked.with_suffix(".told"))
        time.sleep(0.05)


Gegl.init(None)
main()
