"""Clips made of cut-outs that move: the same for a seed, with alpha that is exact."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.synthetic import ORANGE, TEAL, figure_alpha
from tests.training.drawn import interleaved, store
from training.data.picture import Picture
from training.evaluation.cases import EvaluationSet, clips
from training.evaluation.moving import FRAMES, HEIGHT_PIXELS, MOTIONS, WIDTH_PIXELS, moving_clips

# Two for each motion, so that each of them has its own.
_PEOPLE = 2 * len(MOTIONS)
_SECOND_OF_THE_LAST = 7

# Of the noise of a camera, in 8-bit steps: what one frame differs by from the next, on average.
_LEAST_NOISE, _MOST_NOISE = 1.0, 5.0


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("moving")
    for index in range(_PEOPLE):
        height = 64 + 4 * index
        alpha = figure_alpha(height, 140 - height // 2)
        cutout = torch.cat([ORANGE.expand(3, *alpha.shape[1:]), alpha])
        store(root / "cutouts" / f"{index:02}.png", interleaved(cutout))
        wall = torch.ones(3, 1, 1) if index == _SECOND_OF_THE_LAST else TEAL
        store(root / "scenes" / f"{index:02}.png", interleaved(wall.expand(3, 80, 100)))
    return root


def first_frames(data: Path, name: str, count: int) -> list[Picture]:
    frames = dict(moving_clips(data / "cutouts", data / "scenes"))[name]
    return [picture for picture, _ in zip(frames, range(count), strict=False)]


def test_there_is_a_clip_for_every_motion_and_no_two_have_one_name(data: Path) -> None:
    names = [name for name, _ in moving_clips(data / "cutouts", data / "scenes")]
    assert names == [motion.name for motion in MOTIONS]
    assert len(set(names)) == 8


@pytest.mark.parametrize("name", ["still", "shake", "camera"])
def test_a_clip_is_the_same_twice_to_the_bit(data: Path, name: str) -> None:
    once, again = first_frames(data, name, 3), first_frames(data, name, 3)
    for one, other in zip(once, again, strict=True):
        np.testing.assert_array_equal(one.colours, other.colours)
        np.testing.assert_array_equal(one.alpha, other.alpha)


@pytest.mark.parametrize("name", [motion.name for motion in MOTIONS])
def test_a_frame_shows_somebody_in_a_scene(data: Path, name: str) -> None:
    (picture,) = first_frames(data, name, 1)
    assert picture.colours.shape == (HEIGHT_PIXELS, WIDTH_PIXELS, 3)
    assert picture.alpha.shape == (HEIGHT_PIXELS, WIDTH_PIXELS)
    assert picture.colours.dtype == picture.alpha.dtype == np.uint8
    assert 0.05 < (picture.alpha == 255).mean() < 0.9
    # An orange figure before a teal wall.
    for covered, colour in ((255, (230, 128, 26)), (0, (13, 115, 153))):
        found = picture.colours[picture.alpha == covered].mean(axis=0)
        np.testing.assert_allclose(found, colour, atol=3)


def test_a_still_clip_changes_by_noise_alone(data: Path) -> None:
    first, second = first_frames(data, "still", 2)
    np.testing.assert_array_equal(first.alpha, second.alpha)
    noise = np.abs(first.colours.astype(int) - second.colours)
    assert _LEAST_NOISE < noise.mean() < _MOST_NOISE


def test_a_pan_moves_alpha_by_whole_pixels(data: Path) -> None:
    first, second = first_frames(data, "pan 2", 2)
    assert not np.array_equal(first.alpha, second.alpha)
    # The filter's position is rounded: a step of 8 bits here and there.
    here, there = first.alpha[:, 100:-100].astype(int), second.alpha[:, 102:-98].astype(int)
    assert np.abs(here - there).max() <= 1


def test_the_cut_is_in_the_middle_of_its_clip(data: Path) -> None:
    frames = first_frames(data, "cut", FRAMES)
    assert len(frames) == FRAMES
    walls = [frame.colours[frame.alpha == 0].mean() for frame in frames]
    assert max(walls[: FRAMES // 2]) < 110
    assert min(walls[FRAMES // 2 :]) > 240, "the last wall is white"
    changes = [float(np.mean(one.alpha != other.alpha)) for one, other in pairwise(frames)]
    assert int(np.argmax(changes)) == FRAMES // 2 - 1, "and somebody else stands before it"


def test_a_set_of_moving_clips_is_measured_frame_by_frame(data: Path) -> None:
    chosen = EvaluationSet(name="moving", kind="moving", path="cutouts", background="scenes")
    found = list(clips(data, chosen))
    assert [clip.name for clip in found] == [motion.name for motion in MOTIONS]
    case = next(found[0].cases)
    assert case.name == "still/00000"
    assert case.true_alpha.dtype == np.float32
    assert case.true_alpha.max() == 1
    assert case.region is None
