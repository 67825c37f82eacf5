"""Frames and mattes cannot be built with wrong values."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from fractions import Fraction
from typing import Any

import pytest
import torch

from shm_engine.errors import MattingError, OptionsError
from shm_engine.options import MatterOptions
from shm_engine.types import Draft, Foreground, Frame, Matte

IMAGE = torch.zeros(3, 4, 6, dtype=torch.uint8)
ALPHA = torch.zeros(1, 4, 6)
PIXELS = torch.tensor([1, 6, 23])


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
        ({"alpha": torch.zeros(3, 4, 6, dtype=torch.uint8)}, r"alpha has shape \(3, 4, 6\); \[1"),
        ({"alpha": ALPHA}, "alpha is torch.float32; it must be one of uint8"),
        ({"alpha": torch.zeros(1, 4, 5, dtype=torch.uint8)}, r"\(4, 5\), its image \(4, 6\)"),
        ({"encoding": "log"}, "'log'; it is one of srgb, pq, hlg"),
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
        (
            {"foreground": Foreground(pixels=PIXELS, colours=torch.zeros(3, 3))},
            "foreground is torch.float32 but its frame torch.uint8",
        ),
    ],
)
def test_a_wrong_matte_cannot_be_built(change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Matte(**{"frame": Frame(image=IMAGE), "alpha": ALPHA, **change})


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"image": IMAGE}, "image is torch.uint8; it must be one of float32"),
        ({"image": torch.zeros(1, 2, 3)}, r"image has shape \(1, 2, 3\); \[3, H, W\]"),
        ({"alpha": torch.zeros(3, 2, 3)}, r"alpha has shape \(3, 2, 3\); \[1, H, W\]"),
        ({"alpha": torch.zeros(1, 2, 3).double()}, "alpha is torch.float64"),
        ({"alpha": torch.zeros(1, 3, 2)}, r"one size; these have .*\(3, 2\)"),
        ({"trimap": torch.zeros(1, 2, 3)}, r"trimap has shape \(1, 2, 3\)"),
        ({"unsmoothed": torch.zeros(3, 2, 3)}, r"unsmoothed has shape \(3, 2, 3\)"),
        ({"unsmoothed": torch.zeros(1, 2, 4)}, r"one size; these have .*\(2, 4\)"),
        ({"trimap": torch.zeros(3, 2, 4)}, r"one size; these have .*\(2, 4\)"),
    ],
)
def test_a_wrong_draft_cannot_be_built(change: dict[str, Any], complaint: str) -> None:
    right = {"image": torch.zeros(3, 2, 3), "alpha": torch.zeros(1, 2, 3)}
    with pytest.raises(ValueError, match=complaint):
        Draft(**{"frame": Frame(image=IMAGE), **right, **change})


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"pixels": PIXELS[None]}, r"\[N\] int64 is needed"),
        ({"pixels": PIXELS.to(torch.int32)}, "pixels are torch.int32"),
        ({"colours": torch.zeros(3, 2)}, r"shape \(3, 2\); \[3, 3\] is needed"),
        ({"colours": torch.zeros(4, 3)}, r"shape \(4, 3\)"),
    ],
)
def test_a_wrong_foreground_cannot_be_built(change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Foreground(**{"pixels": PIXELS, "colours": torch.zeros(3, 3), **change})


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16, torch.float32])
@pytest.mark.parametrize("interleaved", [False, True])
def test_a_matte_shows_its_foreground_at_its_pixels_and_the_frame_elsewhere(
    dtype: torch.dtype, *, interleaved: bool
) -> None:
    image = torch.arange(72).view(3, 4, 6).to(dtype)
    if interleaved:
        image = image.permute(1, 2, 0).contiguous().permute(2, 0, 1)
    colours = torch.arange(100, 109).view(3, 3).to(dtype)
    frame = Frame(image=image)
    assert Matte(frame=frame, alpha=ALPHA).colours is image
    found = Matte(
        frame=frame, alpha=ALPHA, foreground=Foreground(pixels=PIXELS, colours=colours)
    ).colours
    expected = list(range(72))
    for channel in range(3):
        for which, pixel in enumerate(PIXELS.tolist()):
            expected[24 * channel + pixel] = 100 + 3 * channel + which
    assert found.dtype == dtype
    assert found.flatten().tolist() == expected
    assert image.flatten().tolist() == list(range(72)), "the frame stays as it is"


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
        ({"smoothing": "heavy"}, "'heavy'; use one of light, strong, off"),
        ({"foreground": "none"}, "'none'; use one of estimate, source"),
        ({"source_alpha": "add"}, "'add'; use one of multiply, replace"),
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
