"""Writing movies: what comes back is what was given; times, alpha, colour and the rest."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from cli.video import VideoInfo, VideoSource
from shm_engine.compositing import as_unit, from_unit
from shm_engine.passes import PASSES, composite_over
from shm_engine.types import Foreground, Frame, Matte
from tests.cli.clips import (
    ALPHA,
    PRORES_COLOUR,
    RGB8,
    TEN_BIT_ROUNDING,
    Clip,
    decode,
    plane_view,
    shade,
    ycbcr,
)
from tests.cli.mattes import convert, sink_for, slope

FEW = 6
UNEVEN = (0, 1000, 5000, 5100, 9000, 20000)
COLOUR = np.array([200, 40, 90]) / 255


def times(frames: list[VideoFrame]) -> list[Fraction]:
    stamps = [(frame.pts, frame.time_base) for frame in frames]
    return [pts * base for pts, base in stamps if pts is not None and base is not None]


def plane(frame: VideoFrame, index: int) -> NDArray[np.float64]:
    """A plane in units of a 10-bit sample; ProRes decodes to 12 bits."""
    return plane_view(frame, index) / 4


def alpha_of(frame: VideoFrame) -> NDArray[np.float64]:
    return plane_view(frame, 3) / 4095


@pytest.mark.parametrize(
    "clip",
    [
        Clip(frames=FEW),
        Clip(frames=FEW, rate=Fraction(30000, 1001)),
        Clip(frames=FEW, rate=Fraction(30000, 1001), time_base=Fraction(1001, 30000)),
        Clip(frames=FEW, time_base=Fraction(1, 90000), pts=UNEVEN),
        Clip(
            frames=FEW,
            time_base=Fraction(1, 90000),
            pts=[9007 + p for p in UNEVEN],
            container_options={"movie_timescale": "90000"},
        ),
        Clip(frames=FEW, options={"qp": "0", "bf": "3", "b_strategy": "0"}),
    ],
)
def test_every_frame_and_time_survives(tmp_path: Path, clip: Clip) -> None:
    written = decode(convert(clip, tmp_path))
    assert times(written) == clip.stamps()
    for index, frame in enumerate(written):
        expected = ycbcr(np.full((1, 1, 3), shade(index)), 6, 10, full_range=False)[0, 0, 0]
        # The source holds the shade in 8 bits, half a level of them is two of ten.
        assert plane(frame, 0)[20, 30] == pytest.approx(expected, abs=2 + PRORES_COLOUR * 1023)


def test_the_last_frame_is_shown_as_long_as_in_the_source(tmp_path: Path) -> None:
    clip = Clip(frames=FEW, time_base=Fraction(1, 90000), pts=UNEVEN)
    written = convert(clip, tmp_path)
    last_in, last_out = decode(tmp_path / "in.mp4")[-1], decode(written)[-1]
    assert (last_out.time_base, last_out.duration) == (last_in.time_base, last_in.duration)


def test_times_before_zero_are_moved_not_cut(tmp_path: Path) -> None:
    early = VideoInfo(width=64, height=48, time_base=Fraction(1, 90000), start_pts=-7200)
    target = tmp_path / "out.mov"
    with sink_for(target, early) as sink:
        for index in range(FEW):
            image = torch.full((3, 48, 64), 100, dtype=torch.uint8)
            sink.write(
                slope(
                    Frame(
                        image=image,
                        index=index,
                        pts=-7200 + 3600 * index,
                        time_base=early.time_base,
                    )
                )
            )
    assert times(decode(target)) == [Fraction(index, 25) for index in range(FEW)]


@pytest.mark.parametrize(
    ("clip", "name"),
    [
        (Clip(frames=2), "in.mp4"),
        (Clip(frames=2, width=63, height=47, codec="ffv1", options={}), "in.mkv"),
        (Clip(frames=2, rotation=(90, False, False)), "in.mp4"),
        (Clip(frames=2, rotation=(180, False, False)), "in.mp4"),
        (Clip(frames=2, rotation=(270, True, False)), "in.mp4"),
        (Clip(frames=2, pixel_format="yuv422p10le", codec="prores_ks", options={}), "in.mov"),
        (
            Clip(
                frames=2, pixel_format="yuva444p10le", codec="ffv1", options={}, tags=(1, 1, 1, 1)
            ),
            "in.mkv",
        ),
    ],
)
def test_alpha_survives_exactly(tmp_path: Path, clip: Clip, name: str) -> None:
    target = convert(clip, tmp_path, name=name)
    with VideoSource(target) as source:
        for frame in source:
            upright = source.info.orientation.upright(alpha_of(frame.native))
            np.testing.assert_allclose(upright, slope(frame).alpha[0].numpy(), atol=ALPHA)
            assert upright.min() == 0
            assert upright.max() == 1


def test_size_turn_and_pixel_aspect_are_kept(tmp_path: Path) -> None:
    clip = Clip(frames=2, rotation=(90, True, False), pixel_aspect=Fraction(4, 3))
    target = convert(clip, tmp_path)
    with VideoSource(tmp_path / "in.mp4") as before, VideoSource(target) as after:
        assert (after.info.width, after.info.height) == (64, 48)
        assert after.info.orientation == before.info.orientation
        assert after.info.pixel_aspect == Fraction(4, 3)


@pytest.mark.parametrize(
    ("tags", "matrix", "full_range", "written_tags"),
    [
        (None, 6, False, (6, 1, 6, 1)),
        ((6, 6, 6, 1), 6, False, (6, 1, 6, 1)),
        ((5, 1, 5, 1), 5, False, (5, 1, 6, 1)),
        ((1, 1, 1, 1), 1, False, (1, 1, 1, 1)),
        ((1, 1, 1, 2), 1, True, (1, 1, 1, 1)),
        ((9, 16, 9, 1), 9, False, (9, 16, 9, 1)),
        ((9, 14, 9, 1), 9, False, (9, 1, 9, 1)),
    ],
)
@pytest.mark.parametrize("way", ["samples", "foreground", "rgb"])
def test_colour_and_its_tags_survive(
    tmp_path: Path,
    tags: tuple[int, int, int, int] | None,
    matrix: int,
    full_range: bool,
    written_tags: tuple[int, int, int, int],
    way: str,
) -> None:
    clip = Clip(frames=1, rgb=COLOUR, tags=tags, matrix=matrix, full_range=full_range)

    def matte_of(frame: Frame) -> Matte:
        exact = from_unit(torch.tensor(COLOUR).view(3, 1).expand(3, 48 * 64).float(), torch.uint8)
        everywhere = Foreground(pixels=torch.arange(48 * 64), colours=exact)
        return Matte(
            frame=frame,
            alpha=torch.ones(1, 48, 64),
            foreground=None if way == "samples" else everywhere,
        )

    output_pass = composite_over(torch.zeros(3, 1, 1)) if way == "rgb" else PASSES["rgba"]
    (frame,) = decode(convert(clip, tmp_path, output_pass, matte_of))
    found = frame.color_primaries, frame.color_trc, frame.colorspace, frame.color_range
    assert tuple(map(int, found)) == written_tags
    exact = ycbcr(COLOUR[None, None], matrix, 10, full_range=False)[:, 0, 0]
    # Half a level of the 8-bit source; not there where the colour came as exact RGB.
    source_rounding = 2.1 if way == "samples" else 0
    tolerance = source_rounding + (PRORES_COLOUR + TEN_BIT_ROUNDING) * 1023
    assert [plane(frame, i)[20, 30] for i in range(3)] == pytest.approx(exact, abs=tolerance)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16, torch.float32])
def test_colours_of_every_depth_are_written_right(tmp_path: Path, dtype: torch.dtype) -> None:
    info = VideoInfo(width=64, height=48)
    for rgb in (COLOUR, np.ones(3), np.zeros(3)):
        image = from_unit(torch.tensor(rgb).view(3, 1, 1).expand(3, 48, 64).float(), dtype)
        with sink_for(tmp_path / "out.mov", info, PASSES["foreground"]) as sink:
            sink.write(slope(Frame(image=image)))
        (frame,) = decode(tmp_path / "out.mov")
        exact = ycbcr(rgb[None, None], 6, 10, full_range=False)[:, 0, 0]
        tolerance = (PRORES_COLOUR + TEN_BIT_ROUNDING) * 1023
        assert [plane(frame, i)[20, 30] for i in range(3)] == pytest.approx(exact, abs=tolerance)


def test_the_cut_out_reuses_the_samples_of_the_source(tmp_path: Path) -> None:
    written = decode(convert(Clip(frames=FEW), tmp_path))
    for source, target in zip(decode(tmp_path / "in.mp4"), written, strict=True):
        deviation = np.abs(plane_view(source, 0) * 4.0 - plane(target, 0))
        assert deviation.max() <= PRORES_COLOUR * 1023


def test_the_samples_of_the_source_are_not_changed(tmp_path: Path) -> None:
    clip = Clip(frames=1, pixel_format="yuva444p10le", codec="ffv1", options={}, tags=(1, 1, 1, 1))
    with VideoSource(clip.write(tmp_path / "in.mkv")) as source:
        frame = next(iter(source))
        before = plane_view(frame.native, 3).copy()
        with sink_for(tmp_path / "out.mov", source.info) as sink:
            sink.write(slope(frame))
        np.testing.assert_array_equal(plane_view(frame.native, 3), before)


def test_the_alpha_pass_is_grey_from_black_to_white(tmp_path: Path) -> None:
    def steps(frame: Frame) -> Matte:  # flat 16 x 16 blocks, which ProRes keeps
        values = torch.linspace(0, 1, 12).view(1, 3, 4)
        return Matte(frame=frame, alpha=values.repeat_interleave(16, 1).repeat_interleave(16, 2))

    (frame,) = decode(convert(Clip(frames=1), tmp_path, PASSES["alpha"], steps))
    assert frame.format.name == "yuv444p12le"
    expected = 64 + 876 * np.linspace(0, 1, 12).reshape(3, 4)
    tolerance = (PRORES_COLOUR + TEN_BIT_ROUNDING) * 1023
    np.testing.assert_allclose(plane(frame, 0)[8::16, 8::16], expected, atol=tolerance)
    np.testing.assert_allclose(plane(frame, 1), 512, atol=PRORES_COLOUR * 1023)


def test_the_composite_shows_the_background_where_alpha_is_zero(tmp_path: Path) -> None:
    green = composite_over(torch.tensor([0.0, 1.0, 0.0]).view(3, 1, 1))

    def half(frame: Frame) -> Matte:
        alpha = torch.zeros(1, 48, 64)
        alpha[..., 32:] = 1
        return Matte(frame=frame, alpha=alpha)

    target = convert(Clip(frames=1, rgb=COLOUR), tmp_path, green, half)
    with VideoSource(target) as source:
        image = as_unit(next(iter(source)).image)
    assert image[:, 20, 8].tolist() == pytest.approx([0, 1, 0], abs=RGB8)
    assert image[:, 20, 56].tolist() == pytest.approx(COLOUR, abs=2 * RGB8)


def test_the_trimap_pass_shows_probabilities_as_colours(tmp_path: Path) -> None:
    target = convert(Clip(frames=1), tmp_path, PASSES["trimap"])
    with VideoSource(target) as source:
        image = as_unit(next(iter(source)).image)
    assert image[:, 2, 8].tolist() == pytest.approx([1, 0, 0], abs=0.1)
    assert image[:, 45, 56].tolist() == pytest.approx([0, 0, 1], abs=0.1)


def test_metadata_and_timecode_are_kept(tmp_path: Path) -> None:
    clip = Clip(frames=FEW, metadata={"title": "Grün"}, timecode="01:02:03:04")
    target = convert(clip, tmp_path, name="in.mov")
    with VideoSource(target) as source:
        assert source.info.metadata["title"] == "Grün"
        assert source.info.stream_metadata["timecode"] == "01:02:03:04"


def test_a_path_in_any_script_works(tmp_path: Path) -> None:
    folder = tmp_path / "Schnürsenkel 靴紐 a:b %d"
    folder.mkdir()
    assert len(decode(convert(Clip(frames=2), folder))) == 2
