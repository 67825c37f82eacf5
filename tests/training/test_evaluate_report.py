"""What evaluation tells: categories, JSON and the sheet of the worst."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from shm_engine.checkpoint import load_checkpoint
from shm_engine.errors import MattingError, OptionsError
from shm_engine.options import MatterOptions
from tests.assertions import EXACT, assert_close
from tests.training.drawn import store
from training.evaluation.cases import Case, EvaluationSet
from training.evaluation.evaluate import Finding, findings
from training.evaluation.scoring import Job, run
from training.evaluation.worst import Worst, draw_sheet

STILLS = EvaluationSet(name="stills", kind="alpha", path="stills")
SETS = """
data = "{data}"
categories = "{data}/categories.csv"
sets = [
    {{ name = "stills", kind = "alpha", path = "stills" }},
    {{ name = "moving", kind = "clips", path = "clips", region = "target_box" }},
]
"""
# MAD against predictions of 0 everywhere is the share of the person; in its box 1 / 1.2 ** 2 here.
SHARES = {"a": 0.25, "b": 0.5, "c": 0.75}


@pytest.fixture
def sets(tmp_path: Path) -> Path:
    """Three stills 20 x 20, a clip of two frames, empty predictions, and categories."""
    for name, share in SHARES.items():
        alpha = np.zeros((20, 20), np.uint8)
        alpha[: int(20 * share)] = 255
        store(tmp_path / "stills" / "image" / f"{name}.png", np.full((20, 20, 3), 120, np.uint8))
        store(tmp_path / "stills" / "alpha" / f"{name}.png", alpha)
        store(tmp_path / "found" / "stills" / f"{name}.png", np.zeros((20, 20), np.uint8))
    for index in range(2):
        mask = np.zeros((30, 30), np.uint8)
        mask[10:20, 10:20] = 255
        store(tmp_path / f"clips/walk/image/{index}.png", np.full((30, 30, 3), 120, np.uint8))
        store(tmp_path / f"clips/walk/mask/{index}.png", mask)
        store(tmp_path / f"found/moving/walk/{index}.png", np.zeros((30, 30), np.uint8))
    (tmp_path / "categories.csv").write_text(
        "set,name,categories\nstills,a,full dark\nstills,c,full\nmoving,walk,full\nstills,b,\n"
    )
    path = tmp_path / "sets.toml"
    path.write_text(SETS.format(data=tmp_path))
    return path


def job(sets: Path, **changes: Any) -> Job:
    wishes: dict[str, Any] = {"predictions": sets.parent / "found", "options": MatterOptions()}
    return Job(sets=sets, **(wishes | changes))


def test_categories_have_a_table_of_their_own_in_which_a_clip_counts_once(sets: Path) -> None:
    told = run(job(sets)).split("\n\n")
    assert told[3].splitlines() == [
        "| category | pictures | MAD e-3 | mean IoU |",
        "| --- | --- | --- | --- |",
        "| dark | 1 | 250.00 | 0.0000 |",
        f"| full | 3 | {(0.25 + 0.75 + 1 / 1.44) / 3 * 1000:.2f} | 0.0000 |",
    ]


def test_clips_have_a_table_of_their_own_and_the_box_is_told(sets: Path) -> None:
    told = run(job(sets))
    assert "| moving/walk | 2 | 694.44 |" in told
    assert told.endswith("Inside a box round the labelled person: moving.")
    assert "target_box" not in told
    only = run(job(sets, only=("stills",)))
    assert "| clip |" not in only
    assert "labelled person" not in only


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("stills,z,full", "the set 'stills' has no picture 'z'"),
        ("unheard of,a,full", "the set 'unheard of' has no picture 'a'"),
        ("moving,walk/0,full", "has no picture 'walk/0'"),
        ("stills,a,full\nstills,a,dark", "'a' of 'stills' is there twice"),
        ("stills,a", "not a usable list of categories"),
    ],
)
def test_a_name_that_is_not_there_is_an_error(sets: Path, rows: str, said: str) -> None:
    path = sets.parent / "other.csv"
    path.write_text(f"set,name,categories\n{rows}\n")
    with pytest.raises(OptionsError, match=said) as caught:
        run(job(sets, categories=path))
    assert str(path) in str(caught.value)


def test_a_list_of_categories_that_is_not_there_is_named(sets: Path) -> None:
    with pytest.raises(OptionsError, match=r"nowhere\.csv is not a usable list"):
        run(job(sets, categories=Path("nowhere.csv")))


def test_categories_may_name_sets_that_are_not_measured_now(sets: Path) -> None:
    assert "| full | 1 | 694.44 |" in run(job(sets, only=("moving",)))


def test_json_holds_every_picture(sets: Path) -> None:
    path = sets.parent / "figures.json"
    run(job(sets, json=path))
    figures = json.loads(path.read_text())
    stills, moving = figures["sets"]
    assert {name: f["mad"] for name, f in stills["pictures_by_name"].items()} == SHARES
    assert stills["means"]["mad"] == pytest.approx(0.5)
    assert (stills["pictures"], moving["pictures"]) == (3, 2)
    walk = moving["pictures_by_name"]["walk"]
    assert walk["frames"]["walk/1"]["dtssd"] == 0
    assert walk["means"]["mad"] == pytest.approx(1 / 1.44)
    assert [category["names"] for category in figures["categories"]] == [["a"], ["a", "c", "walk"]]
    assert figures["predictions"] == str(sets.parent / "found")
    assert not list(sets.parent.glob("*.partial"))


def test_json_says_which_weights_were_measured_and_how(sets: Path, random_weights: Path) -> None:
    path = sets.parent / "figures.json"
    options = MatterOptions(device="cpu", long_side_pixels=64, backend="eager")
    wishes = {"predictions": None, "model": random_weights, "options": options}
    run(job(sets, only=("moving",), json=path, **wishes))
    figures = json.loads(path.read_text())
    assert figures["weights"]["digest"] == load_checkpoint(random_weights).digest
    assert figures["options"] == asdict(options)


def test_json_that_cannot_be_written_is_named(sets: Path) -> None:
    path = sets.parent / "figures.json"
    path.mkdir()
    with pytest.raises(MattingError, match=r"figures\.json cannot be written: is a directory"):
        run(job(sets, json=path))


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({"json": Path("nowhere/figures.json")}, "no folder nowhere for figures.json"),
        ({"worst": Path("nowhere/worst.png")}, "no folder nowhere for worst.png"),
        ({"worst": Path("worst.jpg")}, "end it in .png"),
    ],
)
def test_what_could_not_be_written_is_refused_before_the_measuring(
    sets: Path, wish: dict[str, Path], said: str
) -> None:
    with pytest.raises(OptionsError, match=re.escape(said)):
        job(sets, **wish)


# The worst


def finding(name: str, mad: float, *, clip: str = "", set_name: str = "x") -> Finding:
    case = Case(name, np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), np.float32))
    return Finding(set_name, clip or name, case, case.true_alpha, {"mad": mad, "iou": 0.0})


def test_the_worst_are_kept_worst_first_and_pass_through() -> None:
    worst = Worst(2)
    found = [finding(name, mad) for name, mad in (("a", 0.2), ("b", 0.5), ("c", 0.1), ("d", 0.3))]
    assert list(worst.watching(found)) == found
    assert [kept.case.name for kept in worst.findings] == ["b", "d"]


def test_a_clip_shows_its_worst_frame_only() -> None:
    worst = Worst(3)
    clip = [finding(f"w/{mad}", mad, clip="w") for mad in (0.5, 0.9, 0.7)]
    list(worst.watching([*clip, finding("a", 0.8), finding("w", 0.6, set_name="y")]))
    assert [kept.case.name for kept in worst.findings] == ["w/0.9", "a", "w"]


def test_a_picture_without_people_is_on_the_sheet_like_any_other() -> None:
    empty = finding("scene", 0.2)
    del empty.figures["iou"]
    sheet = draw_sheet([empty])
    assert sheet.shape == draw_sheet([finding("scene", 0.2)]).shape
    assert sheet.float().std() > 0


def test_the_sheet_shows_picture_truth_matte_composite_and_error(tmp_path: Path) -> None:
    image = np.full((128, 256, 3), (200, 100, 50), np.uint8)
    true = np.zeros((128, 256), np.float32)
    true[:, :128] = 1
    predicted = np.ones_like(true)
    predicted[:, :64] = 0.75

    def predict(_: EvaluationSet, found: Iterator[Case]) -> Iterator[tuple[Case, np.ndarray]]:
        for case in found:
            yield case, predicted

    store(tmp_path / "stills" / "image" / "a.png", np.ascontiguousarray(image[..., ::-1]))
    store(tmp_path / "stills" / "alpha" / "a.png", (true * 255).astype(np.uint8))
    sheet = draw_sheet(list(findings(predict, tmp_path, STILLS))).permute(1, 2, 0).numpy()
    assert sheet.shape == (24 + 24 + 128, 5 * 256, 3)
    shown, right, matte, over_green, error = np.split(sheet[48:], 5, axis=1)
    assert_close(shown, image, EXACT)
    assert_close(right[..., 1], true * 255, EXACT)
    assert (matte[:, :64] == 191).all()
    assert (over_green[0, 0] == [150, 139, 38]).all()
    assert (over_green[0, 255] == [200, 100, 50]).all()
    # Too little is blue, too much is red, what is right black.
    assert [list(error[0, x]) for x in (0, 100, 255)] == [[0, 0, 128], [0, 0, 0], [255, 0, 0]]
    assert (sheet[:48] < 128).any(), "labels"


def test_the_sheet_greys_what_does_not_count(sets: Path) -> None:
    path = sets.parent / "worst.png"
    run(job(sets, worst=path))
    sheet = cv2.imread(str(path))
    assert sheet is not None
    # Worst first: c (0.75), then the clip (0.69); heading and labels are 24 pixels high.
    clip = sheet[24 + 280 + 24 :][:256]
    assert (clip[0, -1] == 96).all()
    assert (clip[128, -128] == [255, 0, 0]).all(), "in the box the person is missing: blue"


def test_a_sheet_can_be_drawn_of_nothing_bad() -> None:
    assert draw_sheet([]).shape == (3, 24, 1280)
