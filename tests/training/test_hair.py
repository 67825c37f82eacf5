"""Synthetic hair: strands whose alpha is what they cover, in the colours of the head."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.assertions import COMPOSITE_8_BIT, EXACT, assert_close
from training.data import hair
from training.data.augment import put_over
from training.data.hair import STYLES, grow_hair
from training.data.picture import Picture

SEEDS = range(25)
BROWN, BLUE = np.array([120, 70, 30]), np.array([20, 40, 200])


def bust(size: int = 160) -> Picture:
    """A brown head on blue shoulders that the lower edge cuts off, premultiplied."""
    fine = np.zeros((size * 4, size * 4), np.uint8)
    cv2.circle(fine, (size * 2, int(size * 1.8)), int(size * 0.7), (255.0,), -1)
    cv2.ellipse(fine, (size * 2, size * 4), (size, int(size * 1.7)), 0, 0, 360, (255.0,), -1)
    alpha = np.asarray(cv2.resize(fine, (size, size), interpolation=cv2.INTER_AREA), np.uint8)
    colours = np.where(np.arange(size)[:, None, None] < size * 0.6, BROWN, BLUE)
    return Picture((colours * (alpha[..., None] / 255)).astype(np.uint8), alpha)


def coverage_added(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> NDArray[np.int64]:
    return after.astype(np.int64) - before


def test_hair_only_adds_to_alpha_and_stays_premultiplied() -> None:
    person = bust()
    kept = person.alpha.copy()
    for seed in SEEDS:
        grown = grow_hair(person, np.random.default_rng(seed))
        assert (coverage_added(person.alpha, grown.alpha) >= -1).all()
        assert (grown.colours <= grown.alpha[..., None]).all()
        assert coverage_added(person.alpha, grown.alpha).sum() > 255 * 5, "some hair is seen"
    assert_close(person.alpha, kept, EXACT)


@pytest.mark.parametrize("style", STYLES)
def test_strands_are_thin_and_mostly_soft(style: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hair, "STYLES", {style: STYLES[style]})
    person = bust()
    added = coverage_added(person.alpha, grow_hair(person, np.random.default_rng(1)).alpha)
    covered = added > 8
    assert covered.sum() > 50
    assert added[covered].mean() < 230, "single strands do not fill their pixels"


def test_strands_have_the_colours_of_the_head_not_of_the_clothes() -> None:
    person = bust()
    for seed in SEEDS:
        grown = grow_hair(person, np.random.default_rng(seed))
        outside = (person.alpha == 0) & (grown.alpha > 128)
        straight = grown.colours[outside] * (255 / grown.alpha[outside, None])
        assert (straight[:, 0] > straight[:, 2]).mean() > 0.8, "brown: more red than blue"


def test_a_composite_with_hair_obeys_the_matting_equation() -> None:
    """Over black and over white: the difference of the two composites is 1 - alpha."""
    grown = grow_hair(bust(), np.random.default_rng(3))
    size = grown.alpha.shape
    black, white = (
        put_over(grown, Picture(np.full((*size, 3), v, np.uint8), np.zeros(size, np.uint8))).colours
        for v in (0, 255)
    )
    clear = (white.astype(float) - black) / 255
    assert_close(1 - clear[..., 1], grown.alpha / 255, COMPOSITE_8_BIT)


def test_nothing_grows_where_no_head_is_seen() -> None:
    nobody = Picture(np.zeros((64, 64, 3), np.uint8), np.zeros((64, 64), np.uint8))
    person = bust()
    cut = Picture(person.colours[60:], person.alpha[60:])
    for picture in (nobody, cut):
        grown = grow_hair(picture, np.random.default_rng(0))
        assert_close(grown.alpha, picture.alpha, EXACT)
        assert_close(grown.colours, picture.colours, EXACT)


def test_the_same_generator_grows_the_same_hair() -> None:
    one, two = (grow_hair(bust(), np.random.default_rng(9)) for _ in range(2))
    assert_close(one.alpha, two.alpha, EXACT)
    assert_close(one.colours, two.colours, EXACT)
