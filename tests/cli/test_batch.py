"""The coordinator of a batch: what is skipped, tried again, and told; nothing is matted in here."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from cli.batch.coordinator import Coordinator
from cli.batch.displays import FilesJsonLines
from cli.batch.executor import (
    Advanced,
    Logged,
    Message,
    Task,
)
from cli.batch.overview import Overview
from cli.batch.results import (
    Outcome,
)
from cli.batch.supplies import WholeFolder
from cli.formats.delivery import Delivery
from cli.progress import Status
from cli.report.limits import Limit
from tests.cli.batches import (
    Recorder,
    Script,
    dies,
    dies_unheard,
    fails,
    finishes,
    found,
    make_folder,
    outcomes,
    run,
    warns,
    wishes_for,
    write_result,
)


def test_all_are_done_and_a_second_run_begins_none(tmp_path: Path) -> None:
    wishes = wishes_for(make_folder(tmp_path, "a.mp4", "b.mkv", "sub/c.jpg"))
    first, second = Script(), Script()
    assert set(outcomes(run(wishes, first)).values()) == {"done"}
    assert len(first.tasks) == 3
    results = run(wishes, second)
    assert set(outcomes(results).values()) == {"skipped"}
    assert second.tasks == []
    assert results["a.mp4"].frames == 3
    assert results["a.mp4"].seconds is None


def test_what_was_warned_of_stands_in_the_table_of_every_run(tmp_path: Path) -> None:
    wishes = wishes_for(make_folder(tmp_path, "a.mp4", "b.mp4"))
    for outcome in ("done", "skipped"):
        results = run(wishes, Script({"a.mp4": [warns]}))
        assert results["a.mp4"].outcome == outcome
        assert results["a.mp4"].reason == "a.mp4 is damaged near frame 2."
        assert results["b.mp4"].reason is None


def test_a_broken_limit_fails_again_without_being_matted_again(tmp_path: Path) -> None:
    wishes = wishes_for(make_folder(tmp_path, "a.mp4", "b.mp4"))
    run(wishes, Script({"a.mp4": [warns]}))
    strict = replace(wishes, limits=(Limit.parse("flicker>5"),))
    script = Script({"b.mp4": [warns]})
    results = run(strict, script)
    assert script.names == ["b.mp4"]  # of which no figure was known
    assert results["a.mp4"].outcome == "failed"
    assert "mean flicker: 7" in (results["a.mp4"].reason or "")
    kind = replace(wishes, limits=(Limit.parse("flicker>9"),))
    assert set(outcomes(run(kind, Script())).values()) == {"skipped"}


def test_only_what_is_new_or_changed_is_done_again(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, "a.mp4", "b.mp4", "c.mp4")
    wishes = wishes_for(folder)
    run(wishes)
    (folder / "b.mp4").write_bytes(b"another take")
    (tmp_path / "out" / "c.mov").unlink()
    make_folder(tmp_path, "d.mp4")
    script = Script()
    assert outcomes(run(wishes, script))["a.mp4"] == "skipped"
    assert script.names == ["b.mp4", "c.mp4", "d.mp4"]


def test_other_settings_replace_our_own_results_and_nobody_else_s(tmp_path: Path) -> None:
    wishes = wishes_for(make_folder(tmp_path, "a.mp4", "b.mp4"))
    run(wishes)
    (tmp_path / "out" / "b.mov").write_bytes(b"graded by somebody")
    script = Script()
    run(replace(wishes, pass_name="alpha"), script)
    may_replace = {task.job.source.name: task.job.overwrites for task in script.tasks}
    assert may_replace == {"a.mp4": True, "b.mp4": False}


def test_one_that_fails_stops_no_other(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    wishes = wishes_for(make_folder(tmp_path, "a.mp4", "b.mp4", "c.mp4"))
    results = run(wishes, Script({"b.mp4": [fails]}))
    assert outcomes(results) == {"a.mp4": "done", "b.mp4": "failed", "c.mp4": "done"}
    assert results["b.mp4"].reason == f"{wishes.source / 'b.mp4'} is no movie"
    assert "b.mp4 failed" in caplog.text
    assert results["b.mp4"].tries == 1


def test_one_whose_worker_died_is_gone_on_with_once_more(tmp_path: Path) -> None:
    wishes = wishes_for(make_folder(tmp_path, "a.mp4", "b.mp4"))
    script = Script({"a.mp4": [dies]})
    results = run(wishes, script)
    assert outcomes(results) == {"a.mp4": "done", "b.mp4": "done"}
    assert results["a.mp4"].tries == 2
    again = [task.job for task in script.tasks if task.job.source.name == "a.mp4"][1]
    assert again.resumes
    assert again.overwrites  # what the first try left


def test_one_that_kills_every_worker_is_given_up_and_the_others_go_on(tmp_path: Path) -> None:
    wishes = wishes_for(make_folder(tmp_path, "a.mp4", "b.mp4", "c.mp4"))
    results = run(wishes, Script({"b.mp4": [dies, dies, finishes]}))
    assert outcomes(results) == {"a.mp4": "done", "b.mp4": "failed", "c.mp4": "done"}
    assert results["b.mp4"].reason == "its worker was ended by SIGKILL; tried 2 times"


def test_what_a_dying_worker_has_finished_is_not_done_again(tmp_path: Path) -> None:
    wishes = wishes_for(make_folder(tmp_path, "a.mp4", "b.mp4"))
    script = Script({"a.mp4": [dies_unheard]})
    results = run(wishes, script)
    assert results["a.mp4"].outcome is Outcome.DONE
    assert (results["a.mp4"].frames, results["a.mp4"].seconds) == (3, 1.5)
    assert script.names.count("a.mp4") == 1


def test_no_more_are_under_way_than_there_are_workers(tmp_path: Path) -> None:
    wishes = wishes_for(make_folder(tmp_path, *(f"{index}.mp4" for index in range(9))))
    script = Script(capacity=3)
    run(wishes, script)
    assert script.most_at_once == 3
    assert len(script.tasks) == 9


def test_results_are_in_the_order_of_the_folder_whatever_ends_first(tmp_path: Path) -> None:
    names = [f"{letter}.mp4" for letter in "abcdef"]
    display = Recorder()
    results = run(wishes_for(make_folder(tmp_path, *names)), Script(capacity=3), display)
    assert list(results) == names
    assert display.events[0] == "c.mp4 done"


def test_unfinished_runs_are_gone_on_with_unless_all_is_to_begin_anew(tmp_path: Path) -> None:
    wishes = wishes_for(make_folder(tmp_path, "a.mp4"))
    for wished, resumes in (
        (wishes, True),
        (replace(wishes, overwrites=True), False),
        (replace(wishes, overwrites=True, resumes=True), True),
    ):
        script = Script({"a.mp4": [fails]})
        run(wished, script)
        assert script.tasks[0].job.resumes is resumes


def test_formats_for_movies_do_not_concern_pictures(tmp_path: Path) -> None:
    delivery = Delivery(codec="ffv1", alpha="premultiplied")
    wishes = replace(wishes_for(make_folder(tmp_path, "a.mp4", "b.jpg")), delivery=delivery)
    script = Script()
    run(wishes, script)
    given = {task.job.source.name: task.job.delivery for task in script.tasks}
    assert given == {"a.mp4": delivery, "b.jpg": Delivery(alpha="premultiplied")}


def test_every_movie_gets_a_report_of_its_own(tmp_path: Path) -> None:
    pages = tmp_path / "pages"
    wishes = replace(wishes_for(make_folder(tmp_path, "a.mp4", "sub/a.mp4", "b.jpg")), report=pages)
    script = Script()
    run(wishes, script)
    reports = {task.job.report for task in script.tasks}
    assert reports == {pages / "a.mp4.html", pages / "sub" / "a.mp4.html", None}


def test_an_unreadable_folder_is_a_failure_of_its_own(tmp_path: Path) -> None:
    wishes = wishes_for(make_folder(tmp_path, "a.mp4"))
    locked = wishes.source / "locked"
    findings = replace(found(wishes), unreadable=(locked,))
    results = run(wishes, supply=WholeFolder(lambda: findings))
    assert [str(result.outcome) for result in results.values()] == ["done", "failed"]
    assert results[f"{locked}/"].reason == (
        f"the folder {locked} may not be looked into; change its permissions"
    )


def test_ctrl_c_stops_the_workers_and_accounts_for_every_file(tmp_path: Path) -> None:
    def interrupts(task: Task) -> Sequence[Message]:
        assert task.job.source.name == "c.mp4"
        raise KeyboardInterrupt

    names = [f"{letter}.mp4" for letter in "abcdef"]
    wishes = wishes_for(make_folder(tmp_path, *names))
    script = Script({"b.mp4": [fails], "c.mp4": [interrupts]}, capacity=1)
    display = Recorder()
    coordinator = Coordinator(WholeFolder(lambda: found(wishes)), script, Overview(display), wishes)
    with pytest.raises(KeyboardInterrupt):
        coordinator.run()
    assert not script.is_open
    assert [str(result.outcome) for result in coordinator.results] == [
        "done", "failed", "stopped", "stopped", "stopped", "stopped",
    ]  # fmt: skip
    assert display.events[-1] == "stop"


def test_what_was_finished_unheard_when_ctrl_c_came_counts_as_done(tmp_path: Path) -> None:
    def finishes_and_interrupts(task: Task) -> Sequence[Message]:
        write_result(task.job)
        raise KeyboardInterrupt

    wishes = wishes_for(make_folder(tmp_path, "a.mp4"))
    script = Script({"a.mp4": [finishes_and_interrupts]})
    coordinator = Coordinator(
        WholeFolder(lambda: found(wishes)), script, Overview(Recorder()), wishes
    )
    with pytest.raises(KeyboardInterrupt):
        coordinator.run()
    assert [result.outcome for result in coordinator.results] == [Outcome.DONE]


def test_facts_that_every_worker_tells_are_told_once_and_warnings_each_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def talks(task: Task) -> Sequence[Message]:
        said = [(logging.INFO, "matting on cpu"), (logging.WARNING, "interlaced")]
        records = [
            logging.LogRecord("cli.video", level, "", 0, text, None, None) for level, text in said
        ]
        return [*(Logged(record=record) for record in records), *finishes(task)]

    wishes = wishes_for(make_folder(tmp_path, "a.mp4", "b.mp4"))
    with caplog.at_level(logging.INFO):
        run(wishes, Script({"a.mp4": [talks], "b.mp4": [talks]}))
    assert caplog.messages.count("matting on cpu") == 1
    assert caplog.messages.count("interlaced") == 2


def test_done_is_not_told_of_a_batch_with_a_failure(tmp_path: Path) -> None:
    display = Recorder()
    run(wishes_for(make_folder(tmp_path, "a.mp4")), Script({"a.mp4": [fails]}), display)
    assert display.events == ["a.mp4 failed", "stop"]


def test_news_that_come_after_the_end_of_a_task_do_not_count(tmp_path: Path) -> None:
    def goes_on_talking(task: Task) -> Sequence[Message]:
        late = Status(frame=2, total=3, fps=1.0, seconds_left=1.0)
        return [*finishes(task), Advanced(task=task.number, status=late)]

    display = Recorder()
    run(wishes_for(make_folder(tmp_path, "a.mp4")), Script({"a.mp4": [goes_on_talking]}), display)
    assert display.last is not None
    assert display.last.frame == 3
    assert display.last.fps is None


def test_programs_are_told_of_every_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wishes = wishes_for(make_folder(tmp_path, "a.mp4", "b.mp4"))
    coordinator = Coordinator(
        WholeFolder(lambda: found(wishes)),
        Script({"b.mp4": [fails]}),
        Overview(FilesJsonLines()),
        wishes,
    )
    coordinator.run()
    events = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    files = {event["name"]: event for event in events if event["event"] == "file"}
    assert files["a.mp4"] == {
        "event": "file", "name": "a.mp4", "result": "done", "frames": 3, "seconds": 1.5,
        "reason": None,
    }  # fmt: skip
    assert files["b.mp4"]["result"] == "failed"
    last = events[-1]
    assert last["event"] == "progress"
    assert (last["files"], last["files_total"], last["frame"]) == (2, 2, 3)


def test_results_that_lie_in_the_folder_are_no_sources(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, "a.mp4")
    first = wishes_for(folder)
    run(replace(first, target=folder / "done"))
    assert set(outcomes(run(first))) == {"a.mp4"}
