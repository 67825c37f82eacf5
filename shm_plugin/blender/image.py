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
from .showing import is_editor, show, shown

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
        "source": bpy.props.StringProperty(
            name="Source",
            description="Name of the image to cut people out of; empty: the one in the editor. The "
            'result has the same name without suffix, and "matte"',
            options={"HIDDEN", "SKIP_SAVE"},
        ),
    }
    if TYPE_CHECKING:
        output: str
        colours: str
        source: str

    @classmethod
    def obstacle(cls, context: Any) -> str | None:
        return _obstacle(context)

    def draw(self, context: Any) -> None:  # noqa: ARG002 (Blender's)
        layout = self.layout
        layout.use_property_split = True
        layout.prop(self, "output")
        row = layout.row()
        row.active = self.output == "IMAGE"
        row.prop(self, "colours")

    def start(self, context: Any) -> Job[_Matted]:
        image = _wanted_image(context, self.source)
        self.source = image.name
        user = context.space_data.image_user if image == shown(context) else None
        picture, wanted = read(image, user), settings(context)
        request, engine = _request(picture, self.output, self.colours, wanted), wanted.engine
        return lambda tell: _Matted(picture=picture, reply=ask(engine, request, tell))

    def finish(self, context: Any, result: _Matted) -> str:
        picture, reply, name = result.picture, result.reply, _name_of_result(result.picture)
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


def _obstacle(context: Any) -> str | None:
    """Why there cannot be a matte; None where there can."""
    if is_editor(context):
        return None if shown(context) is not None else "Open an image in this editor first"
    # A script says which image.
    return None if len(bpy.data.images) else "There is no image in this file"


def _wanted_image(context: Any, name: str) -> Any:
    if not name:
        image = shown(context)
        if image is None:
            raise WorkerError('No Image Editor is here; name an image, as source="woman.png".')
        return image
    image = bpy.data.images.get(name)
    if image is None:
        raise WorkerError(f"There is no image named {name} in this file; open it first.")
    return image


def _name_of_result(picture: Picture) -> str:
    # Blender numbers it where the name is taken.
    return picture.name if picture.name.endswith(" matte") else f"{picture.name} matte"


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
