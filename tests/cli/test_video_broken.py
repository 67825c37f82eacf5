"""Files that are no movies, and movies that are cut or damaged: one sentence each, no surprise."""

from __future__ import annotations

import contextlib
import logging
import os
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from cli.video import VideoSource
from shm_engine.errors import VideoError
from tests.cli.clips import Clip, cut, decode, packet_places

MANY = 25
FASTSTART = {"movflags": "faststart"}
# Frames of about equal size, so that a cut leaves some of them, as in a real movie.
PRORES = Clip(frames=MANY, codec="prores_ks", pixel_format="yuv422p10le", options={})
JPEGS = Clip(frames=MANY, codec="mjpeg", pixel_format="yuvj420p", options={})


def warnings_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]


def count(path: Path, *, keep_partial: bool = False) -> int:
    with VideoSource(path, keep_partial=keep_partial) as source:
        return sum(1 for _ in source)


@pytest.mark.parametrize(
    ("name", "clip"),
    [
        ("clip.mp4", replace(JPEGS, container_options=FASTSTART)),
        ("clip.mov", replace(PRORES, container_options=FASTSTART)),
        ("clip.mkv", replace(JPEGS, container_options={"cluster_time_limit": "100"})),
        ("clip.avi", JPEGS),
    ],
)
def test_a_cut_movie_is_refused_at_once_or_read_to_the_cut(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, clip: Clip
) -> None:
    short = cut(clip.write(tmp_path / name), 0.6)
    with pytest.raises(VideoError, match=r"cut off.*--keep-partial") as caught:
        VideoSource(short).__enter__()
    if name.endswith(("mp4", "mov")):  # these have an index of every frame
        assert caught.value.frame_index is not None
        assert 0 < caught.value.frame_index < MANY
    caplog.clear()
    with VideoSource(short, keep_partial=True) as source:
        indices = [frame.index for frame in source]
    assert indices == list(range(len(indices)))
    assert 0 < len(indices) < MANY
    assert source.broken_after == len(indices)
    assert warnings_in(caplog) == [
        f"{short.name} is cut or damaged; {len(indices)} frames were read."
    ]
    assert caught.value.frame_index in (None, len(indices))


def test_a_movie_cut_before_its_index_says_so(tmp_path: Path) -> None:
    short = cut(Clip(frames=MANY).write(tmp_path / "clip.mp4"), 0.6)
    for keep_partial in (False, True):
        with pytest.raises(VideoError, match="cut off before the part that says how to read it"):
            count(short, keep_partial=keep_partial)


@pytest.mark.parametrize(
    ("name", "clip"),
    [
        ("vfr.mp4", Clip(time_base=Fraction(1, 90000), pts=[i * i * 500 for i in range(12)])),
        ("vfr.mkv", Clip(time_base=Fraction(1, 1000), pts=[i * i * 50 for i in range(12)])),
        ("b_frames_and_edit_list.mp4", Clip(options={"bf": "3"})),
        ("late.mov", Clip(time_base=Fraction(1, 600), pts=[600 + 24 * i for i in range(12)])),
        ("live.mkv", Clip(container_options={"live": "1"})),
        ("web.webm", Clip(codec="libvpx", options={"deadline": "realtime"})),
        ("sound_is_longer.mkv", Clip(audio="libopus", audio_start_seconds=Fraction(1, 2))),
        ("pieces.mp4", Clip(container_options={"movflags": "frag_keyframe+empty_moov"})),
        ("clip.avi", Clip(codec="mjpeg", pixel_format="yuvj420p", options={})),
        ("clip.ts", Clip()),
    ],
)
def test_a_good_movie_raises_no_alarm(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, clip: Clip
) -> None:
    with VideoSource(clip.write(tmp_path / name)) as source:
        assert sum(1 for _ in source) == 12
    assert source.broken_after is None
    assert not warnings_in(caplog)


def test_bytes_after_the_movie_are_no_damage(tmp_path: Path) -> None:
    path = Clip().write(tmp_path / "clip.mp4")
    path.write_bytes(path.read_bytes() + b"\xff\xff\xff\xff a note by some tool")
    assert count(path) == 12


