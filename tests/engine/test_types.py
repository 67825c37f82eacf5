"""Frames and mattes cannot be built with wrong values."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from fractions import Fraction
from typing import Any

import pytest
import torch

from shm_engine.errors import MattingError, OptionsError
from shm_engine.options import MatterOptions
from shm_engine.types import Frame, Matte

IMAGE = torch.zeros(3, 4, 6, dtype=torch.uint8)
ALPHA = torch.zeros(1, 4, 6)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16, torch.float32])
def test_a_frame_knows_its_size_whatever_its_samples(dtype: torch.dtype) -> None:
    assert Frame(image=IMAGE.to(dtype)).size == (4, 6)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"image": torch.zeros(4, 6, 3, dtype=torch.uint8)}, r"\(4, 6, 3\); \[3, H, W\]"),
        ({"image": torch.zeros(1, 4, 6, dtype=torch.uint8)}, r"\[3, H, W\]"),
        ({"image": IMAGE[None]}, r"\[3, H, W\]"),
        ({"image": IMAGE[:, :0]}, r"\(3, 0, 6\)"),
        ({"image": IMAGE.double()}, "float64; it must be one of uint8, uint16, float32"),
        ({"image": IMAGE.half()}, "float16"),
        ({"image": IMAGE.bool()}, "bool"),
        ({"index": -1}, "-1; it counts from 0"),
        ({"time_base": Fraction(0)}, "time_base"),
        ({"time_base": Fraction(-1, 25)}, "time_base"),
        ({"pixel_aspect": Fraction(0)}, "pixel_aspect"),
    ],
)
def test_a_wrong_frame_cannot_be_built(change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Frame(**{"image": IMAGE, **change})


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"alpha": ALPHA[0]}, r"alpha has shape \(4, 6\); \[1, H, W\]"),
        ({"alpha": torch.zeros(3, 4, 6)}, r"\[1, H, W\]"),
        ({"alpha": ALPHA.to(torch.uint8)}, "uint8; it must be one of float32"),
        ({"alpha": ALPHA.double()}, "float64"),
        ({"alpha": torch.zeros(1, 4, 5)}, r"\(4, 5\) but its frame is \(4, 6\)"),
        ({"trimap": torch.zeros(1, 2, 3)}, r"trimap has shape \(1, 2, 3\); \[3, H, W\]"),
        ({"trimap": torch.zeros(3, 2, 3, dtype=torch.uint8)}, "trimap is torch.uint8"),
        ({"foreground": torch.zeros(3, 4, 6)}, "foreground is torch.float32"),
        ({"foreground": IMAGE[:, 1:]}, r"foreground is \(3, 6\) but its frame is \(4, 6\)"),
    ],
)
def test_a_wrong_matte_cannot_be_built(change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Matte(**{"frame": Frame(image=IMAGE), "alpha": ALPHA, **change})


def test_a_matte_composites_with_the_foreground_if_it_has_one() -> None:
    frame = Frame(image=IMAGE)
    estimated = torch.full_like(IMAGE, 7)
    assert Matte(frame=frame, alpha=ALPHA).colours is IMAGE
    assert Matte(frame=frame, alpha=ALPHA, foreground=estimated).colours is estimated


def test_frames_and_mattes_cannot_be_changed() -> None:
    frame = Frame(image=IMAGE)
    with pytest.raises(FrozenInstanceError):
        frame.index = 3  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        Matte(frame=frame, alpha=ALPHA).alpha = ALPHA  # type: ignore[misc]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"device": "tpu"}, "'tpu'; use one of auto, cuda, mps, cpu"),
        ({"device": ""}, "''"),
        ({"device": "cpu:x"}, "'cpu:x'"),
        ({"device": "cuda:"}, "'cuda:'"),
        ({"device": "cuda:-1"}, "'cuda:-1'"),
        ({"device": "cuda:0,1"}, "'cuda:0,1'"),
        ({"device": "auto:1"}, "'auto:1'"),
        ({"long_side_pixels": 63}, "63; use 64 to 4096"),
        ({"long_side_pixels": 4097}, "4097"),
        ({"batch": -1}, "-1; use 0"),
    ],
)
def test_wrong_options_are_refused_with_the_value(change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(OptionsError, match=complaint) as caught:
        MatterOptions(**change)
    assert isinstance(caught.value, MattingError)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("device", ["auto", "cpu", "mps", "cuda", "cuda:0", "cuda:11"])
def test_every_device_that_may_exist_is_an_option(device: str) -> None:
    assert MatterOptions(device=device).device == device
