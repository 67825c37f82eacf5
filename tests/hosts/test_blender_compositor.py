"""Human Matte in the Compositor of real Blenders, with the shipped weights.

Rendered pictures are compared with what the engine in this process says of the same footage.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cli.video import SequenceSource, VideoSource
from shm_engine import read_image
from tests.hosts.blender import run_inside
from tests.hosts.footage import alphas_of, read_rgba, sample_frames, write_movie, write_pictures
from tests.hosts.installed import blenders

pytestmark = pytest.mark.host

PICTURES = [f"shot_{number:04d}.png" for number in range(7, 11)]
CASES: list[dict[str, Any]] = [
    {"name": "movie", "node": "MOVIE", "file": "turn.mp4", "frames": [2, 6]},
    {"name": "clip", "node": "CLIP", "file": "turn.mp4", "frames": [5], "start": 3},
    {
        "name": "pictures",
        "node": "SEQUENCE",
        "file": PICTURES[1],
        "frames": [4],
        "start": 2,
        "offset": 6,
    },
    {"name": "still", "node": "FILE", "file": "still.png", "frames": [1]},
]
# Which frame of the footage each shows.
SHOWN = [("movie", 2, 1), ("movie", 6, 5), ("clip", 5, 2), ("pictures", 4, 2), ("still", 1, 0)]

# Half a step of 8 bits: Blender reads the alpha as such, and computes in floats.
HALF_STEP = 0.501 / 255
# Blender computes in half floats on the way.
ROUNDING = 1 / 2047


@dataclass(frozen=True, kw_only=True)
class Run:
    """What one Blender told, and the engine's alphas [H, W] by case."""

    told: dict[str, Any]
    folder: Path
    alphas: dict[str, list[NDArray[Any]]]

    def rendered(self, name: str, frame: int, part: str) -> NDArray[np.float64]:
        return read_rgba(self.folder / f"{name}-{frame}-{part}.png")


@pytest.fixture(scope="module", params=[0, 1], ids=["oldest", "newest"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("nodes")
    frames = sample_frames(6, every=3)
    write_movie(folder / "turn.mp4", frames, 24)
    write_pictures(folder, frames[:4], PICTURES)
    write_pictures(folder, frames[5:6], ["still.png"])
    write_pictures(folder, frames[:3], ["gap_1.png", "gap_2.png", "gap_4.png"])
    told = run_inside(
        blenders()[request.param],
        "blender_compositor_inside.py",
        {"size": [frames[0].width, frames[0].height], "cases": CASES, "gap": "gap_1.png"},
        folder,
    )
    with VideoSource(folder / "turn.mp4") as source:
        movie = alphas_of(list(source))
    with SequenceSource(folder / "shot_%04d.png", frame_rate=Fraction(25)) as pictures:
        shots = alphas_of(list(pictures))
    still = alphas_of([read_image(folder / "still.png")])
    alphas = {"movie": movie, "clip": movie, "pictures": shots, "still": still}
    return Run(told=told, folder=folder, alphas=alphas)


def _light(values: NDArray[Any]) -> NDArray[Any]:
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


@pytest.mark.parametrize(("name", "frame", "index"), SHOWN)
def test_the_image_has_the_engines_alpha_of_the_frame_it_shows(
    run: Run, name: str, frame: int, index: int
) -> None:
    assert run.told["cases"][name]["first"] == ["FINISHED"]
    alpha = run.alphas[name][index]
    assert 0.1 < alpha.mean() < 0.9
    cut = run.rendered(name, frame, "cut")
    assert np.abs(cut[..., 3] - alpha).max() <= HALF_STEP + ROUNDING
    # The other output is shown as a picture, so encoded for a display.
    seen = _light(run.rendered(name, frame, "alpha")[..., 0])
    assert np.abs(seen - alpha).max() <= HALF_STEP + ROUNDING
    solid = alpha > 0.999
    plain = run.rendered(name, frame, "plain")
    assert np.abs(cut[..., :3] - plain[..., :3])[solid].max() <= ROUNDING


@pytest.mark.parametrize(("name", "frame", "index"), SHOWN)
def test_over_a_background_it_is_the_composite_in_linear_light(
    run: Run, name: str, frame: int, index: int
) -> None:
    alpha = run.alphas[name][index][..., None]
    plain = _light(run.rendered(name, frame, "plain")[..., :3])
    expected = plain * alpha + np.array(run.told["backdrop"][:3]) * (1 - alpha)
    over = run.rendered(name, frame, "over")
    assert np.abs(_light(over[..., :3]) - expected).max() <= HALF_STEP + ROUNDING
    assert over[..., 3].min() == 1


@pytest.mark.parametrize("name", [case["name"] for case in CASES])
def test_one_group_is_wired_between_the_footage_and_whoever_read_it(run: Run, name: str) -> None:
    nodes = run.told["cases"][name]["nodes"]
    (key,) = (each for each in nodes if nodes[each]["kind"] == "CompositorNodeGroup")
    footage = nodes[key]["inputs"]["Image"]
    matte = nodes[key]["inputs"]["Matte"]
    assert footage != matte
    assert nodes[footage]["kind"] == nodes[matte]["kind"]
    ends = ("CompositorNodeComposite", "NodeGroupOutput")
    (end,) = (each for each in nodes if nodes[each]["kind"] in ends)
    assert nodes[end]["inputs"]["Image"] == key
    assert len(nodes) == 4


@pytest.mark.parametrize("name", [case["name"] for case in CASES])
def test_asking_twice_changes_nothing(run: Run, name: str) -> None:
    told = run.told["cases"][name]
    assert told["second"] == ["FINISHED"]
    assert told["later"] == told["nodes"]
    assert told["groups"].count("Human Matte") == 1
    assert not [group for group in told["groups"] if group.startswith("Human Matte.")]


def test_the_entry_of_the_add_menu_adds_one_group_however_often(run: Run) -> None:
    told = run.told["group"]
    assert told["returned"] == [["FINISHED"], ["FINISHED"]]
    assert told["trees"] == ["Human Matte", "Human Matte"]
    assert told["sockets"] == [["Image", "Matte", "Background"], ["Image", "Alpha"]]
    assert "Select an Image or Movie Clip node" in told["nothing"]


def test_a_script_without_an_editor_works_on_the_nodes_of_the_scene(run: Run) -> None:
    told = run.told["script"]
    assert told["first"] == ["FINISHED"]
    kinds = [node["kind"] for node in told["nodes"].values()]
    assert kinds.count("CompositorNodeImage") == 2
    assert kinds.count("CompositorNodeGroup") == 1
    assert (told["group"], told["added"]) == (["FINISHED"], 1)


def test_where_there_are_no_compositor_nodes_a_sentence_says_so(run: Run) -> None:
    told = run.told["script"]
    assert len(told["none"]) == 4
    assert all("The scene has no compositor nodes yet; choose New" in said for said in told["none"])
    assert all("In the Compositor only" in said for said in told["shader"])


def test_a_gap_in_a_sequence_is_one_sentence(run: Run) -> None:
    assert "gap_3.png is missing; add it and try again." in run.told["script"]["gap"]
