"""Augmentation: picture and alpha move together, and people stay where people can be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.assertions import COMPOSITE_8_BIT, EXACT, assert_close
from tests.synthetic import disc_alpha, figure_alpha, texture
from tests.training.drawn import interleaved
from training.data.augment import (
    Window,
    crop_background,
    crop_person,
    disturb,
    draw_window,
    litter,
    put_over,
    smear,
    tint,
)
from training.data.picture import Picture, standing

SEEDS = range(120)


def alpha_of(height: int, width: int) -> NDArray[np.uint8]:
    return interleaved(figure_alpha(height, width))[..., 0]


def telltale(alpha: NDArray[np.uint8]) -> Picture:
    """A picture whose red is its alpha: wherever one goes, the other must be."""
    return Picture(np.stack([alpha, alpha // 2, 255 - alpha], axis=-1), alpha)


def soft_pixels(alpha: NDArray[np.uint8]) -> int:
    return int(((alpha > 5) & (alpha < 250)).sum())


def whole(x: float, y: float, side: float, **changes: Any) -> Window:
    """A window that is neither turned nor mirrored nor stretched unless told."""
    window = Window(x, y, side, 0.0, mirrored=False, stretch=1.0, floating=False)
    return window._replace(**changes)


def test_an_upright_window_of_its_own_size_is_a_slice() -> None:
    picture = telltale(alpha_of(90, 80))
    found = crop_person(picture, whole(x=40, y=50, side=32), 32)
    assert_close(found.alpha, picture.alpha[34:66, 24:56], EXACT)
    assert_close(found.colours, picture.colours[34:66, 24:56], EXACT)


def test_a_mirrored_window_is_the_mirror_image() -> None:
    picture = telltale(interleaved(disc_alpha(60, 60, centre=(30, 24), radius=9))[..., 0])
    plain = crop_person(picture, whole(x=30, y=30, side=40), 40)
    mirrored = crop_person(picture, whole(x=30, y=30, side=40, mirrored=True), 40)
    assert_close(mirrored.alpha, plain.alpha[:, ::-1], EXACT)
    assert_close(mirrored.colours, plain.colours[:, ::-1], EXACT)


def test_a_turned_window_turns_the_picture_against_the_clock() -> None:
    alpha = np.zeros((64, 64), np.uint8)
    alpha[31:34, 45:48] = 255  # 14 pixels to the right of the centre
    found = crop_person(telltale(alpha), whole(x=32, y=32, side=64, degrees=90), 64).alpha
    y, x = (float(values.mean()) for values in np.nonzero(found > 127))
    assert (y, x) == pytest.approx((32 - 14, 32), abs=1)


@pytest.mark.parametrize("side", [24, 48, 96])
def test_a_window_scales_areas_by_the_square(side: int) -> None:
    drawn = disc_alpha(96, 96, centre=(48, 48), radius=10)
    found = crop_person(telltale(interleaved(drawn)[..., 0]), whole(48, 48, side), 48).alpha
    expected = float(drawn.sum()) * (48 / side) ** 2
    assert found.sum(dtype=np.float64) / 255 == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("floating", [False, True])
def test_picture_and_alpha_move_together_whatever_the_window(*, floating: bool) -> None:
    turned = mirrored = 0
    for seed in SEEDS:
        picture = telltale(alpha_of(110, 90))
        if floating:  # a cut-out is premultiplied: nothing but black where alpha is 0
            picture = Picture(np.minimum(picture.colours, picture.alpha[..., None]), picture.alpha)
        window = draw_window(picture.alpha, np.random.default_rng(seed), floating=floating)
        turned += window.degrees != 0
        mirrored += window.mirrored
        found = crop_person(picture, window, 48)
        assert found.colours.shape == (48, 48, 3)
        assert_close(found.colours[..., 0], found.alpha, EXACT)
        assert found.alpha.max() > 127, "somebody is seen"
    assert mirrored in range(40, 81)
    assert turned > 10 or floating, "the planted figure is cut off below: it may not be turned"


def test_a_cutout_cut_off_at_the_bottom_never_hovers() -> None:
    for seed in SEEDS:
        picture = telltale(alpha_of(100, 60))
        window = draw_window(picture.alpha, np.random.default_rng(seed), floating=True)
        for size in (64, 160):
            found = crop_person(picture, window, size)
            assert found.alpha[-1].max() == 255, f"seed {seed}: background shines through below"


def test_a_whole_cutout_may_stand_anywhere_and_turn() -> None:
    alpha = interleaved(disc_alpha(90, 60, centre=(40, 30), radius=20))[..., 0]
    windows = [draw_window(alpha, np.random.default_rng(s), floating=True) for s in SEEDS]
    assert any(window.degrees for window in windows)
    assert any(window.y + window.side / 2 > 90 for window in windows)


def test_a_photograph_is_never_continued_above_or_below() -> None:
    for seed in SEEDS:
        window = draw_window(alpha_of(100, 60), np.random.default_rng(seed), floating=False)
        assert window.y - window.side / 2 >= -1e-9
        assert window.y + window.side / 2 <= 100 + 1e-9


def test_a_picture_without_a_person_gives_a_window_inside_it() -> None:
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        window = draw_window(np.zeros((70, 50), np.uint8), rng, floating=False)
        assert 40 <= window.side <= 50
        assert window.side / 2 <= window.x <= 50 - window.side / 2
        assert window.side / 2 <= window.y <= 70 - window.side / 2


def test_put_over_is_the_over_of_the_parts_and_alphas_join() -> None:
    generator = np.random.default_rng(0)
    front, back = generator.integers(0, 256, (2, 40, 40), dtype=np.uint8)
    front_colour, back_colour = np.array([250.0, 100, 10]), np.array([20.0, 140, 240])
    a, b = front[..., None] / 255, back[..., None] / 255
    found = put_over(
        Picture((front_colour * a).astype(np.uint8), front),
        Picture((back_colour * b).astype(np.uint8), back),
    )
    expected = front_colour * a + (1 - a) * back_colour * b
    assert_close(found.colours / 255, expected / 255, COMPOSITE_8_BIT)
    assert_close(found.alpha[..., None] / 255, a + b - a * b, COMPOSITE_8_BIT)


def test_a_tint_scales_colours_and_leaves_alpha() -> None:
    alpha = np.full((8, 8), 200, np.uint8)
    person = Picture(np.full((8, 8, 3), (180, 90, 30), np.uint8), alpha)
    for seed in SEEDS:
        found = tint(person, np.random.default_rng(seed))
        assert_close(found.alpha, alpha, EXACT)
        assert found.colours.max() <= 200, "premultiplied colours never exceed their alpha"
        ratio = found.colours[0, 0] / np.array([180.0, 90, 30])
        assert ((ratio > 0.5) & (ratio < 1.15 * 1.1)).all()


def test_a_background_is_a_part_of_its_scene() -> None:
    scene = np.zeros((70, 90, 3), np.uint8)
    scene[...] = np.arange(90, dtype=np.uint8)[None, :, None]
    for seed in SEEDS:
        found = crop_background(scene, 32, np.random.default_rng(seed))
        assert found.shape == (32, 32, 3)
        assert found.flags.c_contiguous
        steps = np.diff(found[16, :, 0].astype(int))
        assert (steps >= 0).all() or (steps <= 0).all(), "columns stay in order, or mirrored"
    assert crop_background(scene[:1, :1], 8, np.random.default_rng(0)).shape == (8, 8, 3)


def test_a_background_is_never_squeezed_by_more_than_a_third() -> None:
    """A grey level a column, another a row: their steps tell the scale in both directions."""
    scene = np.zeros((60, 240, 3), np.uint8)
    scene[..., 0] = np.arange(240, dtype=np.uint8)
    scene[..., 1] = 4 * np.arange(60, dtype=np.uint8)[:, None]
    for seed in SEEDS:
        found = crop_background(scene, 64, np.random.default_rng(seed)).astype(int)
        wide, tall = np.ptp(found[32, 8:-8, 0]), np.ptp(found[8:-8, 32, 1]) / 4
        assert wide <= 1.35 * tall + 6
        assert tall <= 1.35 * wide + 6


def test_litter_is_one_shape_of_the_other_scene() -> None:
    scene, other = (np.full((80, 80, 3), value, np.uint8) for value in (40, 200))
    shares = []
    for seed in SEEDS:
        found = litter(scene, other, np.random.default_rng(seed))
        assert ((found >= 39) & (found <= 201)).all()
        inside = found[..., 0] > 120
        shares.append(float(inside.mean()))
    assert 0.02 < float(np.median(shares)) < 0.35
    assert max(shares) < 0.9, "the scene is still there"
    assert_close(scene, np.full_like(scene, 40), EXACT)


def test_motion_moves_colours_and_alpha_alike_and_keeps_how_much_there_is() -> None:
    alpha = interleaved(disc_alpha(96, 96, centre=(48, 48), radius=20))[..., 0]
    person = Picture(np.repeat((alpha // 2)[..., None], 3, axis=2), alpha)
    for seed in SEEDS:
        found = smear(person, np.random.default_rng(seed))
        assert np.abs(found.colours[..., 0].astype(int) - found.alpha / 2).max() <= 1.5
        assert found.alpha.sum(dtype=float) == pytest.approx(alpha.sum(dtype=float), rel=0.01)
        assert soft_pixels(found.alpha) > soft_pixels(alpha)
        y, x = (float(values.mean()) for values in np.nonzero(found.alpha > 127))
        assert (y, x) == pytest.approx((48, 48), abs=0.75), "nothing is shifted"


def test_a_figure_stands_when_it_is_much_taller_than_wide() -> None:
    assert standing(np.pad(np.full((90, 30), 255, np.uint8), 5))
    assert not standing(np.pad(np.full((50, 30), 255, np.uint8), 5))
    assert not standing(np.zeros((9, 9), np.uint8))


def test_disturbing_keeps_shape_and_source_and_depends_on_the_generator_alone() -> None:
    image = interleaved(texture(48, 48))
    before = image.copy()
    results = [disturb(image, np.random.default_rng(seed)) for seed in SEEDS]
    assert_close(image, before, EXACT)
    assert {(r.shape, r.dtype.name) for r in results} == {((48, 48, 3), "uint8")}
    assert_close(disturb(image, np.random.default_rng(3)), results[3], EXACT)
    assert len({r.tobytes() for r in results}) == len(results)
    luma = [float(r.mean()) for r in results]
    assert min(luma) < before.mean() < max(luma)
