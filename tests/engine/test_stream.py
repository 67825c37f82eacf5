"""prefetch: the only thread of the engine."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterator

import pytest

from shm_engine.stream import prefetch

# Far above what any of this takes; only a deadlock reaches it.
PATIENCE_SECONDS = 10.0


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    yield
    assert not [t for t in threading.enumerate() if t.name == "shm-prefetch"]


def wait_until(is_true: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not is_true():
        assert time.monotonic() < end, "this never became true"
        time.sleep(0.005)


class Counting:
    """An endless iterator that knows how often it was asked and whether it was closed."""

    def __init__(self) -> None:
        self.made = 0
        self.closed_in: str | None = None

    def __iter__(self) -> Iterator[int]:
        return self

    def __next__(self) -> int:
        self.made += 1
        return self.made - 1

    def close(self) -> None:
        self.closed_in = threading.current_thread().name


@pytest.mark.parametrize("depth", [1, 2, 7])
def test_items_come_out_in_order_and_complete(depth: int) -> None:
    assert list(prefetch(iter(range(50)), depth)) == list(range(50))


def test_nothing_in_is_nothing_out() -> None:
    assert list(prefetch(iter(()))) == []


@pytest.mark.parametrize("depth", [1, 3])
def test_no_more_is_made_than_can_wait_and_one_in_hand(depth: int) -> None:
    items = Counting()
    ahead = prefetch(items, depth)
    assert next(ahead) == 0
    # One was taken, `depth` wait, one is in the thread's hand.
    wait_until(lambda: items.made == depth + 2)
    time.sleep(0.25)
    assert items.made == depth + 2
    ahead.close()


def test_with_a_depth_of_0_nothing_is_made_ahead_and_no_thread_starts() -> None:
    items = Counting()
    ahead = prefetch(items, 0)
    assert [next(ahead), next(ahead)] == [0, 1]
    assert items.made == 2
    assert not [t for t in threading.enumerate() if t.name == "shm-prefetch"]
    ahead.close()
    assert list(prefetch(iter(range(5)), 0)) == list(range(5))


def test_a_negative_depth_is_refused() -> None:
    with pytest.raises(ValueError, match="0 is the smallest"):
        next(prefetch(iter([1]), -1))


def test_nothing_is_made_before_the_first_item_is_asked_for() -> None:
    items = Counting()
    ahead = prefetch(items)
    time.sleep(0.05)
    assert items.made == 0
    ahead.close()


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_an_error_arrives_after_the_items_before_it(kind: type[BaseException]) -> None:
    planted = kind("planted")

    def broken() -> Iterator[int]:
        yield 1
        yield 2
        raise planted

    ahead = prefetch(broken(), 5)
    assert [next(ahead), next(ahead)] == [1, 2]
    with pytest.raises(kind) as caught:
        next(ahead)
    assert caught.value is planted


def test_a_consumer_that_stops_early_ends_the_thread_and_closes_the_source() -> None:
    items = Counting()
    ahead = prefetch(items)
    assert next(ahead) == 0
    ahead.close()
    assert items.closed_in == "shm-prefetch"


def test_a_generator_is_closed_in_the_thread_that_ran_it() -> None:
    ended: list[str] = []

    def source() -> Iterator[int]:
        try:
            yield from range(1000)
        finally:
            ended.append(threading.current_thread().name)

    ahead = prefetch(source())
    assert next(ahead) == 0
    ahead.close()
    assert ended == ["shm-prefetch"]


def test_an_error_in_the_consumer_ends_the_thread() -> None:
    items = Counting()

    def consume(ahead: Generator[int, None, None]) -> None:
        try:
            for item in ahead:
                raise RuntimeError(f"cannot use {item}")
        finally:
            ahead.close()

    with pytest.raises(RuntimeError, match="cannot use 0"):
        consume(prefetch(items))
    assert items.closed_in == "shm-prefetch"


def test_a_source_that_fails_to_close_raises_instead_of_waiting_for_ever() -> None:
    class Stuck:
        def __iter__(self) -> Iterator[int]:
            return self

        def __next__(self) -> int:
            raise StopIteration

        def close(self) -> None:
            raise OSError("the disk is gone")

    raised: list[BaseException] = []

    def consume() -> None:
        try:
            list(prefetch(Stuck()))
        except OSError as error:
            raised.append(error)

    consumer = threading.Thread(target=consume, daemon=True)
    consumer.start()
    consumer.join(PATIENCE_SECONDS / 4)
    assert not consumer.is_alive(), "the consumer waits for ever"
    assert [str(error) for error in raised] == ["the disk is gone"]


def test_prefetch_of_prefetch_keeps_order_and_ends_both_threads() -> None:
    ahead = prefetch(prefetch(iter(range(100))))
    assert [next(ahead) for _ in range(10)] == list(range(10))
    ahead.close()
