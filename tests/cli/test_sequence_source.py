"""Numbered pictures as a movie: every frame, exactly timed, with its colours, alpha and light."""

from __future__ import annotations

import base64
import itertools
import logging
import zlib
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from av.video.frame import VideoFrame

from cli.video import SequenceSource, VideoSource
from cli.video.planes import light_of
from cli.video.reading import straight_light
from shm_engine.compositing import as_unit, from_unit, linear_to_srgb, srgb_to_linear
from shm_engine.errors import VideoError
from shm_engine.images import read_image, write_image
from shm_engine.stream import prefetch
from shm_engine.types import Frame
from tests.assertions import EXACT, FLOAT32, HALF_PRECISION, Tolerance, assert_close
from tests.cli.clips import Clip
from tests.cli.pictures import dpx, exr, write_numbered
from tests.synthetic import texture

HEIGHT, WIDTH, COUNT = 30, 44, 4

DEEPENED = Tolerance(
    1.01 / 65535, "bits are repeated below to fill 16: nearly the quotient, 0.92 levels seen"
)

# Written by OpenEXR 3.5, in blocks of 16 x 16: alpha (1 + column) / 4; red column / 4, green
# row / 2, blue 1 / 2, times alpha.
_PIZ = """
eNrtTj1PwzAQvZQIGEBiYCb/gEI3pqiAVDGBunSsTOK2llLH2FZpJvoPGJn5BYwsDFQI8ScYkBjY+JhgCD3cJFIC
GRgRgic93927u+cbVNetCgB4PcI5DZRJAqY07BitDhaksDJulpRGSWmWFPDCvpBUKRbyT/m0aftEkxbjfngI++Gw
xmAJcriGjqHPlAhI9O1cwDjdlT6VhSw5QbAhDepKUE83iWYhdIKQaLCT7ZGrPEkpT+23KNdmbVDrwHzhi+JIi/m6
98VCR4KC0pLxLiwm84RPj2B90qUgrNzpfMY8s6O5gvQjsP76/moltxobt6usttfs5Tb+4zfi+XR7Ya+KDxi7eHv0
gjfoxElYkThBPMHXrE7DBeIZPrpveI/HG4htvMb3RtJ7cvEOJwe5gRNHlx/LxUxt
"""


def rgba(index: int, dtype: torch.dtype) -> torch.Tensor:
    """[4, H, W] a picture with a slope for alpha, another for every index."""
    alpha = torch.linspace(0, 1, HEIGHT * WIDTH).view(1, HEIGHT, WIDTH).roll(index, 2)
    return from_unit(torch.cat([texture(HEIGHT, WIDTH, seed=index), alpha]), dtype)


def stills(folder: Path, suffix: str, dtype: torch.dtype = torch.uint8, channels: int = 4) -> Path:
    """A sequence of pictures, beginning at 8; its name."""
    for index in range(COUNT):
        write_image(folder / f"f_{index + 8:03d}{suffix}", rgba(index, dtype)[:channels])
    return folder / f"f_%03d{suffix}"


def light(index: int) -> torch.Tensor:
    """[4, H, W] float32: straight linear colours, some brighter than white, and alpha."""
    colours = srgb_to_linear(texture(HEIGHT, WIDTH, seed=index)) * 1.5
    return torch.cat([colours, as_unit(rgba(index, torch.float32)[3:])])


def premultiplied(index: int) -> torch.Tensor:
    straight = light(index)
    return torch.cat([straight[:3] * straight[3:], straight[3:]])


def lights(folder: Path, form: str = "float", compression: str = "zip16") -> Path:
    options = {"compression": compression, "format": form}
    contents = {i: exr(premultiplied(i).numpy(), options) for i in range(COUNT)}
    return write_numbered(folder, contents, "%04d.exr")


def read(source: SequenceSource) -> list[Frame]:
    with source:
        return list(source)


