"""Smoothing in time: what flickers is held, what moves is followed, nothing crosses a cut."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from shm_engine.drafts import draft_from_bytes, draft_to_bytes
from shm_engine.smoothing import STRENGTHS, Strength, smooth
from shm_engine.types import Draft, Frame
from tests.assertions import EXACT, FLOAT32, Tolerance, assert_close
from tests.engine.conftest import SMALL, exact_matter
from tests.engine.drafts import COUNT, HEIGHT, MOTIONS, WIDTH, as_draft, at, cloth, moving_figure
from tests.synthetic import texture
from training.evaluation.metrics import Pair, dtssd, mad

# Less than this part of the flicker is to be left, averaged over the motions.
_FLICKER_LEFT = 0.6

# A clip without flicker may err by this part of what a lag of one frame would make it err.
_LAG_LEFT = 1 / 3


@pytest.fixture(params=list(STRENGTHS.values()), ids=list(STRENGTHS))
def strength(request: pytest.FixtureRequest) -> Strength:
    chosen: Strength = request.param
    return chosen


def smoothed(drafts: Sequence[Draft], strength: Strength) -> list[Draft]:
    return list(smooth(iter(drafts), strength))


def assert_same(
    found: Sequence[Draft], expected: Sequence[Draft], tolerance: Tolerance = EXACT
) -> None:
    """The same frames with the same alphas and trimaps."""
    assert [draft.frame for draft in found] == [draft.frame for draft in expected]
    for one, other in zip(found, expected, strict=True):
        assert one.trimap is not None
        assert other.trimap is not None
        assert_close(one.alpha, other.alpha, tolerance)
        assert_close(one.trimap, other.trimap, tolerance)
        assert one.image is other.image


def differ(found: Sequence[Draft], expected: Sequence[Draft]) -> list[bool]:
    """Which alphas are not the same."""
    pairs = zip(found, expected, strict=True)
    return [not torch.equal(one.alpha, other.alpha) for one, other in pairs]


def shots() -> list[Draft]:
    """Two shots, the second of which pauses on the way."""
    first = moving_figure("pan", flickers=True).drafts[:4]
    second = [
        replace(
            at(draft, 4 + index, 4 + index + (100 if index >= 2 else 0)),
            image=torch.from_numpy(cloth(11).transpose(2, 0, 1).copy()),
        )
        for index, draft in enumerate(moving_figure("sway", flickers=True).drafts[:4])
    ]
    return [*first, *second]


def flicker(drafts: Sequence[Draft], truths: Sequence[torch.Tensor]) -> float:
    pairs = [
        Pair(draft.alpha[0].numpy(), truth[0].numpy())
        for draft, truth in zip(drafts, truths, strict=True)
    ]
    return float(np.mean([dtssd(now, before) for before, now in pairwise(pairs)]))


def error(drafts: Sequence[Draft], truths: Sequence[torch.Tensor]) -> float:
    pairs = zip(drafts, truths, strict=True)
    return float(np.mean([mad(d.alpha[0].numpy(), truth[0].numpy()) for d, truth in pairs]))


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_every_frame_comes_out_once_and_in_order(strength: Strength, count: int) -> None:
    drafts = moving_figure("pan", flickers=True).drafts[:count]
    found = smoothed(drafts, strength)
    assert [draft.frame for draft in found] == [draft.frame for draft in drafts]
    assert all(one.image is other.image for one, other in zip(found, drafts, strict=True))


def test_a_frame_that_stands_alone_is_not_changed(strength: Strength) -> None:
    drafts = moving_figure("still", flickers=True).drafts[:1]
    assert_same(smoothed(drafts, strength), drafts)


def test_a_clip_that_does_not_change_is_not_changed(strength: Strength) -> None:
    first = moving_figure("still", flickers=True).drafts[0]
    drafts = [at(first, index, index) for index in range(5)]
    assert_same(smoothed(drafts, strength), drafts)


def test_smoothing_looks_ahead_by_one_frame_and_no_more(strength: Strength) -> None:
    taken = 0

    def source() -> Iterator[Draft]:
        nonlocal taken
        for draft in moving_figure("pan", flickers=True).drafts:
            taken += 1
            yield draft

    found = smooth(source(), strength)
    assert taken == 0
    for index, _ in enumerate(found):
        assert taken == min(COUNT, index + 2)


def test_smoothing_does_not_cross_a_scene_cut(strength: Strength) -> None:
    before = moving_figure("pan", flickers=True).drafts[:4]
    other = cloth(11)
    after = [
        replace(
            at(draft, 4 + draft.frame.index, 4 + draft.frame.index),
            image=torch.from_numpy(other.transpose(2, 0, 1).copy()),
        )
        for draft in moving_figure("sway", flickers=True).drafts[:4]
    ]
    found = smoothed([*before, *after], strength)
    alone = smoothed(before, strength) + smoothed(after, strength)
    assert_same(found, alone)
    assert any(differ(found[4:], after)), "the second shot is smoothed within itself"


@pytest.mark.parametrize(
    ("later_pts", "is_linked"), [(1, True), (12, True), (13, False), (0, False), (-4, False)]
)
def test_frames_half_a_second_apart_or_out_of_order_know_nothing_of_each_other(
    strength: Strength, later_pts: int, *, is_linked: bool
) -> None:
    one, other = moving_figure("still", flickers=True).drafts[:2]
    drafts = [at(one, 0, 0), at(other, 1, later_pts)]
    assert differ(smoothed(drafts, strength), drafts) == [False, is_linked]


def test_a_pause_divides_a_clip_in_two(strength: Strength) -> None:
    drafts = [
        at(draft, index, index + (100 if index >= 3 else 0))
        for index, draft in enumerate(moving_figure("pan", flickers=True).drafts[:6])
    ]
    alone = smoothed(drafts[:3], strength) + smoothed(drafts[3:], strength)
    assert_same(smoothed(drafts, strength), alone)


@pytest.mark.parametrize("height", [HEIGHT // 2, 24, 7, 1])
def test_smoothing_starts_afresh_where_the_size_changes(strength: Strength, height: int) -> None:
    large = moving_figure("pan", flickers=True).drafts[:3]
    small = [
        replace(
            at(draft, index, index),
            image=draft.image[:, -height:],
            alpha=draft.alpha[:, -height:],
            trimap=None if draft.trimap is None else draft.trimap[:, -height:],
        )
        for index, draft in enumerate(moving_figure("pan", flickers=True).drafts[3:6], start=3)
    ]
    alone = smoothed(large, strength) + smoothed(small, strength)
    assert_same(smoothed([*large, *small], strength), alone)


@pytest.mark.parametrize("with_trimap", [True, False])
def test_smoothing_goes_on_from_any_draft_as_if_it_had_never_stopped(
    strength: Strength, *, with_trimap: bool
) -> None:
    drafts = [d if with_trimap else replace(d, trimap=None) for d in shots()]
    whole = smoothed(drafts, strength)
    assert any(differ(whole, drafts))
    for done in range(1, len(drafts) + 1):
        since = draft_from_bytes(draft_to_bytes(whole[done - 1]))
        rest = list(smooth(iter(drafts[done:]), strength, since))
        assert [draft.frame for draft in rest] == [draft.frame for draft in drafts[done:]]
        for one, other in zip(rest, whole[done:], strict=True):
            assert torch.equal(one.alpha, other.alpha)
            assert with_trimap == (one.trimap is not None)
            if one.trimap is not None and other.trimap is not None:
                assert torch.equal(one.trimap, other.trimap)


def test_a_smoothed_draft_knows_what_it_was(strength: Strength) -> None:
    drafts = shots()
    for one, other in zip(smoothed(drafts, strength), drafts, strict=True):
        if torch.equal(one.alpha, other.alpha):
            assert one.unsmoothed is None
        else:
            assert one.unsmoothed is other.alpha


def test_a_hole_of_a_single_frame_is_closed(strength: Strength) -> None:
    drafts = list(moving_figure("still").drafts)
    patch = np.s_[0, HEIGHT - 60 : HEIGHT - 30, WIDTH // 2 - 15 : WIDTH // 2 + 15]
    assert drafts[4].alpha[patch].min() > 0.99
    holed = drafts[4].alpha.clone()
    holed[patch] = 0
    drafts[4] = replace(drafts[4], alpha=holed)
    found = smoothed(drafts, strength)
    assert found[4].alpha[patch].min() > 0.95
    assert min(found[index].alpha[patch].min() for index in (3, 5)) > 0.95


def test_flicker_falls_by_two_fifths_and_the_matte_gets_no_worse(strength: Strength) -> None:
    figures = []
    for motion in MOTIONS:
        drafts, truths = moving_figure(motion, flickers=True)
        found = smoothed(drafts, strength)
        figures.append(
            [
                flicker(drafts, truths),
                flicker(found, truths),
                error(drafts, truths),
                error(found, truths),
            ]
        )
    flicker_before, flicker_after, error_before, error_after = np.mean(figures, axis=0)
    assert flicker_after <= _FLICKER_LEFT * flicker_before
    assert error_after <= error_before


@pytest.mark.parametrize("motion", ["pan", "sway"])
def test_nothing_lags_behind_a_movement(strength: Strength, motion: str) -> None:
    drafts, truths = moving_figure(motion)
    found = smoothed(drafts, strength)
    one_late = [truths[0], *truths[:-1]]
    assert error(found, truths) < _LAG_LEFT * error(drafts, one_late)
    # Moved to the left or to the right it fits the truth less well.
    moved = {
        shift: error([replace(d, alpha=d.alpha.roll(shift, 2)) for d in found], truths)
        for shift in (-2, -1, 0, 1, 2)
    }
    assert min(moved, key=lambda shift: moved[shift]) == 0


def test_the_trimap_stays_a_probability(strength: Strength) -> None:
    drafts = moving_figure("sway", flickers=True).drafts
    found = smoothed(drafts, strength)
    changed = 0
    for one, other in zip(found, drafts, strict=True):
        assert one.trimap is not None
        assert other.trimap is not None
        assert one.trimap.min() >= 0
        assert_close(one.trimap.sum(dim=0), torch.ones(HEIGHT, WIDTH), FLOAT32)
        changed += not torch.equal(one.trimap, other.trimap)
    assert changed == COUNT - 1


def test_alpha_stays_between_zero_and_one(strength: Strength) -> None:
    for draft in smoothed(moving_figure("pan", flickers=True).drafts, strength):
        assert draft.alpha.dtype == torch.float32
        assert draft.alpha.min() >= 0
        assert draft.alpha.max() <= 1


def test_drafts_without_a_trimap_are_smoothed_alike(strength: Strength) -> None:
    drafts = moving_figure("sway", flickers=True).drafts[:4]
    bare = smoothed([replace(draft, trimap=None) for draft in drafts], strength)
    for one, other in zip(bare, smoothed(drafts, strength), strict=True):
        assert one.trimap is None
        assert_close(one.alpha, other.alpha, FLOAT32)


def test_the_drafts_that_go_in_are_not_changed(strength: Strength) -> None:
    rng = np.random.default_rng(0)
    alphas = [rng.random((64, 96), np.float32) for _ in range(4)]
    drafts = [as_draft(cloth(3, 64, 96), alpha, index) for index, alpha in enumerate(alphas)]
    copies = [replace(d, alpha=d.alpha.clone(), trimap=_copy(d.trimap)) for d in drafts]
    found = smoothed(drafts, strength)
    assert differ(found, drafts) == [False, True, True, True]
    assert_same(drafts, copies)


def _copy(trimap: torch.Tensor | None) -> torch.Tensor | None:
    return None if trimap is None else trimap.clone()


@pytest.mark.parametrize("smoothing", ["off", "light", "strong"])
def test_the_mattes_of_a_clip_in_parts_are_those_of_the_whole(
    lively_weights: Path, smoothing: str
) -> None:
    options = replace(SMALL, long_side_pixels=96, smoothing=smoothing)
    matter = exact_matter(lively_weights, options)
    scenes = [texture(60, 96), texture(60, 96, seed=1)]
    frames = [noisy(scenes[index // 3], index) for index in range(6)]
    whole = list(matter.mattes(frames))
    for done in range(1, len(frames) + 1):
        # What was asked for up to there knew the frame after it, as a run that is broken off does.
        before = list(islice(matter.mattes(frames), done))
        assert before[-1].draft is not None
        since = draft_from_bytes(draft_to_bytes(before[-1].draft))
        parts = [*before, *matter.mattes(frames[done:], since)]
        for one, other in zip(parts, whole, strict=True):
            assert torch.equal(one.alpha, other.alpha)
            assert torch.equal(one.colours, other.colours)


@pytest.mark.parametrize("smoothing", ["off", "light", "strong"])
def test_mattes_are_smoothed_in_time_unless_that_is_off(
    lively_weights: Path, smoothing: str
) -> None:
    options = replace(SMALL, long_side_pixels=96, smoothing=smoothing)
    matter = exact_matter(lively_weights, options)
    # One scene under the noise of a camera, which this network makes much of.
    frames = [noisy(texture(60, 96), index) for index in range(3)]
    drafts, mattes = list(matter.drafts(frames)), list(matter.mattes(frames))
    for draft, matte in zip(drafts, mattes, strict=True):
        assert draft.trimap is not None
        assert matte.trimap is not None
        if smoothing == "off":
            assert_close(matte.trimap, draft.trimap, EXACT)
            assert_close(matte.alpha, draft.alpha, FLOAT32)
    if smoothing != "off":
        before, after = ((clip[2].alpha - clip[1].alpha).abs().mean() for clip in (drafts, mattes))
        assert after < before / 2


def noisy(scene: torch.Tensor, index: int) -> Frame:
    noise = torch.randn(scene.shape, generator=torch.Generator().manual_seed(index))
    return Frame(image=(scene + 0.03 * noise).clamp(0, 1), index=index, pts=index)
