"""An operator of Blender whose work goes on in a thread while its window lives on.

Knows no picture, strip or engine: what is to be done, and what becomes of it, is the subclass's.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import bpy

from ..client import Cancelled, WorkerError

Result = TypeVar("Result")

_TICK_SECONDS = 0.1
# An operator that Blender dropped without a word, as with a window, ticks no more.
_SILENT_SECONDS = 5.0


class Stopped(Exception):  # noqa: N818 (not a mistake of the program)
    """The user has had enough, and so has the job: raised by `Tell`."""


class Tell:
    """A job calls it with how much is done, in [0, 1], and in words; it raises Stopped where the
    user has had enough."""

    def __init__(self, show: Callable[[float, str], None] | None = None) -> None:
        self.share, self.text = 0.0, "starting"
        self._show = show
        self._lock = threading.Lock()
        self._is_stopped = False
        self._actions: list[Callable[[], object]] = []

    def __call__(self, share: float, text: str) -> None:
        if self._is_stopped:
            raise Stopped
        self.share, self.text = share, text
        if self._show is not None:
            self._show(share, text)

    def when_stopped(self, action: Callable[[], object]) -> None:
        """`action` is called, in a thread of its own, as soon as the user has had enough: it may
        wake a job that waits, and fail."""
        with self._lock:
            self._actions.append(action)
            is_late = self._is_stopped
        if is_late:
            action()

    def stop(self) -> None:
        """The user has had enough; returns at once."""
        with self._lock:
            self._is_stopped = True
            actions = list(self._actions)
        threading.Thread(target=_call_all, args=(actions,), daemon=True).start()


Job = Callable[[Tell], Result]


def _call_all(actions: list[Callable[[], object]]) -> None:
    for action in actions:
        # Whoever would listen has left.
        with suppress(Exception):
            action()


class Work(Generic[Result]):
    """A job under way in a thread of its own."""

    def __init__(self, job: Job[Result]) -> None:
        self.tell = Tell()
        self.ticked_at = time.monotonic()
        self._job = job
        self._outcome: Result | None = None
        self._error: BaseException | None = None
        # A daemon: Blender does not wait for it when it is closed.
        self._thread = threading.Thread(target=self._run, name="Human Matte", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._outcome = self._job(self.tell)
        except BaseException as error:  # noqa: BLE001 (raised again in `result`)
            self._error = error

    @property
    def is_done(self) -> bool:
        return not self._thread.is_alive()

    @property
    def is_forgotten(self) -> bool:
        """Whether the operator that began it is gone without having said so."""
        return time.monotonic() - self.ticked_at > _SILENT_SECONDS

    def result(self) -> Result:
        """What the job returned, once it is done; raises what it raised."""
        if self._error is not None:
            raise self._error
        return self._outcome  # type: ignore[return-value]


class _Now:
    """What goes on in this Blender, and the last sentence about it."""

    work: Work[Any] | None = None
    sentence = ""


def last_sentence() -> str:
    """What was last reported, "" at first."""
    return _Now.sentence


def under_way() -> str:
    """How far the work of the moment is, as "60 % drawing the outline"; "" where there is none."""
    work = _Now.work
    return "" if work is None or work.is_done else _described(work.tell)


def stop_everything() -> None:
    """Stops what is under way, for when the add-on is switched off."""
    if _Now.work is not None:
        _Now.work.tell.stop()
    _Now.work = None


def _described(tell: Tell) -> str:
    return f"{100 * tell.share:.0f} % {tell.text}"


class WorkOperator(Generic[Result]):
    """A mixin for bpy.types.Operator; the subclass writes `start` and `finish`.

    From a menu it ticks: progress in the header, Esc ends it at once and nothing is changed. From a
    script, and without a window, it blocks. What Blender has may vanish while it works, by undo or
    another file: keep names, not references, from `start` to `finish`.
    """

    if TYPE_CHECKING:

        def report(self, kinds: set[str], sentence: str) -> None:
            """Of bpy.types.Operator."""

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
        other = _Now.work
        if other is not None and not other.is_done:
            if not other.is_forgotten:
                self.report({"WARNING"}, "Human Matte is still at work; Esc ends that.")
                return {"CANCELLED"}
            other.tell.stop()
        try:
            job = self.start(context)
        except WorkerError as error:
            return self._failed(error)
        self._work = _Now.work = Work(job)
        # An address, because a reference to an area that was closed is deadly.
        self._area = context.area.as_pointer() if context.area is not None else 0
        manager = context.window_manager
        manager.progress_begin(0, 100)
        self._timer = manager.event_timer_add(_TICK_SECONDS, window=context.window)
        manager.modal_handler_add(self)
        self._show(context)
        return {"RUNNING_MODAL"}

    def modal(self, context: Any, event: Any) -> set[str]:
        if event.type == "ESC" and event.value == "PRESS":
            self._leave(context)
            self._say({"INFO"}, "Human Matte was cancelled; nothing is changed.")
            return {"CANCELLED"}
        if event.type != "TIMER":
            return {"PASS_THROUGH"}
        self._work.ticked_at = time.monotonic()
        if not self._work.is_done:
            self._show(context)
            return {"PASS_THROUGH"}
        work = self._leave(context)
        try:
            return self._done(self.finish(context, work.result()))
        except WorkerError as error:
            return self._failed(error)
        except Stopped:
            return {"CANCELLED"}

    def cancel(self, context: Any) -> None:
        """Blender itself ends the operator, as where another file is opened."""
        self._leave(context)

    def _show(self, context: Any) -> None:
        tell = self._work.tell
        context.window_manager.progress_update(100 * tell.share)
        area = area_at(self._area)
        if area is not None:
            area.header_text_set(f"Human Matte: {_described(tell)} (Esc: cancel)")
            area.tag_redraw()

    def _leave(self, context: Any) -> Work[Result]:
        """No timer, no words in the header, no progress; what is still under way is stopped."""
        work: Work[Result] = self._work
        # Blender keeps an operator for long, and so would all that belongs to its work.
        del self._work
        if not work.is_done:
            work.tell.stop()
        if _Now.work is work:
            _Now.work = None
        manager = context.window_manager
        manager.progress_end()
        manager.event_timer_remove(self._timer)
        area = area_at(self._area)
        if area is not None:
            area.header_text_set(None)
            area.tag_redraw()
        return work

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
