"""Movies in high dynamic range: told apart, left as they are, and understood by the network."""

from __future__ import annotations

import struct
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from cli.video import VideoSource
from cli.video.hdr import ContentLight, MasteringDisplay
from shm_engine import Matter, MatterOptions
from shm_engine.compositing import as_unit, display_referred
from tests.cli.clips import RGB16, Clip
from tests.encodings import encoded_as

COLOUR = np.array([0.7, 0.3, 0.45])
TRANSFERS = {"pq": 16, "hlg": 18}
#: 10 bits, and white that is bent: 0.0004 seen; few pixels of the outline move by more than a tenth
NETWORK_MEAN, NETWORK_PART = 0.001, 0.001

# What a colourist's display is described with: P3 primaries, 1000 cd/m2.
_X265 = (
    "log-level=none:master-display=G(13250,34500)B(7500,3000)R(34000,16000)"
    "WP(15635,16450)L(10000000,50):max-cll=1000,400"
)
_DISPLAY = MasteringDisplay(
    primaries=tuple(
        (Fraction(x, 50000), Fraction(y, 50000))
        for x, y in ((34000, 16000), (13250, 34500), (7500, 3000), (15635, 16450))
    ),
    luminance=(Fraction(50, 10000), Fraction(1000)),
)


def movie(encoding: str, path: Path) -> Path:
    """A movie of one colour, in 10 bits of that encoding."""
    clip = Clip(
        frames=2,
        rgb=encoded_as(encoding, COLOUR),
        codec="ffv1",
        options={},
        pixel_format="yuv444p10le",
        matrix=9,
        tags=(9, TRANSFERS[encoding], 9, 1),
    )
    return clip.write(path)


@pytest.mark.parametrize("encoding", list(TRANSFERS))
def test_frames_stay_in_the_encoding_of_the_source_and_say_so(
    tmp_path: Path, encoding: str
) -> None:
    with VideoSource(movie(encoding, tmp_path / "clip.mkv")) as source:
        assert source.info.encoding == encoding
        frame = next(iter(source))
    assert frame.encoding == encoding
    values = as_unit(frame.image)
    assert values[:, 20, 30].tolist() == pytest.approx(encoded_as(encoding, COLOUR), abs=RGB16)
    shown = display_referred(values, frame.encoding)[:, 20, 30]
    # A step of 10 bits is more of light where the curve is steep.
    assert shown.tolist() == pytest.approx(COLOUR, abs=8 * RGB16)


@pytest.mark.parametrize("transfer", [1, 13, 14, 15])
def test_what_is_no_high_dynamic_range_is_left_alone(tmp_path: Path, transfer: int) -> None:
    clip = Clip(frames=1, tags=(9, transfer, 9, 1), matrix=9)
    with VideoSource(clip.write(tmp_path / "clip.mp4")) as source:
        assert (source.info.encoding, next(iter(source)).encoding) == ("srgb", "srgb")
        assert (source.info.mastering, source.info.content_light) == (None, None)


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv"])
def test_the_display_it_was_graded_on_is_read(tmp_path: Path, suffix: str) -> None:
    clip = Clip(
        frames=2,
        codec="libx265",
        pixel_format="yuv420p10le",
        matrix=9,
        tags=(9, 16, 9, 1),
        options={"x265-params": _X265, "preset": "ultrafast"},
    )
    with VideoSource(clip.write(tmp_path / f"clip.{suffix}")) as source:
        info = source.info
    assert info.encoding == "pq"
    assert info.mastering == _DISPLAY
    assert info.content_light == ContentLight(most=1000, most_of_a_mean=400)


def test_what_is_not_said_of_a_display_is_none() -> None:
    numbers = [1, 2] * 10
    assert MasteringDisplay.from_bytes(struct.pack("=22i", *numbers, 0, 0)) == MasteringDisplay()
    only_light = MasteringDisplay.from_bytes(struct.pack("=22i", *numbers, 0, 1) + b"more")
    assert only_light == MasteringDisplay(luminance=(Fraction(1, 2), Fraction(1, 2)))
    zero = MasteringDisplay.from_bytes(struct.pack("=22i", *[0] * 20, 1, 1))
    assert zero.luminance == (Fraction(0), Fraction(0))
    for kind in (MasteringDisplay, ContentLight):
        with pytest.raises(ValueError, match=r"7 bytes; \d+ are needed"):
            kind.from_bytes(b"7 bytes")


@pytest.mark.parametrize("encoding", list(TRANSFERS))
def test_the_shipped_network_finds_the_same_people_in_high_dynamic_range(
    tmp_path: Path, sample_clip: Path, encoding: str
) -> None:
    with VideoSource(sample_clip) as source:
        plain = next(iter(source))
    picture = as_unit(plain.image).permute(1, 2, 0).numpy()
    height, width = plain.size
    clip = Clip(
        frames=1,
        width=width,
        height=height,
        rgb=encoded_as(encoding, picture),
        codec="ffv1",
        options={},
        pixel_format="yuv444p10le",
        matrix=9,
        tags=(9, TRANSFERS[encoding], 9, 1),
    )
    with VideoSource(clip.write(tmp_path / "clip.mkv")) as source:
        frame = next(iter(source))
    matter = Matter.load(options=MatterOptions(device="cpu", backend="eager"))
    found, blind, expected = (
        next(iter(matter.mattes([one]))).alpha
        for one in (frame, replace(frame, encoding="srgb"), plain)
    )
    assert expected.mean() > 0.05, "somebody is there"
    difference = (found - expected).abs()
    assert difference.mean() < NETWORK_MEAN
    assert (difference > 0.1).float().mean() < NETWORK_PART
    assert difference.mean() < (blind - expected).abs().mean() / 2
