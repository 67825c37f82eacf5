"""Human Matte in the Image Editor: people cut out of the shown image, into a new one.

Knows no socket and no strip; how samples are read and written is pixels.py's business.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import bpy

from ..asking import ask
from ..client import WorkerError
from ..jobs import Job
from ..messages import MatteReply, MatteRequest
from .modal import WorkOperator
from .pixels import Picture, read, write, write_matte
from .preferences import Settings, settings
from .showing import show, shown

OUTPUTS = (
    ("IMAGE", "Cutout", "The image with an alpha channel, as a new image"),
    ("MATTE", "Matte", "The alpha as a new grey image"),
)
COLOURS = (
    ("SOURCE", "As they are", "The colours of the image, untouched"),
    ("CLEAN", "Clean", "Without the old background that shines through hair and soft edges"),
)


@dataclass(frozen=True, kw_only=True)
class _Matted:
    picture: Picture
    reply: MatteReply


class IMAGE_OT_human_matte(WorkOperator[_Matted], bpy.types.Operator):  # noqa: N801 (Blender's)
    """Cut people out of this image, into a new image with an alpha channel"""

    bl_idname = "image.human_matte"
    bl_label = "Human Matte"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012 (Blender's)

    # Not as annotations: those of strings would be read as names of types. Never those of the last
    # time: the entry of a menu does what it says.
    __annotations__ = {
        "output": bpy.props.EnumProperty(
            name="Output", items=OUTPUTS, default="IMAGE", options={"SKIP_SAVE"}
        ),
        "colours": bpy.props.EnumProperty(
            name="Colors", items=COLOURS, default="SOURCE", options={"SKIP_SAVE"}
        ),
        # What is adjusted afterwards is the image of before, not the result that is shown now.
        "source": bpy.props.StringProperty(options={"HIDDEN", "SKIP_SAVE"}),
    }
    if TYPE_CHECKING:
        output: str
        colours: str
        source: str

    @classmethod
    def poll(cls, context: Any) -> bool:
        return shown(context) is not None

    def draw(self, context: Any) -> None:  # noqa: ARG002 (Blender's)
        layout = self.layout
        layout.use_property_split = True
        layout.prop(self, "output")
        row = layout.row()
        row.active = self.output == "IMAGE"
        row.prop(self, "colours")

    def start(self, context: Any) -> Job[_Matted]:
        image = bpy.data.images.get(self.source) or shown(context)
        if image is None:
            raise WorkerError("There is no image to matte; open one in this editor.")
        self.source = image.name
        picture, wanted = read(image, context.space_data), settings(context)
        request, engine = _request(picture, self.output, self.colours, wanted), wanted.engine
        return lambda tell: _Matted(picture=picture, reply=ask(engine, request, tell))

    def finish(self, context: Any, result: _Matted) -> str:
        picture, reply, name = result.picture, result.reply, f"{result.picture.name} matte"
        is_light = picture.is_float and self.output == "IMAGE" and not picture.space
        if self.output == "MATTE":
            image = write_matte(picture, _floats(reply.alpha), name)
        elif reply.rgba:
            image = write(picture, memoryview(reply.rgba).cast("f"), name)
        else:
            picture.rgba[3::4] = _floats(reply.alpha)
            image = write(picture, picture.rgba, name)
        show(context, self.source, image)
        how = (
            "as OpenEXR, or with Save as PNG in the sidebar" if is_light else "with Image > Save As"
        )
        return f"{image.name} is packed into this file; save it {how}."


def _request(picture: Picture, output: str, colours: str, wanted: Settings) -> MatteRequest:
    # Straight colours stay as they are: their new alpha is all there is to send.
    needs_colours = output == "IMAGE" and (picture.is_float or colours == "CLEAN")
    return MatteRequest(
        width=picture.width,
        height=picture.height,
        dtype="f32",
        channels=4,
        colour=picture.colour,
        premultiplied=picture.is_float,
        bottom_up=True,
        foreground="estimate" if colours == "CLEAN" else "source",
        device=wanted.device,
        size=wanted.size,
        wants=("rgba",) if needs_colours else ("alpha",),
        # The array itself: a copy of a large picture takes as long as sending it.
        pixels=cast("bytes", memoryview(picture.rgba).cast("B")),
    )


def _floats(blob: bytes) -> array[float]:
    floats = array("f")
    floats.frombytes(blob)
    return floats
