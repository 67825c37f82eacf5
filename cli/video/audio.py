"""Sound from one movie into another, packet for packet, in step with the picture."""

from __future__ import annotations

import logging
from collections.abc import Generator
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet

from cli.video.files import decoder_name, open_movie

log = logging.getLogger(__name__)

# FFmpeg lists these as codecs of mov, and refuses them when it writes the header.
_ONLY_IN_MP4 = ("flac", "libopus", "opus", "truehd")
_DEEP_FORMATS = ("s32", "s32p", "s64", "s64p", "dbl", "dblp")


class AudioCopy:
    """The sound of `path` for `output`; opens the file a second time and keeps one packet.

    delay: seconds added to every time, as to the picture.
    """

    def __init__(self, path: Path, output: OutputContainer, delay: Fraction) -> None:
        self._path = path
        self._delay = delay
        self._output = output
        self._container = open_movie(path)
        held = output.supported_codecs
        if output.format.name == "mov":
            held = held.difference(_ONLY_IN_MP4)
        self._tracks: dict[int, _CopiedTrack | _PcmTrack] = {}
        for stream in self._container.streams.audio:
            name = decoder_name(stream)
            if name is None:
                log.warning("A sound track of %s cannot be read; it is left out.", path.name)
            elif name in held:
                self._tracks[stream.index] = _CopiedTrack(stream, output)
            else:
                self._tracks[stream.index] = _PcmTrack(stream, output)
        self._packets = self._read()
        self._next = next(self._packets, None)

    def write_until(self, seconds: Fraction | None) -> None:
        """Write what is heard before `seconds` and was not written yet; None: all the rest."""
        while self._next is not None and (seconds is None or self._time(self._next) <= seconds):
            track = self._tracks[self._next.stream.index]
            for packet in track.packets(self._next, self._delay):
                self._output.mux(packet)
            self._next = next(self._packets, None)

    def close(self) -> None:
        """Close the file that was opened for reading."""
        self._packets.close()
        self._container.close()

    def _read(self) -> Generator[Packet[AudioStream], None, None]:
        streams = tuple(s for s in self._container.streams.audio if s.index in self._tracks)
        if not streams:
            return
        try:
            for packet in self._container.demux(streams):
                if packet.is_corrupt:
                    break
                yield packet
        except av.FFmpegError:
            log.warning("The sound of %s is damaged; it ends early.", self._path.name)

    def _time(self, packet: Packet[AudioStream]) -> Fraction:
        stamp = packet.dts if packet.dts is not None else packet.pts
        return Fraction(-1) if stamp is None else stamp * packet.time_base + self._delay


class _CopiedTrack:
    """A track whose packets are copied as they are."""

    def __init__(self, stream: AudioStream, output: OutputContainer) -> None:
        self._target = output.add_stream_from_template(stream)
        self._target.metadata.update(stream.metadata)

    def packets(self, packet: Packet[AudioStream], delay: Fraction) -> list[Packet[AudioStream]]:
        if packet.dts is None and packet.pts is None:  # the demuxer's sign for "flush"
            return []
        ticks = round(delay / packet.time_base)
        if packet.pts is not None:
            packet.pts += ticks
        if packet.dts is not None:
            packet.dts += ticks
        packet.stream = self._target
        return [packet]


class _PcmTrack:
    """A track that the container cannot hold, decoded to uncompressed samples."""

    def __init__(self, stream: AudioStream, output: OutputContainer) -> None:
        context = stream.codec_context
        bits = 24 if context.format.name in _DEEP_FORMATS else 16
        log.info(
            "The sound is stored as %d-bit PCM: %s cannot hold %s.",
            bits,
            output.format.name,
            context.name,
        )
        self._target = cast(
            "AudioStream",
            output.add_stream(f"pcm_s{bits}le", rate=context.rate, layout=context.layout.name),
        )
        self._target.metadata.update(stream.metadata)
        self._resampler = AudioResampler(
            format="s16" if bits == 16 else "s32", layout=context.layout.name, rate=context.rate
        )
        self._clock: int | None = None

    def packets(self, packet: Packet[AudioStream], delay: Fraction) -> list[Packet[AudioStream]]:
        is_last = packet.dts is None and packet.pts is None
        decoded: list[AudioFrame | None] = list(packet.decode())
        made: list[Packet[AudioStream]] = []
        for frame in [*decoded, None] if is_last else decoded:
            for samples in self._resampler.resample(frame):
                self._stamp(samples, delay)
                made += self._target.encode(samples)
        return [*made, *self._target.encode(None)] if is_last else made

    def _stamp(self, samples: AudioFrame, delay: Fraction) -> None:
        """Count samples from the first time stamp: the source's may be rounded to milliseconds."""
        rate = samples.sample_rate
        if self._clock is None:
            start = Fraction(0)
            if samples.pts is not None and samples.time_base is not None:
                start = samples.pts * samples.time_base
            self._clock = round((start + delay) * rate)
        samples.pts, samples.time_base = self._clock, Fraction(1, rate)
        self._clock += samples.samples
