"""How many bytes a movie file promises in its own structure; reads a few headers, decodes nothing.

A demuxer reports the end of a cut file as an ordinary end. The outermost structure of ISO media
(ISO/IEC 14496-12: boxes), Matroska (RFC 9559: EBML elements) and AVI (RIFF chunks) states its
length, so that a cut is seen exactly and before any work is done. MPEG transport streams consist of
packets of one size, and a GIF ends with a trailer byte. Other formats say nothing of their end.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

_FIRST_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")
_EBML_HEADER = b"\x1a\x45\xdf\xa3"
_GIF_TRAILER = b"\x3b"
# Sizes of transport packets and where each has its sync byte; m2ts puts a time before it.
_TRANSPORT_PACKETS = ((188, 0), (192, 4))
_SYNC = 0x47
_SEGMENT = b"\x18\x53\x80\x67"


def missing_bytes(path: Path) -> int:
    """How many bytes the end of the file lacks; 0 if it is whole or does not say.

    Raises OSError if the file cannot be read.
    """
    actual = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(400)
        file.seek(0)
        if start[4:8] in _FIRST_BOXES:
            promised = _end_of_boxes(file, actual)
        elif start[:4] == _EBML_HEADER:
            promised = _end_of_segment(file)
        elif start[:4] == b"RIFF" and start[8:12] == b"AVI ":
            promised = _end_of_riff(file, actual)
        elif start[:4] == b"GIF8":
            promised = actual + (not _ends_with_trailer(file, actual))
        else:
            promised = _end_of_packets(start, actual)
    return max(0, promised - actual)


def _ends_with_trailer(file: BinaryIO, actual: int) -> bool:
    file.seek(max(0, actual - 1024))
    return file.read().rstrip(b"\0").endswith(_GIF_TRAILER)


def _end_of_packets(start: bytes, actual: int) -> int:
    """Where the last transport packet ends; 0 if the file does not consist of such packets."""
    for size, sync in _TRANSPORT_PACKETS:
        if len(start) > size + sync and start[sync] == start[size + sync] == _SYNC:
            return -(-actual // size) * size
    return 0


def _end_of_boxes(file: BinaryIO, actual: int) -> int:
    """Where the last box ends; stops at anything that is no box, such as bytes added by a tool."""
    position = 0
    while position < actual:
        file.seek(position)
        header = file.read(16)
        if len(header) < 8 or not (header[4:8].isalnum() or header[4:8] in _FIRST_BOXES):
            break
        size = int.from_bytes(header[:4], "big")
        if size == 1:
            size = int.from_bytes(header[8:16], "big")
        if size < 8:  # 0: the box goes on to the end of the file
            break
        position += size
    return position


def _end_of_segment(file: BinaryIO) -> int:
    """Where the Matroska segment ends; 0 if it was recorded live, without a size."""
    file.read(4)
    header_size = _element_size(file)
    if header_size is None:
        return 0
    file.seek(header_size, 1)
    if file.read(4) != _SEGMENT:
        return 0
    size = _element_size(file)
    return 0 if size is None else file.tell() + size


def _element_size(file: BinaryIO) -> int | None:
    """An EBML variable-length integer; None for the reserved "unknown", all bits set."""
    first = file.read(1)
    if not first or first[0] == 0:
        return None
    extra_bytes = 8 - first[0].bit_length()
    value = first[0] & ((1 << (7 - extra_bytes)) - 1)
    value = (value << (8 * extra_bytes)) | int.from_bytes(file.read(extra_bytes), "big")
    unknown = (1 << (7 * (extra_bytes + 1))) - 1
    return None if value == unknown else value


def _end_of_riff(file: BinaryIO, actual: int) -> int:
    """Where the last RIFF chunk ends; long AVI files have several (OpenDML)."""
    position = 0
    while position < actual:
        file.seek(position)
        header = file.read(8)
        if len(header) < 8 or header[:4] != b"RIFF":
            break
        position += 8 + struct.unpack("<I", header[4:])[0]
    return position
