"""One track of sound, encoded anew for a container that cannot hold it; knows no file."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.audio.layout import AudioLayout
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet

from cli.video.tracks import describe_like

log = logging.getLogger(__name__)

# What a container gets in place of sound that it cannot hold, with the bits a second of a channel;
# everything else gets uncompressed samples.
_COMPRESSED = {"webm": ("libopus", 96_000), "mp4": ("aac", 128_000)}
_USUAL_RATE = 48_000
_DEEP_FORMATS = ("s32", "s32p", "s64", "s64p", "dbl", "dblp")
# Those that both encoders take. Rear speakers have two names for one place.
_LAYOUTS = ("mono", "stereo", "3.0", "5.0", "5.1", "7.1")
_REAR = {"SL": "BL", "SR": "BR"}
# Sound that is off by more than this is noticed (ITU-R BT.1359).
_NOTICED = Fraction(45, 1000)
# How far stamps may go back for samples that come twice, and forward for a gap; farther they mean
# nothing.
_REPEATED, _LONGEST_GAP = Fraction(1), Fraction(3600)


class EncodedSound:
    """A track as uncompressed samples, or in a codec that the container has; `delay` seconds later.

    Gaps become silence: samples are counted from the first, since stamps may be rounded.
    """

    def __init__(self, stream: AudioStream, output: OutputContainer, delay: Fraction) -> None:
        self._source = stream
        self._delay = delay
        layout, rate = stream.codec_context.layout, stream.codec_context.rate
        name, bits_per_channel = _COMPRESSED.get(output.format.name, (_pcm(stream), 0))
        if bits_per_channel:
            layout = _layout_for(layout)
            rate = _rate_for(name, rate)
        _check_encoder(name, layout, rate)
        self._target = cast("AudioStream", output.add_stream(name, rate=rate, layout=layout.name))
        describe_like(self._target, stream, output)
        self._encoder = self._target.codec_context
        if bits_per_channel:
            self._encoder.bit_rate = bits_per_channel * layout.nb_channels
        self._encoder.open()
        self._resampler: AudioResampler | None = None
        self._resampled = ("", "", 0)
        self._start: Fraction | None = None
        self._heard = Fraction(0)
        self._samples = 0
        self._is_damaged = False

    @property
    def codec(self) -> str:
        """The codec, as people know it."""
        name = self._encoder.name
        return f"{name[5:7]}-bit PCM" if name.startswith("pcm_s") else name.removeprefix("lib")

    def packets(self, packet: Packet[Any]) -> Iterator[Packet[Any]]:
        """What is ready after one packet more; what cannot be decoded becomes silence."""
        try:
            frames = cast("list[AudioFrame]", packet.decode())
        except av.FFmpegError:
            self._tell_of_damage()
            return
        for frame in frames:
            yield from self._encode(frame)

    def rest(self) -> Iterator[Packet[Any]]:
        """What is left in decoder and encoder."""
        try:
            frames = self._source.codec_context.decode(None)
        except av.FFmpegError:
            frames = []
        for frame in frames:
            yield from self._encode(frame)
        yield from self._feed(None)
        yield from self._target.encode(None)

    def _encode(self, frame: AudioFrame) -> Iterator[Packet[Any]]:
        now = _time_of(frame)
        if self._start is None:
            self._start = self._heard = now or Fraction(0)
        late = Fraction(0) if now is None else now - self._heard
        if -_REPEATED <= late < -_NOTICED:
            return
        if _NOTICED < late <= _LONGEST_GAP:
            for silence in _silence(frame, late):
                yield from self._feed(silence)
        if abs(late) > _NOTICED:
            self._heard += late
        self._heard += Fraction(frame.samples, frame.sample_rate)
        yield from self._feed(frame)

    def _feed(self, frame: AudioFrame | None) -> Iterator[Packet[Any]]:
        """Encode a frame after what was fed before."""
        kind = self._resampled if frame is None else _kind_of(frame)
        if self._resampler is not None and kind != self._resampled:
            yield from self._feed(None)  # broadcasts change between stereo and surround
            self._resampler = None
        if self._resampler is None:
            if frame is None:
                return
            self._resampled, self._resampler = kind, self._new_resampler()
        for samples in self._resampler.resample(frame):
            samples.pts = self._samples + self._first_sample
            samples.time_base = Fraction(1, samples.sample_rate)
            self._samples += samples.samples
            yield from self._target.encode(samples)

    @property
    def _first_sample(self) -> int:
        return round(((self._start or 0) + self._delay) * self._encoder.rate)

    def _new_resampler(self) -> AudioResampler:
        return AudioResampler(
            format=self._encoder.format,
            layout=self._encoder.layout.name,
            rate=self._encoder.rate,
            frame_size=self._encoder.frame_size or None,
        )

    def _tell_of_damage(self) -> None:
        if not self._is_damaged:
            self._is_damaged = True
            log.warning(
                "The sound of %s is damaged; silence stands for what cannot be read.",
                Path(self._source.container.name).name,
            )


def _pcm(stream: AudioStream) -> str:
    is_deep = stream.codec_context.format.name in _DEEP_FORMATS
    return "pcm_s24le" if is_deep else "pcm_s16le"


def _check_encoder(codec: str, layout: AudioLayout, rate: int) -> None:
    """Raise av.FFmpegError if it cannot be opened: a stream, once added, cannot be taken back."""
    encoder = cast("AudioCodecContext", av.CodecContext.create(codec, "w"))
    encoder.layout, encoder.rate = layout, rate
    encoder.format = (encoder.codec.audio_formats or [encoder.format])[0]
    encoder.open()


def _rate_for(codec: str, rate: int) -> int:
    rates = av.Codec(codec, "w").audio_rates or [rate]
    return rate if rate in rates and codec != "libopus" else _USUAL_RATE


def _layout_for(layout: AudioLayout) -> AudioLayout:
    """The smallest usual layout with all the speakers of this one, or at least as many."""
    usual = [AudioLayout(name) for name in _LAYOUTS]
    names = {channel.name for channel in layout.channels}
    wanted = names if names & set(_REAR.values()) else {_REAR.get(name, name) for name in names}
    for candidate in usual:
        if wanted <= {channel.name for channel in candidate.channels}:
            return candidate
    return next((fits for fits in usual if fits.nb_channels >= layout.nb_channels), usual[-1])


def _kind_of(frame: AudioFrame) -> tuple[str, str, int]:
    return frame.format.name, frame.layout.name, frame.sample_rate


def _time_of(frame: AudioFrame) -> Fraction | None:
    if frame.pts is None or frame.time_base is None:
        return None
    return frame.pts * frame.time_base


def _silence(like: AudioFrame, seconds: Fraction) -> Iterator[AudioFrame]:
    """So many seconds of nothing, at most one of them a frame."""
    left = round(seconds * like.sample_rate)
    middle = b"\x80" if like.format.name.startswith("u8") else b"\0"
    planes = like.layout.nb_channels if like.format.is_planar else 1
    while left:
        samples = min(left, like.sample_rate)
        left -= samples
        frame = AudioFrame(like.format.name, like.layout.name, samples)
        frame.sample_rate = like.sample_rate
        # By number: PyAV counts one plane too many where there are eight.
        for plane in range(planes):
            frame.planes[plane].update(middle * frame.planes[plane].buffer_size)
        yield frame
