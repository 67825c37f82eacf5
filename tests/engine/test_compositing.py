"""Compositing against numbers computed by hand and against its own inverses."""

from __future__ import annotations

import pytest
import torch

from shm_engine.compositing import (
    as_unit,
    from_unit,
    linear_to_srgb,
    over,
    premultiply,
    srgb_to_linear,
    unpremultiply,
)
from tests.assertions import EXACT, FLOAT32, assert_close
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
