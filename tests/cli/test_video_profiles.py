"""What every pass shows, and that a profile refuses one that it cannot hold."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from cli.formats.delivery import Delivery
from cli.video import VideoInfo, VideoSink
from shm_engine.errors import OptionsError
from shm_engine.passes import PASSES, composite_over
from shm_engine.types import Frame, Matte


def matte(dtype: torch.dtype = torch.uint8) -> Matte:
    largest = 1 if dtype == torch.float32 else torch.iinfo(dtype).max
    image = torch.tensor([0, largest, 0], dtype=dtype).view(3, 1, 1).repeat(1, 2, 2)
    return Matte(frame=Frame(image=image), alpha=torch.full((1, 2, 2), 0.5))


def test_a_profile_without_alpha_refuses_a_pass_with_it() -> None:
    plain = Delivery().profile_for(Path("out.mp4"), needs_alpha=False)
    with pytest.raises(OptionsError, match="holds no alpha"):
        VideoSink("out.mov", VideoInfo(width=2, height=2), plain, output_pass=PASSES["rgba"])


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16, torch.float32])
def test_the_cut_out_of_a_still_picture_has_four_channels(dtype: torch.dtype) -> None:
    picture = PASSES["rgba"].picture(matte(dtype))
    assert (picture.shape, picture.dtype) == ((4, 2, 2), dtype)
    half = {torch.uint8: 128, torch.uint16: 32768, torch.float32: 0.5}[dtype]
    assert picture[3].eq(half).all()


def test_the_alpha_of_a_still_picture_is_one_channel() -> None:
    given = matte()
    assert PASSES["alpha"].picture(given) is given.alpha


def test_source_colours_are_recognised_as_the_frame_s_own() -> None:
    given = matte()
    assert PASSES["rgba"].colours(given) is given.frame.image
    assert PASSES["foreground"].colours(given) is given.frame.image


def test_a_composite_is_half_of_each_at_half_alpha() -> None:
    red = composite_over(torch.tensor([255, 0, 0], dtype=torch.uint8).view(3, 1, 1))
    assert red.picture(matte())[:, 0, 0].tolist() == [0.5, 0.5, 0]
    with pytest.raises(ValueError, match="is needed"):
        composite_over(torch.zeros(4, 2, 2))


def test_a_model_without_a_trimap_is_a_sentence() -> None:
    with pytest.raises(OptionsError, match="gives no trimap"):
        PASSES["trimap"].picture(matte())
