"""From av's frames to upright RGB tensors; opens no file and knows no matte."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from cli.video.info import FULL_RANGE, LIMITED_RANGE, SWSCALE_MATRIX, VideoInfo
from cli.video.planes import packed


class RgbReader:
    """Turns decoded frames of one movie into upright RGB tensors."""

    def __init__(self, info: VideoInfo) -> None:
        self._info = info
        self._reformatter = VideoReformatter()
        self._format = "rgb24" if info.bit_depth <= 8 else "rgb48le"

    def image(self, native: VideoFrame) -> torch.Tensor:
        """[3, H, W] upright sRGB over the full range of uint8, or of uint16 above 8 bits.

        Colours of an 8-bit source are within 3/255 of the exact ones, of a deeper one within
        0.5/255 (swscale's fast paths).
        """
        info = self._info
        rgb = self._reformatter.reformat(
            native,
            format=self._format,
            src_colorspace=None if info.is_rgb else SWSCALE_MATRIX[info.tags.matrix],
            src_color_range=None if info.is_rgb else info.tags.range,
            dst_color_range=FULL_RANGE,
        )
        samples = packed(rgb, np.uint8 if self._format == "rgb24" else np.uint16)
        if self._format == "rgb48le" and rgb is not native:
            samples = self._stretched(samples)
        upright = info.orientation.upright(samples)
        if any(stride < 0 for stride in upright.strides):  # which torch does not have
            upright = np.ascontiguousarray(upright)
        return torch.from_numpy(upright).permute(2, 0, 1)

    def _stretched(self, samples: NDArray[Any]) -> NDArray[Any]:
        """The samples with white at 65535, in place.

        swscale leaves white at 255 << 8 for limited-range Y'CbCr, and at the source's largest
        value, shifted up, for everything else; repeating the top bits below fills the rest.
        """
        info = self._info
        is_limited = not info.is_rgb and info.tags.range == LIMITED_RANGE
        bits = 8 if is_limited else info.bit_depth
        np.minimum(samples, 0xFFFF - (0xFFFF >> bits), out=samples)
        samples += samples >> bits
        return samples
