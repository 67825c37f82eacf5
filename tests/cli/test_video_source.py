"""Reading movies: every frame, its exact time and its colour, whatever the container says."""

from __future__ import annotations

import gc
import logging
import weakref
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from av.video.frame import VideoFrame

from cli.video import VideoSource
from cli.video.reading import RgbReader
from shm_engine.compositing import as_unit
from shm_engine.stream import prefetch
from shm_engine.types import Frame
from tests.cli.clips import RGB8, RGB16, Clip, cut, plane_view, shade, with_cover

FEW = 8
UNEVEN = (0, 1000, 5000, 5100, 9000, 20000, 20001, 30000)
COLOUR = np.array([200, 40, 90]) / 255


def read(path: Path) -> list[Frame]:
    with VideoSource(path) as source:
        return list(source)


def seconds(frames: list[Frame]) -> list[Fraction]:
    return [frame.pts * frame.time_base for frame in frames]


@pytest.mark.parametrize(
    ("name", "clip"),
    [
        ("constant.mp4", Clip(frames=FEW)),
        ("ntsc.mp4", Clip(frames=FEW, rate=Fraction(30000, 1001))),
        ("variable.mp4", Clip(frames=FEW, time_base=Fraction(1, 90000), pts=UNEVEN)),
        (
            "late.mp4",
            Clip(frames=FEW, time_base=Fraction(1, 90000), pts=[9000 + 3600 * i for i in range(8)]),
        ),
        (
            "late.mkv",
            Clip(frames=FEW, time_base=Fraction(1, 1000), pts=[100 + 40 * i for i in range(8)]),
        ),
        ("b_frames.mp4", Clip(frames=FEW, options={"qp": "0", "bf": "3", "b_strategy": "0"})),
        ("transport.ts", Clip(frames=FEW, options={"qp": "0", "bf": "0"})),
        ("odd.mkv", Clip(frames=FEW, width=63, height=47, codec="ffv1", options={})),
        ("web.webm", Clip(frames=FEW, codec="libvpx", options={"deadline": "realtime"})),
    ],
)
def test_every_frame_arrives_in_order_at_its_exact_time(
    tmp_path: Path, name: str, clip: Clip
) -> None:
    frames = read(clip.write(tmp_path / name))
    assert [frame.index for frame in frames] == list(range(FEW))
    # A transport stream begins at a time of its own choice; milliseconds are all that mkv keeps.
    start = seconds(frames)[0] - clip.stamps()[0] if name.endswith(".ts") else 0
    assert [time - start for time in seconds(frames)] == clip.stamps()
    for frame in frames:
        assert frame.image.shape == (3, clip.height, clip.width)
        middle = as_unit(frame.image)[:, 20, 30]
        # VP8 is the only lossy one; a level of its quantiser is far below the step of the shades.
        tolerance = RGB8 if clip.codec != "libvpx" else 0.014
        assert middle.tolist() == pytest.approx([shade(frame.index)] * 3, abs=tolerance)


def test_the_movie_is_described_before_its_frames_flow(tmp_path: Path) -> None:
    clip = Clip(frames=FEW, pixel_aspect=Fraction(4, 3), audio="aac", tags=(1, 1, 1, 1))
    path = clip.write(tmp_path / "clip.mp4")
    with VideoSource(path) as source:
        info = source.info
    assert (info.path, info.width, info.height) == (path, 64, 48)
    assert (info.frame_rate, info.frame_count, info.bit_depth) == (Fraction(25), FEW, 8)
    assert (info.pixel_aspect, info.start_seconds) == (Fraction(4, 3), Fraction(0))
    assert info.has_audio
    assert (info.tags, info.tags_read) == (info.tags_read, info.tags)