@pytest.mark.parametrize(
    ("suffix", "dtype", "channels"),
    [
        (".jpg", torch.uint8, 3),
        (".webp", torch.uint8, 3),
        (".webp", torch.uint8, 4),
        *itertools.product((".png", ".tif"), (torch.uint8, torch.uint16), (3, 4)),
    ],
)
def test_a_sequence_is_its_pictures_in_order_and_in_time(
    tmp_path: Path, suffix: str, dtype: torch.dtype, channels: int
) -> None:
    pattern = stills(tmp_path, suffix, dtype, channels)
    source = SequenceSource(str(pattern), frame_rate=Fraction(30000, 1001))
    frames = read(source)
    assert [path.name for path in source.paths] == [f"f_{n:03d}{suffix}" for n in range(8, 12)]
    assert [frame.index for frame in frames] == list(range(COUNT))
    assert [f.pts * f.time_base for f in frames] == [Fraction(1001, 30000) * i for i in range(4)]
    for frame in frames:
        still = read_image(source.paths[frame.index])
        assert frame.image.dtype == dtype
        assert_close(frame.image.int(), still.image.int(), EXACT)
        assert (frame.alpha is None) == (channels == 3)
        if frame.alpha is not None:
            assert_close(frame.alpha.int(), rgba(frame.index, dtype)[3:].int(), EXACT)
        if suffix in (".png", ".tif") or (suffix == ".webp" and channels == 3):
            assert_close(frame.image.int(), rgba(frame.index, dtype)[:3].int(), EXACT)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16])
def test_a_sequence_is_described_like_a_movie(tmp_path: Path, dtype: torch.dtype) -> None:
    with SequenceSource(stills(tmp_path, ".png", dtype)) as source:
        info = source.info
    assert (info.path, info.width, info.height) == (None, WIDTH, HEIGHT)
    assert (info.frame_rate, info.time_base) == (Fraction(25), Fraction(1, 25))
    assert info.start_pts == 0
    assert (info.frame_count, info.bit_depth) == (COUNT, dtype.itemsize * 8)
    assert (info.is_rgb, info.has_alpha, info.is_linear) == (True, True, False)
    assert (info.has_audio, info.alpha_is_premultiplied) == (False, False)
    assert not info.colour_is_assumed
    assert (info.tags.primaries, info.tags.transfer, info.tags.range) == (1, 13, 2)
    assert info.image_tags == info.tags


@pytest.mark.parametrize("compression", ["none", "rle", "zip1", "zip16"])
@pytest.mark.parametrize(("form", "tolerance"), [("float", FLOAT32), ("half", HALF_PRECISION)])
def test_exr_is_light_with_premultiplied_colours(
    tmp_path: Path, form: str, tolerance: Tolerance, compression: str
) -> None:
    with SequenceSource(lights(tmp_path, form, compression)) as source:
        info, frames = source.info, list(source)
    assert (info.bit_depth, info.is_rgb) == ({"half": 16, "float": 32}[form], True)
    assert (info.is_linear, info.has_alpha, info.alpha_is_premultiplied) == (True, True, True)
    assert (info.tags.transfer, info.image_tags.transfer) == (8, 13)
    assert (info.encoding, frames[0].encoding) == ("srgb", "srgb")
    for frame in frames:
        straight = light(frame.index)
        covered = straight[3] > 0.1  # where a half's rounding is not divided by little
        assert frame.image.dtype == torch.float32
        assert frame.alpha is not None
        assert_close(frame.alpha, straight[3:], tolerance)
        expected = linear_to_srgb(straight[:3].clamp(0, 1))
        assert_close(frame.image[:, covered], expected[:, covered], tolerance)
        assert frame.image.min() >= 0
        assert frame.image.max() <= 1
        assert (straight[:3] > 1).any(), "some of it is brighter than white"


def test_the_native_frame_of_an_exr_holds_its_samples_untouched(tmp_path: Path) -> None:
    with SequenceSource(lights(tmp_path)) as source:
        for frame in source:
            assert isinstance(frame.native, VideoFrame)
            assert frame.native.format.name == "gbrapf32le"
            assert_close(light_of(frame.native), premultiplied(frame.index)[:3], EXACT)
            straight = light(frame.index)
            covered = straight[3] > 0
            found = straight_light(frame.native, source.info)
            assert_close(found[:, covered], straight[:3, covered], FLOAT32)
            assert found.max() > 1.2


