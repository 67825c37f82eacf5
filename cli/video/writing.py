"""From mattes to av's frames of Y'CbCr for an encoder; opens no file."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import cv2
import numpy as np
import torch
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

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
    VideoInfo,
)
from cli.video.planes import copy_of, fill, plane_of, rows_of
from cli.video.rgb_writing import RgbWriter, planar_rgb
from cli.video.storage import Storage
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


class FrameWriter(Protocol):
    """Turns mattes into av frames for an encoder: stored orientation, tagged, without a time."""

    def frame(self, matte: Matte) -> VideoFrame: ...


def frame_writer(info: VideoInfo, storage: Storage, output_pass: Pass) -> FrameWriter:
    """The writer for a pixel format."""
    is_rgb = VideoFormat(storage.pixel_format).is_rgb
    if is_rgb or storage.pixel_format.startswith("gray"):
        return RgbWriter(info, storage, output_pass)
    return YCbCrWriter(info, storage, output_pass)


class _Levels(NamedTuple):
    """Where samples lie: black and white of luma, and the middle and the span of chroma."""

    black: int
    white: int
    middle: int
    span: int

    @classmethod
    def of(cls, bits: int, sample_range: int) -> _Levels:
        unit = 1 << (bits - 8)
        if sample_range == LIMITED_RANGE:
            return cls(16 * unit, 235 * unit, 128 * unit, 224 * unit)
        return cls(0, 256 * unit - 1, 128 * unit, 256 * unit - 1)


class YCbCrWriter:
    """A FrameWriter for planar Y'CbCr of any depth and subsampling; alpha is never scaled."""

    def __init__(self, info: VideoInfo, storage: Storage, output_pass: Pass) -> None:
        self._info = info
        self._storage = storage
        self._pass = output_pass
        self._reformatter = VideoReformatter()
        self._format = VideoFormat(storage.pixel_format)
        self._levels = _Levels.of(self._format.components[0].bits, storage.tags.range)
        self._factors, self._constants = _levels_of_rgb(storage.tags.matrix, self._levels)

    def frame(self, matte: Matte) -> VideoFrame:
        """The picture of `matte` for the encoder, without its time."""
        native = matte.frame.native
        # Light is sRGB-encoded in the frame alone.
        is_alike = isinstance(native, VideoFrame) and not self._info.is_linear
        if self._pass.shows_frame and is_alike:
            picture = self._from_native(native)
            if matte.foreground is not None:
                self._write_colours(picture, matte.foreground)
        elif (colours := self._pass.colours(matte)).shape[0] == 1:
            picture = self._from_grey(colours)
        else:
            picture = self._from_rgb(colours)
        if self._pass.has_alpha:
            alpha = self._info.orientation.stored(matte.alpha.cpu().numpy()[0])
            if self._storage.premultiplied:
                self._premultiply(picture, alpha)
            self._write_alpha(picture, alpha)
        tags = self._storage.tags
        picture.color_primaries = tags.primaries
        picture.color_trc = tags.transfer
        picture.colorspace = tags.matrix
        picture.color_range = tags.range
        return picture

    def _from_native(self, native: VideoFrame) -> VideoFrame:
        """The source's own samples: Y'CbCr stays Y'CbCr of the same matrix, and is copied where
        nothing but alpha is to be added."""
        info, wanted = self._info, self._storage
        if not info.is_rgb and info.tags.range == wanted.tags.range and self._is_like(native):
            return copy_of(native, wanted.pixel_format)
        picture = self._reformatter.reformat(
            native,
            format=wanted.pixel_format,
            src_colorspace=None if info.is_rgb else SWSCALE_MATRIX[info.tags.matrix],
            dst_colorspace=SWSCALE_MATRIX[info.tags.matrix],
            src_color_range=FULL_RANGE if info.is_rgb else info.tags.range,
            dst_color_range=wanted.tags.range,
        )
        return copy_of(native, wanted.pixel_format) if picture is native else picture

    def _is_like(self, native: VideoFrame) -> bool:
        """Whether the planes of Y', Cb and Cr have the form of the stored ones."""
        plain = native.format.name.replace("yuvj", "yuv").replace("yuva", "yuv")
        return plain == self._format.name.replace("yuva", "yuv")

    def _from_rgb(self, colours: torch.Tensor) -> VideoFrame:
        matrix = self._info.tags.matrix
        rgb = planar_rgb(self._info, colours)
        # On the frame too: PyAV 17 cannot be told BT.2020, but swscale heeds the frame's own tag.
        rgb.colorspace = matrix
        return self._reformatter.reformat(
            rgb,
            format=self._storage.pixel_format,
            dst_colorspace=SWSCALE_MATRIX[matrix],
            src_color_range=FULL_RANGE,
            dst_color_range=self._storage.tags.range,
        )

    def _from_grey(self, grey: torch.Tensor) -> VideoFrame:
        """Luma alone; written directly, so that 0 and 1 are exactly black and white."""
        picture = VideoFrame(self._info.width, self._info.height, self._storage.pixel_format)
        black, white = np.float32(self._levels.black), np.float32(self._levels.white)
        stored = self._info.orientation.stored(as_unit(grey).cpu().numpy()[0])
        fill(picture, 0, stored * (white - black) + (black + np.float32(0.5)))
        for plane in (1, 2):
            plane_of(picture, plane)[...] = self._levels.middle
        return picture

    def _write_colours(self, picture: VideoFrame, foreground: Foreground) -> None:
        """Y'CbCr (H.273, equations 38 to 40) of these pixels alone."""
        if len(foreground.pixels) == 0:
            return
        # By torch, which keeps to the threads it was given; numpy's would wait in a busy loop.
        levels = torch.addmm(
            self._constants + 0.5, self._factors, as_unit(foreground.colours.cpu())
        ).numpy()
        places = self._places(picture, foreground.pixels.numpy())
        stride = _stride(picture, 0)
        for plane, values in enumerate(levels):
            samples = rows_of(picture.planes[plane], plane_of(picture, plane).dtype.type)
            flat = samples.reshape(-1)
            if plane == 0 or (picture.planes[plane].width, picture.planes[plane].height) == (
                picture.width,
                picture.height,
            ):
                # The lines of all full planes are equally long.
                flat[places] = np.clip(values, 0, 2 * self._levels.middle - 1)
            else:
                y, x = np.divmod(places, stride)
                _average_in(picture, plane, (y, x), values - np.float32(0.5))

    def _places(self, picture: VideoFrame, pixels: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where pixels of the upright picture lie in the luma plane's memory, in samples."""
        samples = plane_of(picture, 0)
        upright = self._info.orientation.upright(samples)
        rows = pixels // self._info.display_width  # divmod takes five times as long
        columns = pixels - rows * self._info.display_width
        # One index is three times as fast as two.
        down, across = (stride // samples.itemsize for stride in upright.strides)
        first = (upright.ctypes.data - samples.ctypes.data) // samples.itemsize
        return rows * down + columns * across + first

    def _premultiply(self, picture: VideoFrame, alpha: NDArray[np.float32]) -> None:
        """Colours times alpha: Y'CbCr is a linear map of R'G'B', whose zero is black."""
        for plane in range(3):
            samples = plane_of(picture, plane)
            zero = self._levels.black if plane == 0 else self._levels.middle
            coverage = alpha
            if samples.shape != alpha.shape:
                size = samples.shape[::-1]
                coverage = np.asarray(
                    cv2.resize(np.ascontiguousarray(alpha), size, interpolation=cv2.INTER_AREA),
                    np.float32,
                )
            scaled = (samples.astype(np.float32) - zero) * coverage
            fill(picture, plane, scaled + np.float32(zero + 0.5))

    def _write_alpha(self, picture: VideoFrame, alpha: NDArray[np.float32]) -> None:
        """round(alpha * largest value), past swscale, which is off by up to one in alpha."""
        largest = (1 << picture.format.components[3].bits) - 1
        scaled = alpha * np.float32(largest)
        scaled += np.float32(0.5)
        fill(picture, 3, scaled)


def _stride(picture: VideoFrame, plane: int) -> int:
    samples = plane_of(picture, plane)
    return samples.strides[0] // samples.itemsize


def _average_in(
    picture: VideoFrame,
    plane: int,
    places: tuple[NDArray[np.int64], NDArray[np.int64]],
    values: NDArray[np.float32],
) -> None:
    """Values [N] of pixels at (y, x) into a subsampled plane: a sample keeps the share of its
    pixels that are not among them."""
    samples = plane_of(picture, plane)
    height, width = samples.shape
    tall, wide = -(-picture.height // height), -(-picture.width // width)
    cells = places[0] // tall * width + places[1] // wide
    touched, cell_of = np.unique(cells, return_inverse=True)
    counts = np.bincount(cell_of)
    sums = np.bincount(cell_of, weights=values)
    y, x = np.divmod(touched, width)
    # At the right and lower edge of an odd size a cell has fewer pixels.
    whole = np.minimum(tall, picture.height - y * tall) * np.minimum(wide, picture.width - x * wide)
    kept = samples[y, x] * (whole - counts)
    samples[y, x] = np.clip((sums + kept) / whole + 0.5, 0, np.iinfo(samples.dtype).max)


def _levels_of_rgb(matrix: int, levels: _Levels) -> tuple[torch.Tensor, torch.Tensor]:
    """Factors [3, 3] and constants [3, 1] that make levels of RGB in [0, 1]."""
    k_red, k_blue = _LUMA_WEIGHTS[matrix]
    luma = torch.tensor([k_red, 1 - k_red - k_blue, k_blue])
    red, blue = torch.tensor([1, 0, 0]), torch.tensor([0, 0, 1])
    factors = [
        (levels.white - levels.black) * luma,
        levels.span * (blue - luma) / (2 * (1 - k_blue)),
        levels.span * (red - luma) / (2 * (1 - k_red)),
    ]
    constants = [[float(levels.black)], [float(levels.middle)], [float(levels.middle)]]
    return torch.stack(factors), torch.tensor(constants)
