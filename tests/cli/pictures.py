"""Makers of numbered pictures whose every value is known; no test in here."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from cli.video.planes import rows_of

_PLANES_OF_RGB = (2, 0, 1, 3)  # FFmpeg's planar RGB lies in the order G, B, R, A


def exr(samples: NDArray[np.float32], options: Mapping[str, str]) -> bytes:
    """An OpenEXR file of samples [1, 3 or 4, H, W], as they are."""
    name = {1: "grayf32le", 3: "gbrpf32le", 4: "gbrapf32le"}[len(samples)]
    frame = VideoFrame(samples.shape[2], samples.shape[1], name)
    for channel, plane in zip(samples, _PLANES_OF_RGB if len(samples) > 1 else (0,), strict=False):
        rows_of(frame.planes[plane], np.float32)[:, : frame.width] = channel
    return _encoded("exr", frame, options)


def dpx(samples: NDArray[np.uint16], bits: int) -> bytes:
    """A DPX file of samples [3, H, W] of 10 or 16 bits."""
    name = {10: "gbrp10be", 16: "rgb48be"}[bits]
    frame = VideoFrame(samples.shape[2], samples.shape[1], name)
    big = samples.astype(">u2")
    if bits == 16:
        rows = rows_of(frame.planes[0], np.dtype(">u2"))
        rows[:, : frame.width * 3] = big.transpose(1, 2, 0).reshape(frame.height, -1)
    else:
        for channel, plane in zip(big, _PLANES_OF_RGB, strict=False):
            rows_of(frame.planes[plane], np.dtype(">u2"))[:, : frame.width] = channel
    return _encoded("dpx", frame, {})


def _encoded(codec: str, frame: VideoFrame, options: Mapping[str, str]) -> bytes:
    encoder = cast("VideoCodecContext", av.CodecContext.create(codec, "w"))
    encoder.width, encoder.height = frame.width, frame.height
    encoder.pix_fmt = frame.format.name
    encoder.time_base, encoder.options = Fraction(1, 25), dict(options)
    frame.pts = 0
    packets = [*encoder.encode(frame), *encoder.encode(None)]
    return b"".join(bytes(cast("Any", packet)) for packet in packets)


def write_numbered(folder: Path, contents: Mapping[int, bytes], pattern: str) -> Path:
    """The files of a sequence; its name."""
    for number, content in contents.items():
        (folder / (pattern % number)).write_bytes(content)
    return folder / pattern
