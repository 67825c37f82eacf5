"""Bytes of picture files that no library here writes, by their specifications; no test in here."""

from __future__ import annotations

import struct
import zlib
from typing import Any, Literal

from numpy.typing import NDArray


def exif(orientation: int) -> bytes:
    """One EXIF entry, little endian: tag 0x0112 orientation, SHORT, count 1; 6 is turn right."""
    entry = b"\x12\x01\x03\x00\x01\x00\x00\x00" + bytes([orientation, 0, 0, 0])
    return b"II*\x00\x08\x00\x00\x00\x01\x00" + entry + b"\x00\x00\x00\x00"


def png_chunk(name: bytes, content: bytes) -> bytes:
    """A chunk of a PNG."""
    check = struct.pack(">I", zlib.crc32(name + content))
    return struct.pack(">I", len(content)) + name + content + check


def turned(raw: bytes, orientation: int) -> bytes:
    """The same PNG or WebP with that EXIF orientation."""
    marked = exif(orientation)
    if raw.startswith(b"\x89PNG"):
        end_of_header = 8 + 25
        return raw[:end_of_header] + png_chunk(b"eXIf", marked) + raw[end_of_header:]
    has_alpha = 0x10 if raw[12:16] == b"VP8X" and raw[20] & 0x10 else 0
    chunks = raw[30:] if raw[12:16] == b"VP8X" else raw[12:]
    bits = int.from_bytes(raw[21:25], "little") if raw[12:16] == b"VP8L" else 0
    has_alpha = has_alpha or (0x10 if bits >> 28 & 1 else 0)
    size = (53 - 1).to_bytes(3, "little") + (37 - 1).to_bytes(3, "little")
    head = b"VP8X" + struct.pack("<II", 10, has_alpha | 0x08) + size
    body = b"WEBP" + head + chunks + b"EXIF" + struct.pack("<I", len(marked)) + marked
    return b"RIFF" + struct.pack("<I", len(body)) + body


def tiff(
    samples: NDArray[Any],
    extra: int | None,
    order: Literal["<", ">"] = "<",
    *,
    photometric: int = 2,
    is_big: bool = False,
    is_separate: bool = False,
) -> bytes:
    """A TIFF of one strip of samples [H, W, 4], by the letter of the specification."""
    height, width, count = samples.shape
    bits = samples.itemsize * 8
    # Tag, kind (3: 16 bits, 4: 32 bits), values.
    entries: list[tuple[int, int, list[int]]] = [
        (256, 3, [width]), (257, 3, [height]), (258, 3, [bits] * count), (259, 3, [1]),
        (262, 3, [photometric]), (273, 4, [0]), (277, 3, [count]), (278, 3, [height]),
        (279, 4, [samples.nbytes]), (284, 3, [2 if is_separate else 1]),
    ]  # fmt: skip
    if extra is not None:
        entries.append((338, 3, [extra]))
    offset, inline = ("Q", 8) if is_big else ("I", 4)
    head_size = 16 if is_big else 8
    directory = struct.calcsize(order + ("Q" if is_big else "H")) + len(entries) * (
        20 if is_big else 12
    )
    after = head_size + directory + inline
    bits_place, strip = after, after + 8
    head = (b"II" if order == "<" else b"MM") + (
        struct.pack(f"{order}HHHQ", 43, 8, 0, head_size)
        if is_big
        else struct.pack(f"{order}HI", 42, head_size)
    )
    table = struct.pack(order + ("Q" if is_big else "H"), len(entries))
    for tag, kind, values in entries:
        packed = struct.pack(f"{order}{len(values)}{'H' if kind == 3 else 'I'}", *values)
        if tag == 273:
            packed = struct.pack(f"{order}I", strip)
        if len(packed) > inline:
            packed = struct.pack(order + offset, bits_place)
        table += struct.pack(f"{order}HH{offset}", tag, kind, len(values)) + packed.ljust(
            inline, b"\0"
        )
    table += bytes(inline) + struct.pack(f"{order}4H", *[bits] * 4)
    return head + table + samples.astype(samples.dtype.newbyteorder(order)).tobytes()
