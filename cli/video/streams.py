"""Sound, subtitles and the rest from one movie into another, in step with the picture."""

from __future__ import annotations

import logging
from collections.abc import Generator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol, cast

import av
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Stream

from cli.addresses import address_of
from cli.video.files import decoder_name, open_address, open_movie

log = logging.getLogger(__name__)

# FFmpeg lists these as codecs of mov, and refuses them when it writes the header.
_ONLY_IN_MP4 = ("flac", "opus", "truehd")
# Uncompressed sound in mp4 is allowed, and next to nothing plays it.
_IN_MP4 = ("aac", "mp3", "ac3", "eac3", "alac", "flac", "opus")
_DEEP_FORMATS = ("s32", "s32p", "s64", "s64p", "dbl", "dblp")
# What a container gets in place of sound that it cannot hold, with the bits a second of a channel;
# everything else gets uncompressed samples.
_COMPRESSED = {"webm": ("libopus", 96_000), "mp4": ("aac", 128_000)}


@dataclass(frozen=True, kw_only=True)
class Window:
    """Which part of a source is written, and when: source seconds plus `delay`.

    begin, end: source seconds; None is where the source begins and ends.
    """

    begin: Fraction | None = None
    end: Fraction | None = None
    delay: Fraction = Fraction(0)

    def shows(self, seconds: Fraction) -> bool:
        """Whether a moment of the source is part of it."""
        return (self.begin is None or seconds >= self.begin) and (
            self.end is None or seconds < self.end
        )


class _Track(Protocol):
    """A stream of the output."""

    def packets(self, packet: Packet[Any], delay: Fraction) -> list[Packet[Any]]: ...


class StreamCopy:
    """All streams of `path` but its picture, for `output`; opens the file a second time and keeps
    one packet. What the container cannot hold is left out, with a warning."""

    def __init__(self, path: Path, output: OutputContainer, window: Window) -> None:
        self._path = path
        self._window = window
        self._output = output
        address = address_of(path)
        self._container = open_movie(path) if address is None else open_address(address)
        self._tracks: dict[int, _Track] = {}
        for stream in self._container.streams:
            track = self._track_for(stream)
            if track is not None:
                self._tracks[stream.index] = track
        self._packets = self._read()
        self._next = next(self._packets, None)

    @property
    def chapters(self) -> list[Any]:
        """As PyAV gives them."""
        return list(self._container.chapters())

    def write_until(self, seconds: Fraction | None) -> None:
        """Write what comes before `seconds` and was not written yet; None: all the rest."""
        while self._next is not None and (
            seconds is None or _time(self._next) + self._window.delay <= seconds
        ):
            is_flush = self._next.dts is None and self._next.pts is None
            if is_flush or self._window.shows(_time(self._next)):
                track = self._tracks[self._next.stream.index]
                for packet in track.packets(self._next, self._window.delay):
                    self._output.mux(packet)
            self._next = next(self._packets, None)

    def close(self) -> None:
        """Close the file that was opened for reading."""
        self._packets.close()
        self._container.close()

    def _track_for(self, stream: Stream) -> _Track | None:
        if stream.type == "audio":
            return _sound(cast("AudioStream", stream), self._output, self._path.name)
        if stream.type == "subtitle":
            if _codec(stream) in self._output.supported_codecs:
                return _CopiedTrack(stream, self._output)
            log.warning(
                "Subtitles of %s are left out: %s cannot hold %s.",
                self._path.name,
                self._output.format.name,
                _codec(stream),
            )
        elif stream.type == "data" and not _is_timecode(stream):
            log.warning(
                "A data stream of %s is left out: it cannot be copied to %s.",
                self._path.name,
                self._output.format.name,
            )
        return None

    def _read(self) -> Generator[Packet[Any], None, None]:
        streams = tuple(s for s in self._container.streams if s.index in self._tracks)
        if not streams:
            return
        try:
            for packet in self._container.demux(streams):
                if packet.is_corrupt:
                    break
                yield packet
        except av.FFmpegError:
            log.warning("The sound of %s is damaged; it ends early.", self._path.name)