def test_piz_is_read(tmp_path: Path) -> None:
    data = zlib.decompress(base64.b64decode(_PIZ))
    (frame,) = read(SequenceSource(write_numbered(tmp_path, {1: data}, "%d.exr")))
    y, x = torch.meshgrid(torch.arange(32) // 16, torch.arange(64) // 16, indexing="ij")
    straight = torch.stack([x / 4, y / 2, torch.full((32, 64), 0.5)])
    assert frame.alpha is not None
    assert_close(frame.alpha[0], (1 + x) / 4, EXACT)
    assert_close(frame.image, linear_to_srgb(straight), HALF_PRECISION)


@pytest.mark.parametrize("channels", [1, 3])
def test_exr_without_alpha_is_opaque(tmp_path: Path, channels: int) -> None:
    samples = light(0)[:channels]
    pattern = write_numbered(tmp_path, {0: exr(samples.numpy(), {})}, "%d.exr")
    source = SequenceSource(pattern)
    (frame,) = read(source)
    assert frame.alpha is None
    assert (source.info.has_alpha, source.info.alpha_is_premultiplied) == (False, False)
    assert_close(frame.image, linear_to_srgb(samples.clamp(0, 1)).expand(3, -1, -1), FLOAT32)


def test_light_that_covers_nothing_stays_and_what_is_no_number_is_black(tmp_path: Path) -> None:
    samples = np.full((4, 2, 3), 0.25, np.float32)
    samples[3] = np.array([[0, 0.5, 1], [0, 0, 2]])
    samples[0, 1] = np.array([np.nan, np.inf, -np.inf])
    pattern = write_numbered(tmp_path, {0: exr(samples, {"compression": "none"})}, "%d.exr")
    (frame,) = read(SequenceSource(pattern))
    encoded = linear_to_srgb(torch.tensor([[0.25, 0.5, 0.25], [0.25, 0.25, 0.125]]))
    assert_close(frame.image[1], encoded, FLOAT32)
    assert_close(frame.image[0, 1], [0, 1, 0], FLOAT32)
    assert frame.alpha is not None
    assert frame.alpha[0].tolist() == [[0, 0.5, 1], [0, 0, 1]]


@pytest.mark.parametrize("bits", [10, 16])
def test_dpx_is_read_at_its_full_depth(tmp_path: Path, bits: int) -> None:
    largest = (1 << bits) - 1
    samples = np.rint(texture(HEIGHT, WIDTH).numpy() * largest).astype(np.uint16)
    samples[:, 0, 0], samples[:, 0, 1] = 0, largest
    source = SequenceSource(write_numbered(tmp_path, {5: dpx(samples, bits)}, "%04d.dpx"))
    (frame,) = read(source)
    assert (source.info.bit_depth, source.info.is_rgb, source.info.is_linear) == (bits, True, False)
    assert isinstance(frame.native, VideoFrame)
    assert frame.image.dtype == torch.uint16
    assert_close(as_unit(frame.image), samples / largest, DEEPENED)


def test_a_picture_in_fewer_bits_than_the_first_gets_as_many(tmp_path: Path) -> None:
    pattern = stills(tmp_path, ".png", torch.uint16)
    write_image(tmp_path / "f_009.png", rgba(1, torch.uint8))
    second = read(SequenceSource(pattern))[1]
    assert second.image.dtype == torch.uint16
    assert_close(as_unit(second.image), as_unit(rgba(1, torch.uint8)[:3]), EXACT)
    assert second.alpha is not None
    assert_close(as_unit(second.alpha), as_unit(rgba(1, torch.uint8)[3:]), EXACT)


@pytest.mark.parametrize("start", [2, COUNT, COUNT + 3])
@pytest.mark.parametrize("as_time", [False, True])
def test_frames_before_the_start_are_not_even_opened(
    tmp_path: Path, start: int, *, as_time: bool
) -> None:
    pattern = lights(tmp_path)
    whole = read(SequenceSource(pattern))
    (tmp_path / "0001.exr").write_bytes(b"not opened")
    # The first frame at or after a time.
    rest = read(
        SequenceSource(pattern, start_seconds=Fraction(start, 25) - Fraction(1, 1000))
        if as_time
        else SequenceSource(pattern, start_frame=start)
    )
    assert [frame.index for frame in rest] == list(range(start, COUNT))
    for one, other in zip(rest, whole[start:], strict=True):
        assert one.pts == other.pts
        assert_close(one.image, other.image, EXACT)


def test_a_missing_number_is_refused_by_its_name(tmp_path: Path) -> None:
    pattern = stills(tmp_path, ".png")
    (tmp_path / "f_010.png").unlink()
    with pytest.raises(VideoError, match=r"frame 010 is missing: there is no .*f_010\.png; add it"):
        read(SequenceSource(pattern))


def test_a_missing_number_ends_a_sequence_that_may_be_partial(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pattern = stills(tmp_path, ".png")
    (tmp_path / "f_010.png").unlink()
    source = SequenceSource(pattern, keep_partial=True)
    assert len(read(source)) == source.broken_after == source.info.frame_count == 2
    assert [r.levelno for r in caplog.records] == [logging.WARNING]
    assert caplog.messages == [f"{tmp_path / 'f_010.png'} is missing; 2 frames were read."]


def test_a_picture_of_another_size_is_refused(tmp_path: Path) -> None:
    pattern = stills(tmp_path, ".png")
    write_image(tmp_path / "f_010.png", texture(5, 7).mul(255).to(torch.uint8))
    sentence = r"f_010\.png is 7 x 5, the first picture 44 x 30; give pictures of one size"
    for keep_partial in (False, True):
        with pytest.raises(VideoError, match=sentence) as caught:
            read(SequenceSource(pattern, keep_partial=keep_partial))
        assert caught.value.frame_index == 2


def damage(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 5])


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp", ".jpg", ".exr", ".dpx"])
def test_a_damaged_picture_is_named_or_ends_a_partial_sequence(tmp_path: Path, suffix: str) -> None:
    if suffix == ".exr":
        pattern = lights(tmp_path)
    elif suffix == ".dpx":
        samples = np.zeros((3, HEIGHT, WIDTH), np.uint16)
        contents = {i: dpx(samples, 16) for i in range(COUNT)}
        pattern = write_numbered(tmp_path, contents, "%04d.dpx")
    else:
        pattern = stills(tmp_path, suffix, channels=3)
    with SequenceSource(pattern) as source:
        first, _, damaged, _ = source.paths
    damage(damaged)
    with pytest.raises(VideoError, match=damaged.name) as caught:
        read(SequenceSource(pattern))
    assert (caught.value.path, caught.value.frame_index) == (damaged, 2)
    partial = SequenceSource(pattern, keep_partial=True)
    assert len(read(partial)) == partial.broken_after == 2
    damage(first)
    with pytest.raises(VideoError, match=first.name):
        read(SequenceSource(pattern, keep_partial=True))


def test_what_ffmpeg_would_show_black_is_refused(tmp_path: Path) -> None:
    whole = exr(premultiplied(0).numpy(), {"compression": "zip16"})
    place = whole.index(b"compression\0compression\0") + 24 + 4
    for compression in (8, 9):
        data = whole[:place] + bytes([compression]) + whole[place + 1 :]
        pattern = write_numbered(tmp_path, {0: data}, "%d.exr")
        with pytest.raises(VideoError, match="holds 32-bit floats in DWA compression; write it"):
            read(SequenceSource(pattern))


@pytest.mark.parametrize("compression", ["none", "zip1", "zip16"])
def test_every_cut_of_an_exr_is_seen(tmp_path: Path, compression: str) -> None:
    whole = exr(premultiplied(0).numpy(), {"compression": compression})
    for size in range(8, len(whole), len(whole) // 40):
        pattern = write_numbered(tmp_path, {0: whole[:size]}, "%d.exr")
        with pytest.raises(VideoError, match=r"0\.exr is cut off; write it again"):
            read(SequenceSource(pattern))


@pytest.mark.parametrize("data", [b"", b"text", b"\x76\x2f\x31\x01"])
def test_what_is_no_picture_is_named(tmp_path: Path, data: bytes) -> None:
    pattern = write_numbered(tmp_path, {0: data}, "%d.exr")
    with pytest.raises(VideoError, match=r"0\.exr is (no EXR picture|cut off).*; write it again"):
        read(SequenceSource(pattern))


def test_leaving_early_while_a_thread_still_reads_is_safe(tmp_path: Path) -> None:
    with SequenceSource(stills(tmp_path, ".png")) as source:
        ahead = prefetch(iter(source), 1)
        assert next(ahead).index == 0
    assert len(list(ahead)) < COUNT


def test_a_sequence_and_a_movie_source_have_one_interface(tmp_path: Path) -> None:
    movie = VideoSource(Clip(frames=2).write(tmp_path / "clip.mp4"))
    pictures = SequenceSource(stills(tmp_path, ".png"))
    public = {name for name in vars(movie) if not name.startswith("_")}
    assert public == {name for name in vars(pictures) if not name.startswith("_")}
