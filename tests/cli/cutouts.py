"""Makers of tiny movies with an alpha of their own that is known; no test in here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from cli.video.planes import rows_of

HEIGHT, WIDTH = 48, 64
# Where alpha stands in a pixel of packed formats.
_FIRST = ("argb", "abgr", "ayuv")


@dataclass(frozen=True, kw_only=True)
class Cutout:
    """A movie of one grey whose alpha is known; frame i has `coverage(i)`, rounded to its bits."""

    codec: str
    pixel_format: str
    options: Mapping[str, str] = field(default_factory=dict)
    coverages: Sequence[NDArray[np.float64]] = ()
    rotation: int = 0

    def coverage(self, index: int) -> NDArray[np.float64]:
        """[H, W] in [0, 1]: a slope that is another one in every frame, or what was given."""
        if self.coverages:
            return self.coverages[index]
        slope = np.linspace(0, 1, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH)
        return np.roll(slope, 7 * index, axis=1)

    def write(self, path: Path, frames: int = 3) -> Path:
        """Make the movie and return its path."""
        with av.open(str(path), "w") as output:
            stream = cast(
                "VideoStream", output.add_stream(self.codec, rate=25, options=dict(self.options))
            )
            stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, self.pixel_format
            if self.rotation:
                stream.set_display_rotation(self.rotation, False, False)
            for index in range(frames):
                picture = self.picture(self.coverage(index))
                picture.pts, picture.time_base = index, Fraction(1, 25)
                output.mux(stream.encode(picture))
            output.mux(stream.encode(None))
        return path

    def picture(self, coverage: NDArray[np.float64]) -> VideoFrame:
        """A frame as it is given to the encoder."""
        frame = VideoFrame(WIDTH, HEIGHT, self.pixel_format)
        parts = frame.format.components
        largest = (1 << parts[0].bits) - 1
        for plane in range(len(frame.planes)):
            samples(frame, plane)[...] = (largest + 1) // 2
        values = np.rint(coverage * largest)
        alpha = next(part for part in parts if part.is_alpha)
        if alpha.plane > 0:
            samples(frame, alpha.plane)[...] = values
        else:
            place = 0 if self.pixel_format.startswith(_FIRST) else len(parts) - 1
            samples(frame, 0).reshape(HEIGHT, WIDTH, len(parts))[..., place] = values
        return frame


def samples(frame: VideoFrame, index: int) -> NDArray[Any]:
    """A writable view [H, W] or [H, W * components] of one plane."""
    stored, plane = frame.format, frame.planes[index]
    size = 1 if stored.components[0].bits <= 8 else 2
    dtype = np.dtype(f"{'>' if stored.is_big_endian else '<'}u{size}")
    across = plane.width * (1 if len(frame.planes) > 1 else len(stored.components))
    return rows_of(plane, dtype)[:, :across]
