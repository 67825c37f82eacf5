"""A worker with a stand-in for the engine: it answers whom it should, and nothing takes it down."""

from __future__ import annotations

import json
import random
import socket
import stat
import struct
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from shm_plugin import finding, messages
from shm_plugin.client import Cancelled, WorkerError
from shm_plugin.messages import MatteReply, MatteRequest, ProtocolError
from shm_plugin.protocol import FRAMING, MAGIC, Channel
from shm_plugin.queueing import EngineError
from shm_plugin.serving import AlreadyRunningError, Limits, serve
from tests.plugin.test_messages import ONE_OF_EACH
from tests.plugin.workers import (
    PATIENCE,
    RedEngine,
    client_of,
    greeted,
    living,
    other_version,
    picture,
    red_reply,
    reply_to,
    stranger,
    wait_until,
)

_MALFORMED = 10_000
_SHORT = Limits(hello_seconds=0.3, message_seconds=0.3, blob_bytes=1 << 20)


@pytest.fixture
def engine() -> RedEngine:
    return RedEngine()


@pytest.fixture
def folder(tmp_path: Path, engine: RedEngine) -> Iterator[Path]:
    """The runtime folder of a living worker."""
    with living(tmp_path, lambda: engine):
        yield tmp_path


def _frame(message: messages.Message) -> bytes:
    header, blobs = messages.take_apart(message)
    return b"".join([struct.pack("!4sHI", MAGIC, FRAMING, len(header)), header, *blobs])


def _malformed(rng: random.Random, frames: list[bytes]) -> bytes:
    """One thing that is no right message."""
    frame = bytearray(rng.choice(frames))
    kind = rng.randrange(4)
    if kind == 0:
        return rng.randbytes(rng.randrange(1, 200))
    if kind == 1:
        return bytes(frame[: rng.randrange(1, len(frame))])
    if kind == 2:
        frame[6:10] = rng.randbytes(4)
        return bytes(frame)
    for _ in range(rng.randrange(1, 4)):
        frame[rng.randrange(len(frame))] ^= 1 << rng.randrange(8)
    return bytes(frame)


def _is_answered(sent: bytes, connection: socket.socket) -> bool:
    """Whether anything comes back."""
    with closing(connection):
        try:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            return bool(connection.recv(1))
        except OSError:
            # Ended before all of it was sent.
            return False


@pytest.mark.long
def test_ten_thousand_malformed_messages_and_it_still_answers(tmp_path: Path) -> None:
    rng = random.Random(0)
    with living(tmp_path, limits=_SHORT):
        strange = [_frame(message) for message in ONE_OF_EACH]
        # No Shutdown: it would be right to end.
        known = [_frame(m) for m in ONE_OF_EACH if not isinstance(m, messages.Shutdown)]
        for number in range(_MALFORMED):
            if number % 4:
                assert not _is_answered(_malformed(rng, strange), stranger(tmp_path))
            else:
                # The token first: what comes after it is read more deeply.
                with closing(greeted(tmp_path)) as channel, suppress(OSError):
                    channel._connection.sendall(_malformed(rng, known))
        with closing(client_of(tmp_path)) as client:
            assert client.status().state == "ready"
            assert reply_to(client, picture(5)).alpha == red_reply(picture(5)).alpha


@pytest.mark.parametrize("token", ["", "0" * 64, "\u00e9", "x" * 1000])
def test_a_wrong_token_gets_no_answer(folder: Path, token: str) -> None:
    assert not _is_answered(_frame(messages.Hello(token=token)), stranger(folder))


@pytest.mark.parametrize(
    "message",
    [messages.StatusRequest(), messages.Shutdown(), picture(1)],
    ids=lambda message: type(message).__name__,
)
def test_without_a_hello_there_is_no_answer_and_no_effect(
    folder: Path, engine: RedEngine, message: messages.Message
) -> None:
    assert not _is_answered(_frame(message), stranger(folder))
    with closing(client_of(folder)) as client:
        assert client.status().state == "ready"
    assert not engine.done


def test_half_a_message_and_silence_hold_up_nobody(tmp_path: Path) -> None:
    with living(tmp_path, limits=_SHORT):
        half = [stranger(tmp_path) for _ in range(5)]
        for connection in half:
            connection.sendall(_frame(messages.Hello(token="0" * 64))[:20])
        in_the_middle = greeted(tmp_path)
        in_the_middle._connection.sendall(_frame(picture(1))[:50])
        with closing(client_of(tmp_path)) as client:
            assert reply_to(client, picture(7)).alpha == red_reply(picture(7)).alpha
        for connection in half:
            assert connection.recv(1) == b""
            connection.close()
        with pytest.raises(ProtocolError, match=r"within|broke"):
            in_the_middle._read(1, None)
        in_the_middle.close()


