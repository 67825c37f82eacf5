"""Human Matte in the Sequencer of real Blenders, with the shipped weights.

Rendered frames are compared with what the engine in this process says of the same footage.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cli.video import SequenceSource, VideoSource
from shm_engine import read_image
from tests.hosts.blender import run_inside
from tests.hosts.footage import alphas_of, read_rgba, sample_frames, write_movie, write_pictures
from tests.hosts.installed import blenders

pytestmark = pytest.mark.host

FRAMES = 8
PICTURES = [f"shot_{number:04d}.png" for number in range(7, 11)]
MIXED = ["mixed_1.png", "mixed_2.png"]
GREEN = np.array([0.0, 1.0, 0.0])

# Blender reads 8 bits of the alpha, and rounds the composite: half a step each.
STEP = 1.001 / 255

CASES: list[dict[str, Any]] = [
    {"name": "whole", "files": ["turn.mp4"], "frames": [1, 6], "again": 30},
    {
        "name": "cut",
        "files": ["turn.mp4"],
        "frames": [3, 6],
        "set": {"frame_offset_start": 2, "frame_offset_end": 1, "strobe": 2.0},
    },
    {
        "name": "mirrored",
        "files": ["turn.mp4"],
        "frames": [4],
        "set": {
            "use_flip_x": True,
            "crop.min_x": 90,
            "transform.offset_x": 40.0,
            "transform.offset_y": -20.0,
        },
    },
    {
        "name": "scaled",
        "files": ["turn.mp4"],
        "frames": [4],
        "set": {"transform.scale_x": 0.6, "transform.scale_y": 0.5, "transform.rotation": 0.2},
    },
    {"name": "keyed", "files": ["turn.mp4"], "frames": [5], "keyed": [[1, 1.0], [8, 0.5]]},
    {"name": "slow", "files": ["turn.mp4"], "frames": [4, 7], "retimed": 5},
    {"name": "rounded", "files": ["turn.mkv"], "frames": [2, 3, 5, 6]},
    {"name": "pictures", "files": PICTURES, "frames": [1, 3]},
    {"name": "some", "files": [PICTURES[3], PICTURES[1]], "frames": [1, 2]},
    {"name": "still", "files": ["still.png"], "frames": [6], "again": 7},
]


@dataclass(frozen=True, kw_only=True)
class Run:
    """What one Blender told, and the footage that it was given: colours [H, W, 3] and the engine's
    alphas [H, W] by file."""

    told: dict[str, Any]
    folder: Path
    colours: dict[str, list[NDArray[Any]]]
    alphas: dict[str, list[NDArray[Any]]]

    def rendered(self, name: str, frame: int, part: str = "") -> NDArray[np.float64]:
        return read_rgba(self.folder / f"{name}-{frame}{part}.png")

    def shown(self, name: str, frame: int, movie: str) -> int:
        """Which frame of a movie it is, going by its colours where the strip is not moved."""
        plain = self.rendered(name, frame, "-plain")[..., :3]
        away = [np.abs(plain - colours).mean() for colours in self.colours[movie]]
        return int(np.argmin(away))


@pytest.fixture(scope="module", params=[0, 1], ids=["oldest", "newest"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("strips")
    frames = sample_frames(FRAMES, every=3)
    write_movie(folder / "turn.mp4", frames, 24)
    # Its times are rounded to milliseconds.
    write_movie(folder / "turn.mkv", frames, 30)
    write_pictures(folder, frames[:4], PICTURES)
    write_pictures(folder, frames[5:6], ["still.png"])
    write_pictures(folder, frames[:1], MIXED[:1])
    Image.new("RGB", (64, 48)).save(folder / MIXED[1])
    told = run_inside(
        blenders()[request.param],
        "blender_strips_inside.py",
        {
            "size": [frames[0].width, frames[0].height],
            "fps": 24,
            "cases": CASES,
            "numbered": PICTURES,
            "mixed": MIXED,
        },
        folder,
    )
    with VideoSource(folder / "turn.mp4") as source:
        movie = list(source)
    with SequenceSource(folder / "shot_%04d.png", frame_rate=Fraction(25)) as pictures:
        shots = list(pictures)
    footage = {"movie": movie, "pictures": shots, "still": [read_image(folder / "still.png")]}
    return Run(
        told=told,
        folder=folder,
        colours={
            name: [frame.image.numpy().transpose(1, 2, 0) / 255 for frame in frames]
            for name, frames in footage.items()
        },
        alphas={name: alphas_of(frames) for name, frames in footage.items()},
    )


def _over_green(plain: NDArray[Any], alpha: NDArray[Any]) -> NDArray[Any]:
    """The strip's own pixels with the matte, as the sequencer mixes: display values."""
    covers = (alpha * plain[..., 3])[..., None]
    return plain[..., :3] * covers + GREEN * (1 - covers)


def _error(run: Run, name: str, frame: int, alpha: NDArray[Any]) -> NDArray[Any]:
    expected = _over_green(run.rendered(name, frame, "-plain"), alpha)
    return np.abs(run.rendered(name, frame)[..., :3] - expected)


def test_a_frame_over_another_strip_is_the_composite_of_the_engines_matte(run: Run) -> None:
    assert run.told["cases"]["whole"]["first"]["returned"] == ["FINISHED"]
    for frame in (1, 6):
        alpha = run.alphas["movie"][frame - 1]
        assert 0.1 < alpha.mean() < 0.9
        assert _error(run, "whole", frame, alpha).max() <= STEP


