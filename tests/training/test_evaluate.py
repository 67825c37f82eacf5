"""Evaluation through its door: tables whose numbers are known, and the published composites."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

from shm_engine.errors import MattingError, OptionsError
from shm_engine.types import Frame, Matte
from tests.assertions import EXACT, assert_close
from tests.training.drawn import ORANGE_CODE, TEAL_CODE, store
from training.__main__ import commands, main
from training.evaluation.evaluate import EvaluationSet, Row, cases, evaluate_set, read_evaluation

SETS = """
data = "{data}"
sets = [
    {{ name = "halves", kind = "alpha", path = "halves" }},
    {{ name = "nobody", kind = "background", path = "empty" }},
    {{ name = "put together", kind = "composites", path = "composites.csv" }},
]
"""


@pytest.fixture
def sets(tmp_path: Path) -> Path:
    """Three sets of small pictures. Truths: left half 1; nothing; the upper half 1."""
    alpha = np.zeros((20, 30), np.uint8)
    alpha[:, :15] = 255
    for stem in "ab":
        store(tmp_path / "halves" / "image" / f"{stem}.png", np.full((20, 30, 3), 80, np.uint8))
        store(tmp_path / "halves" / "alpha" / f"{stem}.png", alpha)
    store(tmp_path / "empty" / "c.png", np.full((25, 10, 3), 200, np.uint8))
    rgba = np.zeros((16, 24, 4), np.uint8)
    rgba[..., :3] = ORANGE_CODE[::-1]
    rgba[:8, :, 3] = 255
    store(tmp_path / "orange.png", rgba)
    scene = np.zeros((40, 50, 3), np.uint8)
    scene[:, :25] = TEAL_CODE[::-1]
    store(tmp_path / "scene.png", scene)
    (tmp_path / "composites.csv").write_text(
        "name,rgba,background,flip\nplain,orange.png,scene.png,0\nflipped,orange.png,scene.png,1\n"
    )
    path = tmp_path / "sets.toml"
    path.write_text(SETS.format(data=tmp_path))
    return path


class QuarterMatter:
    """In the place of a Matter: alpha is 0.25 everywhere."""

    def mattes(self, frames: Iterable[Frame]) -> Iterator[Matte]:
        for frame in frames:
            yield Matte(frame=frame, alpha=torch.full((1, *frame.size), 0.25))


def rows_of(result: Result) -> dict[str, dict[str, float | None]]:
    """The figures of the first printed table by the name of the set and of the column."""
    assert result.exit_code == 0, result.output
    table = result.stdout.split("\n\n")[1].splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
    heading = cells[0][1:]
    return {
        row[0]: {
            title: None if cell == "–" else float(cell)
            for title, cell in zip(heading, row[1:], strict=True)
        }
        for row in cells[2:]
    }


def quarter_of(chosen: EvaluationSet, data: Path) -> Row:
    return evaluate_set(QuarterMatter(), data, chosen)  # type: ignore[arg-type]


def test_means_agree_with_numbers_computed_by_hand(sets: Path) -> None:
    config = read_evaluation(sets)
    halves, nobody, composed = (quarter_of(one, Path(config.data)) for one in config.sets)
    # Half of the pixels are 0.75 too low, half 0.25 too high; a background is only too high.
    half = {"mad": 0.5, "mse": (0.5625 + 0.0625) / 2, "iou": 0.0, "mean_alpha": 0.25}
    assert halves[:2] == ("halves", 2)
    assert halves.means == pytest.approx(half | {"sad": 300 / 1000})
    assert composed.means == pytest.approx(half | {"sad": 192 / 1000})
    empty = {"mad": 0.25, "mse": 0.0625, "mean_alpha": 0.25, "sad": 62.5 / 1000}
    assert nobody.means == pytest.approx(empty)
    assert [unit.name for unit in halves.units] == ["a", "b"]


def test_the_printed_table_scales_the_means(sets: Path, tmp_path: Path) -> None:
    for name, shape in (("halves/a", (20, 30)), ("halves/b", (20, 30)), ("nobody/c", (25, 10))):
        # 13107 of 65535 is 0.2.
        store(tmp_path / "found" / f"{name}.png", np.full(shape, 13107, np.uint16))
    for name in ("plain", "flipped"):
        store(tmp_path / "found/put together" / f"{name}.png", np.full((16, 24), 51, np.uint8))
    arguments = ["--sets", str(sets), "--predictions", str(tmp_path / "found")]
    rows = rows_of(CliRunner().invoke(commands, ["evaluate", *arguments]))
    assert list(rows) == ["halves", "nobody", "put together"]
    half = rows["halves"]
    assert (half["pictures"], half["MAD e-3"], half["MSE e-3"]) == (2, 500.0, 340.0)
    assert (half["SAD"], half["mean IoU"], half["mean alpha"]) == (0.3, 0.0, 0.2)
    # The step's energy at full height; a constant has no gradient, and min-max leaves it at 0.
    assert half["grad_lr"] == half["grad_hr"]
    assert half["grad_lr"] not in (None, 0.0)
    # The truth's half is not in what both show: 1 against 0.2, 300 pixels; elsewhere 0.2.
    assert half["conn"] == pytest.approx((300 * 0.8 + 300 * 0.2) / 1000)
    assert half["dtSSD e-2"] is None
    assert rows["nobody"]["MAD e-3"] == 200


def test_weights_are_measured_as_the_engine_uses_them(sets: Path, random_weights: Path) -> None:
    arguments = ["--model", str(random_weights), "--device", "cpu", "--size", "64"]
    result = CliRunner().invoke(commands, ["evaluate", "--sets", str(sets), *arguments])
    rows = rows_of(result)
    assert "long side 64" in result.stdout
    assert [row["pictures"] for row in rows.values()] == [2, 1, 2]
    # Where nobody is, the error is the alpha itself; a network that knows nothing says about 1/2.
    nobody = rows["nobody"]["mean alpha"]
    assert nobody is not None
    assert rows["nobody"]["MAD e-3"] == pytest.approx(nobody * 1000, abs=0.1)
    assert 0.2 < nobody < 0.8


def test_only_some_sets_can_be_measured(sets: Path) -> None:
    arguments = ["evaluate", "--sets", str(sets), "--only", "nobody", "--write-images"]
    result = CliRunner().invoke(commands, [*arguments, str(sets.parent / "given")])
    assert result.stdout.startswith("1 pictures")
    result = CliRunner().invoke(commands, ["evaluate", "--sets", str(sets), "--only", "somebody"])
    assert isinstance(result.exception, MattingError)
    assert "use one of halves, nobody, put together" in str(result.exception)


def test_composites_are_cut_outs_over_covered_and_mirrored_scenes(sets: Path) -> None:
    chosen = EvaluationSet(name="x", kind="composites", path="composites.csv")
    plain, flipped = cases(sets.parent, chosen)
    assert (plain.name, flipped.name) == ("plain", "flipped")
    assert plain.image.shape == (16, 24, 3)
    assert (plain.image[:8] == ORANGE_CODE).all(), "the person in the order of RGB"
    assert (plain.image[8:, :11] == TEAL_CODE).all(), "the left of the scene"
    assert (plain.image[8:, 13:] == 0).all()
    assert_close(flipped.image[8:], plain.image[8:, ::-1], EXACT)
    assert_close(flipped.image[:8], plain.image[:8], EXACT)
    assert_close(plain.true_alpha, np.repeat([[1.0], [0.0]], 8, axis=0).repeat(24, axis=1), EXACT)


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (None, "composites.csv"),
        ("name,rgba,background,flip\n", "put together"),
        ("name,rgba\nplain,orange.png\n", "composites.csv"),
        ("name,rgba,background,flip\nplain,gone.png,scene.png,0\n", "gone.png"),
    ],
)
def test_a_list_of_composites_that_cannot_be_used_is_named(
    sets: Path, content: str | None, named: str
) -> None:
    (sets.parent / "composites.csv").unlink()
    if content is not None:
        (sets.parent / "composites.csv").write_text(content)
    chosen = EvaluationSet(name="put together", kind="composites", path="composites.csv")
    with pytest.raises(MattingError, match=named):
        quarter_of(chosen, sets.parent)


def test_cut_outs_stand_on_backgrounds_from_all_over_the_folder(tmp_path: Path) -> None:
    rgba = np.zeros((10, 12, 4), np.uint8)
    rgba[:5] = 255
    for stem in ("ada", "bob"):
        store(tmp_path / "people" / "rgba" / f"{stem}.png", rgba)
    for level in (10, 20, 30, 40):
        store(tmp_path / "scenes" / f"{level}.png", np.full((10, 12, 3), level, np.uint8))
    chosen = EvaluationSet(name="x", kind="cutout", path="people", background="scenes")
    ada, bob = cases(tmp_path, chosen)
    assert (ada.name, bob.name) == ("ada", "bob")
    assert (ada.image[:5] == 255).all()
    assert (ada.image[5:] == 10).all()
    assert (bob.image[5:] == 30).all()
    assert (ada.true_alpha[:5] == 1).all()
    assert (ada.true_alpha[5:] == 0).all()


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ('kind = "mask"\npath = "x"\nname = "a/b"', "leave slashes and dots out"),
        (
            'kind = "mask"\npath = "x"\nname = "a"\nregion = "left"',
            "use one of picture, target_box",
        ),
        ('kind = "cutout"\npath = "x"\nname = "a"', "background is needed for cutout"),
        ('kind = "mask"\npath = "x"\nname = "a"\nbackground = "y"', "has no meaning"),
        ('kind = "films"\npath = "x"\nname = "a"', "use one of mask, alpha"),
    ],
)
def test_a_set_that_cannot_be_is_refused(tmp_path: Path, row: str, said: str) -> None:
    path = tmp_path / "sets.toml"
    path.write_text(f'data = "."\n[[sets]]\n{row}\n')
    with pytest.raises(OptionsError, match=said):
        read_evaluation(path)


def test_two_sets_or_two_pictures_of_one_name_are_refused(sets: Path, tmp_path: Path) -> None:
    text = sets.read_text()
    sets.write_text(text.replace("nobody", "halves"))
    with pytest.raises(OptionsError, match="two sets are called 'halves'"):
        read_evaluation(sets)
    (tmp_path / "empty" / "c.png").rename(tmp_path / "empty" / "c.bmp")
    store(tmp_path / "empty" / "c.png", np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(OptionsError, match="'c' is used twice"):
        list(cases(tmp_path, EvaluationSet(name="nobody", kind="background", path="empty")))


def test_a_mistake_is_one_sentence_and_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["training", "evaluate", "--sets", "nowhere.toml"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("training: nowhere.toml is not a usable list of sets")
    assert shown.err.count("\n") == 1


@pytest.mark.parametrize("arguments", [["prepare-nothing"], ["evaluate", "--size", "big"]])
def test_wrong_usage_is_exit_code_2(arguments: list[str]) -> None:
    assert CliRunner().invoke(commands, arguments).exit_code == 2


@pytest.mark.shared
def test_the_published_composites_are_ours_to_the_byte(shared_data: Path) -> None:
    chosen = EvaluationSet(name="nba", kind="composites", path="val/nba/composites.csv")
    checks, all_rows = [], 0
    for case in cases(shared_data, chosen):
        in_bgr = np.ascontiguousarray(case.image[..., ::-1]).tobytes()
        checks.append(zlib.crc32(in_bgr))
        all_rows = zlib.crc32(in_bgr, all_rows)
    # From the README of the data.
    assert len(checks) == 121
    assert (checks[0], checks[-1], all_rows) == (0xCC1C9B48, 0x45075832, 0x97D61F17)
