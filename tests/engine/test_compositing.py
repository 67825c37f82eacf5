"""Compositing against numbers computed by hand and against its own inverses."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from shm_engine.compositing import (
    as_unit,
    display_referred,
    encoded_from_display,
    from_unit,
    linear_light,
    linear_to_srgb,
    over,
    premultiply,
    srgb_to_linear,
    unpremultiply,
)
from tests.assertions import EXACT, FLOAT32, HDR_FLOAT32, assert_close
from tests.encodings import encoded_as, hlg_of_light, pq_of_light
from tests.synthetic import ORANGE, TEAL, disc_alpha, texture

PIXEL = (3, 1, 1)


def test_over_agrees_with_numbers_computed_by_hand() -> None:
    foreground = torch.tensor([1.0, 0.5, 0.0]).view(PIXEL)
    background = torch.tensor([0.0, 0.5, 0.8]).view(PIXEL)
    alpha = torch.full((1, 1, 1), 0.25)
    assert_close(over(foreground, alpha, background).flatten(), [0.25, 0.5, 0.6], FLOAT32)


@pytest.mark.parametrize(("coverage", "seen"), [(0.0, TEAL), (1.0, ORANGE)])
def test_full_coverage_shows_the_foreground_and_none_the_background(
    coverage: float, seen: torch.Tensor
) -> None:
    assert_close(over(ORANGE, torch.full((1, 1, 1), coverage), TEAL), seen, FLOAT32)


def test_premultiplied_colours_plus_the_rest_of_the_background_are_the_composite() -> None:
    alpha = disc_alpha(20, 30, centre=(9.5, 14.2), radius=7)
    background = texture(20, 30)
    expected = premultiply(ORANGE, alpha) + (1 - alpha) * background
    assert_close(over(ORANGE, alpha, background), expected, FLOAT32)


def test_unpremultiply_is_the_inverse_of_premultiply_where_anything_is_covered() -> None:
    alpha = torch.tensor([1e-4, 0.1, 0.5, 1.0]).view(1, 1, 4)
    colours = texture(1, 4)
    assert_close(unpremultiply(premultiply(colours, alpha), alpha), colours, FLOAT32)


def test_unpremultiply_is_black_where_nothing_is_covered() -> None:
    spill = torch.full((3, 1, 2), 0.3)
    alpha = torch.tensor([0.0, 0.1]).view(1, 1, 2)
    straight = unpremultiply(spill, alpha)
    assert (straight[..., 0] == 0).all()
    assert (straight[..., 1] == 1).all(), "colours beyond white are clipped to it"


def test_srgb_to_linear_knows_the_values_of_the_standard() -> None:
    encoded = torch.tensor([0.0, 0.04045, 0.5, 1.0])
    assert_close(srgb_to_linear(encoded), [0, 0.04045 / 12.92, 0.21404114, 1], FLOAT32)


def test_srgb_and_linear_are_inverses_for_every_16_bit_value() -> None:
    encoded = torch.arange(65536, dtype=torch.float64) / 65535
    assert_close(linear_to_srgb(srgb_to_linear(encoded)), encoded, FLOAT32)
    assert (srgb_to_linear(encoded).diff() > 0).all(), "more code is more light"


@pytest.mark.parametrize("encoding", ["pq", "hlg"])
def test_a_picture_in_high_dynamic_range_looks_like_the_one_it_was_made_of(encoding: str) -> None:
    original = texture(40, 60).clamp_max(0.9)
    original[:, 0, 0] = 0
    encoded = encoded_as(encoding, original.permute(1, 2, 0).numpy())
    values = torch.from_numpy(encoded).float().permute(2, 0, 1)
    assert (values - original).abs().mean() > 0.05
    assert_close(display_referred(values, encoding), original, HDR_FLOAT32)
    batch = torch.stack([values, values.flip(2)])
    both = torch.stack([original, original.flip(2)])
    assert_close(display_referred(batch, encoding), both, HDR_FLOAT32)


@pytest.mark.parametrize("encoding", ["pq", "hlg"])
def test_highlights_are_bent_and_never_cut_off(encoding: str) -> None:
    light = torch.linspace(0, 1000, 500)
    grey = light.view(1, -1, 1).expand(1, -1, 3).numpy()
    encoded = pq_of_light(grey) if encoding == "pq" else hlg_of_light(grey)
    values = torch.from_numpy(encoded).float().permute(2, 0, 1)
    shown = display_referred(values, encoding)
    assert_close(shown[0], shown[1], HDR_FLOAT32)
    steps = shown[0, 0].double().diff()
    assert (steps > 0).all(), "five times as bright as paper is still told apart"
    assert shown.max() <= 1
    white = display_referred(
        torch.full((3, 1, 1), {"pq": 0.580689, "hlg": 0.75}[encoding]), encoding
    )
    assert 0.95 < white.min() < 0.96, "diffuse white, as BT.2408 has it"


@pytest.mark.parametrize("encoding", ["pq", "hlg"])
def test_a_background_for_displays_is_encoded_like_the_picture_before_it(encoding: str) -> None:
    picture = texture(40, 60)
    picture[:, 0, 0], picture[:, 0, 1] = 0, 1
    reference = torch.from_numpy(encoded_as(encoding, picture.permute(1, 2, 0).double().numpy()))
    found = encoded_from_display(picture, encoding)
    assert_close(found, reference.permute(2, 0, 1), HDR_FLOAT32)
    assert_close(linear_light(found, encoding), srgb_to_linear(picture), HDR_FLOAT32)


def test_light_of_highlights_and_of_wide_colours_is_not_cut() -> None:
    grey = torch.from_numpy(pq_of_light(np.full((3, 1, 1), 2030.0))).float()
    assert_close(
        linear_light(grey, "pq"), torch.full((3, 1, 1), 10.0), HDR_FLOAT32._replace(largest=2e-3)
    )
    green = torch.tensor([0.0, 0.58, 0.0]).view(3, 1, 1)
    assert linear_light(green, "pq")[0] < -0.1
    image = texture(4, 5)
    assert_close(linear_light(image, "srgb"), srgb_to_linear(image), EXACT)
    assert encoded_from_display(image, "srgb") is image


@pytest.mark.parametrize("encoding", ["pq", "hlg"])
def test_colours_that_no_display_shows_are_cut_off(encoding: str) -> None:
    corners = torch.cartesian_prod(*[torch.tensor([0.0, 0.5, 1.0])] * 3)
    shown = display_referred(corners.T.reshape(3, 1, -1), encoding)
    assert shown.isfinite().all()
    assert shown.min() >= 0
    assert shown.max() <= 1


def test_a_picture_for_displays_comes_back_as_it_is() -> None:
    image = texture(4, 5)
    assert display_referred(image, "srgb") is image


@pytest.mark.parametrize(("dtype", "largest"), [(torch.uint8, 255), (torch.uint16, 65535)])
def test_integers_survive_the_way_to_unit_and_back(dtype: torch.dtype, largest: int) -> None:
    codes = torch.arange(largest + 1, dtype=torch.int32).to(dtype)
    unit = as_unit(codes)
    assert unit.dtype == torch.float32
    assert (unit[0].item(), unit[-1].item()) == (0, 1)
    back = from_unit(unit, dtype)
    assert back.dtype == dtype
    assert_close(back.to(torch.int32), codes.to(torch.int32), EXACT)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16, torch.float32])
def test_from_unit_clamps_what_lies_outside(dtype: torch.dtype) -> None:
    found = as_unit(from_unit(torch.tensor([-0.5, 1.5]), dtype))
    assert found.tolist() == [0, 1]


def test_from_unit_rounds_to_the_nearest_code() -> None:
    values = torch.tensor([0.49, 0.51, 254.49]) / 255
    assert from_unit(values, torch.uint8).tolist() == [0, 1, 254]
