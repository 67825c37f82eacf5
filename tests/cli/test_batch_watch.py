"""A folder that is watched, with a clock that only goes on while there is nothing to do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from cli.batch.coordinator import Coordinator
from cli.batch.executor import (
    Message,
    Task,
)
from cli.batch.overview import Overview
from cli.batch.results import (
    Result,
)
from cli.batch.supplies import WatchedFolder
from cli.jobs.job import Job
from cli.jobs.record import is_finished
from tests.cli.batches import (
    Recorder,
    Script,
    fails,
    finishes,
    found,
    grows,
    make_folder,
    outcomes,
    wishes_for,
)


def _watch(wishes: Job, script: Script, until: float) -> dict[str, Result]:
    def end() -> None:
        raise KeyboardInterrupt

    script.at[until] = end
    supply = WatchedFolder(lambda: found(wishes), clock=lambda: script.now)
    coordinator = Coordinator(supply, script, Overview(Recorder()), wishes)
    with pytest.raises(KeyboardInterrupt):
        coordinator.run()
    return {result.name: result for result in coordinator.results}


def test_watching_takes_files_as_they_come_and_each_once(tmp_path: Path) -> None:
    wishes = wishes_for(make_folder(tmp_path, "a.mp4"))
    script = Script()
    script.at[20.0] = lambda: make_folder(tmp_path, "b.mp4", "sub/c.png")
    results = _watch(wishes, script, until=60.0)
    assert script.names == ["a.mp4", "b.mp4", "c.png"]
    assert set(outcomes(results).values()) == {"done"}
    assert all(task.may_grow for task in script.tasks)


def test_watching_waits_until_a_file_no_longer_grows(tmp_path: Path) -> None:
    wishes = wishes_for(make_folder(tmp_path, "a.mp4"))
    script = Script()
    sizes: list[int] = []

    def grow() -> None:
        with (wishes.source / "a.mp4").open("ab") as file:
            file.write(b"more")

    def look(task: Task) -> Sequence[Message]:
        sizes.append(task.job.source.stat().st_size)
        return finishes(task)

    script.script["a.mp4"] = [look]
    for second in range(1, 31, 3):
        script.at[float(second)] = grow
    _watch(wishes, script, until=90.0)
    assert sizes == [len("a.mp4") + 10 * len("more")]


def test_watching_tries_a_failed_file_again_only_when_it_has_changed(tmp_path: Path) -> None:
    wishes = wishes_for(make_folder(tmp_path, "a.mp4"))
    script = Script({"a.mp4": [fails]})
    assert outcomes(_watch(wishes, script, until=60.0)) == {"a.mp4": "failed"}
    assert len(script.tasks) == 1
    script = Script({"a.mp4": [fails]})
    script.at[30.0] = lambda: (wishes.source / "a.mp4").write_bytes(b"whole")
    assert outcomes(_watch(wishes, script, until=60.0)) == {"a.mp4": "done"}
    assert len(script.tasks) == 2


def test_watching_does_not_fail_what_is_still_being_written(tmp_path: Path) -> None:
    wishes = wishes_for(make_folder(tmp_path, "a.mp4", "b.mp4"))
    script = Script({"a.mp4": [grows], "b.mp4": [grows]})
    script.at[30.0] = lambda: (wishes.source / "b.mp4").write_bytes(b"whole")
    results = _watch(wishes, script, until=60.0)
    assert outcomes(results) == {"a.mp4": "waiting", "b.mp4": "done"}
    assert results["a.mp4"].reason == "9 bytes of it are still missing"


def test_watching_does_a_file_again_that_changed_while_it_was_under_way(tmp_path: Path) -> None:
    wishes = wishes_for(make_folder(tmp_path, "a.mp4"))
    source = wishes.source / "a.mp4"
    script = Script(capacity=2)

    def change(task: Task) -> Sequence[Message]:
        ended = finishes(task)
        source.write_bytes(b"a better take")
        return ended

    script.script["a.mp4"] = [change]
    _watch(wishes, script, until=60.0)
    assert len(script.tasks) == 2
    assert script.most_at_once == 1
    job = script.tasks[-1].job
    assert is_finished(job)
    assert job.target.read_bytes() == b"matte of a better take"


def test_watching_forgets_files_that_go_away(tmp_path: Path) -> None:
    wishes = wishes_for(make_folder(tmp_path, "a.mp4"))
    script = Script()
    script.at[3.0] = (wishes.source / "a.mp4").unlink
    assert _watch(wishes, script, until=60.0) == {}
