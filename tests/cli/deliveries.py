"""A movie through the sink and back, whatever it shows; no test in here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from cli.formats.delivery import Delivery
from cli.video import SinkOptions, VideoSink, VideoSource
from shm_engine.passes import PASSES
from shm_engine.types import Matte


def deliver(source: Path, target: Path, *, codec: str | None = None, **options: Any) -> Path:
    """Write the frames of `source`, opaque, to `target` in a format of that name, with all that
    comes with them; return the target."""
    profile = Delivery(codec=codec).profile_for(target, needs_alpha=False)
    output_pass = PASSES["rgba" if profile.has_alpha else "foreground"]
    chosen = SinkOptions(streams_from=source, **options)
    with (
        VideoSource(source) as frames,
        VideoSink(target, frames.info, profile, output_pass=output_pass, options=chosen) as sink,
    ):
        for frame in frames:
            sink.write(Matte(frame=frame, alpha=torch.ones(1, *frame.size)))
    return target
