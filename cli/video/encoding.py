"""Pictures into packets, a segment of a movie at a time; knows no container."""

from __future__ import annotations

from fractions import Fraction
from typing import cast

import av
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from cli.formats.profiles import OutputProfile
from cli.video.hdr_header import x265_parameters
from cli.video.info import VideoInfo
from cli.video.storage import Storage
from shm_engine.errors import VideoError

# AV_CODEC_FLAG_GLOBAL_HEADER: all containers that are written want the header for themselves.
_GLOBAL_HEADER = 1 << 22
_X265 = "x265-params"


def codec_options(profile: OutputProfile, info: VideoInfo) -> dict[str, str]:
    """The options of the encoder for this movie."""
    options = dict(profile.codec_options)
    if profile.codec == "libx265" and (parameters := x265_parameters(info)):
        options[_X265] = f"{options[_X265]}:{parameters}"
    return options


def configure(context: VideoCodecContext, info: VideoInfo, storage: Storage) -> None:
    """Tell a codec that is not open yet what its pictures are."""
    context.width, context.height = info.width, info.height
    context.pix_fmt = storage.pixel_format
    context.framerate = Fraction(info.frame_rate)
    context.sample_aspect_ratio = info.pixel_aspect
    context.color_primaries = storage.tags.primaries
    context.color_trc = storage.tags.transfer
    context.colorspace = storage.tags.matrix
    context.color_range = storage.tags.range


def check_encoder(profile: OutputProfile, info: VideoInfo, storage: Storage) -> None:
    """Raise VideoError if the codec takes no pictures like these."""
    across, down = profile.multiples
    if info.width % across or info.height % down:
        sides = f"a width in multiples of {across}" if down == 1 else "an even width and height"
        raise VideoError(
            f"{profile.name} needs {sides}, and this movie is {info.width} x {info.height}; "
            "use prores4444, which takes every size"
        )
    try:
        Encoder(profile, info, storage, threads=1)
    except av.FFmpegError as error:
        raise VideoError(
            f"{profile.name} cannot hold {info.width} x {info.height} pictures "
            f"({error.strerror}); use prores4444"
        ) from error


class Encoder:
    """An encoder for one segment: its packets need nothing of what came before.

    threads: 0 starts one a core.
    """

    def __init__(
        self, profile: OutputProfile, info: VideoInfo, storage: Storage, threads: int
    ) -> None:
        self._time_base = info.time_base
        self._context = cast("VideoCodecContext", av.CodecContext.create(profile.codec, "w"))
        configure(self._context, info, storage)
        self._context.time_base = info.time_base
        self._context.options = codec_options(profile, info)
        self._context.flags |= _GLOBAL_HEADER
        self._context.thread_type = "AUTO"
        self._context.thread_count = threads
        self._durations: dict[int | None, int] = {}  # of the frames inside the encoder, by pts
        self._context.open()

    def describe(self, other: VideoCodecContext) -> None:
        """Tell a codec that will not be opened what a container has to know of this one."""
        other.extradata = self._context.extradata
        other.codec_tag = self._context.codec_tag
        other.bits_per_coded_sample = self._context.bits_per_coded_sample

    def encode(self, picture: VideoFrame | None) -> list[Packet[VideoStream]]:
        """The packets that are ready after one more picture, or (None) after the last."""
        if picture is not None:
            unit = cast("Fraction", picture.time_base) / self._time_base
            self._durations[round(cast("int", picture.pts) * unit)] = round(picture.duration * unit)
        packets = self._context.encode(picture)
        for packet in packets:
            # Not every encoder hands a frame's duration on, and without it the last frame is
            # shown for as long as the muxer likes.
            packet.duration = self._durations.pop(packet.pts, packet.duration or 0)
            packet.time_base = self._time_base
        return cast("list[Packet[VideoStream]]", packets)
