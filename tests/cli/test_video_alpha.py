"""Movies that have an alpha of their own: it arrives exactly, upright, and with the right frame."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
import pytest
import torch

from cli.video import VideoSource
from cli.video.planes import rows_of
from shm_engine.compositing import as_unit
from shm_engine.errors import VideoError
from shm_engine.types import Frame
from tests.cli.clips import ALPHA, Clip
from tests.cli.cutouts import HEIGHT, WIDTH, Cutout

#: rounding to the codec's own bits, and once more to 16
EIGHT, TEN, TWELVE, SIXTEEN = 0.501 / 255, 0.51 / 1023, 0.54 / 4095, 0.502 / 65535
#: VP8 and VP9 code alpha as luma, with loss: a level of a fine quantiser
VPX = 3 / 255
#: CineForm is a wavelet with loss; the slope has a step where one end meets the other
CINEFORM = 2 / 255

_PRORES = {"profile": "4444", "alpha_bits": "16"}
_VP8 = {"b": "20M", "deadline": "realtime", "crf": "4", "auto-alt-ref": "0"}
_VP9 = {"crf": "4", "b": "0", "deadline": "realtime", "cpu-used": "8"}

CUTOUTS = [
    ("prores.mov", Cutout(codec="prores_ks", pixel_format="yuva444p10le", options=_PRORES), ALPHA),
    ("animation.mov", Cutout(codec="qtrle", pixel_format="argb"), EIGHT),
    ("png.mov", Cutout(codec="png", pixel_format="rgba"), EIGHT),
    ("deep_png.mov", Cutout(codec="png", pixel_format="rgba64be"), SIXTEEN),
    ("grey_png.mov", Cutout(codec="png", pixel_format="ya8"), EIGHT),
    ("deep_grey_png.mov", Cutout(codec="png", pixel_format="ya16be"), SIXTEEN),
    ("cineform.mov", Cutout(codec="cfhd", pixel_format="gbrap12le"), CINEFORM),
    ("utvideo.avi", Cutout(codec="utvideo", pixel_format="gbrap"), EIGHT),
    ("v408.mov", Cutout(codec="v408", pixel_format="yuva444p"), EIGHT),
    ("small.mkv", Cutout(codec="ffv1", pixel_format="yuva420p"), EIGHT),
    ("packed.mkv", Cutout(codec="ffv1", pixel_format="bgra"), EIGHT),
    ("ten.mkv", Cutout(codec="ffv1", pixel_format="yuva422p10le"), TEN),
    ("twelve.mkv", Cutout(codec="ffv1", pixel_format="gbrap12le"), TWELVE),
    ("sixteen.mkv", Cutout(codec="ffv1", pixel_format="yuva444p16le"), SIXTEEN),
    ("planes.mkv", Cutout(codec="ffv1", pixel_format="gbrap16le"), SIXTEEN),
    ("vp9.webm", Cutout(codec="libvpx-vp9", pixel_format="yuva420p", options=_VP9), VPX),
    ("vp9.mkv", Cutout(codec="libvpx-vp9", pixel_format="yuva420p", options=_VP9), VPX),
    ("vp8.webm", Cutout(codec="libvpx", pixel_format="yuva420p", options=_VP8), VPX),
]


def read(path: Path) -> list[Frame]:
    with VideoSource(path) as source:
        return list(source)


@pytest.mark.parametrize(("name", "clip", "tolerance"), CUTOUTS, ids=[row[0] for row in CUTOUTS])
def test_the_source_s_own_alpha_arrives(
    tmp_path: Path, name: str, clip: Cutout, tolerance: float
) -> None:
    path = clip.write(tmp_path / name)
    with VideoSource(path) as source:
        assert source.info.has_alpha
        frames = list(source)
    assert [frame.pts * frame.time_base * 25 for frame in frames] == [0, 1, 2]
    for frame in frames:
        assert frame.alpha is not None
        assert frame.alpha.dtype == frame.image.dtype
        found = as_unit(frame.alpha)[0].numpy()
        np.testing.assert_allclose(found, clip.coverage(frame.index), rtol=0, atol=tolerance)
        # The colours do not know of it.
        middle = as_unit(frame.image)
        assert (middle - 0.5).abs().max() < 0.05


def test_fully_covered_and_not_at_all_are_exactly_that(tmp_path: Path) -> None:
    for name, clip, _ in CUTOUTS[:-3]:  # without loss
        (first, *_) = read(clip.write(tmp_path / name, frames=1))
        assert first.alpha is not None
        unit = as_unit(first.alpha)
        assert (float(unit.min()), float(unit.max())) == (0, 1)


@pytest.mark.parametrize(("name", "clip", "_"), CUTOUTS, ids=[row[0] for row in CUTOUTS])
def test_an_alpha_that_is_opaque_everywhere_is_none(
    tmp_path: Path, name: str, clip: Cutout, _: float
) -> None:
    covered = np.ones((HEIGHT, WIDTH))
    hole = covered.copy()
    hole[10:20, 10:20] = 0
    opaque = Cutout(
        codec=clip.codec,
        pixel_format=clip.pixel_format,
        options=clip.options,
        coverages=(covered, hole, covered),
    )
    frames = read(opaque.write(tmp_path / name))
    if clip.codec not in ("libvpx", "libvpx-vp9", "cfhd"):  # these have a loss
        assert [frame.alpha is None for frame in frames] == [True, False, True]
    assert frames[1].alpha is not None
    assert as_unit(frames[1].alpha)[0, 15, 15] < 0.02


def test_a_movie_without_alpha_has_none(tmp_path: Path) -> None:
    path = Clip(frames=2).write(tmp_path / "clip.mp4")
    with VideoSource(path) as source:
        assert not source.info.has_alpha
        assert all(frame.alpha is None for frame in source)


@pytest.mark.parametrize("name", ["turned.mov", "turned.webm"])
@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_alpha_is_turned_with_the_picture(tmp_path: Path, degrees: int, name: str) -> None:
    stored = np.zeros((HEIGHT, WIDTH))
    stored[:24, :32], stored[:24, 32:], stored[24:, 32:] = 0.3, 0.6, 1
    clip = (
        Cutout(codec="qtrle", pixel_format="argb", coverages=(stored,), rotation=degrees)
        if name.endswith("mov")
        else Cutout(
            codec="libvpx-vp9", pixel_format="yuva420p", options=_VP9, coverages=(stored,),
            rotation=degrees,
        )
    )  # fmt: skip
    (frame,) = read(clip.write(tmp_path / name, frames=1))
    assert frame.alpha is not None
    expected = np.rot90(stored, degrees // 90)
    assert frame.size == expected.shape == tuple(frame.alpha.shape[1:])
    middles = as_unit(frame.alpha)[0, 8::16, 8::16].numpy()
    np.testing.assert_allclose(middles, expected[8::16, 8::16], atol=VPX)


def test_the_decoder_of_vp9_alpha_says_the_same_of_the_movie_as_the_usual_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "tagged.webm"
    clip = Clip(
        frames=5,
        codec="libvpx-vp9",
        pixel_format="yuva420p",
        options=_VP9,
        tags=(9, 16, 9, 1),
        matrix=9,
        rotation=(90, True, False),
    )
    clip.write(path)
    with VideoSource(path) as source:
        info, frames = source.info, list(source)
        assert source._decoder.name == "libvpx-vp9"
        assert source._decoder.thread_count == min(os.cpu_count() or 1, 4)
    monkeypatch.setattr("cli.video.source.alpha_decoder", lambda _: None)
    with VideoSource(path) as source:
        plain, usual = source.info, list(source)
        assert source._decoder.name == "vp9"
    for name in ("tags", "orientation", "frame_rate", "time_base", "start_pts", "pixel_aspect"):
        assert getattr(info, name) == getattr(plain, name)
    assert (info.has_alpha, plain.has_alpha) == (True, False)
    assert (info.encoding, plain.encoding) == ("pq", "pq")
    for one, other in zip(frames, usual, strict=True):
        assert (one.pts, one.native.duration) == (other.pts, other.native.duration)
        assert torch.equal(one.image, other.image)


def test_a_cut_webm_with_alpha_is_refused_or_ends_early(tmp_path: Path) -> None:
    whole = CUTOUTS[-3][1].write(tmp_path / "whole.webm", frames=12)
    cut = tmp_path / "cut.webm"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    with pytest.raises(VideoError, match="is cut off, its end is missing"), VideoSource(cut):
        pass
    with VideoSource(cut, keep_partial=True) as source:
        frames = list(source)
        assert source.broken_after == len(frames)
    assert 1 < len(frames) < 12
    assert all(frame.alpha is not None for frame in frames)


def test_what_is_done_to_alpha_does_not_reach_the_native_frame(tmp_path: Path) -> None:
    (frame,) = read(CUTOUTS[9][1].write(tmp_path / "clip.mkv", frames=1))
    assert frame.alpha is not None
    before = bytes(frame.native.planes[3])
    frame.alpha.zero_()
    assert bytes(frame.native.planes[3]) == before


def test_a_gif_is_transparent_where_it_says_so(tmp_path: Path) -> None:
    """A palette: one of its colours may be nothing."""
    path = tmp_path / "clip.gif"
    coverage = np.ones((HEIGHT, WIDTH))
    coverage[:, :20] = 0
    with av.open(str(path), "w") as output:
        stream = output.add_stream("gif", rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "pal8"
        picture = av.VideoFrame(WIDTH, HEIGHT, "pal8")
        rows_of(picture.planes[0], np.uint8)[:, :WIDTH] = coverage
        palette = np.frombuffer(cast("Any", picture.planes[1]), np.uint32)
        palette[:] = 0xFF808080
        palette[0] = 0x00808080
        picture.pts = 0
        output.mux(stream.encode(picture))
        output.mux(stream.encode(None))
    (frame,) = read(path)
    assert frame.alpha is not None
    np.testing.assert_array_equal(as_unit(frame.alpha)[0].numpy(), coverage)
