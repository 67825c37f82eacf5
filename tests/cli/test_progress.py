"""Progress: what a person and a program are told while something is counted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from cli.progress import JsonLines, Progress, ProgressMode, Status, display_for


class Clock:
    """Goes on by `step` seconds at every look."""

    def __init__(self, step: float) -> None:
        self.step, self.now = step, 0.0

    def __call__(self) -> float:
        self.now += self.step
        return self.now


class Recorder:
    """A display that keeps what it is shown."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, Status]] = []

    def start(self, status: Status) -> None:
        self.seen.append(("start", status))

    def advance(self, status: Status) -> None:
        self.seen.append(("advance", status))

    def stop(self, status: Status) -> None:
        self.seen.append(("stop", status))

    def done(self, status: Status) -> None:
        self.seen.append(("done", status))


def _events(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_items_pass_unchanged_and_each_counts_once() -> None:
    recorder = Recorder()
    with Progress(recorder, 3) as progress:
        assert list(progress.track("abc")) == ["a", "b", "c"]
    assert [status.frame for name, status in recorder.seen if name == "advance"] == [1, 2, 3]


def test_an_item_counts_only_when_the_consumer_has_finished_with_it() -> None:
    with Progress(Recorder(), 2) as progress:
        items = progress.track(iter("ab"))
        next(items)
        assert progress.status.frame == 0
        next(items)
        assert progress.status.frame == 1


def test_rate_and_time_left_are_measured_without_the_first_item() -> None:
    clock = Clock(step=0.5)
    with Progress(Recorder(), 5, clock=clock) as progress:
        items = progress.track(range(5))
        next(items)
        clock.now += 100  # the first item loads and compiles
        for _ in range(3):
            next(items)
        assert progress.status == Status(frame=3, total=5, fps=2.0, seconds_left=1.0)


def test_a_total_that_proves_too_small_becomes_unknown_and_then_right() -> None:
    recorder = Recorder()
    with Progress(recorder, 2) as progress:
        list(progress.track(range(4)))
    totals = {name: status.total for name, status in recorder.seen}
    assert totals["stop"] is None
    assert totals["done"] == 4


def test_done_is_not_told_of_work_that_failed() -> None:
    recorder = Recorder()

    def work() -> None:
        with Progress(recorder, None) as progress:
            for item in progress.track([1, 0]):
                1 // item

    with pytest.raises(ZeroDivisionError):
        work()
    assert [name for name, _ in recorder.seen] == ["start", "advance", "stop"]


def test_json_lines_parse_and_begin_and_end_as_promised(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(JsonLines(), None) as progress:
        list(progress.track(range(3)))
    events = _events(capsys)
    assert [event["event"] for event in events] == ["start", "progress", "progress", "done"]
    assert events[0] == {
        "event": "start", "frame": 0, "total": None, "fps": None, "seconds_left": None,
    }  # fmt: skip
    assert events[-1]["frame"] == events[-1]["total"] == 3
    assert all(set(event) == set(events[0]) for event in events)


@pytest.mark.parametrize(("step", "most"), [(0.001, 4), (1.0, 1002)])
def test_json_progress_comes_at_most_five_times_a_second(
    capsys: pytest.CaptureFixture[str], step: float, most: int
) -> None:
    # The display looks at its clock twice for a line and once for none.
    display = JsonLines(clock=Clock(step=step / 2))
    with Progress(display, 1000) as progress:
        list(progress.track(range(1000)))
    told = [event["frame"] for event in _events(capsys) if event["event"] == "progress"]
    assert told[0] == 1
    assert told[-1] == 1000
    assert len(told) <= most + 2


def test_nothing_is_shown_where_stderr_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(display_for(ProgressMode.AUTO), 3) as progress:
        list(progress.track(range(3)))
    assert capsys.readouterr().err == ""


def test_the_bar_shows_frames_and_total(capsys: pytest.CaptureFixture[str]) -> None:
    def slowly() -> Iterator[int]:
        yield from range(3)

    with Progress(display_for(ProgressMode.BAR), 3) as progress:
        list(progress.track(slowly()))
    shown = capsys.readouterr().err
    assert "3/3" in shown
    assert "frames/s" in shown


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs pseudo-terminals")
@pytest.mark.parametrize(
    ("options", "shows"),
    [
        ([], True),
        (["-q"], False),
        (["-q", "--progress", "bar"], True),
        (["--progress", "none"], False),
    ],
)
def test_on_a_terminal_a_bar_is_shown_unless_quiet(options: list[str], shows: bool) -> None:
    script = (
        "from cli import main, matte\n"
        "from cli.progress import Progress\n"
        "def perform(job, display):\n"
        "    with Progress(display, 3) as progress:\n"
        "        return len(list(progress.track('abc')))\n"
        "matte.perform = perform\n"
        f"main.main(['clip.mp4', '-o', 'out.mov', *{options!r}])"
    )
    import termios  # Windows has none

    ours, terminal = os.openpty()
    termios.tcsetwinsize(terminal, (24, 80))
    try:
        subprocess.run([sys.executable, "-c", script], stderr=terminal, check=True)
        os.write(terminal, b"end")
        shown = os.read(ours, 10_000).decode()
    finally:
        os.close(terminal)
        os.close(ours)
    assert ("3/3" in shown) == shows
    assert shows or "-q" not in options or shown == "end"