def test_strangers_in_every_seat_are_shown_the_door(tmp_path: Path) -> None:
    limits = Limits(hello_seconds=0.3, strangers=3)
    with living(tmp_path, limits=limits):
        silent = [stranger(tmp_path) for _ in range(6)]
        with closing(client_of(tmp_path)) as client:
            assert client.status().state == "ready"
        for connection in silent:
            connection.close()


def test_one_host_too_many_is_told(tmp_path: Path) -> None:
    with (
        living(tmp_path, limits=Limits(hosts=1)),
        closing(client_of(tmp_path)),
        pytest.raises(WorkerError, match="too many programs"),
    ):
        client_of(tmp_path)


def test_more_than_the_limit_ends_the_connection(tmp_path: Path) -> None:
    with living(tmp_path, limits=_SHORT):
        channel = greeted(tmp_path)
        header = json.dumps({"kind": "MatteRequest", "blobs": [1 << 21]}).encode()
        channel._connection.sendall(struct.pack("!4sHI", MAGIC, FRAMING, len(header)) + header)
        assert channel.receive(patience=PATIENCE) is None
        channel.close()
        with closing(client_of(tmp_path)) as client:
            assert client.status().state == "ready"


def test_the_runtime_file_is_for_its_user_alone_and_goes_with_the_worker(tmp_path: Path) -> None:
    with living(tmp_path):
        path = tmp_path / finding.RUNTIME_FILE
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700
        said = json.loads(path.read_text())
        assert set(said) == {"pid", "port", "token", "version"}
        assert len(said["token"]) == 64
    assert not path.exists()


