"""Messages say what they mean, and nothing else passes."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from shm_plugin import messages

ONE_OF_EACH = (
    messages.Hello(token="0f" * 32),
    messages.Welcome(version=1, pid=4711, engine="shm on cpu"),
    messages.MatteRequest(
        id=3,
        width=2,
        height=1,
        dtype="u16",
        channels=4,
        colour="linear",
        bottom_up=True,
        foreground="estimate",
        device="cuda:1",
        size=1024,
        wants=("alpha", "trimap"),
        pixels=bytes(range(16)),
    ),
    messages.Progress(id=3, share=0.25, text="größer"),
    messages.MatteReply(
        id=3,
        width=2,
        height=1,
        alpha=b"a" * 8,
        foreground=b"f" * 12,
        trimap=b"\x00\x80",
        rgba=b"r" * 8,
    ),
    messages.Failure(id=3, sentence="Es geht nicht — 不行."),
    messages.Cancel(id=3),
    messages.StatusRequest(),
    messages.Status(state="ready", text="shm on cpu", waiting=2),
    messages.Shutdown(),
)


def test_there_is_one_of_each() -> None:
    assert {type(message) for message in ONE_OF_EACH} == set(messages.Message.__subclasses__())


@pytest.mark.parametrize("message", ONE_OF_EACH, ids=lambda message: type(message).__name__)
def test_a_message_comes_back_as_it_was(message: messages.Message) -> None:
    text, blobs = messages.take_apart(message)
    header, lengths = messages.parse(text)
    assert lengths == [len(blob) for blob in blobs]
    assert messages.build(header, blobs) == message


@pytest.mark.parametrize(
    "changed",
    [
        {"kind": "Message"},
        {"kind": None},
        {"id": True},
        {"id": 1 << 80},
        {"id": "1"},
        {"share": float("nan")},
        {"share": 2.0},
        {"share": "0.5"},
        {"text": 5},
        {"text": "\ud800"},
        {"more": 1},
    ],
    ids=str,
)
def test_a_wrong_field_is_refused(changed: dict[str, object]) -> None:
    text, _ = messages.take_apart(messages.Progress(id=1, share=0.5, text="half"))
    header, _ = messages.parse(json.dumps({**json.loads(text), **changed}).encode())
    with pytest.raises(messages.ProtocolError):
        messages.build(header, [])


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\xff",
        b"null",
        b"[]",
        b"{}",
        b'{"blobs": 3}',
        b'{"blobs": [-1]}',
        b'{"blobs": [1.5]}',
        b'{"blobs": [' + b"9" * 10_000 + b"]}",
        b"[" * 100_000,
    ],
    ids=lambda text: str(text[:20]),
)
def test_a_damaged_header_is_refused(text: bytes) -> None:
    with pytest.raises(messages.ProtocolError):
        messages.parse(text)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("dtype", "u9", "u9"),
        ("channels", 2, "2"),
        ("colour", "red", "red"),
        ("width", 0, "no size"),
        ("height", 3, "3 bytes"),
        ("wants", (), "name some"),
        ("wants", ("hair",), "hair"),
        ("wants", ("rgba",), "four channels"),
        ("foreground", "red", "red"),
        ("premultiplied", True, "premultiplied"),
        ("pixels", b"12", "2 bytes"),
    ],
)
def test_a_request_that_cannot_be_met_cannot_be_built(name: str, value: Any, said: str) -> None:
    right = messages.MatteRequest(width=1, height=1, pixels=b"123")
    with pytest.raises(ValueError, match=said):
        replace(right, **{name: value})


def test_more_than_a_reader_allows_is_not_sent() -> None:
    with pytest.raises(messages.ProtocolError, match="too large"):
        messages.take_apart(messages.Failure(id=1, sentence="x" * messages.HEADER_LIMIT))
