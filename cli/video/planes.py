"""The samples of av's frames as arrays; knows no colour and opens no file."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from numpy.typing import NDArray


def rows_of(plane: VideoPlane, dtype: type[np.generic]) -> NDArray[Any]:
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


def fill(frame: VideoFrame, index: int, values: NDArray[np.float32]) -> None:
    np.copyto(plane_of(frame, index), values, casting="unsafe")


def copy_of(frame: VideoFrame) -> VideoFrame:
    """A frame with its own samples: alpha may be written without touching the decoder's."""
    twin = VideoFrame(frame.width, frame.height, frame.format.name)
    for index in range(len(frame.planes)):
        plane_of(twin, index)[...] = plane_of(frame, index)
    return twin
