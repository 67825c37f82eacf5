"""Short cuts of the sample clip as Blender's tests need them; judges nothing."""

from __future__ import annotations

from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from shm_engine.matter import Matter
from shm_engine.options import MatterOptions
from shm_engine.types import Frame

SAMPLE = Path(__file__).parents[2] / "samples" / "turn.mp4"

# As the preferences of the hosts' tests say: Draft.
OPTIONS = MatterOptions(device="cpu", long_side_pixels=384)


def sample_frames(count: int, every: int = 1) -> list[VideoFrame]:
    """Y'CbCr frames of the sample."""
    with av.open(str(SAMPLE)) as container:
        return list(islice(container.decode(video=0), 0, count * every, every))


def write_movie(path: Path, frames: list[VideoFrame], rate: int) -> Path:
    """The frames as H.264 without loss."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=rate, options={"qp": "0"})
        stream.width, stream.height, stream.pix_fmt = frames[0].width, frames[0].height, "yuv420p"
        for index, frame in enumerate(frames):
            copy = VideoFrame.from_ndarray(frame.to_ndarray(format="yuv420p"), format="yuv420p")
            copy.pts, copy.time_base = index, Fraction(1, rate)
            output.mux(stream.encode(copy))
        output.mux(stream.encode(None))
    return path


def write_pictures(folder: Path, frames: list[VideoFrame], names: list[str]) -> None:
    """The frames as PNG files."""
    for name, frame in zip(names, frames, strict=True):
        assert cv2.imwrite(str(folder / name), frame.to_ndarray(format="bgr24"))


def read_rgba(path: Path) -> NDArray[np.float64]:
    """[H, W, 4] in [0, 1], of 8 or 16 bits."""
    picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert picture is not None
    assert picture.shape[2] == 4
    largest = {"uint8": 255, "uint16": 65535}[picture.dtype.name]
    return picture[..., [2, 1, 0, 3]] / np.float64(largest)


def alphas_of(frames: list[Frame]) -> list[NDArray[np.float32]]:
    """[H, W] each: the engine's own mattes of the frames of a movie."""
    with_matter = Matter.load(None, OPTIONS)
    return [matte.alpha[0].numpy() for matte in with_matter.mattes(iter(frames))]
