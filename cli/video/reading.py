"""From av's frames to upright tensors of RGB and alpha; opens no file and knows no matte."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from cli.video.info import FULL_RANGE, LIMITED_RANGE, SWSCALE_MATRIX, Sample, VideoInfo
from cli.video.planes import alpha_of, light_of, packed
from shm_engine.compositing import linear_to_srgb

_GREY = ("gray", "ya")
_LARGEST_HALF = 65504


class RgbReader:
    """Turns decoded frames of one movie into upright RGB tensors."""

    def __init__(self, info: VideoInfo) -> None:
        self._info = info
        self._reformatter = VideoReformatter()
        self._format = "rgb24" if info.bit_depth <= 8 else "rgb48le"

    def image(self, native: VideoFrame) -> torch.Tensor:
        """[3, H, W] upright, in the encoding of the source, straight, over the full range of uint8,
        of uint16 above 8 bits, or float32 in [0, 1], sRGB-encoded, where samples are light.

        Colours of an 8-bit source are within 3/255 of the exact ones, of a deeper one within
        0.5/255 (swscale's fast paths).
        """
        info = self._info
        if info.is_linear:
            return linear_to_srgb(straight_light(native, info).clamp(0, 1)).clamp(0, 1)
        rgb = self._reformatter.reformat(
            native,
            format=self._format,
            src_colorspace=None if info.is_rgb else SWSCALE_MATRIX[info.tags.matrix],
            src_color_range=None if info.is_rgb else info.tags.range,
            dst_color_range=FULL_RANGE,
        )
        samples = packed(rgb, np.uint8 if self._format == "rgb24" else np.uint16)
        # From RGB swscale goes to the end of the range by itself.
        if self._format == "rgb48le" and not info.is_rgb:
            samples = self._stretched(samples, is_grey=native.format.name.startswith(_GREY))
        return torch.from_numpy(_upright(samples, info)).permute(2, 0, 1)

    def alpha(self, native: VideoFrame) -> torch.Tensor | None:
        """[1, H, W] upright, of the image's dtype and range; None if all is opaque."""
        samples = alpha_of(native, self._reformatter)
        if samples is None:
            return None
        if samples.dtype.kind == "f":
            samples = np.clip(np.nan_to_num(samples.astype(np.float32)), 0, 1)
            is_opaque = samples.min() == 1
        else:
            bits = _bits_of_alpha(native)
            is_opaque = samples.min() == (1 << bits) - 1
            if self._format == "rgb48le":
                samples = _deepened(samples, bits)
        if is_opaque:
            return None
        # A copy: what is done to alpha shall not reach the decoder's frame.
        return torch.from_numpy(_upright(samples, self._info).copy())[None]

    def _stretched(self, samples: NDArray[np.uint16], *, is_grey: bool) -> NDArray[np.uint16]:
        """The samples with white at 65535, in place.

        swscale leaves white at 255 << 8 for limited-range Y'CbCr, and at the source's largest
        value, shifted up, for the full range, which grey always has for it; repeating the top bits
        below fills the rest.
        """
        is_limited = self._info.tags.range == LIMITED_RANGE and not is_grey
        bits = 8 if is_limited else self._info.bit_depth
        np.minimum(samples, 0xFFFF - (0xFFFF >> bits), out=samples)
        samples += samples >> bits
        return samples


def straight_light(native: VideoFrame, info: VideoInfo) -> torch.Tensor:
    """[3, H, W] float32, upright: the light of a frame of a movie that `is_linear`, straight.

    Highlights are above 1, and colours outside of the primaries below 0; what is no number is 0.
    """
    light = torch.from_numpy(np.nan_to_num(light_of(native), posinf=_LARGEST_HALF, neginf=0))
    alpha = alpha_of(native, VideoReformatter())
    if alpha is not None and info.alpha_is_premultiplied:
        coverage = torch.from_numpy(np.nan_to_num(alpha.astype(np.float32)))
        # Light without coverage is a glow, and has no straight colour.
        light = torch.where(coverage > 0, light / coverage, light)
    upright = _upright(light.numpy().transpose(1, 2, 0), info)
    return torch.from_numpy(upright).permute(2, 0, 1)


def _upright(samples: NDArray[Sample], info: VideoInfo) -> NDArray[Sample]:
    upright = info.orientation.upright(samples)
    if any(stride < 0 for stride in upright.strides):  # which torch does not have
        return np.ascontiguousarray(upright)
    return upright


def _bits_of_alpha(native: VideoFrame) -> int:
    if native.format.has_palette:
        return 8
    return next(component.bits for component in native.format.components if component.is_alpha)


def _deepened(samples: NDArray[Any], bits: int) -> NDArray[np.uint16]:
    """Samples of 8 to 16 bits over the full range of uint16: the top bits are repeated below."""
    wide = samples.astype(np.uint16)
    return np.asarray((wide << (16 - bits)) | (wide >> (2 * bits - 16)), np.uint16)
