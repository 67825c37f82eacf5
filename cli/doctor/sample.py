"""A second of film to try things with: somebody drawn who walks, and a tone; asks for no file.

A face is drawn because the network looks for one: a matte of nothing would not show that alpha was
lost on the way.
"""

from __future__ import annotations

import math
import wave
from array import array
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

FRAMES = 25
WIDTH, HEIGHT = 320, 192

_SOUND_RATE, _TONE_HERTZ, _LOUDNESS = 48_000, 440, 8_000

# Ellipses from the back to the front, in heights of the picture: centre y, centre x beside the
# middle of the body, half axes y and x; then the colour.
_PARTS = (
    ((1.02, 0.0, 0.47, 0.32), (150, 40, 50)),  # body
    ((0.62, 0.0, 0.14, 0.08), (215, 160, 130)),  # neck
    ((0.33, 0.0, 0.21, 0.18), (70, 45, 30)),  # hair
    ((0.40, 0.0, 0.20, 0.15), (225, 170, 140)),  # face
    ((0.37, -0.057, 0.016, 0.023), (40, 30, 30)),  # eyes
    ((0.37, 0.057, 0.016, 0.023), (40, 30, 30)),
    ((0.50, 0.0, 0.013, 0.047), (150, 60, 60)),  # mouth
)


def drawing(index: int, height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Frame `index` of FRAMES: the picture [3, H, W] uint8 and its alpha [1, H, W] in [0, 1]."""
    import torch

    from shm_engine.compositing import from_unit, over

    shadow = torch.linspace(1, 0.6, height).view(1, height, 1)
    picture = (_colour((70, 110, 120)) * shadow).expand(3, height, width)
    covered = torch.zeros(1, height, width)
    middle = width / height * (0.3 + 0.4 * index / FRAMES)
    for (y, x, tall, wide), colour in _PARTS:
        down = (torch.arange(height).view(1, height, 1) / height - y) / tall
        across = (torch.arange(width).view(1, 1, width) / height - (middle + x)) / wide
        inside = (1 - (down * down + across * across).sqrt()) * min(tall, wide) * height
        alpha = (inside + 0.5).clamp(0, 1)
        picture = over(_colour(colour), alpha, picture)
        covered = torch.maximum(covered, alpha)
    return from_unit(picture, torch.uint8), covered


def _colour(levels: tuple[int, int, int]) -> torch.Tensor:
    import torch

    return torch.tensor(levels).view(3, 1, 1) / 255


def write_sample(folder: Path) -> Path:
    """The movie, in FFV1 and uncompressed sound, which every FFmpeg can write; returns its path."""
    import torch

    from cli.formats.delivery import Delivery
    from cli.video import ColourTags, SinkOptions, VideoInfo, VideoSink
    from shm_engine.passes import PASSES
    from shm_engine.types import Frame, Matte

    path, sound = folder / "sample.mkv", folder / "sound.wav"
    _write_tone(sound)
    rate = Fraction(FRAMES)
    info = VideoInfo(
        width=WIDTH,
        height=HEIGHT,
        frame_rate=rate,
        time_base=1 / rate,
        frame_count=FRAMES,
        pixel_format="yuv420p",
        tags_read=ColourTags(primaries=1, transfer=1, matrix=1, range=1),
    )
    profile = Delivery(codec="ffv1").profile_for(path, needs_alpha=False)
    options = SinkOptions(streams_from=sound)
    with VideoSink(path, info, profile, output_pass=PASSES["foreground"], options=options) as sink:
        for index in range(FRAMES):
            image, _ = drawing(index, HEIGHT, WIDTH)
            frame = Frame(image=image, index=index, pts=index, time_base=info.time_base)
            sink.write(Matte(frame=frame, alpha=torch.ones(1, HEIGHT, WIDTH)))
    return path


def _write_tone(path: Path) -> None:
    turn = 2 * math.pi * _TONE_HERTZ / _SOUND_RATE
    samples = array("h", (round(_LOUDNESS * math.sin(turn * i)) for i in range(_SOUND_RATE)))
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(samples.itemsize)
        file.setframerate(_SOUND_RATE)
        file.writeframes(samples.tobytes())
