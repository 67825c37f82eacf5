"""Pictures of light: into EXR with all there is above white, and into movies as they are seen."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from cli.formats.delivery import Delivery
from cli.video import SequenceSink, SequenceSource, VideoSink, VideoSource
from cli.video.planes import light_of
from shm_engine.compositing import as_unit, encoded_from_display, linear_to_srgb
from shm_engine.passes import PASSES, composite_over
from shm_engine.types import Foreground, Frame, Matte
from tests.cli.clips import Clip
from tests.cli.pictures import exr, write_numbered

HEIGHT, WIDTH = 32, 48
OPTIONS = {"format": "float", "compression": "zip16"}
HALF = 2e-3  # 11 bits, of values up to 4


def ramp() -> torch.Tensor:
    """[3, H, W] light from 0 to 4, the last third above white."""
    across = torch.linspace(0, 4, WIDTH).expand(HEIGHT, WIDTH)
    return torch.stack([across, across / 2, across / 4])


def write_light(folder: Path) -> Path:
    folder.mkdir()
    opaque = torch.cat([ramp(), torch.ones(1, HEIGHT, WIDTH)])
    data = exr(opaque.numpy(), OPTIONS)
    return write_numbered(folder, {1: data, 2: data}, "f_%03d.exr")


def convert(source: Path, target: Path, matte_of: Callable[[Frame], Matte]) -> None:
    profile = Delivery().profile_for(target, needs_alpha=True)
    kind = SequenceSink if profile.is_sequence else VideoSink
    with (
        SequenceSource(source) as frames,
        kind(target, frames.info, profile, output_pass=PASSES["rgba"]) as sink,
    ):
        for frame in frames:
            sink.write(matte_of(frame))


def half_covered(frame: Frame) -> Matte:
    alpha = torch.ones(1, HEIGHT, WIDTH)
    alpha[:, :8] = 0.5
    return Matte(frame=frame, alpha=alpha)


def stored(path: Path) -> torch.Tensor:
    """[3, H, W] light as it lies in a file."""
    with VideoSource(path) as source:
        (frame,) = source
    return torch.from_numpy(light_of(frame.native).astype(np.float32))


def test_light_above_white_arrives_in_exr_times_alpha(tmp_path: Path) -> None:
    source = write_light(tmp_path / "in")
    convert(source, tmp_path / "o_%03d.exr", half_covered)
    wanted = ramp()
    wanted[:, :8] *= 0.5
    np.testing.assert_allclose(stored(tmp_path / "o_002.exr"), wanted, rtol=HALF, atol=HALF)


def test_estimated_colours_are_light_too(tmp_path: Path) -> None:
    def corner(frame: Frame) -> Matte:
        colours = torch.full((3, 2), 0.5)
        foreground = Foreground(pixels=torch.tensor([0, WIDTH]), colours=colours)
        return Matte(frame=frame, alpha=torch.ones(1, HEIGHT, WIDTH), foreground=foreground)

    convert(write_light(tmp_path / "in"), tmp_path / "o_%03d.exr", corner)
    found = stored(tmp_path / "o_001.exr")
    wanted = ramp()
    wanted[:, :2, 0] = 0.2140  # the light of 0.5
    np.testing.assert_allclose(found, wanted, rtol=HALF, atol=HALF)


@pytest.mark.parametrize("name", ["out.mov", "o_%03d.png", "out.mkv"])
def test_light_is_encoded_for_everything_else(tmp_path: Path, name: str) -> None:
    convert(write_light(tmp_path / "in"), tmp_path / name, half_covered)
    first = tmp_path / name.replace("%03d", "001")
    with VideoSource(first) as source:
        image = as_unit(next(iter(source)).image)
    wanted = linear_to_srgb(ramp()).clamp(0, 1)
    # Chroma of a steep ramp in a lossy codec; dark or bright by mistake would be 0.2.
    assert (image - wanted).abs().mean() < 0.01


def test_a_movie_becomes_light_in_exr(tmp_path: Path) -> None:
    grey = Clip(frames=1, rgb=np.full(3, 0.5), width=WIDTH, height=HEIGHT)
    target = tmp_path / "o_%03d.exr"
    profile = Delivery().profile_for(target, needs_alpha=True)
    with (
        VideoSource(grey.write(tmp_path / "in.mp4")) as frames,
        SequenceSink(target, frames.info, profile, output_pass=PASSES["rgba"]) as sink,
    ):
        for frame in frames:
            sink.write(half_covered(frame))
    found = stored(tmp_path / "o_001.exr")
    assert found[:, 20, 20].tolist() == pytest.approx([0.214] * 3, abs=0.006)
    assert found[:, 2, 20].tolist() == pytest.approx([0.107] * 3, abs=0.003)


@pytest.mark.parametrize("encoding", ["pq", "hlg"])
def test_a_background_stands_as_bright_as_white_paper_behind_people_in_hdr(encoding: str) -> None:
    frame = Frame(image=torch.zeros(3, 4, 4), encoding=encoding, pts=0, time_base=Fraction(1, 25))
    nobody = Matte(frame=frame, alpha=torch.zeros(1, 4, 4))
    white = torch.ones(3, 1, 1)
    shown = composite_over(white).colours(nobody)
    assert torch.allclose(shown, encoded_from_display(white, encoding).expand(3, 4, 4))
    # 203 cd/m2: 58 % of PQ and 75 % of HLG (BT.2408).
    assert shown.mean().item() == pytest.approx({"pq": 0.58, "hlg": 0.75}[encoding], abs=0.01)
