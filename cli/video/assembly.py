"""From packets to a whole movie: picture, and all that comes with it from the source; encodes no
picture."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

import av
from av.container import OutputContainer
from av.video.stream import VideoStream

from cli.profiles import OutputProfile
from cli.video.encoding import configure
from cli.video.files import open_movie
from cli.video.info import VideoInfo
from cli.video.output_file import OutputFile
from cli.video.packet_log import PacketLog
from cli.video.storage import Storage
from cli.video.streams import StreamCopy, Window
from cli.video.timecode import later
from cli.video.truncation import missing_bytes
from shm_engine.errors import VideoError

# What a container says about itself, which the new one says anew.
_OWN_METADATA = ("major_brand", "minor_version", "compatible_brands", "encoder", "timecode")
_KEPT_STREAM_METADATA = ("language", "title", "reel_name")
_LARGEST_TIMESCALE = 2**31 - 1
_BUFFER_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What a movie is made of, apart from its packets.

    info: of the movie that the pictures came from.
    streams_from: a movie whose sound, subtitles and chapters are taken, or None.
    comments: metadata to add.
    """

    info: VideoInfo
    profile: OutputProfile
    storage: Storage
    window: Window
    streams_from: Path | None = None
    comments: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


def assemble(log: PacketLog, path: Path, recipe: Recipe) -> None:
    """Write the movie at `path`; OSError or av.FFmpegError if that fails."""
    file = OutputFile(path)
    with contextlib.ExitStack() as after:
        after.callback(file.close)
        output = after.enter_context(_open(file, recipe))
        stream = _add_picture(output, recipe)
        others = _open_others(output, recipe)
        if others is not None:
            after.callback(others.close)
            _add_chapters(output, others, recipe.window)
        for packet in log:
            if others is not None:
                others.write_until(Fraction(packet.dts or 0) * packet.time_base)
            packet.stream = stream
            output.mux(packet)
            file.check()
        if others is not None:
            others.write_until(None)
        output.close()
        file.close()
        file.check()


def verify(path: Path, name: Path, frames: int, *, has_alpha: bool) -> None:
    """Open a finished file as a reader would; VideoError about `name` if it is not as promised."""
    problem = None
    with open_movie(path) as written:
        stream = written.streams.video[0]
        first = next(written.decode(stream), None)
        if missing_bytes(path) or stream.frames not in (0, frames):
            problem = "is not complete after writing; check the disk and try again"
        elif first is None:
            problem = "cannot be read back; check the disk and try again"
        elif (
            has_alpha
            and not any(c.is_alpha for c in first.format.components)
            # Kept as a picture beside the picture, which FFmpeg's own decoder does not look at.
            and stream.metadata.get("alpha_mode", stream.metadata.get("ALPHA_MODE")) != "1"
        ):
            problem = "lost its alpha channel in writing; choose another format"
    if problem is not None:
        raise VideoError(f"{name} {problem}", path=name)


def _open(file: OutputFile, recipe: Recipe) -> OutputContainer:
    options = dict(recipe.profile.container_options)
    if recipe.profile.container in ("mov", "mp4"):
        # They measure when a track starts in a unit of its own, by default a millisecond.
        unit = min(max(recipe.info.time_base.denominator, 1000), _LARGEST_TIMESCALE)
        options["movie_timescale"] = str(unit)
    output = av.open(
        file, "w", format=recipe.profile.container, options=options, buffer_size=_BUFFER_BYTES
    )
    for key, value in recipe.info.metadata.items():
        if key.lower() not in _OWN_METADATA:
            output.metadata[key] = value
    output.metadata.update(recipe.comments)
    return output


def _add_picture(output: OutputContainer, recipe: Recipe) -> VideoStream:
    """The stream of the picture; its encoder is opened for its header, and encodes nothing."""
    info, profile = recipe.info, recipe.profile
    stream = cast(
        "VideoStream",
        output.add_stream(profile.codec, rate=info.frame_rate, options=dict(profile.codec_options)),
    )
    configure(stream.codec_context, info, recipe.storage)
    stream.codec_context.thread_count = 1
    if profile.codec == "libx265":
        stream.codec_context.codec_tag = "hvc1"  # what players of Apple look for
    if info.orientation.display_matrix is not None:
        stream.set_display_matrix(info.orientation.display_matrix)
    for key in _KEPT_STREAM_METADATA:
        if key in info.stream_metadata:
            stream.metadata[key] = info.stream_metadata[key]
    timecode = info.timecode
    if timecode is not None:
        if recipe.window.begin is not None:
            skipped = recipe.window.begin - info.start_seconds
            timecode = later(timecode, round(skipped * info.frame_rate), info.frame_rate)
        stream.metadata["timecode"] = timecode
    return stream


def _open_others(output: OutputContainer, recipe: Recipe) -> StreamCopy | None:
    if recipe.streams_from is None:
        return None
    try:
        return StreamCopy(recipe.streams_from, output, recipe.window)
    except av.FFmpegError as error:
        raise VideoError(
            f"the sound of {recipe.streams_from} cannot be read; check that it plays",
            path=recipe.streams_from,
        ) from error


def _add_chapters(output: OutputContainer, others: StreamCopy, window: Window) -> None:
    found = others.chapters
    kept: list[Any] = []
    for chapter in found:
        unit = Fraction(chapter["time_base"] or 1)
        first, last = chapter["start"] * unit, chapter["end"] * unit
        first = first if window.begin is None else max(first, window.begin)
        last = last if window.end is None else min(last, window.end)
        if first < last:
            begin, end = ((moment + window.delay) / unit for moment in (first, last))
            kept.append({**chapter, "id": len(kept) + 1, "start": round(begin), "end": round(end)})
    if kept:
        output.set_chapters(kept)