def test_two_hosts_at_once_both_get_their_own_answers(folder: Path) -> None:
    wrong: list[int] = []

    def ask(first: int) -> None:
        with closing(client_of(folder)) as client:
            for number in range(first, first + 20):
                request = picture(number, width=64, height=64)
                if reply_to(client, request).alpha != red_reply(request).alpha:
                    wrong.append(number)

    threads = [threading.Thread(target=ask, args=(first,)) for first in (100, 200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()
    assert not wrong


def test_a_request_tells_its_progress_in_order(folder: Path) -> None:
    with closing(client_of(folder)) as client:
        *steps, reply = client.matte(picture(1))
    shares = [step.share for step in steps if isinstance(step, messages.Progress)]
    assert shares == [0.0, 0.5]
    assert isinstance(reply, MatteReply)


def test_a_picture_that_fails_is_one_error_and_the_next_one_works(folder: Path) -> None:
    with closing(client_of(folder)) as client:
        with pytest.raises(WorkerError, match=r"^This picture is unlucky\.$"):
            list(client.matte(picture(13)))
        assert reply_to(client, picture(14)).alpha == red_reply(picture(14)).alpha


def test_a_running_request_is_cancelled(folder: Path, engine: RedEngine) -> None:
    with closing(client_of(folder)) as client:
        answers = client.matte(picture(66))
        next(answers)
        assert engine.begun.wait(PATIENCE)
        client.cancel()
        # Only after it has answered this, the worker has seen the one before.
        assert client.status().state == "working"
        engine.gate.set()
        with pytest.raises(Cancelled, match="Cancelled"):
            list(answers)
        assert reply_to(client, picture(1)).alpha == red_reply(picture(1)).alpha
    assert engine.done == [picture(1).pixels]


def test_a_waiting_request_is_cancelled_at_once(folder: Path, engine: RedEngine) -> None:
    with closing(client_of(folder)) as busy, closing(client_of(folder)) as client:
        before = busy.matte(picture(66))
        next(before)
        assert engine.begun.wait(PATIENCE)
        waiting = client.matte(picture(2))
        next(waiting)
        with closing(client_of(folder)) as third:
            status = third.status()
            assert (status.state, status.waiting) == ("working", 1)
        client.cancel()
        with pytest.raises(Cancelled):
            list(waiting)
        engine.gate.set()
        *_, reply = before
        assert isinstance(reply, MatteReply)
    assert engine.done == [picture(66).pixels]


def test_who_leaves_or_stops_early_wants_no_answer(folder: Path, engine: RedEngine) -> None:
    leaving, stopping = client_of(folder), client_of(folder)
    answers = leaving.matte(picture(66))
    next(answers)
    assert engine.begun.wait(PATIENCE)
    early = stopping.matte(picture(3))
    next(early)
    early.close()  # type: ignore[attr-defined]
    leaving.close()
    with closing(client_of(folder)) as client:
        wait_until(lambda: client.status().waiting == 0)
        engine.gate.set()
        assert reply_to(client, picture(4)).alpha == red_reply(picture(4)).alpha
    assert reply_to(stopping, picture(5)).alpha == red_reply(picture(5)).alpha
    stopping.close()
    assert picture(3).pixels not in engine.done


def test_a_full_queue_says_so(tmp_path: Path, engine: RedEngine) -> None:
    with (
        living(tmp_path, lambda: engine, Limits(waiting=0)),
        closing(client_of(tmp_path)) as client,
        pytest.raises(WorkerError, match="too much"),
    ):
        list(client.matte(picture(1)))


def test_status_answers_while_the_engine_loads_and_the_request_waits(tmp_path: Path) -> None:
    loaded = threading.Event()

    def slowly() -> RedEngine:
        assert loaded.wait(PATIENCE)
        return RedEngine()

    # Loading is no idleness.
    with living(tmp_path, slowly, Limits(idle_seconds=0.2)), closing(client_of(tmp_path)) as client:
        assert client.welcome.engine == ""
        assert client.status().state == "loading"
        answers = client.matte(picture(1))
        first = next(answers)
        assert isinstance(first, messages.Progress)
        assert first.text == "loading the engine"
        loaded.set()
        *_, reply = answers
        assert isinstance(reply, MatteReply)


def test_an_engine_that_cannot_be_loaded_says_why_and_is_tried_again(tmp_path: Path) -> None:
    tries: list[int] = []

    def at_the_third_time() -> RedEngine:
        tries.append(1)
        if len(tries) < 3:
            raise EngineError("The device is full.")
        return RedEngine()

    with living(tmp_path, at_the_third_time), closing(client_of(tmp_path)) as client:
        wait_until(lambda: client.status().state == "failed")
        assert client.status().text == "The device is full."
        with pytest.raises(WorkerError, match="The device is full"):
            list(client.matte(picture(1)))
        assert reply_to(client, picture(1)).alpha == red_reply(picture(1)).alpha
        assert client.status().state == "ready"


def test_it_ends_when_nobody_asks_even_if_somebody_listens(tmp_path: Path) -> None:
    with living(tmp_path, limits=Limits(idle_seconds=0.3)) as thread:
        client = client_of(tmp_path)
        thread.join(PATIENCE)
        assert not thread.is_alive()
        with pytest.raises(WorkerError, match="stopped"):
            list(client.matte(picture(1)))
        client.close()


def test_a_host_may_end_it_and_knows_when_it_has(tmp_path: Path) -> None:
    with living(tmp_path) as thread:
        client_of(tmp_path).shut_down()
        assert finding.read_runtime(tmp_path) is None
        thread.join(PATIENCE)
        assert not thread.is_alive()


def test_a_second_one_of_the_same_version_refuses_to_start(folder: Path) -> None:
    before = finding.read_runtime(folder)
    with pytest.raises(AlreadyRunningError, match="runs already"):
        serve(RedEngine, folder)
    assert finding.read_runtime(folder) == before


@pytest.mark.parametrize("left", ["", "{", '{"pid": 1}', "dead"])
def test_a_stale_runtime_file_is_replaced(tmp_path: Path, left: str) -> None:
    if left == "dead":
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            port = unused.getsockname()[1]
        left = json.dumps({"pid": 1, "port": port, "token": "0", "version": messages.VERSION})
    (tmp_path / finding.RUNTIME_FILE).write_text(left)
    stop = threading.Event()
    thread = threading.Thread(target=lambda: serve(RedEngine, tmp_path, None, stop))
    thread.start()
    wait_until(lambda: (found := finding.read_runtime(tmp_path)) and len(found.token) == 64)
    with closing(client_of(tmp_path)) as client:
        assert client.status().state == "ready"
    stop.set()
    thread.join(PATIENCE)
    assert not thread.is_alive()


def test_a_channel_of_another_kind_of_message_is_ended(folder: Path) -> None:
    channel: Channel = greeted(folder)
    channel.send(messages.Progress(id=1, share=0, text=""))
    assert channel.receive(patience=PATIENCE) is None
    channel.close()


def test_an_older_worker_is_asked_to_end(tmp_path: Path) -> None:
    with other_version(tmp_path) as has_ended:
        older = finding.read_runtime(tmp_path)
        stop = threading.Event()
        thread = threading.Thread(target=lambda: serve(RedEngine, tmp_path, None, stop))
        thread.start()
        assert has_ended.wait(PATIENCE)
        wait_until(lambda: finding.read_runtime(tmp_path) not in (None, older))
        with closing(client_of(tmp_path)) as client:
            assert client.welcome.version == messages.VERSION
        stop.set()
        thread.join(PATIENCE)
        assert not thread.is_alive()


def test_requests_of_every_form_are_read(folder: Path) -> None:
    with closing(client_of(folder)) as client:
        request = MatteRequest(width=2, height=2, channels=4, pixels=bytes(range(16)))
        assert reply_to(client, request).alpha == red_reply(request).alpha
