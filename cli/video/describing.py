"""From an open movie to what is known of it: a VideoInfo; decodes and reads nothing."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar, cast

import av
import numpy as np
from av.container import InputContainer
from av.video.codeccontext import VideoCodecContext
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from cli.video.hdr import ContentLight, MasteringDisplay
from cli.video.info import ColourTags, Orientation, VideoInfo

Made = TypeVar("Made")


def describe(
    path: Path | None,
    container: InputContainer,
    stream: VideoStream,
    first: VideoFrame,
    described: VideoFrame,
) -> VideoInfo:
    """What is known of a movie.

    first: its first frame; described: the same, from a decoder that tells of the stream as well.
    """
    rate = stream.average_rate or stream.guessed_rate or Fraction(25)
    time_base = stream.time_base or 1 / rate
    duration = _duration_seconds(container, stream)
    return VideoInfo(
        path=path,
        width=first.width,
        height=first.height,
        orientation=_side_data(described, "DISPLAYMATRIX", _orientation) or Orientation(),
        pixel_aspect=stream.sample_aspect_ratio or Fraction(1),
        frame_rate=rate,
        time_base=time_base,
        start_pts=first.pts or 0,
        pixel_format=first.format.name,
        frame_count=stream.frames or (None if duration is None else round(duration * rate)),
        bit_depth=depth_of(first.format),
        is_rgb=first.format.is_rgb or first.format.has_palette,
        is_linear=is_float(first.format),
        has_alpha=has_alpha(first.format),
        # The bit stream first; ProRes cannot say everything there, and its container can.
        tags_read=colour_tags(first).or_else(colour_tags(stream.codec_context)),
        mastering=_side_data(described, "MASTERING_DISPLAY_METADATA", MasteringDisplay.from_bytes),
        content_light=_side_data(described, "CONTENT_LIGHT_LEVEL", ContentLight.from_bytes),
        has_audio=bool(container.streams.audio),
        metadata=MappingProxyType(dict(container.metadata)),
        stream_metadata=MappingProxyType(_timecode_tags(container) | dict(stream.metadata)),
    )


def _timecode_tags(container: InputContainer) -> dict[str, str]:
    """What mov says in a track of its own: the timecode, and the reel it counts on."""
    names = ("reel_name", "timecode")
    tracks = [s.metadata for s in container.streams.data if "timecode" in s.metadata]
    return {name: tags[name] for tags in tracks[:1] for name in names if name in tags}


def depth_of(stored: VideoFormat) -> int:
    """Bits of the largest component."""
    return max(component.bits for component in stored.components)


def has_alpha(stored: VideoFormat) -> bool:
    """Whether one of the components is alpha."""
    return any(component.is_alpha for component in stored.components)


def is_float(stored: VideoFormat) -> bool:
    """Whether samples are floating-point numbers, which nobody stores but for light."""
    return "f16" in stored.name or "f32" in stored.name


def colour_tags(tagged: VideoFrame | VideoCodecContext) -> ColourTags:
    """The colour tags of a frame or of a decoder."""
    return ColourTags(
        primaries=int(tagged.color_primaries),
        transfer=int(tagged.color_trc),
        matrix=int(tagged.colorspace),
        range=int(tagged.color_range),
    )


def _side_data(frame: VideoFrame, name: str, make: Callable[[bytes], Made]) -> Made | None:
    try:
        found = frame.side_data.get(name)
    except ValueError:  # PyAV 18 fails on all of it where it has no name for one kind (Exif)
        return None
    return None if found is None else make(bytes(cast("Any", found)))


def _orientation(data: bytes) -> Orientation:
    return Orientation.from_display_matrix(tuple(np.frombuffer(data, np.int32).tolist()))


def _duration_seconds(container: InputContainer, stream: VideoStream) -> Fraction | None:
    if stream.duration and stream.time_base:
        return stream.duration * stream.time_base
    return None if container.duration is None else Fraction(container.duration, av.time_base)
