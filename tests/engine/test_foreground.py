"""Colours of people without what is behind them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from shm_engine.compositing import as_unit, from_unit, over
from shm_engine.detail import draw
from shm_engine.foreground import foreground_colours, spread_colours
from shm_engine.preprocess import shrink
from shm_engine.types import Draft, Frame, Matte
from tests.assertions import (
    COLOUR_8_BIT,
    EXACT,
    FLOAT32,
    SPREAD_COLOUR,
    Tolerance,
    assert_close,
    assert_mean_close,
)
from tests.synthetic import ORANGE, TEAL, texture

Array = NDArray[np.float32]

HEIGHT, WIDTH = 360, 640

# The colours of the soft outline err by less than this part of the source's own error.
_ERROR_LEFT = 0.5


def soft_disc(height: int, width: int) -> torch.Tensor:
    """A disc [1, H, W] whose edge is a thirtieth of the picture's height wide."""
    y = (torch.arange(height) + 0.5 - height / 2).view(-1, 1)
    x = (torch.arange(width) + 0.5 - width / 2).view(1, -1)
    return (8.5 - torch.hypot(y, x) * 30 / height).clamp(0, 1)[None]


def matte_of(background: torch.Tensor, dtype: torch.dtype = torch.uint8) -> Matte:
    """An orange disc over the background as `draw` sees it, its draft being right."""
    alpha = soft_disc(HEIGHT, WIDTH)
    frame = Frame(image=from_unit(over(ORANGE, alpha, background), dtype))
    size = HEIGHT // 2, WIDTH // 2
    small = torch.nn.functional.avg_pool2d(alpha, 2)
    draft = Draft(frame=frame, image=shrink(frame.image[None], size)[0], alpha=small)
    (matte,) = draw(iter([draft]))
    return matte


def colour(tensor: torch.Tensor) -> Array:
    return tensor.flatten().numpy()


def test_spread_colours_of_two_colours_are_these_two() -> None:
    alpha = soft_disc(144, 256)
    image = over(ORANGE, alpha, TEAL).numpy()
    person, scene = spread_colours(image, alpha[0].numpy())
    assert person.shape == scene.shape == (72, 128, 4)
    near = torch.nn.functional.avg_pool2d(alpha, 2)[0].numpy()
    # Each where at least half of the pixel is its own.
    for found, expected, share in ((person, ORANGE, near), (scene, TEAL, 1 - near)):
        outline = (share > 0.5) & (share < 0.95)
        assert outline.sum() > 100
        wanted = np.broadcast_to(colour(expected), (int(outline.sum()), 3))
        assert_mean_close(found[outline, :3], wanted, SPREAD_COLOUR)
    assert_close(person[36, 64], [*colour(ORANGE), 1], FLOAT32)
    assert_close(scene[2, 2], [*colour(TEAL), 1], FLOAT32)


@pytest.mark.parametrize("level", [0.0, 1.0])
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (33, 2), (40, 60)])
def test_spread_colours_are_colours_even_where_one_of_them_is_never_seen(
    level: float, size: tuple[int, int]
) -> None:
    image = texture(*size).numpy()
    for found in spread_colours(image, np.full(size, level, np.float32)):
        assert np.isfinite(found).all()
        assert found.min() >= 0
        assert found.max() <= 1


def test_foreground_and_background_mix_to_the_picture_and_are_colours() -> None:
    rng = np.random.default_rng(0)
    source, foreground, background = rng.random((3, 3, 20000), np.float32)
    alpha = rng.random(20000, np.float32)
    found = foreground_colours(source, alpha, foreground, background)
    assert found.dtype == np.float32
    assert found.min() >= 0
    assert found.max() <= 1
    # With the background that is left for it: within half a step of 8 bits of a colour.
    rest = 1 - alpha.astype(np.float64)
    implied = (source - alpha * found) / rest
    mixed = alpha * found + rest * implied.clip(0, 1)
    assert_close(mixed, source, COLOUR_8_BIT)


def test_right_estimates_of_both_colours_are_left_alone() -> None:
    rng = np.random.default_rng(1)
    foreground, background = rng.random((2, 3, 1000), np.float32)
    alpha = rng.random(1000, np.float32)
    source = alpha * foreground + (1 - alpha) * background
    assert_close(foreground_colours(source, alpha, foreground, background), foreground, FLOAT32)


def test_what_is_not_covered_keeps_the_estimate_and_what_is_covered_the_source() -> None:
    rng = np.random.default_rng(2)
    source, foreground, background = rng.random((3, 3, 1000), np.float32)
    none, full = np.zeros(1000, np.float32), np.ones(1000, np.float32)
    assert_close(foreground_colours(source, none, foreground, background), foreground, EXACT)
    half_step = Tolerance(COLOUR_8_BIT.largest + FLOAT32.largest, COLOUR_8_BIT.reason)
    assert_close(foreground_colours(source, full, foreground, background), source, half_step)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16, torch.float32])
@pytest.mark.parametrize("scene", ["teal", "texture"])
def test_the_outline_loses_at_least_half_of_the_old_background(
    dtype: torch.dtype, scene: str
) -> None:
    behind = TEAL.expand(3, HEIGHT, WIDTH) if scene == "teal" else texture(HEIGHT, WIDTH)
    matte = matte_of(behind, dtype)
    assert matte.foreground is not None
    assert matte.foreground.colours.dtype == dtype
    pixels = matte.foreground.pixels
    true_alpha = soft_disc(HEIGHT, WIDTH).flatten()
    soft = (true_alpha[pixels] > 0.1) & (true_alpha[pixels] < 0.9)
    assert soft.sum() > 5000
    truth = colour(ORANGE)[:, None]
    source = as_unit(matte.frame.image.flatten(1).float().to(dtype)).numpy()[:, pixels[soft]]
    found = as_unit(matte.foreground.colours).numpy()[:, soft]
    assert np.abs(found - truth).mean() <= _ERROR_LEFT * np.abs(source - truth).mean()


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_only_the_pixels_of_the_foreground_differ_from_the_frame(dtype: torch.dtype) -> None:
    matte = matte_of(TEAL.expand(3, HEIGHT, WIDTH), dtype)
    assert matte.foreground is not None
    pixels = matte.foreground.pixels
    assert (pixels.diff() > 0).all()
    assert pixels[0] >= 0
    assert pixels[-1] < HEIGHT * WIDTH
    others = torch.ones(HEIGHT * WIDTH, dtype=torch.bool)
    others[pixels] = False
    colours, image = matte.colours.flatten(1), matte.frame.image.flatten(1)
    assert_close(colours[:, others], image[:, others], EXACT)
    assert_close(colours[:, pixels], matte.foreground.colours, EXACT)
    unsure = (matte.alpha.flatten() > 0.02) & (matte.alpha.flatten() < 0.98)
    assert unsure.sum() > 5000
    assert not (others & unsure).any(), "every half-covered pixel has its own colour"


def test_over_its_own_background_the_cut_out_looks_as_it_was_filmed() -> None:
    background = texture(HEIGHT, WIDTH, seed=4)
    matte = matte_of(background, torch.float32)
    again = over(matte.colours, matte.alpha, background)
    as_filmed = over(matte.frame.image, matte.alpha, background)
    error, error_as_filmed = (
        (picture - matte.frame.image).abs().mean() for picture in (again, as_filmed)
    )
    assert error <= _ERROR_LEFT * error_as_filmed
