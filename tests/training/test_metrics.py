"""Error measures against cases computed by hand, a slow reference, and the traps of the field."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.training import slow_metrics as slow
from training.evaluation.metrics import (
    Pair,
    connectivity_error,
    dtssd,
    gradient_error_hr,
    gradient_error_lr,
    iou,
    mad,
    mse,
    sad,
)

TRUE = np.array([[0, 0, 1], [0, 1, 1], [0, 0.5, 1]], np.float32)
# Off by 0.1, 0.2 and 0.6; everything else is right.
PREDICTED = np.array([[0.1, 0, 1], [0, 0.8, 1], [0.6, 0.5, 1]], np.float32)
# The two lower rows: errors of 0.2 and 0.6 over 6 pixels.
LOWER = np.array([[0, 0, 0], [1, 1, 1], [1, 1, 1]], bool)
NOWHERE = np.zeros((3, 3), bool)

FAST_AND_SLOW = [
    (mad, slow.slow_mad),
    (mse, slow.slow_mse),
    (sad, slow.slow_sad),
    (iou, slow.slow_iou),
    (gradient_error_lr, slow.slow_gradient_error_lr),
    (gradient_error_hr, slow.slow_gradient_error_hr),
    (connectivity_error, slow.slow_connectivity_error),
]
METRICS = [fast for fast, _ in FAST_AND_SLOW]
SUMS = [sad, gradient_error_lr, gradient_error_hr, connectivity_error]


def mattes(seed: int, size: tuple[int, int] = (17, 22)) -> tuple[Any, Any]:
    """A soft truth in two parts and a prediction with errors everywhere, 8-bit levels."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: size[0], : size[1]]
    body = np.clip(6.4 - np.hypot(y - 8, x - 7), 0, 1.3)
    hand = np.clip(3.2 - np.hypot(y - 4, x - 18), 0, 1)
    true = np.clip(body + hand, 0, 1)
    predicted = np.clip(np.roll(true, 1, axis=1) * 0.9 + rng.normal(0, 0.1, size), 0, 1)
    return tuple((np.rint(alpha * 255) / 255).astype(np.float32) for alpha in (predicted, true))


def test_means_and_sums_by_hand() -> None:
    assert mad(PREDICTED, TRUE) == pytest.approx((0.1 + 0.2 + 0.6) / 9)
    assert mse(PREDICTED, TRUE) == pytest.approx((0.01 + 0.04 + 0.36) / 9)
    assert sad(PREDICTED, TRUE) == pytest.approx((0.1 + 0.2 + 0.6) / 1000)


def test_in_a_region_only_its_pixels_count_and_divide() -> None:
    assert mad(PREDICTED, TRUE, LOWER) == pytest.approx((0.2 + 0.6) / 6)
    assert mse(PREDICTED, TRUE, LOWER) == pytest.approx((0.04 + 0.36) / 6)
    assert sad(PREDICTED, TRUE, LOWER) == pytest.approx((0.2 + 0.6) / 1000)


@pytest.mark.parametrize("metric", [mad, mse, *SUMS])
def test_a_region_without_pixels_has_no_error(metric) -> None:
    assert metric(PREDICTED, TRUE, NOWHERE) == 0


def test_iou_by_hand() -> None:
    # Above 0.5: predicted five pixels, true four (0.5 itself is not above), all four shared.
    assert iou(PREDICTED, TRUE) == pytest.approx(4 / 5)
    # Above 0.4 the soft pixel joins both.
    assert iou(PREDICTED, TRUE, threshold=0.4) == pytest.approx(5 / 6)
    assert iou(PREDICTED, TRUE, LOWER) == pytest.approx(3 / 4)
    assert iou(PREDICTED, TRUE, ~LOWER) == 1


def test_nobody_found_where_nobody_is_is_perfect_and_anybody_is_not() -> None:
    nobody = np.zeros((3, 3), np.float32)
    assert iou(nobody, nobody) == 1
    assert iou(PREDICTED, nobody) == 0
    assert iou(nobody, TRUE) == 0


@pytest.mark.parametrize("metric", [mad, mse])
def test_a_perfect_matte_has_no_error_and_the_opposite_the_largest(metric) -> None:
    hard = (TRUE > 0.5).astype(np.float32)
    assert metric(1 - hard, hard) == 1
    assert metric(PREDICTED, TRUE) == pytest.approx(metric(TRUE, PREDICTED))


