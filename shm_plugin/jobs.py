"""Work in a thread while the host's window lives on: it tells how far it is, and can be stopped.

Knows no host and nothing of the work: hosts get a copy of this file. Standard library only, Python
3.10 or newer.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar

from .client import Cancelled

Result = TypeVar("Result")


class Tell:
    """A job calls it with how much is done, in [0, 1], and in words; it raises Cancelled where the
    user has had enough. `share` and `text` are the last of these."""

    def __init__(self, show: Callable[[float, str], None] | None = None) -> None:
        self.share, self.text = 0.0, "starting"
        self._show = show
        self._lock = threading.Lock()
        self._is_stopped = False
        self._actions: list[Callable[[], object]] = []

    def __call__(self, share: float, text: str) -> None:
        if self._is_stopped:
            raise Cancelled("Human Matte was cancelled.")
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
        self._job = job
        self._outcome: Result | None = None
        self._error: BaseException | None = None
        # A daemon: the host does not wait for it when it is closed.
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

    def result(self) -> Result:
        """What the job returned, once it is done; raises what it raised."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._outcome  # type: ignore[return-value]
