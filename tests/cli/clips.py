"""Makers of tiny movies whose every frame, colour and time is known; no test in here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

# Largest difference of one sample, with its reason.
#: swscale's 8-bit path from Y'CbCr rounds chroma and luma in 8-bit tables
RGB8 = 3 / 255
#: 10-bit Y'CbCr holds an 8-bit colour to half a level, the conversion adds a rounding
RGB16 = 0.6 / 255
#: ProRes quantises the transform of colour planes; flat 8 x 8 blocks lose at most this, in 1/1023
PRORES_COLOUR = 2 / 1023
#: ProRes stores alpha without loss; it is rounded to 10 bits, and cut to 12 by the decoder
ALPHA = 0.5 / 1023 + 1 / 4095
#: one rounding of a 10-bit sample
TEN_BIT_ROUNDING = 0.75 / 1023

LUMA_WEIGHTS = {1: (0.2126, 0.0722), 5: (0.299, 0.114), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}
LOSSLESS_H264 = {"qp": "0"}


@dataclass(frozen=True, kw_only=True)
class Clip:
    """What a movie is to be; `write` makes it. Frame i is filled with `shade(i)` unless coloured.

    rgb: colour of every frame in [0, 1], or a picture [H, W, 3].
    tags: primaries, transfer, matrix, range; None writes none.
    matrix, full_range: how rgb becomes Y'CbCr, whatever the tags say.
    rotation: counter-clockwise degrees, horizontal flip, vertical flip.
    """

    frames: int = 12
    width: int = 64
    height: int = 48
    codec: str = "libx264"
    pixel_format: str = "yuv420p"
    rate: Fraction = Fraction(25)
    time_base: Fraction | None = None
    pts: Sequence[int] | None = None
    rgb: NDArray[np.float64] | None = None
    matrix: int = 6
    full_range: bool = False
    tags: tuple[int, int, int, int] | None = None
    rotation: tuple[float, bool, bool] | None = None
    pixel_aspect: Fraction | None = None
    audio: str | None = None
    audio_start_seconds: Fraction = Fraction(0)
    options: Mapping[str, str] = field(default_factory=lambda: LOSSLESS_H264)
    container_options: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    timecode: str | None = None

    def write(self, path: Path) -> Path:
        """Make the movie and return its path."""
        with av.open(str(path), "w", options=dict(self.container_options)) as output:
            output.metadata.update(self.metadata)
            video = self._add_video(output)
            sound = None
            if self.audio is not None:
                # FFmpeg calls its own Vorbis encoder experimental.
                strict = {"strict": "experimental"} if self.audio == "vorbis" else {}
                sound = cast(
                    "AudioStream", output.add_stream(self.audio, rate=48000, options=strict)
                )
            for index in range(self.frames):
                output.mux(video.encode(self.picture(index)))
            output.mux(video.encode(None))
            if sound is not None:
                self._write_audio(output, sound)
        return path

    def stamps(self) -> list[Fraction]:
        """The time of every frame in seconds."""
        base = self.time_base or 1 / self.rate
        return [stamp * base for stamp in self.pts or range(self.frames)]

    def picture(self, index: int) -> VideoFrame:
        """Frame `index` as it is given to the encoder."""
        frame = VideoFrame(self.width, self.height, self.pixel_format)
        rgb = np.full(3, shade(index)) if self.rgb is None else self.rgb
        whole = np.broadcast_to(rgb, (self.height, self.width, 3))
        if frame.format.is_rgb:
            planes = whole[..., [1, 2, 0]].transpose(2, 0, 1) * (2 ** _bits(frame) - 1)
        else:
            planes = ycbcr(whole, self.matrix, _bits(frame), self.full_range)
        for plane, samples in enumerate(planes):
            view = plane_view(frame, plane)
            down, across = -(-self.height // view.shape[0]), -(-self.width // view.shape[1])
            view[...] = np.rint(samples[::down, ::across])
        frame.pts = index if self.pts is None else self.pts[index]
        frame.time_base = self.time_base or 1 / self.rate
        return frame

    def _add_video(self, output: OutputContainer) -> VideoStream:
        stream = cast(
            "VideoStream",
            output.add_stream(self.codec, rate=self.rate, options=dict(self.options)),
        )
        stream.width, stream.height, stream.pix_fmt = self.width, self.height, self.pixel_format
        context = stream.codec_context
        context.time_base = self.time_base or 1 / self.rate
        if self.pixel_aspect is not None:
            context.sample_aspect_ratio = self.pixel_aspect
        if self.tags is not None:
            context.color_primaries, context.color_trc = self.tags[0], self.tags[1]
            context.colorspace, context.color_range = self.tags[2], self.tags[3]
        if self.rotation is not None:
            stream.set_display_rotation(*self.rotation)
        if self.timecode is not None:
            stream.metadata["timecode"] = self.timecode
        return stream

    def _write_audio(self, output: OutputContainer, stream: AudioStream) -> None:
        """A tone as long as the picture."""
        seconds = float(self.stamps()[-1] - self.stamps()[0]) + 1 / float(self.rate)
        time = np.arange(int(seconds * 48000)) / 48000
        tone = (np.sin(2 * np.pi * 440 * time) * 12000).astype(np.int16)
        start = round(self.audio_start_seconds * 48000)
        for offset in range(0, len(tone), 960):
            part = tone[offset : offset + 960]
            samples = AudioFrame.from_ndarray(
                np.repeat(part, 2)[None], format="s16", layout="stereo"
            )
            samples.sample_rate = 48000
            samples.pts, samples.time_base = start + offset, Fraction(1, 48000)
            output.mux(stream.encode(samples))
        output.mux(stream.encode(None))


def shade(index: int) -> float:
    """The grey of frame `index`: different for each of 25."""
    return 0.1 + 0.03 * (index % 25)


def ycbcr(rgb: NDArray[Any], matrix: int, bits: int, full_range: bool) -> NDArray[np.float64]:
    """[3, H, W] Y'CbCr of RGB in [0, 1] by the definition (ITU-T H.273), not rounded."""
    red_weight, blue_weight = LUMA_WEIGHTS[matrix]
    red, green, blue = np.moveaxis(np.asarray(rgb, np.float64), -1, 0)
    luma = red_weight * red + (1 - red_weight - blue_weight) * green + blue_weight * blue
    chroma = (blue - luma) / (2 - 2 * blue_weight), (red - luma) / (2 - 2 * red_weight)
    middle = 1 << (bits - 1)
    if full_range:
        largest = (1 << bits) - 1
        return np.stack([luma * largest, *(c * largest + middle for c in chroma)])
    unit = 1 << (bits - 8)
    return np.stack([(16 + 219 * luma) * unit, *(c * 224 * unit + middle for c in chroma)])