def test_small_errors_are_not_lost_in_large_pictures() -> None:
    true = np.zeros((2000, 2000), np.float32)
    assert mad(true + np.float32(1e-3), true) == pytest.approx(1e-3, rel=1e-6)
    assert mse(true + np.float32(1e-3), true) == pytest.approx(1e-6, rel=1e-6)
    assert sad(true + np.float32(1e-3), true) == pytest.approx(4, rel=1e-6)


@pytest.mark.parametrize(("fast", "reference"), FAST_AND_SLOW)
@pytest.mark.parametrize("seed", [0, 1])
def test_fast_and_slow_agree(fast, reference, seed: int) -> None:
    predicted, true = mattes(seed)
    everywhere = np.ones(true.shape, bool)
    unknown = (true > 0) & (true < 1)
    as_float64 = predicted.astype(np.float64), true.astype(np.float64)
    expected = reference(*as_float64, everywhere)
    assert expected > 0
    # Float32 against float64: sums of some hundred roundings.
    assert fast(predicted, true) == pytest.approx(expected, rel=1e-5)
    assert fast(*as_float64) == pytest.approx(expected, rel=1e-5)
    assert fast(predicted, true, unknown) == pytest.approx(reference(*as_float64, unknown), 1e-5)


@pytest.mark.parametrize("metric", METRICS)
def test_nothing_is_changed_in_place_and_a_perfect_matte_is_perfect(metric) -> None:
    predicted, true = mattes(2)
    unknown = (true > 0) & (true < 1)
    before = [array.copy() for array in (predicted, true, unknown)]
    for array in (predicted, true, unknown):
        array.flags.writeable = False
    metric(predicted, true, unknown)
    for array, old in zip((predicted, true, unknown), before, strict=True):
        assert (array == old).all()
    assert metric(true, true.copy()) == (metric is iou)


# The gradient error


def test_one_pixel_has_the_energy_of_the_two_filters() -> None:
    # Both filters have a sum of squares of 1, so a lone pixel of 1 gives 1 + 1.
    lone = np.zeros((15, 17), np.float32)
    lone[7, 8] = 1
    assert gradient_error_hr(lone, np.zeros_like(lone)) == pytest.approx(0.002, rel=1e-5)
    # At the corner its copies beyond the edge are seen as well.
    corner = np.roll(lone, (-7, -8), axis=(0, 1))
    assert gradient_error_hr(corner, np.zeros_like(lone)) > 0.002


def test_the_lr_gradient_is_blind_to_gain_and_offset_and_the_hr_gradient_is_not() -> None:
    _, true = mattes(0)
    energy = gradient_error_hr(np.zeros_like(true), true)
    assert energy > 0.01
    for gain, offset in ((0.8, 0.0), (0.9, 0.1)):
        faded = np.float32(gain) * true + np.float32(offset)
        assert gradient_error_lr(faded, true) == pytest.approx(0, abs=1e-9)
        # Lengths differ by 1 - gain of themselves.
        assert gradient_error_hr(faded, true) == pytest.approx((1 - gain) ** 2 * energy, rel=1e-4)


@pytest.mark.parametrize("gradient_error", [gradient_error_lr, gradient_error_hr])
def test_a_constant_has_no_gradient_wherever_it_lies(gradient_error) -> None:
    _, true = mattes(0)
    errors = [gradient_error(np.full_like(true, level), true) for level in (0, 0.3, 1)]
    assert errors == pytest.approx([gradient_error(np.zeros_like(true), true)] * 3, rel=1e-5)
    assert gradient_error(np.full_like(true, 0.2), np.full_like(true, 0.7)) < 1e-9


def test_one_hot_pixel_far_away_moves_the_lr_gradient_everywhere() -> None:
    _, true = mattes(0)
    faded = true * np.float32(0.8)
    hot = faded.copy()
    hot[-1, -1] = 1
    body = np.zeros(true.shape, bool)
    body[:, :12] = True
    assert gradient_error_lr(hot, true, body) > 100 * gradient_error_lr(faded, true, body)
    assert gradient_error_hr(hot, true, body) == pytest.approx(
        gradient_error_hr(faded, true, body), rel=1e-5
    )


# Connectivity


