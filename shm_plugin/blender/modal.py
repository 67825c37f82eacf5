"""An operator of Blender whose work goes on in a thread while its window lives on.

Knows no picture, strip or engine: what is to be done, and what becomes of it, is the subclass's.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Generic

import bpy

from ..client import Cancelled, WorkerError
from ..jobs import Job, Result, Tell, Work

_TICK_SECONDS = 0.1
# An operator that Blender dropped without a word, as with a window, ticks no more.
_SILENT_SECONDS = 5.0


class _Run(Generic[Result]):
    """The work of an operator, its timer, and what Blender shows of it."""

    def __init__(self, context: Any, job: Job[Result]) -> None:
        self.work = Work(job)
        self.ticked_at = time.monotonic()
        # An address, because a reference to an area that was closed is deadly.
        self._area = context.area.as_pointer() if context.area is not None else 0
        manager = context.window_manager
        manager.progress_begin(0, 100)
        self._timer = manager.event_timer_add(_TICK_SECONDS, window=context.window)

    @property
    def is_forgotten(self) -> bool:
        """Whether the operator is gone without having said so, and with it the timer."""
        return time.monotonic() - self.ticked_at > _SILENT_SECONDS

    def show(self, manager: Any) -> None:
        tell = self.work.tell
        manager.progress_update(100 * tell.share)
        self._head(f"Human Matte: {_described(tell)} (Esc: cancel)")

    def end(self, manager: Any) -> None:
        """Nothing of it is shown any more; what is still under way is stopped."""
        if not self.work.is_done:
            self.work.tell.stop()
        if _Now.run is self:
            _Now.run = None
        manager.progress_end()
        manager.event_timer_remove(self._timer)
        self._head(None)

    def _head(self, words: str | None) -> None:
        area = area_at(self._area)
        if area is not None:
            area.header_text_set(words)
            area.tag_redraw()


class _Now:
    """What goes on in this Blender, and the last sentence about it."""

    run: _Run[Any] | None = None
    sentence = ""


def last_sentence() -> str:
    """What was last reported, "" at first."""
    return _Now.sentence


def under_way() -> str:
    """How far the work of the moment is, as "60 % drawing the outline"; "" where there is none."""
    run = _Now.run
    return "" if run is None or run.work.is_done else _described(run.work.tell)


def stop_everything() -> None:
    """Stops what is under way, for when the add-on is switched off: Blender frees the operator then
    without a word, and leaves it to us to tidy up."""
    run = _Now.run
    if run is None:
        return
    if run.is_forgotten:
        run.work.tell.stop()
    else:
        run.end(bpy.context.window_manager)
    _Now.run = None


def _described(tell: Tell) -> str:
    return f"{100 * tell.share:.0f} % {tell.text}"


class WorkOperator(Generic[Result]):
    """A mixin for bpy.types.Operator; the subclass writes `start` and `finish`.

    From a menu it ticks: progress in the header, Esc ends it at once and nothing is changed; while
    the timeline plays, Esc stops that. From a script, and without a window, it blocks. What Blender
    has may vanish while it works, by undo or another file: keep names, not references, from `start`
    to `finish`.
    """

    # What is said after Esc.
    cancelled = "Human Matte was cancelled; nothing is changed."

    if TYPE_CHECKING:

        def report(self, kinds: set[str], sentence: str) -> None:
            """Of bpy.types.Operator."""

        @classmethod
        def poll_message_set(cls, sentence: str) -> None:
            """Of bpy.types.Operator."""

    @classmethod
    def obstacle(cls, context: Any) -> str | None:  # noqa: ARG003 (for subclasses)
        """Why it cannot be chosen now, for its tooltip; None where it can."""
        return None

    @classmethod
    def poll(cls, context: Any) -> bool:
        reason = cls.obstacle(context)
        if reason is not None:
            cls.poll_message_set(reason)
        return reason is None

    def start(self, context: Any) -> Job[Result]:
        """Reads from Blender what is needed; what it returns runs in a thread and must not touch
        bpy. May raise WorkerError, whose sentence is reported."""
        raise NotImplementedError

    def finish(self, context: Any, result: Result) -> str:
        """Writes the result into Blender; the sentence to report. May raise WorkerError."""
        raise NotImplementedError

    def execute(self, context: Any) -> set[str]:
        manager = context.window_manager
        manager.progress_begin(0, 100)
        tell = Tell(lambda share, _: manager.progress_update(100 * share))
        try:
            return self._done(self.finish(context, self.start(context)(tell)))
        except WorkerError as error:
            return self._failed(error)
        finally:
            manager.progress_end()

    def invoke(self, context: Any, event: Any) -> set[str]:  # noqa: ARG002 (Blender's)
        if bpy.app.background or context.window is None:
            return self.execute(context)
        other = _Now.run
        if other is not None and not other.work.is_done:
            if not other.is_forgotten:
                self.report({"WARNING"}, "Human Matte is still at work; Esc ends that.")
                return {"CANCELLED"}
            other.work.tell.stop()
        try:
            job = self.start(context)
        except WorkerError as error:
            return self._failed(error)
        self._run = _Now.run = _Run(context, job)
        context.window_manager.modal_handler_add(self)
        self._run.show(context.window_manager)
        return {"RUNNING_MODAL"}

    def modal(self, context: Any, event: Any) -> set[str]:
        if event.type == "ESC" and event.value == "PRESS":
            # That one is for the playback.
            if any(screen.is_animation_playing for screen in bpy.data.screens):
                return {"PASS_THROUGH"}
            self._leave(context)
            self._say({"INFO"}, self.cancelled)
            return {"CANCELLED"}
        if event.type != "TIMER":
            return {"PASS_THROUGH"}
        self._run.ticked_at = time.monotonic()
        if not self._run.work.is_done:
            self._run.show(context.window_manager)
            return {"PASS_THROUGH"}
        work = self._leave(context)
        try:
            return self._done(self.finish(context, work.result()))
        except WorkerError as error:
            return self._failed(error)

    def cancel(self, context: Any) -> None:
        """Blender itself ends the operator, as where another file is opened."""
        self._leave(context)

    def _leave(self, context: Any) -> Work[Result]:
        run: _Run[Result] = self._run
        # Blender keeps an operator for long, and so would all that belongs to its work.
        del self._run
        run.end(context.window_manager)
        return run.work

    def _done(self, sentence: str) -> set[str]:
        self._say({"INFO"}, sentence)
        return {"FINISHED"}

    def _failed(self, error: WorkerError) -> set[str]:
        # Whoever cancelled knows it.
        kind = "INFO" if isinstance(error, Cancelled) else "ERROR"
        self._say({kind}, str(error))
        return {"CANCELLED"}

    def _say(self, kinds: set[str], sentence: str) -> None:
        _Now.sentence = sentence
        self.report(kinds, sentence)


def area_at(address: int) -> Any:
    """The area of that address, on whatever screen; None where it is gone."""
    for screen in bpy.data.screens:
        for area in screen.areas:
            if area.as_pointer() == address:
                return area
    return None
