"""From mattes to av's frames for an encoder; opens no file."""

from __future__ import annotations

import numpy as np
import torch
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

from cli.video.info import (
    BT470M,
    BT601_525,
    BT601_625,
    BT709,
    BT2020,
    FULL_RANGE,
    LIMITED_RANGE,
    SMPTE240M,
    SWSCALE_MATRIX,
    ColourTags,
    VideoInfo,
)
from cli.video.planes import copy_of, fill, plane_of, rows_of
from shm_engine.compositing import as_unit
from shm_engine.passes import Pass
from shm_engine.types import Foreground, Matte

# What red and blue count in luma, by matrix (H.273, table 4).
_LUMA_WEIGHTS = {
    BT709: (0.2126, 0.0722),
    BT470M: (0.30, 0.11),
    BT601_625: (0.299, 0.114),
    BT601_525: (0.299, 0.114),
    SMPTE240M: (0.212, 0.087),
    BT2020: (0.2627, 0.0593),
}
# swscale takes 255 << 8, not 65535, for white wherever a sample has more than 8 bits.
_SWSCALE_WHITE = 0xFF00
_PLANES_OF_RGB = (2, 0, 1)  # FFmpeg's planar RGB lies in the order G, B, R


class FrameWriter:
    """Turns mattes into av frames for an encoder: stored orientation, Y'CbCr, alpha untouched.

    output_tags: the colour tags the file gets; always limited range, the only one ProRes has.
    """

    def __init__(self, info: VideoInfo, pixel_format: str, output_pass: Pass) -> None:
        self._info = info
        self._pixel_format = pixel_format
        self._pass = output_pass
        self._reformatter = VideoReformatter()
        self.output_tags = ColourTags(
            primaries=info.tags.primaries,
            transfer=info.tags.transfer,
            matrix=BT601_525 if info.tags.matrix == BT601_625 else info.tags.matrix,
            range=LIMITED_RANGE,
        )

    def frame(self, matte: Matte) -> VideoFrame:
        """The picture of `matte` for the encoder, without its time."""
        native = matte.frame.native
        if self._pass.shows_frame and isinstance(native, VideoFrame):
            picture = self._from_native(native)
            if matte.foreground is not None:
                self._write_colours(picture, matte.foreground)
        elif (colours := self._pass.colours(matte)).shape[0] == 1:
            picture = self._from_grey(colours)
        else:
            picture = self._from_rgb(colours)
        if self._pass.has_alpha:
            self._write_alpha(picture, matte.alpha)
        picture.color_primaries = self.output_tags.primaries
        picture.color_trc = self.output_tags.transfer
        picture.colorspace = self.output_tags.matrix
        picture.color_range = self.output_tags.range
        return picture

    def _from_native(self, native: VideoFrame) -> VideoFrame:
        """The source's own samples: Y'CbCr stays Y'CbCr of the same matrix."""
        info = self._info
        picture = self._reformatter.reformat(
            native,
            format=self._pixel_format,
            src_colorspace=None if info.is_rgb else SWSCALE_MATRIX[info.tags.matrix],
            dst_colorspace=SWSCALE_MATRIX[info.tags.matrix],
            src_color_range=FULL_RANGE if info.is_rgb else info.tags.range,
            dst_color_range=LIMITED_RANGE,
        )
        return copy_of(native) if picture is native else picture

    def _from_rgb(self, colours: torch.Tensor) -> VideoFrame:
        matrix = self._info.tags.matrix
        rgb = _planar_rgb(self._info, colours)
        # On the frame too: PyAV 17 cannot be told BT.2020, but swscale heeds the frame's own tag.
        rgb.colorspace = matrix
        return self._reformatter.reformat(
            rgb,
            format=self._pixel_format,
            dst_colorspace=SWSCALE_MATRIX[matrix],
            src_color_range=FULL_RANGE,
            dst_color_range=LIMITED_RANGE,
        )

    def _from_grey(self, grey: torch.Tensor) -> VideoFrame:
        """Luma alone; written directly, so that 0 and 1 are exactly black and white."""
        picture = VideoFrame(self._info.width, self._info.height, self._pixel_format)
        bits = picture.format.components[0].bits
        black, white = 16 << (bits - 8), 235 << (bits - 8)
        stored = self._info.orientation.stored(as_unit(grey).cpu().numpy()[0])
        fill(picture, 0, stored * np.float32(white - black) + np.float32(black + 0.5))
        for plane in (1, 2):
            plane_of(picture, plane)[...] = 1 << (bits - 1)
        return picture

    def _write_colours(self, picture: VideoFrame, foreground: Foreground) -> None:
        """Y'CbCr (H.273, equations 38 to 40) of these pixels alone, in limited range."""
        unit = 1 << (picture.format.components[0].bits - 8)
        factors, constants = _levels_of_rgb(self.output_tags.matrix)
        # By torch, which keeps to the threads it was given; numpy's would wait in a busy loop.
        levels = torch.addmm(
            unit * constants + 0.5, unit * factors, as_unit(foreground.colours.cpu())
        )
        pixels = foreground.pixels.numpy()
        rows = pixels // self._info.display_width  # divmod takes five times as long
        columns = pixels - rows * self._info.display_width
        for plane, level in enumerate(levels.numpy().astype(np.uint16)):
            samples = plane_of(picture, plane)
            upright = self._info.orientation.upright(samples)
            # One index is three times as fast as two.
            down, across = (stride // samples.itemsize for stride in upright.strides)
            lines = rows_of(picture.planes[plane], np.uint16).reshape(-1)
            first = (upright.ctypes.data - lines.ctypes.data) // samples.itemsize
            lines[rows * down + columns * across + first] = level

    def _write_alpha(self, picture: VideoFrame, alpha: torch.Tensor) -> None:
        """round(alpha * largest value), past swscale, which is off by up to one in alpha."""
        largest = (1 << picture.format.components[3].bits) - 1
        stored = self._info.orientation.stored(alpha.cpu().numpy()[0])
        scaled = stored * np.float32(largest)
        scaled += np.float32(0.5)
        fill(picture, 3, scaled)


def _levels_of_rgb(matrix: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Factors [3, 3] and constants [3, 1] that make limited-range 8-bit levels of RGB in [0, 1]."""
    k_red, k_blue = _LUMA_WEIGHTS[matrix]
    luma = torch.tensor([k_red, 1 - k_red - k_blue, k_blue])
    red, blue = torch.tensor([1, 0, 0]), torch.tensor([0, 0, 1])
    factors = [
        219 * luma,
        224 * (blue - luma) / (2 * (1 - k_blue)),
        224 * (red - luma) / (2 * (1 - k_red)),
    ]
    return torch.stack(factors), torch.tensor([[16.0], [128.0], [128.0]])


def _planar_rgb(info: VideoInfo, colours: torch.Tensor) -> VideoFrame:
    """A planar RGB frame in stored orientation, with white where swscale expects it."""
    samples = colours.cpu().numpy()
    name = {"uint8": "gbrp", "uint16": "gbrp16le", "float32": "gbrpf32le"}[samples.dtype.name]
    frame = VideoFrame(info.width, info.height, name)
    for channel, plane in zip(samples, _PLANES_OF_RGB, strict=True):
        stored = info.orientation.stored(channel)
        target = plane_of(frame, plane)
        if name == "gbrp":
            target[...] = stored
        elif name == "gbrp16le":
            np.subtract(stored, stored >> 8, out=target)
        else:
            np.multiply(stored, np.float32(_SWSCALE_WHITE / 0xFFFF), out=target)
    return frame