@pytest.mark.parametrize(
    ("name", "frame", "index"),
    [("cut", 3, 2), ("cut", 6, 4), ("slow", 4, None), ("slow", 7, None)],
)
def test_trimmed_strobed_and_slowed_strips_have_the_matte_of_the_frame_they_show(
    run: Run, name: str, frame: int, index: int | None
) -> None:
    shown = run.shown(name, frame, "movie")
    if index is not None:
        assert shown == index
    elif frame == 7:
        assert shown < 6
    assert _error(run, name, frame, run.alphas["movie"][shown]).max() <= STEP


def test_a_movie_whose_times_are_rounded_has_no_matte_of_the_frame_before(run: Run) -> None:
    strips = run.told["cases"]["rounded"]["after"]
    assert strips["shot matte"]["path"].endswith("turn.matte.mkv")
    for frame in (2, 3, 5, 6):
        assert _error(run, "rounded", frame, run.alphas["movie"][frame - 1]).max() <= 2 * STEP


def test_a_mirrored_cropped_and_moved_strip_has_its_matte_where_it_is(run: Run) -> None:
    # Blender mirrors where the strip lies too.
    alpha = np.roll(run.alphas["movie"][3][:, ::-1], (20, -40), (0, 1))
    assert _error(run, "mirrored", 4, alpha).max() <= STEP


@pytest.mark.parametrize("name", ["scaled", "keyed"])
def test_a_scaled_strip_has_its_matte_where_it_is(run: Run, name: str) -> None:
    (frame,) = next(case["frames"] for case in CASES if case["name"] == name)
    matte = run.rendered(name, frame, "-matte")[..., 0]
    error = _error(run, name, frame, matte)
    if run.told["version"] < [5, 0]:
        assert error.max() <= 2 * STEP
        return
    # Blender 5 samples the mask from the picture as rendered, and scales it once more: edges are
    # softer by a pixel, and nothing moves.
    assert error.mean() < 0.25 / 255
    moved = [_error(run, name, frame, np.roll(matte, 2, axis)).mean() for axis in (0, 1)]
    assert error.mean() < min(moved) / 3


def test_pictures_have_the_mattes_of_their_numbers_also_in_another_order(run: Run) -> None:
    for name, frame, index in (
        ("pictures", 1, 0),
        ("pictures", 3, 2),
        ("some", 1, 3),
        ("some", 2, 1),
    ):
        assert run.shown(name, frame, "pictures") == index
        assert _error(run, name, frame, run.alphas["pictures"][index]).max() <= STEP


def test_a_still_has_its_matte_for_as_long_as_it_is_shown(run: Run) -> None:
    assert _error(run, "still", 6, run.alphas["still"][0]).max() <= STEP


@pytest.mark.parametrize("name", [case["name"] for case in CASES])
def test_the_matte_is_a_muted_strip_on_a_free_channel_and_the_source_keeps_its_file(
    run: Run, name: str
) -> None:
    told = run.told["cases"][name]
    before, after = told["before"], told["after"]
    assert sorted(after) == ["backdrop", "shot", "shot matte"]
    shot, matte = after["shot"], after["shot matte"]
    assert matte["mute"]
    assert matte["channel"] == 3
    assert matte["modifiers"] == []
    assert (matte["start"], matte["end"]) == (shot["start"], shot["end"])
    assert shot["modifiers"] == [["Human Matte", "MASK", "shot matte"]]
    assert shot["blend"] == "ALPHA_OVER"
    kept = ("path", "directory", "elements", "start", "end", "channel", "mute", "select")
    assert [shot[key] for key in kept] == [before["shot"][key] for key in kept]
    where = matte["path"] or matte["directory"]
    assert where.startswith("//human_matte/")


@pytest.mark.parametrize(("name", "frame"), [("whole", 6), ("still", 6)])
def test_a_second_run_renders_nothing_and_follows_the_strip(
    run: Run, name: str, frame: int
) -> None:
    told = run.told["cases"][name]
    assert told["second"]["returned"] == ["FINISHED"]
    assert told["second"]["unwritten"]
    assert sorted(told["later"]) == sorted(told["after"])
    assert told["later"]["shot matte"]["channel"] == told["after"]["shot matte"]["channel"]
    assert len(told["later"]["shot"]["modifiers"]) == 1
    by = next(case["again"] for case in CASES if case["name"] == name)
    first, later = run.rendered(name, frame), run.rendered(name, frame, "-later")
    assert np.abs(np.roll(first, by, 1) - later)[:, by:].max() <= STEP


def test_what_cannot_be_matted_is_one_sentence_and_leaves_nothing(run: Run) -> None:
    told = run.told["refusals"]
    assert "Select a movie or image strip" in told["empty"]
    assert "Movie and image strips only" in told["colour"]
    assert "Save the blend file first" in told["unsaved"]
    assert re.search(r"gone\.mp4 does not exist; check its name and folder\.", told["gone"])
    assert "which is no engine of Human Matte" in told["engine"]
    assert "This strip is a matte itself" in told["matte"]
    assert re.search(r"mixed_2\.png", told["mixed"])
    assert told["left"] == []


def test_the_panel_says_where_far_more_is_matted_than_the_strip_shows(run: Run) -> None:
    told = run.told["lengths"]
    movie, pictures = "The whole file is matted: 8 frames", "All numbered pictures are matted: 4"
    for name in ("whole", "half", "all", "one"):
        assert not {movie, pictures} & set(told[name])
    assert movie in told["little"]
    assert movie in told["trimmed"]
    assert pictures in told["some"]