@pytest.mark.parametrize(
    ("predicted", "true", "expected"),
    [
        # Alone and far from the person, alpha counts as unconnected in full ...
        ([1, 1, 1, 0, 1.0], [1, 1, 1, 0, 0], 1.0),
        ([1, 1, 1, 0, 0.3], [1, 1, 1, 0, 0], 0.3),
        # ... but not below 0.15.
        ([1, 1, 1, 0, 0.14], [1, 1, 1, 0, 0], 0.0),
        # Beside the person it is connected up to 0.5, which both share; 0.22 is above.
        ([1, 1, 1, 0.72, 0], [1, 1, 1, 0.5, 0], 0.22),
        ([1, 1, 1, 0.64, 0], [1, 1, 1, 0.5, 0], 0.0),
        # Half of the person is missing: what is left of it is not in the shared part.
        ([1, 1, 1, 0, 0.0], [1, 1, 1, 1, 1], 2.0),
        # Unconnected in both: only the difference counts.
        ([1, 1, 1, 0, 0.8], [1, 1, 1, 0, 1], 0.2),
    ],
)
def test_connectivity_by_hand(predicted, true, expected: float) -> None:
    row, right = (np.array([values], np.float32) for values in (predicted, true))
    assert connectivity_error(row, right) == pytest.approx(expected / 1000, abs=1e-9)


def test_corners_do_not_connect() -> None:
    true = np.array([[1, 1, 0], [0, 0, 1]], np.float32)
    predicted = np.array([[1, 1, 0], [0, 0, 0.9]], np.float32)
    # Connected, 0.1 above a level of 0.9 would be nothing; unconnected, 1 and 0.9 differ.
    assert connectivity_error(predicted, true) == pytest.approx(0.1 / 1000, rel=1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("code", [51, 102, 153, 204])
def test_an_8_bit_level_that_is_a_threshold_reaches_it(code: int, dtype) -> None:
    # 3 * 0.1 is 0.30000000000000004 and 0.7 in float32 is below 0.7: who compares so loses a level.
    true = np.array([[1, 1, code / 255]], dtype)
    predicted = np.array([[1, 1, code / 255 + 0.16]], dtype)
    assert connectivity_error(predicted, true) == pytest.approx(0.16 / 1000, rel=1e-5)


# Size


@pytest.mark.parametrize(("metric", "growth"), [(mad, 1), (mse, 1), (iou, 1), (sad, 4)])
def test_sums_grow_with_the_pixels_and_means_do_not(metric, growth: int) -> None:
    predicted, true = mattes(0)
    once = metric(predicted, true)
    assert metric(*(np.tile(a, (2, 2)) for a in (predicted, true))) == pytest.approx(growth * once)


@pytest.mark.parametrize("metric", [gradient_error_lr, gradient_error_hr, connectivity_error])
def test_the_same_outline_at_twice_the_size_costs_more(metric) -> None:
    true = np.zeros((20, 30), np.float32)
    true[5:, 5:20] = 1
    predicted = np.zeros_like(true)
    predicted[5:, 5:18] = 1
    once = metric(predicted, true)
    twice = metric(*(a.repeat(2, axis=0).repeat(2, axis=1) for a in (predicted, true)))
    assert twice > 1.5 * once


# dtSSD


def of_clip(predicted: list[Any], true: list[Any], region: Any = None) -> list[float]:
    pairs = [Pair(p, t) for p, t in zip(predicted, true, strict=True)]
    befores = [None, *pairs[:-1]]
    return [dtssd(now, before, region) for now, before in zip(pairs, befores, strict=True)]


def test_dtssd_by_hand_counts_the_first_frame_as_0() -> None:
    true = [np.full((2, 2), level, np.float32) for level in (0, 0.5, 0.5)]
    # The first frame is wrong by 0.2 everywhere; then 0.1 of it goes; then one pixel jumps by 0.4.
    predicted = [true[0] + np.float32(0.2), true[1] + np.float32(0.1), true[2] + np.float32(0.1)]
    predicted[2][0, 0] += np.float32(0.4)
    figures = of_clip(predicted, true)
    assert figures == pytest.approx([0, 0.1, np.sqrt(0.16 / 4)], rel=1e-5)
    calm = np.array([[0, 1], [1, 1]], bool)
    assert of_clip(predicted, true, calm) == pytest.approx([0, 0.1, 0], abs=1e-7)


def test_a_steady_error_does_not_flicker() -> None:
    _, true = mattes(0)
    frames = [np.roll(true, step, axis=1) for step in range(4)]
    wrong = [frame * np.float32(0.5) for frame in frames]
    steady = [frame + np.float32(0.1) for frame in frames]
    assert of_clip(steady, frames) == pytest.approx([0] * 4, abs=1e-6)
    assert min(of_clip(wrong, frames)[1:]) > 0.01


def test_dtssd_agrees_with_its_slow_reference() -> None:
    predicted, true = zip(*(mattes(seed) for seed in range(3)), strict=True)
    region = true[0] > 0
    found, right = ([frame.astype(np.float64) for frame in clip] for clip in (predicted, true))
    expected = slow.slow_dtssd(found, right, region)
    assert of_clip(list(predicted), list(true), region) == pytest.approx(expected, rel=1e-5)
