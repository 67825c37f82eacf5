"""From packets to a whole movie: picture, and all that comes with it from the source; encodes no
picture."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

import av
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.stream import VideoStream

from cli.formats.profiles import OutputProfile
from cli.formats.timecode import fitting, later
from cli.video.chapters import in_window
from cli.video.encoding import Encoder, codec_options, configure
from cli.video.files import open_movie
from cli.video.hdr_header import template
from cli.video.info import VideoInfo
from cli.video.metadata import container_tags, stream_tags
from cli.video.output_file import OutputFile
from cli.video.storage import Storage
from cli.video.streams import StreamCopy, Window
from cli.video.truncation import missing_bytes
from shm_engine.errors import VideoError

log = logging.getLogger(__name__)

_KEPT_STREAM_METADATA = ("language", "title", "reel_name")
_LARGEST_TIMESCALE = 2**31 - 1
_BUFFER_BYTES = 1 << 20
# Packets are given to FFmpeg in order, sound somewhat before its picture since encoders keep some
# of it. Otherwise FFmpeg would keep ten seconds of pictures while it waits for the next subtitle.
_AHEAD_SECONDS = Fraction(1, 10)
_MOST_KEPT_MICROSECONDS = 1


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


def rehearse(recipe: Recipe) -> None:
    """Write the movie's header to nowhere, and log what will be left out or changed; VideoError if
    the movie cannot be written, or its sound not be read."""
    output = _open(io.BytesIO(), recipe)
    try:
        stream = _add_picture(output, recipe)
        others = _open_others(output, recipe)
        if others is not None:
            others.close()
            for level, sentence in others.remarks:
                log.log(level, sentence)
        output.start_encoding()
    except (ValueError, av.FFmpegError) as error:
        reason = getattr(error, "strerror", None) or error
        raise VideoError(
            f"the container of {recipe.profile.name} refuses this movie ({reason}); "
            "choose another format"
        ) from error
    finally:
        with contextlib.suppress(av.FFmpegError):  # a movie without a picture has no end
            output.close()
    given, written = recipe.info.timecode, stream.metadata.get("timecode")
    if given is not None and written is None:
        log.warning("The timecode %s cannot be read; it is left out.", given)
    elif given != written:
        log.warning("The timecode %s cannot be at this frame rate; %s is written.", given, written)


def assemble(packets: Iterable[Packet[Any]], path: Path, recipe: Recipe) -> None:
    """Write the movie at `path`; OSError or av.FFmpegError if that fails.

    packets: of the picture, in the order of decoding.
    """
    file = OutputFile(path)
    with contextlib.ExitStack() as after:
        after.callback(file.close)
        output = after.enter_context(_open(file, recipe))
        stream = _add_picture(output, recipe)
        others = _open_others(output, recipe)
        if others is not None:
            after.callback(others.close)
            if chapters := in_window(others.chapters, recipe.window, others.end):
                output.set_chapters(chapters)
        for packet in packets:
            if others is not None:
                others.write_until(Fraction(packet.dts or 0) * packet.time_base + _AHEAD_SECONDS)
            packet.stream = stream
            _mux(output, packet, others)
            file.check()
        if others is not None:
            others.write_until(None)
        output.close()
        file.close()
        file.check()


def _mux(output: OutputContainer, packet: Packet[Any], others: StreamCopy | None) -> None:
    try:
        output.mux(packet)
    except av.InvalidDataError:
        # FFmpeg is one packet behind: what it refuses came from the file of the other streams.
        if others is None:
            raise
        others.tell_of_damage()


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


def _open(file: OutputFile | io.BytesIO, recipe: Recipe) -> OutputContainer:
    options = dict(recipe.profile.container_options)
    options["max_interleave_delta"] = str(_MOST_KEPT_MICROSECONDS)
    if recipe.profile.container in ("mov", "mp4"):
        # They measure when a track starts in a unit of its own, by default a millisecond.
        unit = min(max(recipe.info.time_base.denominator, 1000), _LARGEST_TIMESCALE)
        options["movie_timescale"] = str(unit)
    output = av.open(
        file, "w", format=recipe.profile.container, options=options, buffer_size=_BUFFER_BYTES
    )
    tags = container_tags(recipe.info.metadata, recipe.comments, recipe.profile.container)
    output.metadata.update(tags)
    return output


def _add_picture(output: OutputContainer, recipe: Recipe) -> VideoStream:
    """The stream of the picture, described in full; it encodes nothing."""
    info, profile = recipe.info, recipe.profile
    with contextlib.ExitStack() as stack:
        model = template(profile.codec, info)
        if model is None:
            options = codec_options(profile, info)
            added = output.add_stream(profile.codec, rate=info.frame_rate, options=options)
        else:
            stack.enter_context(model)
            added = output.add_stream_from_template(model.streams.video[0], opaque=True)
        stream = cast("VideoStream", added)
    context = stream.codec_context
    configure(context, info, recipe.storage)
    stream.time_base = info.time_base
    if model is None:
        context.time_base = info.time_base
        context.thread_count = 1
    else:
        Encoder(profile, info, recipe.storage, threads=1).describe(context)
    if profile.codec == "libx265":
        context.codec_tag = "hvc1"  # what players of Apple look for
    if info.orientation.display_matrix is not None:
        stream.set_display_matrix(info.orientation.display_matrix)
    stream.disposition = Disposition.default
    tags = stream_tags(info.stream_metadata, profile.container)
    stream.metadata.update({key: tags[key] for key in _KEPT_STREAM_METADATA if key in tags})
    timecode = _timecode(info, recipe.window)
    if timecode is not None:
        stream.metadata["timecode"] = timecode
    return stream


def _timecode(info: VideoInfo, window: Window) -> str | None:
    """The timecode of the first picture."""
    if info.timecode is None:
        return None
    timecode = fitting(info.timecode, info.frame_rate)
    if timecode is None or window.begin is None:
        return timecode
    skipped = window.begin - info.start_seconds
    return later(timecode, round(skipped * info.frame_rate), info.frame_rate)


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
