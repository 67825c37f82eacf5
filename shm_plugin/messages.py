"""What a host and the engine's process say to one another, and its form as JSON and blobs.

Knows no socket, picture format, engine or module of the project: hosts get a copy of this file.
Standard library only, Python 3.10 or newer.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

# Hello, Welcome, Failure and Shutdown stay as they are in all versions, so that a host can always
# ask an older or newer worker to end.
VERSION = 1

HEADER_LIMIT = 1 << 20
BLOB_LIMIT = 1 << 30
LONGEST_SIDE = 1 << 16

SAMPLE_BYTES = {"u8": 1, "u16": 2, "f32": 4}
COLOURS = ("srgb", "linear")
FOREGROUNDS = ("source", "estimate")
WANTS = ("alpha", "foreground", "trimap", "rgba")


class ProtocolError(Exception):
    """What arrived is no message, or it did not arrive whole or in time, or cannot be sent."""


class Message:
    """What travels in one frame; its kinds are the classes below."""


@dataclass(frozen=True, kw_only=True)
class Hello(Message):
    """The first message of a host; the token is that of the runtime file."""

    token: str
    version: int = VERSION


@dataclass(frozen=True, kw_only=True)
class Welcome(Message):
    """The answer to a right Hello. engine: what works on which device, "" until it is loaded."""

    version: int
    pid: int
    engine: str


@dataclass(frozen=True, kw_only=True)
class MatteRequest(Message):
    """A picture to matte.

    pixels: height * width * channels values, channels interleaved; rows top-down, or `bottom_up`.
    dtype: "u8" or "u16" over their full range, or "f32" in [0, 1]; little-endian.
    channels: 3 for RGB, 4 for RGBA with linear coverage. premultiplied: of f32 RGBA; else colours
        are straight.
    colour: "srgb" (encoded for displays) or "linear" (light), with the primaries of BT.709.
    foreground: colours of an rgba, as they are ("source") or without the background that shines
        through ("estimate").
    device, size: to compute on, "" for what the worker was started with, and the longer side of
        what the network sees in pixels, 0 likewise; the engine is loaded anew where they change.
    wants: some of WANTS, see MatteReply. id: the client chooses it.
    """

    id: int = 0
    width: int
    height: int
    dtype: str = "u8"
    channels: int = 3
    colour: str = "srgb"
    premultiplied: bool = False
    bottom_up: bool = False
    foreground: str = "source"
    device: str = ""
    size: int = 0
    wants: tuple[str, ...] = ("alpha",)
    pixels: bytes

    def __post_init__(self) -> None:
        _check(self.dtype in SAMPLE_BYTES, f"dtype is {self.dtype!r}; use u8, u16 or f32")
        _check(self.channels in (3, 4), f"channels are {self.channels}; use 3 or 4")
        _check(self.colour in COLOURS, f"colour is {self.colour!r}; use srgb or linear")
        known = self.foreground in FOREGROUNDS
        _check(known, f"foreground is {self.foreground!r}; use source or estimate")
        floating = self.dtype == "f32" and self.channels == 4
        _check(floating or not self.premultiplied, "only RGBA of f32 can be premultiplied")
        _check("rgba" not in self.wants or self.channels == 4, "an rgba needs four channels")
        sides = self.width, self.height
        _check(min(sides) > 0 and max(sides) <= LONGEST_SIDE, f"{sides} is no size of a picture")
        needed = self.width * self.height * self.channels * SAMPLE_BYTES[self.dtype]
        _check(len(self.pixels) == needed, f"{len(self.pixels)} bytes of pixels are not {needed}")
        known = bool(self.wants) and not set(self.wants) - set(WANTS)
        _check(known, f"wants are {self.wants}; name some of {', '.join(WANTS)}")


@dataclass(frozen=True, kw_only=True)
class Progress(Message):
    """How much of a request is done: `share` in [0, 1], and in words."""

    id: int
    share: float
    text: str

    def __post_init__(self) -> None:
        _check(0 <= self.share <= 1, f"share is {self.share}; it is in [0, 1]")


@dataclass(frozen=True, kw_only=True)
class MatteReply(Message):
    """What was wanted of a picture; b"" where it was not wanted. Rows as in the request.

    alpha: height * width float32 in [0, 1], linear coverage.
    foreground: height * width * 3 straight colours without the background that shines through,
        with dtype and colour of the request.
    trimap: height * width bytes: 0 background, 128 unknown, 255 foreground.
    rgba: the samples of the request with the new alpha, in the same form.
    """

    id: int
    width: int
    height: int
    alpha: bytes
    foreground: bytes
    trimap: bytes
    rgba: bytes

    def __post_init__(self) -> None:
        n = self.width * self.height
        _check(min(self.width, self.height) > 0, "a reply shows a picture without pixels")
        _check(len(self.alpha) in (0, 4 * n), "the alpha has not the size of the picture")
        sizes = [0, *(3 * n * each for each in SAMPLE_BYTES.values())]
        _check(len(self.foreground) in sizes, "the foreground has not the size of the picture")
        _check(len(self.trimap) in (0, n), "the trimap has not the size of the picture")
        sizes = [0, *(4 * n * each for each in SAMPLE_BYTES.values())]
        _check(len(self.rgba) in sizes, "the rgba has not the size of the picture")


@dataclass(frozen=True, kw_only=True)
class Failure(Message):
    """There will be no reply to the request of that id; the sentence says why, for the user."""

    id: int
    sentence: str


@dataclass(frozen=True, kw_only=True)
class Cancel(Message):
    """The request of that id is no longer wanted; a Failure answers it."""

    id: int


@dataclass(frozen=True, kw_only=True)
class StatusRequest(Message):
    """Asks for a Status, which comes at once whatever else is under way."""


@dataclass(frozen=True, kw_only=True)
class Status(Message):
    """state: "loading", "ready", "working" or "failed"; text: the engine, or why it failed;
    waiting: requests that wait for their turn."""

    state: str
    text: str
    waiting: int


@dataclass(frozen=True, kw_only=True)
class Shutdown(Message):
    """Asks the worker to end, whoever else uses it."""


def take_apart(message: Message) -> tuple[bytes, list[bytes]]:
    """The header and the blobs; ProtocolError if they are larger than any reader allows."""
    header: dict[str, Any] = {"kind": type(message).__name__}
    blobs = []
    for field in fields(message):  # type: ignore[arg-type]
        value = getattr(message, field.name)
        if field.type == "bytes":
            blobs.append(value)
        else:
            header[field.name] = value
    header["blobs"] = [len(blob) for blob in blobs]
    text = json.dumps(header).encode()
    if len(text) > HEADER_LIMIT or sum(header["blobs"]) > BLOB_LIMIT:
        raise ProtocolError("the picture is too large to be sent")
    return text, blobs


def parse(text: bytes) -> tuple[dict[str, Any], list[int]]:
    """The kind and fields of a header, unchecked, and the lengths of the blobs that follow it."""
    try:
        header = json.loads(text)
        lengths = header.pop("blobs")
    # A RecursionError is what a million brackets give.
    except (ValueError, RecursionError, AttributeError, KeyError, TypeError) as error:
        raise ProtocolError("the header of a message is damaged") from error
    if not isinstance(lengths, list) or not all(type(n) is int and n >= 0 for n in lengths):
        raise ProtocolError("the lengths of a message are damaged")
    return header, lengths


def build(header: dict[str, Any], blobs: list[bytes]) -> Message:
    """The message of what `parse` gave, checked in every field; ProtocolError if it is none."""
    kinds = {kind.__name__: kind for kind in Message.__subclasses__()}
    kind = kinds.get(str(header.pop("kind", None)))
    if kind is None:
        raise ProtocolError("a message is of an unknown kind")
    types = {field.name: str(field.type) for field in fields(kind)}  # type: ignore[arg-type]
    binary = [name for name, its in types.items() if its == "bytes"]
    if len(blobs) != len(binary) or set(header) != set(types) - set(binary):
        raise ProtocolError(f"a {kind.__name__} has other fields than it should")
    try:
        values = {name: _READ[types[name]](value) for name, value in header.items()}
        return kind(**values, **dict(zip(binary, blobs)))  # noqa: B905 (counted above)
    except (ValueError, TypeError, OverflowError) as error:
        raise ProtocolError(f"a {kind.__name__} is damaged: {error}") from error


def _check(holds: bool, sentence: str) -> None:
    if not holds:
        raise ValueError(sentence)


def _integer(value: Any) -> int:
    _check(type(value) is int and abs(value) < 1 << 63, "a number is not whole, or too large")
    return int(value)


def _truth(value: Any) -> bool:
    _check(isinstance(value, bool), "a truth is none")
    return bool(value)


def _text(value: Any) -> str:
    _check(isinstance(value, str), "a text is none")
    # Lone surrogates fail here, not where the text is compared or logged.
    return str(value.encode().decode())


def _texts(value: Any) -> tuple[str, ...]:
    _check(isinstance(value, list), "a list is none")
    return tuple(map(_text, value))


def _number(value: Any) -> float:
    _check(type(value) in (int, float) and math.isfinite(value), "a number is none")
    return float(value)


# What a field of each type is made from.
_READ: dict[str, Callable[[Any], Any]] = {
    "int": _integer,
    "bool": _truth,
    "str": _text,
    "float": _number,
    "tuple[str, ...]": _texts,
}
