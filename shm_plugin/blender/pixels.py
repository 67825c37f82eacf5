"""Blender's images <-> pictures as the engine takes them: rows bottom-up, four float channels.

Knows no engine and no operator. What `image.pixels` holds: of 8-bit images the samples of the file,
straight; of all others light (scene linear), premultiplied, unless the image is marked as data.
"""

from __future__ import annotations

import re
import tempfile
from array import array
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy

from ..client import WorkerError
from ..messages import BLOB_LIMIT, LONGEST_SIDE

# What Blender adds to names: the suffix of the file, and a number where the name is taken.
_ADDED = re.compile(r"(\.[A-Za-z]\w{1,3})?(\.\d{3})?$")

_LINEAR_FILES = {"OPEN_EXR", "OPEN_EXR_MULTILAYER", "HDR"}
_LINEAR_SPACES = ("Linear", "ACEScg", "ACES2065")


@dataclass(frozen=True, kw_only=True)
class Picture:
    """An image of Blender, read.

    rgba: height * width * 4 float32, rows bottom-up; premultiplied where `is_float`.
    colour: "srgb" or "linear", what is nearest to the samples; primaries are those of the image.
    is_float: Blender keeps it as floats. space: its colour space, where that has to be kept.
    """

    name: str
    width: int
    height: int
    rgba: array[float]
    colour: str
    is_float: bool
    space: str


def read(image: Any, user: Any) -> Picture:
    """The image as its user shows it, an editor's `image_user`; None: its first frame.

    WorkerError where there is nothing to read.
    """
    if image.source == "TILED":
        raise WorkerError(f"{image.name} has several tiles; open one of them as an image.")
    if image.type == "MULTILAYER":
        raise WorkerError(f"{image.name} has several layers; save the one to matte as an image.")
    if image.type == "RENDER_RESULT":
        with _rendered(image) as result:
            return _read(result, "Render")
    if image.source == "SEQUENCE":
        number = "" if user is None else f" {user.frame_current}"
        with _frame(image, user) as frame:
            return _read(frame, f"{_plain_name(image)}{number}")
    if image.source == "MOVIE":
        return _read_movie(image, 1 if user is None else user.frame_current)
    return _read(image, _plain_name(image))


def _plain_name(image: Any) -> str:
    return _ADDED.sub("", image.name) or str(image.name)


def _read(image: Any, name: str) -> Picture:
    width, height = image.size
    if not width or not height:
        path = bpy.path.abspath(image.filepath)
        where = f"; is {path} there, and whole?" if path else "."
        raise WorkerError(f"{image.name} has no pixels that can be read{where}")
    # Checked here because the client would only say that the connection broke.
    if 16 * width * height > BLOB_LIMIT or max(width, height) > LONGEST_SIDE:
        raise WorkerError(f"{image.name} is too large: {width} x {height} pixels; scale it down.")
    rgba = _as_rgba(_samples(image), image.channels)
    if image.alpha_mode in {"NONE", "CHANNEL_PACKED"}:
        rgba[3::4] = array("f", [1]) * (width * height)
    own = image.colorspace_settings
    if image.is_float and not own.is_data:
        linear, space = True, ""
    elif image.is_float:
        linear, space = image.file_format in _LINEAR_FILES, own.name
    else:
        linear, space = own.name.startswith(_LINEAR_SPACES), own.name
    return Picture(
        name=name,
        width=width,
        height=height,
        rgba=rgba,
        colour="linear" if linear else "srgb",
        is_float=image.is_float,
        space=space,
    )


def _samples(image: Any) -> array[float]:
    samples = array("f", [0]) * len(image.pixels)
    image.pixels.foreach_get(samples)
    return samples


def _as_rgba(samples: array[float], channels: int) -> array[float]:
    """Of one channel a grey, of two a grey and its alpha."""
    if channels == 4:
        return samples
    count = len(samples) // channels
    rgba = array("f", [1]) * (4 * count)
    for channel in range(3):
        rgba[channel::4] = samples[channel if channels == 3 else 0 :: channels]
    if channels == 2:
        rgba[3::4] = samples[1::2]
    return rgba


@contextmanager
def _rendered(image: Any) -> Iterator[Any]:
    """The render result, whose own pixels Blender shows to nobody, as another image."""
    scene = bpy.context.scene
    wanted = {"media_type": "IMAGE", "file_format": "OPEN_EXR", "color_mode": "RGBA"}
    wanted |= {"color_depth": "32"}
    own = scene.render.image_settings
    before = {name: getattr(own, name) for name in wanted if hasattr(own, name)}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "render.exr"
        try:
            for name in before:
                setattr(own, name, wanted[name])
            image.save_render(str(path), scene=scene)
        except RuntimeError as error:
            raise WorkerError("There is no render result; render the scene first.") from error
        finally:
            for name, value in before.items():
                setattr(own, name, value)
        with _loaded(path) as result:
            yield result


@contextmanager
def _frame(image: Any, user: Any) -> Iterator[Any]:
    """The frame of an image sequence that its user is at; None: the file that was opened."""
    file = image.filepath if user is None else image.filepath_from_user(image_user=user)
    path = Path(bpy.path.abspath(file))
    with _loaded(path) as frame:
        frame.colorspace_settings.name = image.colorspace_settings.name
        frame.alpha_mode = image.alpha_mode
        yield frame


@contextmanager
def _loaded(path: Path) -> Iterator[Any]:
    try:
        image = bpy.data.images.load(str(path), check_existing=False)
    except RuntimeError as error:
        raise WorkerError(f"{path} cannot be read; is it still there?") from error
    try:
        yield image
    finally:
        bpy.data.images.remove(image)


def _read_movie(image: Any, frame: int) -> Picture:
    # The pixels are those that were drawn last.
    if bpy.app.background and frame > 1:
        raise WorkerError(
            "Without a window Blender reads no frame of a movie but the first; use Human Matte on "
            "its strip in the sequencer."
        )
    return _read(image, f"{_plain_name(image)} {frame}")


def write(picture: Picture, rgba: Any, name: str) -> Any:
    """A new image of these float32 samples, in the form of the picture's own; packed."""
    image = _new(picture, name, alpha=True)
    if picture.space:
        image.colorspace_settings.name = picture.space
    # Before the pixels, because a change of it drops them. Straight floats would be premultiplied
    # once more when the packed image is read again.
    image.alpha_mode = "PREMUL" if picture.is_float else "STRAIGHT"
    return _filled(image, rgba)


def write_matte(picture: Picture, alpha: array[float], name: str) -> Any:
    """A new grey image of alpha, as data; packed."""
    image = _new(picture, name, alpha=False)
    image.colorspace_settings.name = "Non-Color"
    rgba = array("f", [1]) * (4 * len(alpha))
    for channel in range(3):
        rgba[channel::4] = alpha
    return _filled(image, rgba)


def _new(picture: Picture, name: str, *, alpha: bool) -> Any:
    return bpy.data.images.new(
        name, picture.width, picture.height, alpha=alpha, float_buffer=picture.is_float
    )


def _filled(image: Any, rgba: Any) -> Any:
    try:
        image.pixels.foreach_set(rgba)
        image.update()
        # A generated image that is not packed is gone with the session.
        image.pack()
        # Blender saves no image that nobody uses, and an editor is nobody.
        image.use_fake_user = True
    except BaseException:
        with suppress(ReferenceError):
            bpy.data.images.remove(image)
        raise
    return image
