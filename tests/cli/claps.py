"""Movies in which a white picture and a click in the sound fall on one moment, and where a player
shows and plays both; no test in here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

WIDTH, HEIGHT = 32, 32
_PART = 960
_CLICK_SECONDS, _CLICK_HERTZ = 0.004, 2000
_WHITE, _GREY, _NO_COLOUR = 235, 40, 128


@dataclass(frozen=True, kw_only=True)
class Clap:
    """A movie with a clap; `write` makes it.

    audio, rate, layout, audio_options: of its sound, which begins at `audio_start`.
    pts, time_base: of its pictures; without, they follow one another from `picture_start`.
    clap: which picture is white.
    pauses: from when to when (seconds of the movie) sound is missing from the file.
    """

    frames: int = 25
    clap: int = 15
    rate: Fraction = Fraction(25)
    time_base: Fraction | None = None
    pts: Sequence[int] | None = None
    picture_start: Fraction = Fraction(0)
    audio: str = "aac"
    audio_rate: int = 48000
    layout: str = "stereo"
    audio_start: Fraction = Fraction(0)
    pauses: Sequence[tuple[Fraction, Fraction]] = ()
    codec: str = "libx264"
    container_options: Mapping[str, str] = field(default_factory=dict)

    def write(self, path: Path) -> Path:
        """Make the movie and return its path."""
        with av.open(str(path), "w", options=dict(self.container_options)) as output:
            picture = self._add_picture(output)
            # FFmpeg calls its own Vorbis encoder experimental.
            strict = {"strict": "experimental"} if self.audio == "vorbis" else {}
            sound = cast(
                "AudioStream",
                output.add_stream(
                    self.audio, rate=self.audio_rate, layout=self.layout, options=strict
                ),
            )
            parts = list(self._sound())
            for index, moment in enumerate(self.moments()):
                output.mux(picture.encode(self._picture(index)))
                # In step, so that even a format without an index is read in order.
                while parts and cast("int", parts[0].pts) <= (moment + 1) * self.audio_rate:
                    output.mux(sound.encode(parts.pop(0)))
            for part in parts:
                output.mux(sound.encode(part))
            output.mux(picture.encode(None))
            output.mux(sound.encode(None))
        return path

    def moments(self) -> list[Fraction]:
        """When each picture is due."""
        base = self.time_base or 1 / self.rate
        if self.pts is not None:
            return [stamp * base for stamp in self.pts]
        return [self.picture_start + index / self.rate for index in range(self.frames)]

    def _add_picture(self, output: OutputContainer) -> VideoStream:
        options = {"qp": "0"} if self.codec == "libx264" else {"deadline": "realtime"}
        stream = cast("VideoStream", output.add_stream(self.codec, rate=self.rate, options=options))
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.time_base = self.time_base or 1 / self.rate
        return stream

    def _picture(self, index: int) -> VideoFrame:
        frame = VideoFrame(WIDTH, HEIGHT, "yuv420p")
        shades = (_WHITE if index == self.clap else _GREY, _NO_COLOUR, _NO_COLOUR)
        for plane, shade in zip(frame.planes, shades, strict=True):
            plane.update(bytes([shade]) * plane.buffer_size)
        frame.time_base = self.time_base or 1 / self.rate
        frame.pts = round(self.moments()[index] / frame.time_base)
        return frame

    def _sound(self) -> Iterator[AudioFrame]:
        moments = self.moments()
        seconds = moments[-1] + 1 / self.rate - self.audio_start
        samples = np.zeros(int(seconds * self.audio_rate))
        click = _click(self.audio_rate)
        middle = round((moments[self.clap] - self.audio_start) * self.audio_rate)
        first = middle - len(click) // 2
        samples[first : first + len(click)] = click
        channels = av.AudioLayout(self.layout).nb_channels
        start = round(self.audio_start * self.audio_rate)
        for offset in range(0, len(samples), _PART):
            part = (samples[offset : offset + _PART] * 20000).astype(np.int16)
            now = self.audio_start + Fraction(offset, self.audio_rate)
            if any(begin <= now < end for begin, end in self.pauses):
                continue
            frame = AudioFrame.from_ndarray(
                np.repeat(part, channels)[None], format="s16", layout=self.layout
            )
            frame.sample_rate = self.audio_rate
            frame.pts, frame.time_base = start + offset, Fraction(1, self.audio_rate)
            yield frame


@dataclass(frozen=True, kw_only=True)
class Witnessed:
    """What somebody sees and hears: when, in seconds.

    white, click: the two halves of the clap.
    picture_start: when the first picture is shown.
    sound_start, sound_end: when sound is played.
    codec, layout, rate: of the sound.
    """

    white: Fraction
    click: Fraction
    picture_start: Fraction
    sound_start: Fraction
    sound_end: Fraction
    codec: str
    layout: str
    rate: int

    @property
    def offset(self) -> Fraction:
        """How much later the click is than the picture."""
        return self.click - self.white


def witness(path: Path, track: int = 0) -> Witnessed:
    """Play the movie: decoders skip what a file says is to be skipped."""
    shown: list[tuple[float, Fraction]] = []
    with av.open(str(path)) as container:
        shown.extend((_brightness(frame), _time(frame)) for frame in container.decode(video=0))
    with av.open(str(path)) as container:
        stream = container.streams.audio[track]
        frames = list(container.decode(stream))
        codec = stream.codec_context.name
    # Packed: PyAV counts one plane too many where there are eight.
    resampler = AudioResampler(format="flt")
    loud: list[tuple[Fraction, NDArray[np.float64]]] = []
    for frame in frames:
        now = _time(frame)
        for part in resampler.resample(frame):
            samples = part.to_ndarray().reshape(part.samples, -1).astype(np.float64)
            loud.append((now, (samples**2).max(axis=1)))
    rate = frames[0].sample_rate
    return Witnessed(
        white=max(shown)[1],
        click=_centre(loud, rate),
        picture_start=shown[0][1],
        sound_start=_time(frames[0]),
        sound_end=_time(frames[-1]) + Fraction(frames[-1].samples, rate),
        codec=codec,
        layout=frames[0].layout.name,
        rate=rate,
    )


def _click(rate: int) -> NDArray[np.float64]:
    count = int(rate * _CLICK_SECONDS)
    wave: NDArray[np.float64] = np.sin(2 * np.pi * _CLICK_HERTZ * np.arange(count) / rate)
    return wave * np.hanning(count)


def _centre(loud: list[tuple[Fraction, NDArray[np.float64]]], rate: int) -> Fraction:
    """The centre of mass of what is heard."""
    total = sum(float(energy.sum()) for _, energy in loud)
    moment = sum(
        float((energy * (float(begin) + np.arange(len(energy)) / rate)).sum())
        for begin, energy in loud
    )
    return Fraction(moment / total)


def _brightness(frame: VideoFrame) -> float:
    bytes_a_sample = 1 if frame.format.components[0].bits <= 8 else 2
    plane: Any = frame.planes[0]
    samples = np.frombuffer(plane, np.uint8 if bytes_a_sample == 1 else np.uint16)
    return float(samples.reshape(plane.height, -1)[:, : plane.width].mean())


def _time(frame: VideoFrame | AudioFrame) -> Fraction:
    assert frame.pts is not None
    assert frame.time_base is not None
    return frame.pts * frame.time_base
