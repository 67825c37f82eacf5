"""How frames reach the engine and mattes leave it; knows no file format."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterator
from types import TracebackType
from typing import Protocol, Self, TypeVar

from shm_engine.types import Frame, Matte

Item = TypeVar("Item")


class FrameSource(Protocol):
    """A context manager that yields frames in presentation order, once."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def __iter__(self) -> Iterator[Frame]: ...


class MatteSink(Protocol):
    """A context manager that takes mattes in order; leaving it without an error completes the file,
    leaving it with one removes what was begun."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def write(self, matte: Matte) -> None: ...


class _End:
    """The last thing in the queue: why the iterator ended."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def _pass_on(items: Iterator[Item], put: Callable[[Item], None], stop: threading.Event) -> None:
    try:
        for item in items:
            put(item)
            if stop.is_set():
                break
    finally:
        close = getattr(items, "close", None)
        if close is not None:
            close()


def prefetch(items: Iterator[Item], depth: int = 2) -> Generator[Item, None, None]:
    """Yield the same items in the same order, made ahead of time by a thread.

    At most `depth` items wait, so memory stays bounded; with 0 there is no thread. An error in
    `items` is raised here, after the items before it. When the consumer stops early, the thread
    stops at the next item.
    """
    if depth < 0:
        raise ValueError(f"depth is {depth}; 0 is the smallest")
    if depth == 0:  # a queue of that size would have no bound
        yield from items
        return
    waiting: queue.Queue[Item | _End] = queue.Queue(maxsize=depth)
    stop = threading.Event()

    def put(item: Item | _End) -> None:
        while not stop.is_set():
            try:
                waiting.put(item, timeout=0.1)
                return
            except queue.Full:
                continue

    def produce() -> None:
        error: BaseException | None = None
        try:
            _pass_on(items, put, stop)
        except BaseException as raised:  # noqa: BLE001 - handed to the consumer, which raises it
            error = raised
        put(_End(error))

    thread = threading.Thread(target=produce, name="shm-prefetch", daemon=True)
    thread.start()
    try:
        while True:
            item = waiting.get()
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item
    finally:
        stop.set()
        thread.join()
