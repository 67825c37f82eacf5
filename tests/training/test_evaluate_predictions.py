"""Mattes and pictures as files: what is written can be measured, what does not fit is named."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from shm_engine.errors import ImageFileError, OptionsError
from tests.assertions import CODE_16_BIT, EXACT, assert_close
from tests.training.drawn import store
from training.__main__ import commands, main
from training.evaluation.cases import Case, EvaluationSet, cases
from training.evaluation.evaluate import findings
from training.evaluation.predictions import from_folder, read_alpha, writing

PAIRS = EvaluationSet(name="some pairs", kind="alpha", path="people")
MOVING = EvaluationSet(name="moving", kind="clips", path="clips")
SETS = """
data = "{data}"
sets = [
    {{ name = "some pairs", kind = "alpha", path = "people" }},
    {{ name = "put on", kind = "cutout", path = "cutouts", background = "scenes" }},
    {{ name = "moving", kind = "clips", path = "clips" }},
]
"""


@pytest.fixture
def sets(drawn_data: Path, tmp_path: Path) -> Path:
    """A list of drawn pairs, composites, and the pairs once more as a clip."""
    for name in ("people", "cutouts", "scenes"):
        (tmp_path / name).symlink_to(drawn_data / name)
    for index in range(2):
        store(tmp_path / f"clips/walk/image/{index}.png", np.full((30, 40, 3), 99, np.uint8))
        alpha = np.zeros((30, 40), np.uint8)
        alpha[:, 10 + 5 * index :] = 255
        store(tmp_path / f"clips/walk/alpha/{index}.png", alpha)
    path = tmp_path / "sets.toml"
    path.write_text(SETS.format(data=tmp_path))
    return path


def evaluate(sets: Path, *arguments: object) -> str:
    result = CliRunner().invoke(
        commands, ["evaluate", "--sets", str(sets), *map(str, arguments)], catch_exceptions=False
    )
    assert result.exit_code == 0, result.output
    return result.stdout


def test_written_mattes_measure_like_the_weights_that_made_them(
    sets: Path, random_weights: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "mattes"
    weights = ["--model", random_weights, "--device", "cpu", "--size", 64]
    first = evaluate(
        sets, *weights, "--write-predictions", folder, "--json", tmp_path / "first.json"
    )
    second = evaluate(sets, "--predictions", folder, "--json", tmp_path / "second.json")
    written = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    assert "moving/walk/0.png" in written
    assert not [name for name in written if not name.endswith(".png")]
    # The same tables but for the first line, which says what was measured.
    assert first.partition("\n")[2] == second.partition("\n")[2]
    assert second.startswith(f"predictions in {folder}\n")
    for one, other in zip(
        *(
            json.loads((tmp_path / f"{name}.json").read_text())["sets"]
            for name in ("first", "second")
        ),
        strict=True,
    ):
        # 16-bit files: means move by half a code at most, sums by half a code a pixel.
        assert other["means"] == pytest.approx(one["means"], rel=1e-3, abs=CODE_16_BIT.largest)


def test_an_alpha_is_kept_to_16_bits(sets: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    drawn = {}

    def noise(_: EvaluationSet, found: Iterator[Case]) -> Iterator[tuple[Case, np.ndarray]]:
        for case in found:
            drawn[case.name] = rng.random(case.true_alpha.shape, np.float32)
            yield case, drawn[case.name]

    list(writing(findings(noise, sets.parent, MOVING), tmp_path / "out"))
    for name, alpha in drawn.items():
        assert_close(read_alpha(tmp_path / "out" / "moving" / f"{name}.png"), alpha, CODE_16_BIT)


@pytest.mark.parametrize("largest", [255, 65535])
@pytest.mark.parametrize("channels", ["grey", "three alike", "rgba"])
def test_grey_and_rgba_of_8_and_16_bits_are_read(
    tmp_path: Path, largest: int, channels: str
) -> None:
    dtype = np.uint8 if largest == 255 else np.uint16
    codes = np.array([[0, largest // 5, largest]], dtype)
    pixels = {
        "grey": codes,
        "three alike": codes[..., None].repeat(3, axis=2),
        "rgba": np.dstack([codes * 0 + 7, codes * 0, codes * 0 + 9, codes]),
    }[channels]
    store(tmp_path / "a.png", pixels)
    assert_close(read_alpha(tmp_path / "a.png"), np.array([[0, 0.2, 1]], np.float32), EXACT)


def test_a_missing_prediction_is_one_sentence_and_exit_code_1(
    sets: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (sets.parent / "found").mkdir()
    arguments = ["--sets", str(sets), "--predictions", str(sets.parent / "found")]
    monkeypatch.setattr("sys.argv", ["training", "evaluate", *arguments])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    assert f"some pairs{'/'}" in shown.err
    assert "is missing; every picture of a set needs one" in shown.err


@pytest.mark.parametrize(
    ("pixels", "said"),
    [
        (np.zeros((40, 30), np.uint8), "has 30 x 40 pixels but its picture 40 x 30"),
        (np.arange(3600, dtype=np.uint8).reshape(30, 40, 3), "has colours but no alpha"),
        (b"", "is not a PNG of 8 or 16 bits"),
        (b"no picture", "is not a PNG of 8 or 16 bits"),
    ],
)
def test_a_prediction_that_does_not_fit_is_named(sets: Path, pixels, said: str) -> None:
    path = sets.parent / "found" / "moving" / "walk" / "0.png"
    path.parent.mkdir(parents=True)
    if isinstance(pixels, bytes):
        path.write_bytes(pixels)
    else:
        store(path, pixels)
    with pytest.raises(ImageFileError, match=said) as caught:
        list(findings(from_folder(sets.parent / "found"), sets.parent, MOVING))
    assert caught.value.path == path
    assert "moving/walk/0.png" in str(caught.value)


def test_pictures_are_written_for_other_programs(sets: Path, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    told = evaluate(sets, "--write-images", folder)
    assert told.startswith("8 pictures are in ")
    put_on = EvaluationSet(name="put on", kind="cutout", path="cutouts", background="scenes")
    for chosen in (PAIRS, put_on, MOVING):
        for case in cases(sets.parent, chosen):
            written = cv2.imread(str(folder / chosen.name / f"{case.name}.png"))
            assert written is not None
            assert_close(written[..., ::-1], case.image, EXACT)


def test_a_folder_that_cannot_be_made_is_named(sets: Path, tmp_path: Path) -> None:
    (tmp_path / "in the way").touch()
    with pytest.raises(ImageFileError, match="cannot be made"):
        evaluate(sets, "--write-images", tmp_path / "in the way")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--predictions", "x", "--model", "y"], "leave --model out"),
        (["--predictions", "nowhere"], "there is no folder nowhere"),
        (["--write-images", "x", "--json", "y"], "--write-images measures nothing"),
        (["--write-images", "x", "--worst", "y.png"], "--write-images measures nothing"),
    ],
)
def test_wishes_that_contradict_one_another_are_refused(
    sets: Path, arguments: list[str], said: str
) -> None:
    with pytest.raises(OptionsError, match=said):
        evaluate(sets, *arguments)


def test_an_opaque_picture_that_may_hold_the_matte_as_grey_is_no_matte(tmp_path: Path) -> None:
    grey = np.arange(64, dtype=np.uint8).reshape(8, 8)
    opaque = np.dstack([grey, grey, grey, np.full_like(grey, 255)])
    store(tmp_path / "grey.png", opaque)
    with pytest.raises(ImageFileError, match="is that the matte"):
        read_alpha(tmp_path / "grey.png")
    opaque[..., 0] //= 2  # colours: a person who fills the picture
    store(tmp_path / "colour.png", opaque)
    assert (read_alpha(tmp_path / "colour.png") == 1).all()
