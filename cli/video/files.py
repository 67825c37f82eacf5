"""Opening a movie for reading, and what every reader asks of a stream first."""

from __future__ import annotations

import os
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Stream


def open_movie(path: Path) -> InputContainer:
    """The container at `path`; raises av.FFmpegError if it is none."""
    # An absolute path: FFmpeg reads "name:" at the front of any other as a protocol.
    absolute = os.path.abspath(path)  # noqa: PTH100 - resolve() would follow links
    return av.open(absolute, metadata_errors="replace")


def decoder_name(stream: Stream) -> str | None:
    """The decoder of a stream; None where this build of FFmpeg has none (PyAV types deny it)."""
    context = getattr(stream, "codec_context", None)
    return None if context is None else str(context.name)
