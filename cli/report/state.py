"""A recorder's memory as bytes and back; knows what a report holds, measures nothing."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from cli.report.findings import Box, Moment, Picture, Reason, Series
from cli.report.kept import Spread, Worst
from cli.report.views import View
from shm_engine.errors import MattingError

_KIND = b"shm-matte report 1\n"
_NUMBER_BYTES = 4


@dataclass(kw_only=True)
class Memory:
    """All that a recorder knows after a frame. earlier: that frame; None before the first."""

    series: Series = field(default_factory=Series)
    spread: Spread = field(default_factory=Spread)
    worst: Worst = field(default_factory=Worst)
    earlier: View | None = None


def pack(memory: Memory) -> bytes:
    """The same bytes for the same memory; 40 bytes a frame and about a megabyte."""
    names = [part.name for part in fields(Series)]
    blobs = [getattr(memory.series, name).tobytes() for name in names]
    earlier = memory.earlier
    if earlier is not None:
        blobs += [earlier.alpha.tobytes(), earlier.grey.tobytes()]
    pictures = [*memory.spread.pictures, *memory.worst.moments.values()]
    blobs += [picture.jpeg for picture in pictures]
    blobs += [moment.close_up for moment in memory.worst.moments.values()]
    about = {
        "sizes": [len(blob) for blob in blobs],
        "earlier": None
        if earlier is None
        else [earlier.seconds, *earlier.size, *earlier.alpha.shape, earlier.soft],
        "step": memory.spread.step,
        "spread": [_picture(picture) for picture in memory.spread.pictures],
        "stretch": memory.worst.stretch,
        "worst": [
            [stretch, _picture(moment), moment.reasons, moment.part]
            for stretch, moment in memory.worst.moments.items()
        ],
    }
    told = json.dumps(about).encode()
    body = len(told).to_bytes(_NUMBER_BYTES, "little") + told + b"".join(blobs)
    return _KIND + zlib.crc32(body).to_bytes(_NUMBER_BYTES, "little") + body


def unpack(state: bytes) -> Memory:
    """The memory that was packed; MattingError if the bytes are damaged or of another version."""
    start = len(_KIND) + _NUMBER_BYTES
    kind, checksum, body = state[: len(_KIND)], state[len(_KIND) : start], state[start:]
    if kind != _KIND or zlib.crc32(body).to_bytes(_NUMBER_BYTES, "little") != checksum:
        raise MattingError(
            "the saved state of the report is damaged or of another version; start the clip anew"
        )
    told_end = _NUMBER_BYTES + int.from_bytes(body[:_NUMBER_BYTES], "little")
    about = json.loads(body[_NUMBER_BYTES:told_end])
    blobs = _cut(body[told_end:], about["sizes"])
    series = Series()
    for part in fields(Series):
        getattr(series, part.name).frombytes(next(blobs))
    earlier = None if about["earlier"] is None else _view(about["earlier"], blobs)
    spread = [Picture(**told, jpeg=next(blobs)) for told in about["spread"]]
    jpegs = [next(blobs) for _ in about["worst"]]
    moments = {
        stretch: Moment(
            **told, jpeg=jpeg, reasons=_reasons(why), part=Box(*part), close_up=next(blobs)
        )
        for (stretch, told, why, part), jpeg in zip(about["worst"], jpegs, strict=True)
    }
    return Memory(
        series=series,
        spread=Spread(step=about["step"], pictures=spread),
        worst=Worst(stretch=about["stretch"], moments=moments),
        earlier=earlier,
    )


def _picture(picture: Picture) -> dict[str, Any]:
    """All but its bytes."""
    names = [part.name for part in fields(Picture) if part.name != "jpeg"]
    return {name: getattr(picture, name) for name in names}


def _cut(body: bytes, sizes: Sequence[int]) -> Iterator[bytes]:
    start = 0
    for size in sizes:
        yield body[start : start + size]
        start += size


def _view(told: Sequence[Any], blobs: Iterator[bytes]) -> View:
    seconds, frame_height, frame_width, height, width, soft = told
    alpha = np.frombuffer(next(blobs), np.float32).reshape(height, width)
    grey = np.frombuffer(next(blobs), np.uint8).reshape(height, width)
    # Copies: OpenCV takes no read-only arrays everywhere.
    return View(seconds, (frame_height, frame_width), alpha.copy(), grey.copy(), soft)


def _reasons(told: Sequence[Sequence[Any]]) -> tuple[Reason, ...]:
    return tuple(Reason(severity, text, Box(*box)) for severity, text, box in told)
