"""One stream that is no picture, packet for packet into another container; knows no file."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable
from fractions import Fraction
from math import ceil
from typing import Any, Protocol, cast

import av
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Stream
from av.subtitles.stream import SubtitleStream
from av.subtitles.subtitle import SubtitleSet

from cli.video.metadata import stream_tags

_MILLISECOND = Fraction(1, 1000)
# Of an event of ASS, before its words.
_FIELDS = 8
# In mov a text begins with its length, in two bytes.
_NO_TEXT_BYTES = 2


class Track(Protocol):
    """A stream of the output."""

    def packets(self, packet: Packet[Any]) -> Iterable[Packet[Any]]:
        """What the output gets for one packet of the source."""
        ...

    def rest(self) -> Iterable[Packet[Any]]:
        """What the output gets after the last."""
        ...


def codec_of(stream: Stream) -> str:
    """The codec of a stream, as FFmpeg calls it."""
    context = getattr(stream, "codec_context", None)  # PyAV types deny that it may be None
    return "an unknown kind" if context is None else str(context.codec.canonical_name)


def is_held(stream: Stream, output: OutputContainer) -> bool:
    """Whether a container like `output` takes the packets of `stream` as they are.

    By trying: FFmpeg lists codecs that it refuses when it writes the header, and leaves out some
    that it takes.
    """
    trial = av.open(io.BytesIO(), "w", format=output.format.name)
    try:
        trial.add_stream_from_template(stream)
        trial.start_encoding()
    except (ValueError, av.FFmpegError):
        return False
    finally:
        with contextlib.suppress(av.FFmpegError):
            trial.close()
    return True


def describe_like(target: Stream, source: Stream, output: OutputContainer) -> None:
    """Give a new stream of `output` the tags and the role of its source."""
    target.metadata.update(stream_tags(source.metadata, output.format.name))
    target.disposition = source.disposition


class CopiedTrack:
    """A track whose packets are copied as they are, `delay` seconds later."""

    def __init__(self, stream: Stream, output: OutputContainer, delay: Fraction) -> None:
        self._target = output.add_stream_from_template(stream)
        self._target.metadata.clear()
        describe_like(self._target, stream, output)
        self._delay = delay
        self._is_text_of_mov = codec_of(stream) == "mov_text"
        self._clock = _SampleClock(stream) if isinstance(stream, AudioStream) else None
        self._hidden: Packet[Any] | None = None
        self._last: Fraction | None = None
        # Texts may begin together; a muxer ends with an error where sound does, as in a damaged
        # file, or where anything goes back in time.
        self._step = 1 if stream.type == "audio" else 0

    def packets(self, packet: Packet[Any]) -> list[Packet[Any]]:
        """The packet, with its new times; none where an edit list hides it, or where it says no
        more than that nothing is shown: the muxer says so itself."""
        if self._is_text_of_mov and packet.size <= _NO_TEXT_BYTES:
            return []
        if packet.is_discard:
            self._hidden = packet
            return []
        # What is heard first may need the packet before it to be decoded.
        ready = [packet] if self._hidden is None else [self._hidden, packet]
        self._hidden = None
        for each in ready:
            self._move(each)
        return ready

    def rest(self) -> list[Packet[Any]]:
        """Nothing."""
        return []

    def _move(self, packet: Packet[Any]) -> None:
        if self._clock is not None:
            self._clock.correct(packet)
        unit = packet.time_base
        ticks = round(self._delay / unit)
        decoded = packet.dts if packet.dts is not None else packet.pts
        if decoded is None:  # some files time the first packet alone
            decoded = 0 if self._last is None else ceil(self._last / unit) + (packet.duration or 0)
        else:
            decoded += ticks
        if self._last is not None:
            decoded = max(decoded, ceil(self._last / unit) + self._step)
        shown = decoded if packet.pts is None else packet.pts + ticks
        packet.pts, packet.dts = max(shown, decoded), decoded
        self._last = decoded * unit
        packet.stream = self._target


class _SampleClock:
    """The exact times of sound from a container that rounds them, for one that need not."""

    def __init__(self, stream: AudioStream) -> None:
        self._unit = Fraction(1, stream.codec_context.rate or 1)
        self._samples = stream.codec_context.frame_size
        self._next: Fraction | None = None

    def correct(self, packet: Packet[Any]) -> None:
        """Time a packet where the one before ended, if that is what its stamp means."""
        rounding = packet.time_base
        if packet.pts is None or not self._samples or rounding <= self._unit:
            return
        stamp = packet.pts * rounding
        follows = self._next is not None and abs(stamp - self._next) <= rounding
        exact = self._next if follows and self._next is not None else stamp
        packet.time_base = self._unit
        packet.pts = packet.dts = round(exact / self._unit)
        packet.duration = self._samples
        self._next = exact + self._samples * self._unit


class ConvertedText:
    """Subtitles in another codec of text: the words and their times, and simple styles."""

    def __init__(
        self, stream: SubtitleStream, output: OutputContainer, codec: str, delay: Fraction
    ) -> None:
        self._decoder = stream.codec_context
        self._decoder.open(strict=False)  # which makes the header
        self._target = cast("SubtitleStream", output.add_stream(codec))
        self._encoder = self._target.codec_context
        self._encoder.subtitle_header = self._decoder.subtitle_header
        self._encoder.time_base = self._target.time_base = _MILLISECOND
        describe_like(self._target, stream, output)
        self._delay = delay
        self._last = 0

    def packets(self, packet: Packet[Any]) -> list[Packet[Any]]:
        """The same text, encoded anew; none where it is damaged or empty."""
        try:
            shown = self._decoder.decode2(packet)
            event = _event(shown)
            if shown is None or event is None or packet.pts is None:
                return []
            lasts = (packet.duration or 0) * packet.time_base / _MILLISECOND
            lasts = lasts or Fraction(shown.end_display_time - shown.start_display_time)
            made: Packet[Any] = self._encoder.encode_subtitle(
                SubtitleSet.create(text=event, start=0, end=round(lasts))
            )
        except av.FFmpegError:
            return []
        begins = round((packet.pts * packet.time_base + self._delay) / _MILLISECOND)
        self._last = max(begins, self._last)
        made.pts = made.dts = self._last
        made.duration, made.time_base = round(lasts), _MILLISECOND
        made.stream = self._target
        return [made]

    def rest(self) -> list[Packet[Any]]:
        """Nothing."""
        return []


def _event(shown: SubtitleSet | None) -> bytes | None:
    """The event of ASS that says all that is shown; None if that is nothing."""
    events: list[bytes] = [getattr(rect, "ass", b"") for rect in shown or ()]
    fields = [event.split(b",", _FIELDS) for event in events if event]
    words = [parts[-1] for parts in fields if len(parts) == _FIELDS + 1]
    if not any(words):
        return None
    return b",".join([*fields[0][:-1], rb"\N".join(words)])
