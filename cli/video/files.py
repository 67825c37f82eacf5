"""Opening a movie for reading, and what every reader asks of a stream first."""

from __future__ import annotations

import os
from pathlib import Path
from typing import cast

import av
from av.container import InputContainer
from av.stream import Stream
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

# What an address, or a playlist behind it, may lead to: nothing on this machine.
_PROTOCOLS = "http,https,httpproxy,tcp,tls,crypto"
# To connect, and to wait for more of a movie.
_TIMEOUTS_SECONDS = (20.0, 60.0)

# FFmpeg's own decoders of these skip the second picture that holds alpha.
_ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}


def open_movie(path: Path) -> InputContainer:
    """The container at `path`; raises av.FFmpegError if it is none."""
    # An absolute path: FFmpeg reads "name:" at the front of any other as a protocol.
    absolute = os.path.abspath(path)  # noqa: PTH100 - resolve() would follow links
    return av.open(absolute, metadata_errors="replace")


def open_address(address: str) -> InputContainer:
    """The container at an address of the network; raises av.FFmpegError if it is none."""
    return av.open(
        address,
        metadata_errors="replace",
        timeout=_TIMEOUTS_SECONDS,
        options={"protocol_whitelist": _PROTOCOLS},
    )


def decoder_name(stream: Stream) -> str | None:
    """The decoder of a stream; None where this build of FFmpeg has none (PyAV types deny it)."""
    context = getattr(stream, "codec_context", None)
    return None if context is None else str(context.name)


def alpha_decoder(stream: VideoStream) -> VideoCodecContext | None:
    """A decoder that gives the alpha of a VP8 or VP9 stream that says it has one; else None."""
    name = _ALPHA_DECODERS.get(decoder_name(stream) or "")
    tags = {key.lower(): value for key, value in stream.metadata.items()}
    if name is None or tags.get("alpha_mode") != "1":
        return None
    context = cast("VideoCodecContext", av.CodecContext.create(name, "r"))
    context.extradata = stream.codec_context.extradata
    return context
