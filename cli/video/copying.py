"""A clip written again at another size and length, to measure with; knows nothing of mattes."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter

from cli.video.failures import write_failure
from cli.video.source import VideoSource

# Nearly lossless and quick: what cameras deliver is harder to decode, not easier.
_OPTIONS = {"crf": "18", "preset": "veryfast"}


def copy_clip(clip: Path, target: Path, height: int | None, frames: int | None) -> None:
    """Write `clip` to the H.264 movie `target`: as many frames as wanted, from its beginning again
    and again, scaled to `height` (None leaves both as they are). VideoError if that fails."""
    with VideoSource(clip) as source:
        info = source.info
    tall = info.height if height is None else height
    size = round(info.width * tall / info.height / 2) * 2, round(tall / 2) * 2
    reformatter = VideoReformatter()
    try:
        with av.open(str(target), "w") as output:
            stream = output.add_stream("libx264", info.frame_rate, options=_OPTIONS)
            stream.width, stream.height = size
            stream.pix_fmt = "yuv420p"
            stream.codec_context.time_base = 1 / Fraction(info.frame_rate)
            for index, native in enumerate(islice(_again_and_again(clip, frames), frames)):
                picture = reformatter.reformat(
                    native, *size, "yuv420p", interpolation=Interpolation.BICUBIC
                )
                picture.pts, picture.time_base = index, stream.codec_context.time_base
                output.mux(stream.encode(picture))
            output.mux(stream.encode(None))
    except (av.FFmpegError, OSError) as error:
        raise write_failure(target, error) from error


def _again_and_again(clip: Path, frames: int | None) -> Iterator[VideoFrame]:
    while True:
        with VideoSource(clip) as source:
            for frame in source:
                yield frame.native
        if frames is None:
            return