def plane_view(frame: VideoFrame, index: int) -> NDArray[Any]:
    """A writable view [H, W] of one plane."""
    plane = frame.planes[index]
    dtype = np.uint8 if _bits(frame) <= 8 else np.uint16
    samples: NDArray[Any] = np.frombuffer(cast("Any", plane), dtype)
    return samples.reshape(plane.height, -1)[:, : plane.width]


def decode(path: Path) -> list[VideoFrame]:
    """Every video frame, decoded by PyAV alone."""
    with av.open(str(path)) as container:
        return list(container.decode(video=0))


def sound_packets(path: Path) -> list[tuple[Fraction, bytes]]:
    """Time and bytes of every packet of the first sound track."""
    with av.open(str(path)) as container:
        return [
            (packet.pts * packet.time_base, bytes(cast("Any", packet)))
            for packet in container.demux(audio=0)
            if packet.pts is not None
        ]


def packet_places(path: Path) -> list[tuple[int, int]]:
    """Position and size in the file of every video packet."""
    with av.open(str(path)) as container:
        # Numbers, not PyAV's index entries: those point into the container's own memory.
        return [
            (packet.pos or 0, packet.size) for packet in container.demux(video=0) if packet.size
        ]


def cut(path: Path, part: float) -> Path:
    """A copy of the file that ends after `part` of its bytes."""
    whole = path.read_bytes()
    short = path.with_name(f"cut_{path.name}")
    short.write_bytes(whole[: int(len(whole) * part)])
    return short


def _bits(frame: VideoFrame) -> int:
    return frame.format.components[0].bits


def with_cover(path: Path, clip: Clip) -> Path:
    """The movie of `clip` with a still cover picture beside it."""
    with av.open(str(path), "w") as output:
        cover = output.add_stream("png", rate=1)
        cover.width, cover.height, cover.pix_fmt = 32, 32, "rgb24"
        cover.disposition = Disposition.attached_pic
        video = clip._add_video(output)
        picture = VideoFrame(32, 32, "rgb24")
        picture.pts = 0
        output.mux(cover.encode(picture))
        for index in range(clip.frames):
            output.mux(video.encode(clip.picture(index)))
        output.mux(video.encode(None))
    return path
