"""A place for the newest of things that come faster than they are taken; and threads that tell how
they ended. Knows nothing of pictures."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

Item = TypeVar("Item")


class Numbered(NamedTuple, Generic[Item]):
    """An item and how many there have been with it."""

    number: int
    item: Item


class Newest(Generic[Item]):
    """Holds one item: whoever puts one in never waits, any number of readers wait for a newer."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._newest: Numbered[Item] | None = None
        self._is_closed = False

    @property
    def count(self) -> int:
        """How many items were put in."""
        newest = self._newest
        return 0 if newest is None else newest.number

    @property
    def is_closed(self) -> bool:
        """Whether no more will come."""
        return self._is_closed

    def put(self, item: Item) -> None:
        """Replace what is there."""
        with self._changed:
            self._newest = Numbered(self.count + 1, item)
            self._changed.notify_all()

    def after(self, number: int, timeout_seconds: float) -> Numbered[Item] | None:
        """The newest item, once its number is not the one given: 0 for whatever is there.

        None where there is none in time, or where it is closed and there will be none.
        """

        def is_over() -> bool:
            return self._is_closed or self.count != number

        with self._changed:
            self._changed.wait_for(is_over, timeout_seconds)
            return None if self.count == number else self._newest

    def close(self) -> None:
        """No more will come: nobody waits any longer."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()


class Task:
    """Work in a thread of its own. An error is kept for whoever asks, and `alarm` is set by it."""

    def __init__(self, name: str, work: Callable[[], None], alarm: threading.Event) -> None:
        self._work = work
        self._alarm = alarm
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def join(self, timeout_seconds: float | None = None) -> None:
        """Wait for the end, if it has begun."""
        if self._thread.ident is not None:
            self._thread.join(timeout_seconds)

    def check(self) -> None:
        """Raise the error that ended the work, if one did."""
        if self._error is not None:
            raise self._error

    @property
    def is_alive(self) -> bool:
        """Whether the work goes on."""
        return self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001 - `check` raises it
            self._error = error
            self._alarm.set()
