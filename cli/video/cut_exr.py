"""Whether an OpenEXR file lacks its end; decodes nothing.

FFmpeg leaves what is missing black and says nothing. The file has a table of where its chunks
begin, and each chunk says how long it is.
"""

from __future__ import annotations

import struct

_MAGIC = b"\x76\x2f\x31\x01"
# Flags of the version: the picture is in tiles; what has other chunks: deep data, several parts.
_TILED, _OTHER = 0x200, 0x1800


def is_cut_exr(data: bytes) -> bool:
    """Whether a chunk of an EXR is missing or incomplete; False where that cannot be told."""
    if data[:4] != _MAGIC:
        return False
    try:
        (version,) = struct.unpack_from("<I", data, 4)
        if version & _OTHER:
            return False
        last = max(_chunk_places(data, _end_of_header(data)))
        # Coordinates of a chunk, then its size.
        head = 16 if version & _TILED else 4
        (size,) = struct.unpack_from("<I", data, last + head)
    except (struct.error, ValueError):
        return True
    return last + head + 4 + size > len(data)


def _end_of_header(data: bytes) -> int:
    position = 8
    while data[position : position + 1] != b"\0":
        # Name and type, each with a zero, then the size of the value.
        position = data.index(b"\0", data.index(b"\0", position) + 1) + 1
        (size,) = struct.unpack_from("<I", data, position)
        position += 4 + size
    return position + 1


def _chunk_places(data: bytes, table: int) -> list[int]:
    """Where every chunk begins: the table ends where the first of them does."""
    places: list[int] = []
    first = len(data)
    while table + 8 * len(places) < first:
        (place,) = struct.unpack_from("<Q", data, table + 8 * len(places))
        if not table < place < len(data):
            raise ValueError(f"a chunk at {place}")
        places.append(place)
        first = min(first, place)
    return places
