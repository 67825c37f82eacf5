"""Error measures against 3 x 3 cases computed by hand."""

from __future__ import annotations

import numpy as np
import pytest

from training.metrics import iou, mad, mse

TRUE = np.array([[0, 0, 1], [0, 1, 1], [0, 0.5, 1]], np.float32)
# Off by 0.1, 0.2 and 0.6; everything else is right.
PREDICTED = np.array([[0.1, 0, 1], [0, 0.8, 1], [0.6, 0.5, 1]], np.float32)


def test_mad_by_hand() -> None:
    assert mad(PREDICTED, TRUE) == pytest.approx((0.1 + 0.2 + 0.6) / 9)


def test_mse_by_hand() -> None:
    assert mse(PREDICTED, TRUE) == pytest.approx((0.01 + 0.04 + 0.36) / 9)


def test_iou_by_hand() -> None:
    # Above 0.5: predicted five pixels, true four (0.5 itself is not above), all four shared.
    assert iou(PREDICTED, TRUE) == pytest.approx(4 / 5)
    # Above 0.4 the soft pixel joins both.
    assert iou(PREDICTED, TRUE, threshold=0.4) == pytest.approx(5 / 6)


def test_nobody_found_where_nobody_is_is_perfect_and_anybody_is_not() -> None:
    nobody = np.zeros((3, 3), np.float32)
    assert iou(nobody, nobody) == 1
    assert iou(PREDICTED, nobody) == 0
    assert iou(nobody, TRUE) == 0


@pytest.mark.parametrize("metric", [mad, mse])
def test_a_perfect_matte_has_no_error_and_the_opposite_the_largest(metric) -> None:
    hard = (TRUE > 0.5).astype(np.float32)
    assert metric(TRUE, TRUE) == 0
    assert metric(1 - hard, hard) == 1
    assert metric(PREDICTED, TRUE) == pytest.approx(metric(TRUE, PREDICTED))


def test_small_errors_are_not_lost_in_large_pictures() -> None:
    true = np.zeros((2000, 2000), np.float32)
    assert mad(true + np.float32(1e-3), true) == pytest.approx(1e-3, rel=1e-6)
    assert mse(true + np.float32(1e-3), true) == pytest.approx(1e-6, rel=1e-6)
