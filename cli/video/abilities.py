"""What the FFmpeg inside PyAV can do: its version, and which codecs and containers it was built
with; opens no file."""

from __future__ import annotations

import av
import av.codec


def version_in_words() -> str:
    """PyAV's own version and that of the FFmpeg it carries."""
    return f"{av.__version__}, with FFmpeg {av.ffmpeg_version_info} inside"


def has_encoder(name: str) -> bool:
    """Whether there is an encoder of FFmpeg's name."""
    return _has_codec(name, "w")


def has_decoder(name: str) -> bool:
    """Whether there is a decoder of FFmpeg's name."""
    return _has_codec(name, "r")


def has_muxer(name: str) -> bool:
    """Whether a container of FFmpeg's name can be written."""
    try:
        return bool(av.ContainerFormat(name, "w").is_output)
    except ValueError:
        return False


def _has_codec(name: str, mode: str) -> bool:
    try:
        av.codec.Codec(name, mode)  # type: ignore[arg-type]
    except av.codec.codec.UnknownCodecError:
        return False
    return True
