"""Evaluation through its door: tables whose numbers are known, and the published composites."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

from shm_engine.errors import MattingError
from shm_engine.matter import Matter
from shm_engine.types import Frame, Matte
from tests.assertions import EXACT, assert_close
from tests.training.drawn import ORANGE_CODE, TEAL_CODE, store
from training.__main__ import commands, main
from training.evaluate import EvaluationSet, cases

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

    description = "a quarter everywhere"

    def mattes(self, frames: Iterable[Frame]) -> Iterator[Matte]:
        for frame in frames:
            yield Matte(frame=frame, alpha=torch.full((1, *frame.size), 0.25))


def rows_of(result: Result) -> dict[str, list[float]]:
    """The numbers of the printed table by the name of the set."""
    assert result.exit_code == 0, result.output
    lines = [line for line in result.stdout.splitlines() if line.startswith("|")]
    assert lines[0] == "| set | pictures | MAD e-3 | MSE e-3 | mean IoU | mean alpha |"
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
    return {row[0]: [float(cell) for cell in row[1:]] for row in cells}


def test_the_printed_table_agrees_with_numbers_computed_by_hand(
    sets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Matter, "load", lambda *_: QuarterMatter())
    result = CliRunner().invoke(commands, ["evaluate", "--sets", str(sets)])
    # Half of the pixels are 0.75 too low, half 0.25 too high; a background is only too high.
    half = [500.0, (0.5625 + 0.0625) / 2 * 1000, 0.0, 0.25]
    assert rows_of(result) == {
        "halves": [2, *half],
        "nobody": [1, 250.0, 62.5, 1.0, 0.25],
        "put together": [2, *half],
    }
    assert "a quarter everywhere" in result.stdout


def test_weights_are_measured_as_the_engine_uses_them(sets: Path, random_weights: Path) -> None:
    arguments = ["--model", str(random_weights), "--device", "cpu", "--size", "64"]
    result = CliRunner().invoke(commands, ["evaluate", "--sets", str(sets), *arguments])
    rows = rows_of(result)
    assert "long side 64" in result.stdout
    assert [row[0] for row in rows.values()] == [2, 1, 2]
    # Where nobody is, the error is the alpha itself; a network that knows nothing says about 1/2.
    assert rows["nobody"][1] / 1000 == pytest.approx(rows["nobody"][4], abs=1e-4)
    assert 0.2 < rows["nobody"][4] < 0.8


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
    sets: Path, monkeypatch: pytest.MonkeyPatch, content: str | None, named: str
) -> None:
    monkeypatch.setattr(Matter, "load", lambda *_: QuarterMatter())
    (sets.parent / "composites.csv").unlink()
    if content is not None:
        (sets.parent / "composites.csv").write_text(content)
    result = CliRunner().invoke(commands, ["evaluate", "--sets", str(sets)])
    assert isinstance(result.exception, MattingError)
    assert named in str(result.exception)


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
