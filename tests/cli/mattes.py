"""Mattes that are known in advance, and the way from a clip to a written movie; no test in here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from cli.formats.delivery import Delivery
from cli.video import SinkOptions, VideoInfo, VideoSink, VideoSource
from shm_engine.passes import PASSES, Pass
from shm_engine.types import Frame, Matte
from tests.cli.clips import Clip

RGBA = PASSES["rgba"]


def slope(frame: Frame) -> Matte:
    """A matte with a different value in every pixel; both ends are reached."""
    height, width = frame.size
    alpha = torch.linspace(0, 1, height * width).view(1, height, width)
    rest = torch.zeros_like(alpha)
    return Matte(frame=frame, alpha=alpha, trimap=torch.cat([1 - alpha, rest, alpha]))


def sink_for(
    path: Path, info: VideoInfo, output_pass: Pass = RGBA, audio_from: Path | None = None
) -> VideoSink:
    profile = Delivery().profile_for(path, needs_alpha=output_pass.has_alpha)
    return VideoSink(
        path,
        info,
        profile,
        output_pass=output_pass,
        options=SinkOptions(streams_from=audio_from),
    )


def convert(
    clip: Clip,
    folder: Path,
    output_pass: Pass = RGBA,
    matte_of: Callable[[Frame], Matte] = slope,
    name: str = "in.mp4",
) -> Path:
    """Write the clip, matte it and write the result; the path of the result."""
    target = folder / "out.mov"
    with (
        VideoSource(clip.write(folder / name)) as source,
        sink_for(target, source.info, output_pass) as sink,
    ):
        for frame in source:
            sink.write(matte_of(frame))
    return target
