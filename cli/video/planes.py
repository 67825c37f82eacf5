"""The samples of av's frames as arrays; knows no colour and opens no file."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray


def rows_of(plane: VideoPlane, dtype: type[np.generic] | np.dtype[Any]) -> NDArray[Any]:
    """A writable view [H, line size] of a plane; a line ends with padding."""
    # PyAV's stubs cannot say "buffer" before Python 3.12.
    samples: NDArray[Any] = np.frombuffer(cast("Any", plane), dtype)
    return samples.reshape(plane.height, -1)


def packed(frame: VideoFrame, dtype: type[np.generic]) -> NDArray[Any]:
    """A view [H, W, 3] of a packed RGB frame."""
    samples = rows_of(frame.planes[0], dtype)[:, : frame.width * 3]
    return samples.reshape(frame.height, frame.width, 3)


def plane_of(frame: VideoFrame, index: int) -> NDArray[Any]:
    """A writable view [H, W] of one plane, without the padding at the end of its lines."""
    bits = frame.format.components[0].bits
    dtype: type[np.generic] = np.uint8 if bits <= 8 else np.uint16 if bits <= 16 else np.float32
    plane = frame.planes[index]
    return rows_of(plane, dtype)[:, : plane.width]


def alpha_of(frame: VideoFrame, reformatter: VideoReformatter) -> NDArray[Any] | None:
    """A view [H, W] of the samples of alpha, a copy of those of a palette; None without alpha."""
    stored = frame.format
    if stored.has_palette:
        frame = reformatter.reformat(frame, format="rgba")
        return rows_of(frame.planes[0], np.uint8)[:, 3 : frame.width * 4 : 4]
    place = next((c.plane for c in stored.components if c.is_alpha), None)
    if place is None:
        return None
    rows = rows_of(frame.planes[place], _dtype_of(stored))
    if place > 0:
        return rows[:, : frame.width]
    count = len(stored.components)
    first = 0 if stored.name.startswith(("argb", "abgr", "ayuv")) else count - 1
    return rows[:, first : frame.width * count : count]


def light_of(frame: VideoFrame) -> NDArray[np.float32]:
    """[3, H, W] linear RGB of a frame of floating-point samples, grey ones three times."""
    stored = frame.format
    channels = [c for c in stored.components if not c.is_alpha]
    planes = [rows_of(frame.planes[c.plane], _dtype_of(stored)) for c in channels]
    if stored.is_planar:
        views = [rows[:, : frame.width] for rows in planes]
    else:
        count = len(stored.components)
        views = [rows[:, i : frame.width * count : count] for i, rows in enumerate(planes)]
    return np.stack((views * 3)[:3]).astype(np.float32)


def _dtype_of(stored: VideoFormat) -> np.dtype[Any]:
    """The type of the samples of a format whose components are all of one size."""
    bits = stored.components[0].bits
    kind = "f" if "f16" in stored.name or "f32" in stored.name else "u"
    size = 1 if bits <= 8 else 2 if bits <= 16 else 4
    return np.dtype(f"{'>' if stored.is_big_endian else '<'}{kind}{size}")


def fill(frame: VideoFrame, index: int, values: NDArray[np.float32]) -> None:
    np.copyto(plane_of(frame, index), values, casting="unsafe")


def copy_of(frame: VideoFrame, pixel_format: str) -> VideoFrame:
    """A frame with the same samples in planes of its own, and room for alpha if the format has it:
    what is written to it does not reach the decoder's."""
    twin = VideoFrame(frame.width, frame.height, pixel_format)
    for index in range(min(len(frame.planes), len(twin.planes))):
        plane_of(twin, index)[...] = plane_of(frame, index)
    return twin
