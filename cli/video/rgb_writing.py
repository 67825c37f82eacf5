"""From mattes to av's frames of RGB or grey for an encoder; opens no file."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from cli.video.info import VideoInfo
from cli.video.planes import plane_of, rows_of
from cli.video.reading import straight_light
from cli.video.storage import Storage
from shm_engine.compositing import as_unit, from_unit, linear_light, premultiply
from shm_engine.passes import Pass
from shm_engine.types import Matte

# Where red, green, blue and alpha stand in a pixel of packed formats.
_PACKED = {
    "rgb24": (0, 1, 2),
    "rgb48le": (0, 1, 2),
    "rgb48be": (0, 1, 2),
    "rgba": (0, 1, 2, 3),
    "rgba64le": (0, 1, 2, 3),
    "rgba64be": (0, 1, 2, 3),
    "argb": (1, 2, 3, 0),
    "bgra": (2, 1, 0, 3),
    "bgr0": (2, 1, 0),
}
# FFmpeg's planar RGB lies in the order G, B, R, A.
_PLANES_OF_RGB = (2, 0, 1, 3)
# swscale takes 255 << 8, not 65535, for white wherever a sample has more than 8 bits.
_SWSCALE_WHITE = 0xFF00


class RgbWriter:
    """A FrameWriter for packed and planar RGB and grey, with or without alpha, of any depth."""

    def __init__(self, info: VideoInfo, storage: Storage, output_pass: Pass) -> None:
        self._info = info
        self._storage = storage
        self._pass = output_pass
        self._format = VideoFormat(storage.pixel_format)

    def frame(self, matte: Matte) -> VideoFrame:
        """The picture of `matte` for the encoder, without its time."""
        picture = VideoFrame(self._info.width, self._info.height, self._storage.pixel_format)
        channels = self._channels(matte)
        if len(channels) == 1 and self._format.is_rgb:
            channels = channels.repeat(3, axis=0)
        stored = [self._info.orientation.stored(channel) for channel in channels]
        if self._format.name in _PACKED:
            _fill_packed(picture, stored)
        elif len(stored) == 1:
            _samples(picture, 0)[...] = stored[0]
        else:
            for channel, plane in zip(stored, _PLANES_OF_RGB, strict=False):
                _samples(picture, plane)[...] = channel
        tags = self._storage.tags
        picture.color_primaries = tags.primaries
        picture.color_trc = tags.transfer
        picture.colorspace = tags.matrix
        picture.color_range = tags.range
        return picture

    def _channels(self, matte: Matte) -> NDArray[Any]:
        """The picture [1, 3 or 4, H, W] in the values of the format."""
        bits = self._format.components[0].bits
        is_light = self._storage.is_linear and not self._pass.is_grey
        colours = self._light(matte) if is_light else self._pass.colours(matte)
        if self._storage.premultiplied:
            colours = premultiply(as_unit(colours), matte.alpha)
        if colours.dtype != _dtype_of(bits):
            colours = _quantised(as_unit(colours), bits)
        if self._pass.has_alpha:
            colours = torch.cat([colours, _quantised(matte.alpha, bits)])
        return colours.cpu().numpy()

    def _light(self, matte: Matte) -> torch.Tensor:
        """[3, H, W] float32; of a source that is light itself its own, with highlights above 1."""
        native, encoding = matte.frame.native, matte.frame.encoding
        is_own = self._info.is_linear and self._pass.shows_frame
        if not (is_own and isinstance(native, VideoFrame)):
            return linear_light(as_unit(self._pass.colours(matte)), encoding)
        light = straight_light(native, self._info).contiguous()
        if matte.foreground is not None:
            colours = linear_light(as_unit(matte.foreground.colours), encoding)
            light.reshape(3, -1)[:, matte.foreground.pixels] = colours
        return light


def planar_rgb(info: VideoInfo, colours: torch.Tensor) -> VideoFrame:
    """A planar RGB frame in stored orientation, with white where swscale expects it."""
    samples = colours.cpu().numpy()
    name = {"uint8": "gbrp", "uint16": "gbrp16le", "float32": "gbrpf32le"}[samples.dtype.name]
    frame = VideoFrame(info.width, info.height, name)
    for channel, plane in zip(samples, _PLANES_OF_RGB, strict=False):
        stored = info.orientation.stored(channel)
        target = plane_of(frame, plane)
        if name == "gbrp":
            target[...] = stored
        elif name == "gbrp16le":
            np.subtract(stored, stored >> 8, out=target)
        else:
            np.multiply(stored, np.float32(_SWSCALE_WHITE / 0xFFFF), out=target)
    return frame


def _dtype_of(bits: int) -> torch.dtype:
    return {8: torch.uint8, 16: torch.uint16, 32: torch.float32}.get(bits, torch.int32)


def _quantised(values: torch.Tensor, bits: int) -> torch.Tensor:
    """Values in [0, 1] as samples of so many bits; 32 are a float."""
    dtype = _dtype_of(bits)
    if dtype == torch.float32:
        return values
    if dtype != torch.int32:
        return from_unit(values, dtype)
    return (values.clamp(0, 1) * ((1 << bits) - 1) + 0.5).to(torch.int32)


def _fill_packed(picture: VideoFrame, channels: list[NDArray[Any]]) -> None:
    order = _PACKED[picture.format.name]
    depth = 4 if picture.format.name.startswith(("bgr0", "bgra", "rgba", "argb")) else 3
    samples = rows_of(picture.planes[0], _sample_type(picture))[:, : picture.width * depth]
    pixels = samples.reshape(picture.height, picture.width, depth)
    if len(channels) < depth:
        pixels[..., 3] = 0
    for channel, place in zip(channels, order, strict=True):
        pixels[..., place] = channel


def _samples(picture: VideoFrame, plane: int) -> NDArray[Any]:
    """A writable view [H, W] of a plane in the byte order of its format."""
    lines = rows_of(picture.planes[plane], _sample_type(picture))
    return lines[:, : picture.planes[plane].width]


def _sample_type(picture: VideoFrame) -> np.dtype[Any]:
    bits = picture.format.components[0].bits
    kind = "u1" if bits <= 8 else "u2" if bits <= 16 else "f4"
    return np.dtype((">" if picture.format.name.endswith("be") else "<") + kind)