def test_damage_in_the_middle_ends_the_movie_there(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = PRORES.write(tmp_path / "clip.mov")
    position, size = packet_places(path)[7]
    data = bytearray(path.read_bytes())
    data[position : position + size] = bytes(size)
    path.write_bytes(data)
    with pytest.raises(VideoError, match=r"damaged at frame \d+.*--keep-partial") as caught:
        count(path)
    assert isinstance(caught.value.__cause__, av.FFmpegError)
    assert caught.value.path == path
    caplog.clear()
    with VideoSource(path, keep_partial=True) as source:
        read = sum(1 for _ in source)
    assert read == source.broken_after == caught.value.frame_index == 7
    assert "7 frames were read" in caplog.text


def test_damage_that_the_decoder_hides_costs_no_frame(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    generator = np.random.default_rng(0)
    clip = Clip(frames=2, rgb=generator.random((48, 64, 3)), options={"crf": "20"})
    path = clip.write(tmp_path / "clip.mp4")
    whole, (position, size) = path.read_bytes(), packet_places(path)[0]
    for _ in range(20):  # whether damage is hidden, refused or not seen is up to the decoder
        data = bytearray(whole)
        data[position + size // 2 : position + size - 4] = generator.bytes(size - size // 2 - 4)
        path.write_bytes(data)
        with contextlib.suppress(av.FFmpegError):
            if decode(path)[0].is_corrupt:
                break
    else:
        pytest.fail("the decoder hid no damage")
    caplog.clear()
    assert count(path) == 2
    # With several threads the decoder may hand a frame out before it has marked it.
    assert warnings_in(caplog) in ([], ["clip.mp4 is damaged near frame 0."])


def test_interlaced_video_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clip = Clip(frames=2, codec="mpeg2video", options={"flags": "+ildct+ilme"})
    assert count(clip.write(tmp_path / "clip.mkv")) == 2
    assert "clip.mkv is interlaced; deinterlace it first for clean edges." in caplog.text


def test_a_picture_size_that_changes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "clip.ts"
    small = Clip(frames=3).write(tmp_path / "small.ts")
    large = Clip(frames=3, width=96).write(tmp_path / "large.ts")
    path.write_bytes(small.read_bytes() + large.read_bytes())
    with pytest.raises(VideoError, match="changes its picture size at frame") as caught:
        count(path)
    assert caught.value.frame_index == 3


def _sound_only(path: Path) -> None:
    with av.open(str(path), "w") as output:
        stream = output.add_stream("pcm_s16le", rate=48000)
        samples = av.AudioFrame(format="s16", layout="stereo", samples=4800)
        samples.sample_rate = 48000
        output.mux(stream.encode(samples))


def _no_frames(path: Path) -> None:
    whole = Clip(frames=1).write(path).read_bytes()
    # The whole structure, and nothing that could be decoded in it.
    start = whole.index(b"mdat") + 4
    end = whole.index(b"moov") - 4
    path.write_bytes(whole[:start] + bytes(end - start) + whole[end:])


@pytest.mark.parametrize(
    ("name", "make", "sentence"),
    [
        ("missing.mp4", lambda _: None, "does not exist; check its name and folder"),
        ("folder.mp4", lambda path: path.mkdir(), "is a folder; give the movie file itself"),
        ("empty.mp4", lambda path: path.touch(), "is empty; copy it again"),
        ("noise.mp4", lambda path: path.write_bytes(bytes(range(256)) * 40), "is not a movie"),
        ("notes.txt", lambda path: path.write_text("not a movie\n" * 99), "holds no video"),
        ("sound.wav", _sound_only, "holds sound but no video"),
        ("nothing.mp4", _no_frames, "no frame of .* can be decoded"),
    ],
)
def test_what_is_no_movie_gets_one_sentence(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str, make: Any, sentence: str
) -> None:
    path = tmp_path / name
    make(path)
    with pytest.raises(VideoError, match=sentence) as caught:
        count(path)
    message = str(caught.value)
    assert name in message
    assert "\n" not in message
    assert caught.value.path == path
    assert capfd.readouterr() == ("", "")  # FFmpeg's own messages do not reach the terminal


def test_a_file_without_permission_gets_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Clip(frames=1).write(tmp_path / "clip.mp4")
    path.chmod(0)
    if os.access(path, os.R_OK):  # root reads everything, so the refusal is injected

        def refuse(*_: Any) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(VideoError, match="may not be read") as caught:
        count(path)
    assert isinstance(caught.value.__cause__, PermissionError)
