"""Trimaps from alphas whose band can be computed by hand."""

from __future__ import annotations

import numpy as np
import pytest

from shm_engine.trimap import Trimap, trimap_from_alpha
from tests.assertions import DRAWN_DISC
from tests.synthetic import disc_alpha, figure_alpha

CENTRE, RADIUS = (50.0, 50.0), 30.0


def disc_trimap(erosion_pixels: int, dilation_pixels: int) -> np.ndarray:
    alpha = disc_alpha(101, 101, centre=CENTRE, radius=RADIUS)[0].numpy()
    return trimap_from_alpha(alpha, erosion_pixels=erosion_pixels, dilation_pixels=dilation_pixels)


def distances() -> np.ndarray:
    y, x = np.mgrid[:101, :101]
    return np.hypot(y - CENTRE[0], x - CENTRE[1])


def test_the_classes_go_from_background_to_foreground() -> None:
    assert [Trimap.BACKGROUND, Trimap.UNKNOWN, Trimap.FOREGROUND] == [0, 1, 2]


@pytest.mark.parametrize(("erosion", "dilation"), [(1, 1), (4, 9), (12, 2)])
def test_the_band_of_a_disc_is_as_wide_as_the_radii_say(erosion: int, dilation: int) -> None:
    trimap = disc_trimap(erosion, dilation)
    slack = DRAWN_DISC.largest
    inside, outside = RADIUS - erosion, RADIUS + dilation
    assert (trimap[distances() < inside - slack] == Trimap.FOREGROUND).all()
    assert (trimap[distances() > outside + slack] == Trimap.BACKGROUND).all()
    band = (distances() > inside + slack) & (distances() < outside - slack)
    assert (trimap[band] == Trimap.UNKNOWN).all()
    assert set(np.unique(trimap)) == {0, 1, 2}


def test_radii_of_zero_leave_exactly_the_soft_pixels_unknown() -> None:
    alpha = disc_alpha(101, 101, centre=(50.3, 49.8), radius=RADIUS)[0].numpy()
    trimap = trimap_from_alpha(alpha, erosion_pixels=0, dilation_pixels=0)
    soft = (alpha > 0.06) & (alpha < 0.94)
    assert soft.any()
    assert (trimap[soft] == Trimap.UNKNOWN).all()
    assert (trimap[alpha < 0.04] == Trimap.BACKGROUND).all()
    assert (trimap[alpha > 0.96] == Trimap.FOREGROUND).all()


def test_a_person_cut_by_the_edge_of_the_picture_stays_foreground_there() -> None:
    alpha = figure_alpha(80, 60)[0].numpy()
    trimap = trimap_from_alpha(alpha, erosion_pixels=8, dilation_pixels=8)
    assert alpha[-1, 30] == 1
    assert trimap[-1, 30] == Trimap.FOREGROUND
    assert trimap[0, 0] == Trimap.BACKGROUND


def test_soft_hair_far_from_the_body_stays_unknown() -> None:
    alpha = np.zeros((64, 64), np.float32)
    alpha[30:34, 30:34] = 0.5
    trimap = trimap_from_alpha(alpha, erosion_pixels=5, dilation_pixels=0)
    assert (trimap[30:34, 30:34] == Trimap.UNKNOWN).all()
    assert np.count_nonzero(trimap) == 16


@pytest.mark.parametrize(("value", "only"), [(0.0, Trimap.BACKGROUND), (1.0, Trimap.FOREGROUND)])
def test_a_picture_of_one_kind_has_one_class(value: float, only: Trimap) -> None:
    alpha = np.full((5, 9), value, np.float32)
    trimap = trimap_from_alpha(alpha, erosion_pixels=14, dilation_pixels=14)
    assert trimap.dtype == np.uint8
    assert (trimap == only).all()


@pytest.mark.parametrize("radii", [(-1, 3), (3, -1)])
def test_a_negative_radius_is_refused(radii: tuple[int, int]) -> None:
    alpha = np.zeros((4, 4), np.float32)
    with pytest.raises(ValueError, match="-1"):
        trimap_from_alpha(alpha, erosion_pixels=radii[0], dilation_pixels=radii[1])