def _time(packet: Packet[Any]) -> Fraction:
    """When a packet is due in its source; before everything if it does not say."""
    stamp = packet.dts if packet.dts is not None else packet.pts
    return Fraction(-1) if stamp is None else stamp * packet.time_base


def _codec(stream: Stream) -> str:
    context = getattr(stream, "codec_context", None)
    return "an unknown kind" if context is None else str(context.codec.canonical_name)


def _is_timecode(stream: Stream) -> bool:
    handler = stream.metadata.get("handler_name", "")
    return "timecode" in stream.metadata or "TimeCode" in handler


def _sound(stream: AudioStream, output: OutputContainer, name: str) -> _Track | None:
    if decoder_name(stream) is None:
        log.warning("A sound track of %s cannot be read; it is left out.", name)
        return None
    container = output.format.name
    held: set[str] | tuple[str, ...] = output.supported_codecs
    if container == "mov":
        held = output.supported_codecs.difference(_ONLY_IN_MP4)
    elif container == "mp4":
        held = _IN_MP4
    if _codec(stream) in held:
        return _CopiedTrack(stream, output)
    return _EncodedTrack(stream, output)


class _CopiedTrack:
    """A track whose packets are copied as they are."""

    def __init__(self, stream: Stream, output: OutputContainer) -> None:
        self._target = output.add_stream_from_template(stream)
        self._target.metadata.update(stream.metadata)
        self._target.disposition = stream.disposition

    def packets(self, packet: Packet[Any], delay: Fraction) -> list[Packet[Any]]:
        if packet.dts is None and packet.pts is None:  # the demuxer's sign for "flush"
            return []
        ticks = round(delay / packet.time_base)
        if packet.pts is not None:
            packet.pts += ticks
        if packet.dts is not None:
            packet.dts += ticks
        packet.stream = self._target
        return [packet]


class _EncodedTrack:
    """A track that the container cannot hold: as uncompressed samples, or in a codec of its own."""

    def __init__(self, stream: AudioStream, output: OutputContainer) -> None:
        context = stream.codec_context
        bits = 24 if context.format.name in _DEEP_FORMATS else 16
        name, rate = f"pcm_s{bits}le", context.rate
        is_compressed = output.format.name in _COMPRESSED
        if is_compressed:
            name = _COMPRESSED[output.format.name][0]
            rate = 48_000 if name == "libopus" else rate
        log.info(
            "The sound is stored as %s: %s cannot hold %s.",
            name.removeprefix("lib") if is_compressed else f"{bits}-bit PCM",
            output.format.name,
            context.name,
        )
        self._target = cast(
            "AudioStream", output.add_stream(name, rate=rate, layout=context.layout.name)
        )
        self._target.metadata.update(stream.metadata)
        encoder = self._target.codec_context
        if is_compressed:
            encoder.bit_rate = _COMPRESSED[output.format.name][1] * context.layout.nb_channels
        encoder.open()
        self._resampler = AudioResampler(
            format=encoder.format,
            layout=context.layout.name,
            rate=rate,
            frame_size=encoder.frame_size if is_compressed else None,
        )
        self._start: Fraction | None = None
        self._samples = 0

    def packets(self, packet: Packet[Any], delay: Fraction) -> list[Packet[Any]]:
        is_last = packet.dts is None and packet.pts is None
        decoded = cast("list[AudioFrame | None]", list(packet.decode()))
        made: list[Packet[Any]] = []
        for frame in [*decoded, None] if is_last else decoded:
            if self._start is None and frame is not None:
                self._start = _start(frame) + delay
            for samples in self._resampler.resample(frame):
                self._stamp(samples)
                made += self._target.encode(samples)
        return [*made, *self._target.encode(None)] if is_last else made

    def _stamp(self, samples: AudioFrame) -> None:
        """Count samples from the first time stamp: the source's may be rounded to milliseconds."""
        rate = samples.sample_rate
        samples.pts = round((self._start or 0) * rate) + self._samples
        samples.time_base = Fraction(1, rate)
        self._samples += samples.samples


def _start(frame: AudioFrame) -> Fraction:
    if frame.pts is None or frame.time_base is None:
        return Fraction(0)
    return frame.pts * frame.time_base