def test_a_matroska_without_a_frame_count_still_gives_an_estimate(tmp_path: Path) -> None:
    with VideoSource(Clip(frames=FEW).write(tmp_path / "clip.mkv")) as source:
        assert source.info.frame_count == FEW


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_a_turned_picture_stands_upright(tmp_path: Path, degrees: int, mirrored: bool) -> None:
    stored = np.zeros((48, 64, 3))
    stored[:24, :32] = 1, 0, 0
    stored[:24, 32:] = 0, 1, 0
    stored[24:, 32:] = 0, 0, 1
    clip = Clip(frames=2, rgb=stored, rotation=(degrees, mirrored, False))
    with VideoSource(clip.write(tmp_path / "clip.mp4")) as source:
        upright = next(iter(source)).image
        size = source.info.display_height, source.info.display_width
    expected = np.rot90(stored, degrees // 90)
    expected = expected[:, ::-1] if mirrored else expected
    assert tuple(upright.shape[1:]) == expected.shape[:2] == size
    # Away from the borders, where chroma of half the size mixes the colours.
    middles = as_unit(upright)[:, 8::16, 8::16].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(middles, expected[8::16, 8::16], atol=RGB8)


def test_a_quarter_turn_turns_the_pixel_aspect_too(tmp_path: Path) -> None:
    clip = Clip(frames=2, pixel_aspect=Fraction(4, 3), rotation=(90, False, False))
    with VideoSource(clip.write(tmp_path / "clip.mp4")) as source:
        assert source.info.pixel_aspect == Fraction(4, 3)
        assert next(iter(source)).pixel_aspect == Fraction(3, 4)


@pytest.mark.parametrize(
    ("tags", "height", "matrix", "full_range"),
    [
        ((6, 6, 6, 1), 48, 6, False),
        ((1, 1, 1, 1), 48, 1, False),
        ((1, 1, 1, 2), 48, 1, True),
        ((9, 14, 9, 1), 48, 9, False),
        (None, 48, 6, False),
        (None, 720, 1, False),
    ],
)
def test_a_known_colour_comes_out_right(
    tmp_path: Path,
    tags: tuple[int, int, int, int] | None,
    height: int,
    matrix: int,
    full_range: bool,
) -> None:
    clip = Clip(
        frames=1, height=height, rgb=COLOUR, tags=tags, matrix=matrix, full_range=full_range
    )
    (frame,) = read(clip.write(tmp_path / "clip.mp4"))
    assert frame.image.dtype == torch.uint8
    assert as_unit(frame.image)[:, 20, 30].tolist() == pytest.approx(COLOUR, abs=RGB8)


@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize("pixel_format", ["yuv444p10le", "yuv420p10le", "yuv444p12le"])
def test_more_than_eight_bits_become_sixteen(
    tmp_path: Path, pixel_format: str, full_range: bool
) -> None:
    for rgb in (COLOUR, np.ones(3), np.zeros(3)):
        clip = Clip(
            frames=1, rgb=rgb, codec="ffv1", options={}, pixel_format=pixel_format, matrix=1,
            full_range=full_range, tags=(1, 1, 1, 2 if full_range else 1),
        )  # fmt: skip
        (frame,) = read(clip.write(tmp_path / "clip.mkv"))
        assert frame.image.dtype == torch.uint16
        assert as_unit(frame.image)[:, 20, 30].tolist() == pytest.approx(rgb, abs=RGB16)


@pytest.mark.parametrize(
    ("codec", "pixel_format", "dtype", "bits"),
    [
        ("utvideo", "gbrp", torch.uint8, 8),
        ("ffv1", "gbrp10le", torch.uint16, 10),
        ("ffv1", "gbrp12le", torch.uint16, 12),
        ("ffv1", "gbrp16le", torch.uint16, 16),
    ],
)
def test_an_rgb_movie_needs_no_matrix(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    codec: str,
    pixel_format: str,
    dtype: torch.dtype,
    bits: int,
) -> None:
    caplog.set_level(logging.INFO, logger="cli.video")
    largest = (1 << bits) - 1
    colour = np.rint(np.array([0.985, 0.2, 0.4]) * largest) / largest
    clip = Clip(frames=1, rgb=colour, codec=codec, options={}, pixel_format=pixel_format)
    (frame,) = read(clip.write(tmp_path / "clip.avi"))
    assert frame.image.dtype == dtype
    one = 1.01 / 65535  # the top bits are repeated below: nearly the quotient
    assert as_unit(frame.image)[:, 20, 30].tolist() == pytest.approx(colour, abs=one)
    assert not caplog.records


def test_an_assumed_colour_is_logged_in_one_sentence(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="cli.video")
    path = Clip(frames=1).write(tmp_path / "clip.mp4")
    read(path)
    assert [record.getMessage() for record in caplog.records] == [
        "clip.mp4 does not say how its colours are coded; BT.601 is assumed."
    ]


def test_the_native_frame_is_what_was_decoded(tmp_path: Path) -> None:
    (frame,) = read(Clip(frames=1, rotation=(90, False, False)).write(tmp_path / "clip.mp4"))
    native = frame.native
    assert (native.width, native.height, native.format.name) == (64, 48, "yuv420p")
    assert frame.size == (64, 48)


@pytest.mark.long
def test_memory_does_not_grow_with_the_movie(tmp_path: Path) -> None:
    path = Clip(frames=FEW).write(tmp_path / "clip.mp4")
    alive: weakref.WeakSet[torch.Tensor] = weakref.WeakSet()
    most = 0
    with VideoSource(path) as source:
        for frame in source:
            alive.add(frame.image)
            del frame
            gc.collect()
            most = max(most, len(alive))
    assert most <= 1


def test_leaving_early_while_a_thread_still_reads_is_safe(tmp_path: Path) -> None:
    path = Clip(frames=25).write(tmp_path / "clip.mp4")
    with VideoSource(path) as source:
        ahead = prefetch(iter(source))
        assert next(ahead).index == 0
    # The container is closed now; the thread finds the end instead of a freed decoder.
    assert len(list(ahead)) < 25


def test_a_missing_time_follows_the_last_one(tmp_path: Path) -> None:
    path = tmp_path / "raw.h264"  # an elementary stream has no times at all
    Clip(frames=FEW, options={"qp": "0", "bf": "0"}).write(path)
    frames = read(path)
    assert len(frames) == FEW
    steps = {
        late - early for early, late in zip(seconds(frames), seconds(frames)[1:], strict=False)
    }
    assert steps == {Fraction(1, 25)}


def test_a_cover_picture_is_not_the_movie(tmp_path: Path) -> None:
    path = with_cover(tmp_path / "clip.mp4", Clip(frames=FEW))
    frames = read(path)
    assert len(frames) == FEW
    assert frames[0].size == (48, 64)


@pytest.mark.parametrize("start", [0, 1, 5, FEW - 1, FEW, FEW + 5])
def test_frames_before_the_start_are_left_out_and_change_nothing(
    tmp_path: Path, start: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = Clip(
        frames=FEW,
        time_base=Fraction(1, 90000),
        pts=UNEVEN,
        options={"qp": "0", "bf": "3", "b_strategy": "0"},
    )
    path = clip.write(tmp_path / "clip.mp4")
    whole = read(path)
    converted = 0
    convert = RgbReader.image

    def counted(reader: RgbReader, native: VideoFrame) -> torch.Tensor:
        nonlocal converted
        converted += 1
        return convert(reader, native)

    monkeypatch.setattr(RgbReader, "image", counted)
    with VideoSource(path, start_frame=start) as source:
        assert source.info.frame_count == FEW
        rest = list(source)
    assert converted == len(rest) == max(0, FEW - start)
    for one, other in zip(rest, whole[start:], strict=True):
        assert (one.index, one.pts, one.time_base) == (other.index, other.pts, other.time_base)
        assert torch.equal(one.image, other.image)


def test_a_start_beyond_damage_still_counts_from_the_beginning(tmp_path: Path) -> None:
    short = cut(Clip(frames=FEW, codec="ffv1", options={}).write(tmp_path / "clip.mkv"), 0.7)
    with VideoSource(short, keep_partial=True) as source:
        count = len(list(source))
    assert 2 < count < FEW
    with VideoSource(short, keep_partial=True, start_frame=2) as source:
        assert [frame.index for frame in source] == list(range(2, count))
        assert source.broken_after == count


@pytest.mark.parametrize(
    ("pixel_format", "bits"), [("gray", 8), ("gray10le", 10), ("gray16le", 16)]
)
def test_grey_without_a_word_on_its_range_has_all_of_it(
    tmp_path: Path, pixel_format: str, bits: int
) -> None:
    path = tmp_path / "grey.mkv"
    levels = np.linspace(0, 1, 64 * 48).reshape(48, 64)
    with av.open(str(path), "w") as output:
        stream = output.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, pixel_format
        picture = VideoFrame(64, 48, pixel_format)
        plane_view(picture, 0)[...] = np.rint(levels * ((1 << bits) - 1))
        picture.pts = 0
        output.mux(stream.encode(picture))
        output.mux(stream.encode(None))
    (frame,) = read(path)
    found = as_unit(frame.image).numpy()
    np.testing.assert_allclose(found, np.stack([levels] * 3), atol=0.51 / ((1 << bits) - 1) + 2e-5)
