"""The sound beside the picture: the same bytes at the same time, or samples where it must be."""

from __future__ import annotations

import logging
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray

from cli.formats.delivery import Delivery
from cli.video import SinkOptions, VideoSink, VideoSource
from shm_engine.passes import PASSES
from shm_engine.types import Matte
from tests.cli.clips import Clip, decode, sound_packets

FEW = 12
# mov counts sound in samples; Matroska rounds every time to a millisecond.
ONE_MILLISECOND = Fraction(1, 1000)
# Rounding to 16 bits.
ONE_STEP = 1 / 32768


def convert(path: Path) -> Path:
    target = path.with_name("out.mov")
    with (
        VideoSource(path) as source,
        VideoSink(
            target,
            source.info,
            Delivery().profile_for(target, needs_alpha=True),
            output_pass=PASSES["rgba"],
            options=SinkOptions(streams_from=path),
        ) as sink,
    ):
        for frame in source:
            sink.write(Matte(frame=frame, alpha=torch.ones(1, *frame.size)))
    return target


def heard(path: Path) -> tuple[Fraction, NDArray[np.float64]]:
    """When the sound begins, and its samples [channels, n] in [-1, 1]."""
    resampler = AudioResampler(format="fltp")
    with av.open(str(path)) as container:
        decoded = list(container.decode(audio=0))
    first = decoded[0]
    assert first.pts is not None
    assert first.time_base is not None
    parts = [part.to_ndarray() for frame in decoded for part in resampler.resample(frame)]
    return first.pts * first.time_base, np.concatenate(parts, axis=1).astype(np.float64)


def first_picture(path: Path) -> Fraction:
    frame = decode(path)[0]
    assert frame.pts is not None
    assert frame.time_base is not None
    return frame.pts * frame.time_base


@pytest.mark.parametrize(
    ("name", "clip"),
    [
        ("aac.mp4", Clip(frames=FEW, audio="aac")),
        ("late_sound.mp4", Clip(frames=FEW, audio="aac", audio_start_seconds=Fraction(1, 5))),
        (
            "late_picture.mp4",
            Clip(
                frames=FEW,
                audio="aac",
                time_base=Fraction(1, 12800),
                pts=[2560 + 512 * index for index in range(FEW)],
            ),
        ),
        ("pcm.mov", Clip(frames=FEW, audio="pcm_s16le")),
        ("ac3.mkv", Clip(frames=FEW, audio="ac3")),
        ("mp3.mkv", Clip(frames=FEW, audio="libmp3lame")),
        ("transport.ts", Clip(frames=FEW, audio="ac3")),
    ],
)
def test_sound_is_copied_packet_for_packet_and_stays_in_step(
    tmp_path: Path, name: str, clip: Clip
) -> None:
    source = clip.write(tmp_path / name)
    target = convert(source)
    before, after = sound_packets(source), sound_packets(target)
    assert b"".join(data for _, data in after) == b"".join(data for _, data in before)
    lead_before = before[0][0] - first_picture(source)
    lead_after = after[0][0] - first_picture(target)
    assert abs(lead_after - lead_before) <= ONE_MILLISECOND


@pytest.mark.parametrize("audio", ["libopus", "vorbis", "flac"])
def test_sound_that_mov_cannot_hold_becomes_samples(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, audio: str
) -> None:
    caplog.set_level(logging.INFO, logger="cli.video")
    clip = Clip(frames=FEW, codec="libvpx", audio=audio, options={"deadline": "realtime"})
    source = clip.write(tmp_path / ("clip.mkv" if audio == "flac" else "clip.webm"))
    target = convert(source)
    assert "The sound is stored as 16-bit PCM" in caplog.text
    start_before, before = heard(source)
    start_after, after = heard(target)
    lead_before = start_before - first_picture(source)
    lead_after = start_after - first_picture(target)
    assert abs(lead_after - lead_before) <= ONE_MILLISECOND
    assert after.shape == before.shape
    np.testing.assert_allclose(after, before, atol=ONE_STEP)


def test_a_movie_without_sound_gives_one_without(tmp_path: Path) -> None:
    target = convert(Clip(frames=2).write(tmp_path / "clip.mp4"))
    with av.open(str(target)) as container:
        assert not container.streams.audio


def test_sound_and_picture_are_interleaved(tmp_path: Path) -> None:
    target = convert(Clip(frames=25, audio="pcm_s16le").write(tmp_path / "clip.mov"))
    with av.open(str(target)) as container:
        kinds = [packet.stream.type for packet in container.demux() if packet.size]
    middle = kinds.index("audio", len(kinds) // 2)
    assert "video" in kinds[middle:]


def test_every_sound_track_is_kept(tmp_path: Path) -> None:
    single = Clip(frames=FEW, audio="aac").write(tmp_path / "single.mp4")
    double = tmp_path / "double.mp4"
    with av.open(str(single)) as source, av.open(str(double), "w") as output:
        streams = source.streams.video[0], source.streams.audio[0]
        video = output.add_stream_from_template(streams[0])
        tracks = [output.add_stream_from_template(streams[1]) for _ in range(2)]
        for packet in source.demux(*streams):
            if packet.dts is None:
                continue
            if packet.stream.type == "video":
                packet.stream = video
                output.mux(packet)
                continue
            for track in tracks:
                packet.stream = track
                output.mux(packet)
    with av.open(str(convert(double))) as container:
        assert len(container.streams.audio) == 2
