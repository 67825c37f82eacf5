"""Frames on a socket: whole, or a ProtocolError."""

from __future__ import annotations

import json
import socket
import struct
import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import suppress

import pytest

from shm_plugin.messages import HEADER_LIMIT, Cancel, MatteRequest, Message, ProtocolError
from shm_plugin.protocol import FRAMING, MAGIC, Channel
from tests.plugin.test_messages import ONE_OF_EACH

Pair = tuple[socket.socket, Channel]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """One end as it is, the other one as a channel."""
    raw, other = socket.socketpair()
    channel = Channel(other, message_seconds=5)
    yield raw, channel
    raw.close()
    channel.close()


def _prefix(length: int, magic: bytes = MAGIC, framing: int = FRAMING) -> bytes:
    return struct.pack("!4sHI", magic, framing, length)


def _announcing(*lengths: int) -> bytes:
    header = json.dumps({"kind": "MatteRequest", "blobs": lengths}).encode()
    return _prefix(len(header)) + header


def test_messages_arrive_in_order_and_then_the_end(pair: Pair) -> None:
    raw, channel = pair
    sender = Channel(raw)
    for message in ONE_OF_EACH:
        sender.send(message)
    sender.close()
    assert [channel.receive() for _ in ONE_OF_EACH] == list(ONE_OF_EACH)
    assert channel.receive() is None


def test_a_picture_larger_than_any_buffer_passes_both_ways_at_once(pair: Pair) -> None:
    raw, channel = pair
    other = Channel(raw)
    large = MatteRequest(width=2048, height=2048, pixels=bytes(range(256)) * 49152)
    threads = [threading.Thread(target=lambda end=end: end.send(large)) for end in (channel, other)]
    for thread in threads:
        thread.start()
    got: list[Message | None] = []
    reader = threading.Thread(target=lambda: got.append(other.receive()))
    reader.start()
    assert channel.receive() == large
    for thread in (*threads, reader):
        thread.join(30)
    assert got == [large]


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        _prefix(2, magic=b"SHMX") + b"{}",
        _prefix(2, framing=2) + b"{}",
        _prefix(HEADER_LIMIT + 1),
        _prefix(2)[:-1],
        _prefix(2) + b"{",
        _prefix(2) + b"{}",
        _announcing(1 << 40),
        _announcing(1 << 29, 1 << 29, 1),
        _announcing(10) + b"123456789",
        b"\x00",
    ],
    ids=lambda sent: repr(sent[:40]),
)
def test_what_is_no_message_is_one_kind_of_error(sent: bytes, pair: Pair) -> None:
    raw, channel = pair
    raw.sendall(sent)
    raw.shutdown(socket.SHUT_WR)
    with pytest.raises(ProtocolError):
        channel.receive()


def test_what_is_only_announced_takes_no_memory(pair: Pair) -> None:
    raw, channel = pair
    raw.sendall(_announcing(1 << 30) + bytes(1000))
    raw.shutdown(socket.SHUT_WR)
    tracemalloc.start()
    with pytest.raises(ProtocolError, match="within a message"):
        channel.receive()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 4 << 20


def test_a_reader_may_allow_less(pair: Pair) -> None:
    raw, channel = pair
    raw.sendall(_announcing(11))
    with pytest.raises(ProtocolError, match="10 is most"):
        channel.receive(blob_limit=10)


def test_a_message_that_never_ends_is_given_up(pair: Pair) -> None:
    raw, channel = pair
    raw.sendall(_prefix(100) + b"{")
    with pytest.raises(ProtocolError, match="too long"):
        channel.receive(message_seconds=0.05)


def test_silence_is_given_up_if_patience_ends(pair: Pair) -> None:
    with pytest.raises(ProtocolError, match="too long"):
        pair[1].receive(patience=0.05)


def test_who_does_not_read_cannot_hold_the_sender() -> None:
    raw, other = socket.socketpair()
    channel = Channel(other, message_seconds=0.1)
    large = MatteRequest(width=4096, height=4096, pixels=bytes(3 << 24))
    with pytest.raises(ProtocolError, match="too long"):
        channel.send(large)
    channel.close()
    raw.close()


def test_closing_wakes_who_waits(pair: Pair) -> None:
    _, channel = pair
    ended = threading.Event()

    def wait() -> None:
        with suppress(ProtocolError):
            assert channel.receive() is None
        ended.set()

    thread = threading.Thread(target=wait)
    thread.start()
    channel.close()
    assert ended.wait(10)
    thread.join()
    with pytest.raises(ProtocolError):
        channel.send(Cancel(id=1))
