"""What a run tells: the log's rows, TensorBoard's figures and strips, the curves."""

from __future__ import annotations

import json
import math
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from shm_engine.errors import MattingError
from tests.assertions import CODE_8_BIT, EXACT, assert_close
from tests.training.runs import train
from training.data.dataset import Sample
from training.loop import report
from training.loop.board import figures, open_board
from training.loop.curves import draw_curves
from training.loop.distributed import ALONE, Team
from training.loop.log import Row, append_row, forget_after, read_log
from training.loop.report import Report, Stopwatch, open_report
from training.loop.strips import draw_strips
from training.loop.validation import Verdict

pytestmark = pytest.mark.usefixtures("_one_thread")


def place(step: int, **changes: Any) -> Row:
    return {"phase": "t_net", "step": step, "of": 9, "steps_done": step} | changes


def validation_row(step: int, score: float) -> Row:
    sets = {"people": {"mad": score, "iou": 0.9, "mean_alpha": 0.4}}
    return place(step, validation=score, best=score, seconds=1.0, sets=sets)


class Clock:
    """In the place of time: moves when it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)


def test_the_stopwatch_counts_waiting_and_working_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, watch = Clock(monkeypatch), Stopwatch()

    def slow_batches():
        for number in range(3):
            clock.now += 2.0
            yield number

    for _ in watch.waiting_for(slow_batches()):
        with watch.working():
            clock.now += 6.0
        clock.now += 50.0  # a validation
    assert (watch.waited, watch.worked, watch.share_waited) == (6.0, 18.0, 0.25)
    assert Stopwatch().share_waited == 0


def test_a_row_holds_the_means_since_the_last_one(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, rows = Clock(monkeypatch), list[Row]()
    found = Report([rows.append])
    for step, loss in enumerate([1.0, 2.0, 6.0], start=1):
        for _ in found.total.waiting_for([None]):
            with found.total.working():
                clock.now += step
        found.add(place(step), {"trimap": loss}, 0.1 * step)
        if step == 2:
            found.flush()
    found.flush()
    found.flush()
    shown = [(r["steps_done"], r["trimap"], r["seconds_per_step"], r["waiting"]) for r in rows]
    assert shown == [(2, 1.5, 1.5, 0.0), (3, 6.0, 3.0, 0.0)]
    assert [row["learning_rate"] for row in rows] == [0.2, 0.3]


def test_a_run_in_pieces_logs_every_step_once(config_of, tmp_path: Path) -> None:
    config = config_of(log_every=2, save_every=100)
    train(config, tmp_path, steps=1)
    first = read_log(tmp_path / "log.jsonl")
    assert [(row["phase"], row["step"], row["steps_done"]) for row in first] == [("t_net", 1, 1)]
    train(config, tmp_path, steps=2)
    train(config, tmp_path)
    rows = read_log(tmp_path / "log.jsonl")
    assert [(row["phase"], row["step"], row["steps_done"]) for row in rows] == [
        ("t_net", 1, 1),
        ("t_net", 2, 2),
        ("end_to_end", 1, 3),
        ("end_to_end", 2, 4),
        ("end_to_end", 3, 5),
    ]
    assert rows[0] == first[0]


def test_rows_of_steps_that_are_done_again_are_forgotten(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    forget_after(log, 3)
    assert not log.exists()
    for step in range(1, 6):
        append_row(log, place(step))
    with log.open("a") as file:
        file.write('{"phase": "t_n')
    forget_after(log, 3)
    append_row(log, place(4, again=True))
    assert [json.loads(line) for line in log.read_text().splitlines()] == [
        *(place(step) for step in (1, 2, 3)),
        place(4, again=True),
    ]


def test_the_time_spent_waiting_is_told_at_the_end_and_only_by_the_first_of_a_team(
    config_of, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for team in (ALONE, Team(rank=1, size=2)):
        with open_report(tmp_path / f"{team.rank}", config_of(), 0, team) as found:
            found.total.waited, found.total.worked = 1.0, 3.0
            found.add(place(1), {"trimap": 0.5}, 0.1)
            found.flush()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert "trimap 0.5" in lines[0]
    assert lines[1].startswith("1.0 of 4.0 seconds were spent waiting for pictures (25%)")
    assert not (tmp_path / "1").exists()


@pytest.mark.parametrize("missing", ["tensorboard", "matplotlib"])
def test_charts_without_their_packages_say_what_to_install(
    config_of, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    monkeypatch.setattr(report, "find_spec", lambda n: None if n == missing else find_spec(n))
    with pytest.raises(
        MattingError, match=rf"{missing} cannot be found.*\[train\].*charts = false"
    ):
        train(config_of(charts=True), tmp_path)


def on_board(folder: Path) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder), {"images": 0, "scalars": 0})
    found.Reload()
    return found


def test_a_run_with_charts_leaves_a_board_and_curves(config_of, tmp_path: Path) -> None:
    config = config_of(charts=True, strips_every=2)
    train(config, tmp_path, steps=3)
    train(config, tmp_path)
    board = on_board(tmp_path / "tensorboard")
    rows = read_log(tmp_path / "log.jsonl")
    for name in ("loss/trimap", "learning_rate", "seconds_per_step", "waiting"):
        found = [(event.step, event.value) for event in board.Scalars(name)]
        key = name.removeprefix("loss/")
        assert found == [(row["steps_done"], pytest.approx(row[key])) for row in rows]
    strips = board.Images("strips")
    assert [image.step for image in strips] == [2, 4]
    encoded = np.frombuffer(strips[0].encoded_image_string, np.uint8)
    pixels = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    assert pixels is not None
    assert pixels.shape == (2 * 66, 4 * 66, 3)
    assert picture(tmp_path / "curves.png").ndim == 3


def test_a_board_hides_what_is_done_again_and_shows_validations(tmp_path: Path) -> None:
    with open_board(tmp_path, 0) as board:
        for step in range(1, 6):
            board.write(place(step, trimap=float(step)))
    with open_board(tmp_path, 3) as board:
        board.write(place(4, trimap=40.0))
        board.write(validation_row(4, 0.25))
    found = on_board(tmp_path)
    assert [(e.step, e.value) for e in found.Scalars("loss/trimap")] == [
        (1, 1.0),
        (2, 2.0),
        (3, 3.0),
        (4, 40.0),
    ]
    for name, value in figures(validation_row(4, 0.25)).items():
        assert [(e.step, e.value) for e in found.Scalars(name)] == [(4, pytest.approx(value))]
    assert set(figures(validation_row(4, 0.25))) == {
        "validation/score",
        "validation/people/mad",
        "validation/people/iou",
        "validation/people/mean_alpha",
    }


def test_strips_show_input_truth_prediction_and_the_person_over_green() -> None:
    image = torch.full((2, 3, 8, 8), 200, dtype=torch.uint8)
    alpha = torch.zeros(2, 1, 8, 8, dtype=torch.uint8)
    alpha[1] = 255
    batch = Sample(image, alpha, alpha[:, 0], torch.ones(2))
    predicted = torch.zeros(2, 1, 8, 8)
    predicted[0] = 0.5
    strips = draw_strips(batch, predicted)
    assert strips.shape == (3, 20, 40)
    cells = [strips[:, y : y + 8, x : x + 8] for y in (0, 10) for x in (0, 10, 20, 30)]
    codes = [cell[:, 0, 0].tolist() for cell in cells]
    green = codes[7]
    assert all(torch.equal(cell, cell[:, :1, :1].expand_as(cell)) for cell in cells)
    assert codes[:3] == [[200] * 3, [0] * 3, [128] * 3]
    assert codes[4:7] == [[200] * 3, [255] * 3, [0] * 3]
    assert green[1] > 2 * max(green[0], green[2])
    half = (200 + torch.tensor(green)) / 2
    assert_close(torch.tensor(codes[3]) / 255, half / 255, CODE_8_BIT)


def picture(path: Path) -> NDArray[np.uint8]:
    pixels = cv2.imread(str(path))
    assert pixels is not None
    return np.asarray(pixels, np.uint8)


def test_curves_are_drawn_from_the_log_alone(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    sizes = []
    for step in range(1, 5):
        append_row(log, place(step, trimap=1 / step, alpha=0.0))
    append_row(log, place(1, phase="end_to_end", of=1, steps_done=10, trimap=0.2))
    for name in ("one", "same"):
        draw_curves(log, tmp_path / f"{name}.png")
        sizes.append(picture(tmp_path / f"{name}.png").shape)
    assert_close(picture(tmp_path / "one.png"), picture(tmp_path / "same.png"), EXACT)
    append_row(log, validation_row(4, 0.3))
    append_row(log, validation_row(10, 0.1))
    draw_curves(log, tmp_path / "two.png")
    assert picture(tmp_path / "two.png").shape[0] > 1.5 * sizes[0][0]
    assert not list(tmp_path.glob(".*"))


def test_curves_of_a_run_without_rows_are_empty_panels(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text("")
    draw_curves(log, tmp_path / "curves.png")
    assert picture(tmp_path / "curves.png").size


def test_a_log_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").mkdir()
    with pytest.raises(MattingError, match=r"log\.jsonl cannot be written: .*make room") as caught:
        append_row(tmp_path / "log.jsonl", place(1))
    assert caught.value.path == tmp_path / "log.jsonl"


def test_a_validation_is_a_row_of_its_own() -> None:
    rows: list[Row] = []
    verdict = Verdict(1 / 3, [], 2.04)
    Report([rows.append]).validated(place(3), verdict, math.inf)
    assert rows == [
        place(3, validation=0.333333, best=math.inf, seconds=2.0, sets={}),
    ]
