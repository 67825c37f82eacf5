"""Operators whose work goes on in a thread, in a stand-in for Blender."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from shm_plugin import client
from shm_plugin.jobs import Tell
from tests.plugin import fake_bpy
from tests.plugin.workers import PATIENCE, wait_until

TIMER = SimpleNamespace(type="TIMER", value="NOTHING")
ESC = SimpleNamespace(type="ESC", value="PRESS")
MOUSE = SimpleNamespace(type="MOUSEMOVE", value="NOTHING")


@pytest.fixture
def bpy() -> Iterator[Any]:
    with fake_bpy.installed() as bpy:
        yield bpy


@pytest.fixture
def modal(bpy: Any) -> Iterator[Any]:
    from shm_plugin.blender import modal

    yield modal
    modal.stop_everything()
    assert bpy is not None


@pytest.fixture
def context(bpy: Any) -> Any:
    return fake_bpy.make_context(bpy)


def _operator(modal: Any, bpy: Any, job: Callable[[Any], Any]) -> Any:
    """An operator that does `job` and reports what it returned."""

    class Operator(modal.WorkOperator, bpy.types.Operator):
        finished: list[Any] = []  # noqa: RUF012 (one for each call of _operator)

        def start(self, context: Any) -> Any:
            assert context.window_manager
            return job

        def finish(self, context: Any, result: Any) -> str:
            assert context.window_manager
            self.finished.append(result)
            return f"It is {result}."

    return Operator()


def _ticked(operator: Any, context: Any) -> set[str]:
    """What the operator returns at last."""
    answers: list[set[str]] = []

    def is_over() -> bool:
        answers.append(operator.modal(context, TIMER))
        return answers[-1] != {"PASS_THROUGH"}

    wait_until(is_over)
    return answers[-1]


def _is_tidy(context: Any) -> bool:
    manager = context.window_manager
    return context.area.header is None and not manager.timers and manager.progress is None


def test_work_goes_on_in_a_thread_while_events_pass(modal: Any, bpy: Any, context: Any) -> None:
    gate = threading.Event()

    def job(tell: Any) -> str:
        assert threading.current_thread() is not threading.main_thread()
        tell(0.6, "drawing the outline")
        assert gate.wait(PATIENCE)
        return "done"

    operator = _operator(modal, bpy, job)
    assert operator.invoke(context, MOUSE) == {"RUNNING_MODAL"}
    assert context.window_manager.handlers == [operator]
    wait_until(lambda: modal.under_way() == "60 % drawing the outline")
    assert operator.modal(context, TIMER) == {"PASS_THROUGH"}
    assert operator.modal(context, MOUSE) == {"PASS_THROUGH"}
    assert context.area.header == "Human Matte: 60 % drawing the outline (Esc: cancel)"
    assert context.window_manager.progress[-1] == 60
    gate.set()
    assert _ticked(operator, context) == {"FINISHED"}
    assert operator.finished == ["done"]
    assert operator.reports == [("INFO", "It is done.")]
    assert modal.last_sentence() == "It is done."
    assert modal.under_way() == ""
    assert _is_tidy(context)


def test_escape_ends_it_at_once_and_then_the_job(modal: Any, bpy: Any, context: Any) -> None:
    gate, outcome = threading.Event(), []

    def job(tell: Any) -> None:
        tell.when_stopped(gate.set)
        # As a client that waits for a reply, until somebody cancels.
        assert gate.wait(PATIENCE)
        try:
            tell(0.5, "on")
        except client.Cancelled:
            outcome.append("stopped")
            raise

    operator = _operator(modal, bpy, job)
    operator.invoke(context, MOUSE)
    released = SimpleNamespace(type="ESC", value="RELEASE")
    assert operator.modal(context, released) == {"PASS_THROUGH"}
    assert operator.modal(context, ESC) == {"CANCELLED"}
    assert operator.reports == [("INFO", "Human Matte was cancelled; nothing is changed.")]
    assert _is_tidy(context)
    wait_until(lambda: outcome == ["stopped"])
    assert operator.finished == []


def test_escape_while_the_timeline_plays_is_for_the_playback(
    modal: Any, bpy: Any, context: Any
) -> None:
    gate = threading.Event()

    def job(tell: Any) -> None:
        tell.when_stopped(gate.set)
        assert gate.wait(PATIENCE)

    operator = _operator(modal, bpy, job)
    operator.cancelled = "What is done is kept."
    operator.invoke(context, MOUSE)
    (screen,) = bpy.data.screens
    screen.is_animation_playing = True
    assert operator.modal(context, ESC) == {"PASS_THROUGH"}
    assert not gate.is_set()
    screen.is_animation_playing = False
    assert operator.modal(context, ESC) == {"CANCELLED"}
    assert operator.reports == [("INFO", "What is done is kept.")]
    assert gate.wait(PATIENCE)


def test_a_connection_is_not_tested_by_an_engine_that_the_setting_does_not_name(
    modal: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from shm_plugin.blender import preferences

    monkeypatch.setattr(preferences, "reaching", lambda *_: pytest.fail("a living one is asked"))
    wanted = preferences.Settings(engine=str(tmp_path / "nowhere"))
    with pytest.raises(client.EngineNotFound, match="nowhere, which is no engine"):
        preferences.test_connection(wanted, Tell())
    assert modal.last_sentence() == ""


def test_the_sentence_of_an_error_is_reported(modal: Any, bpy: Any, context: Any) -> None:
    def job(_: Any) -> None:
        raise client.EngineNotFound("There is no engine; install it.")

    operator = _operator(modal, bpy, job)
    assert operator.invoke(context, MOUSE) == {"RUNNING_MODAL"}
    assert _ticked(operator, context) == {"CANCELLED"}
    assert operator.execute(context) == {"CANCELLED"}
    assert operator.reports == [("ERROR", "There is no engine; install it.")] * 2
    assert modal.last_sentence() == "There is no engine; install it."
    assert _is_tidy(context)


def test_a_mistake_in_a_job_is_raised_where_blender_sees_it_and_leaves_no_trace(
    modal: Any, bpy: Any, context: Any
) -> None:
    operator = _operator(modal, bpy, lambda _: 1 // 0)
    operator.invoke(context, MOUSE)
    with pytest.raises(ZeroDivisionError):
        _ticked(operator, context)
    assert _is_tidy(context)


def test_a_script_waits_and_sees_progress(modal: Any, bpy: Any, context: Any) -> None:
    def job(tell: Any) -> int:
        assert threading.current_thread() is threading.main_thread()
        tell(0.25, "a quarter")
        return 4

    operator = _operator(modal, bpy, job)
    assert operator.execute(context) == {"FINISHED"}
    assert context.window_manager.all_progress == [25]
    bpy.app.background = True
    assert operator.invoke(context, MOUSE) == {"FINISHED"}
    assert operator.finished == [4, 4]
    assert context.window_manager.handlers == []
    assert _is_tidy(context)


def test_only_one_works_at_a_time_unless_blender_dropped_it(
    modal: Any, bpy: Any, context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()

    def job(tell: Any) -> None:
        tell.when_stopped(gate.set)
        assert gate.wait(PATIENCE)

    first, second = _operator(modal, bpy, job), _operator(modal, bpy, lambda _: "new")
    first.invoke(context, MOUSE)
    assert second.invoke(context, MOUSE) == {"CANCELLED"}
    assert second.reports == [("WARNING", "Human Matte is still at work; Esc ends that.")]
    assert not gate.is_set()
    monkeypatch.setattr(modal, "_SILENT_SECONDS", -1)
    assert second.invoke(context, MOUSE) == {"RUNNING_MODAL"}
    assert gate.wait(PATIENCE)
    assert _ticked(second, context) == {"FINISHED"}


def test_an_editor_that_was_closed_is_left_alone(modal: Any, bpy: Any, context: Any) -> None:
    operator = _operator(modal, bpy, lambda _: "done")
    operator.invoke(context, MOUSE)
    header = context.area.header
    other = fake_bpy.Area()
    bpy.data.screens = [fake_bpy.make_screen(other)]
    assert _ticked(operator, context) == {"FINISHED"}
    assert (context.area.header, other.headers) == (header, [])
    assert not context.window_manager.timers


def test_blender_may_end_it(modal: Any, bpy: Any, context: Any) -> None:
    gate = threading.Event()

    def job(tell: Any) -> None:
        tell.when_stopped(gate.set)
        assert gate.wait(PATIENCE)

    operator = _operator(modal, bpy, job)
    operator.invoke(context, MOUSE)
    operator.cancel(context)
    assert gate.wait(PATIENCE)
    assert _is_tidy(context)
    assert modal.under_way() == ""


def test_switched_off_while_it_works_the_add_on_leaves_no_trace(
    modal: Any, bpy: Any, context: Any
) -> None:
    gate = threading.Event()

    def job(tell: Any) -> None:
        tell.when_stopped(gate.set)
        assert gate.wait(PATIENCE)

    bpy.context.window_manager = context.window_manager
    _operator(modal, bpy, job).invoke(context, MOUSE)
    assert context.area.header is not None
    # Of the operator Blender says no more.
    modal.stop_everything()
    assert gate.wait(PATIENCE)
    assert _is_tidy(context)
    assert modal.under_way() == ""


def test_whoever_listens_late_is_told_at_once() -> None:
    tell, heard = Tell(), []
    tell.stop()
    tell.when_stopped(lambda: heard.append("stopped"))
    assert heard == ["stopped"]
    with pytest.raises(client.Cancelled):
        tell(0.1, "on")


def test_waiting_for_the_engine_to_start_can_be_cancelled(
    bpy: Any, context: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from shm_plugin.blender import modal
    from shm_plugin.blender.preferences import Settings, WM_OT_human_matte_test

    program = tmp_path / "python3"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    monkeypatch.setenv("SHM_MATTE_RUNTIME", str(tmp_path / "run"))
    own = Settings(engine=str(program))
    from shm_plugin.blender import preferences

    bpy.context.preferences.addons[preferences.ADDON] = SimpleNamespace(preferences=own)
    known = list(client._started)
    operator = WM_OT_human_matte_test()
    operator.invoke(context, MOUSE)
    wait_until(lambda: modal.under_way() == "0 % starting the engine")
    (process,) = [each for each in client._started if each not in known]
    work = operator._run.work
    assert operator.modal(context, ESC) == {"CANCELLED"}
    wait_until(lambda: work.is_done)
    with pytest.raises(client.Cancelled):
        work.result()
    process.kill()
    process.wait(PATIENCE)
