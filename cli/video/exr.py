"""What keeps FFmpeg from reading an OpenEXR file without its saying so; decodes nothing.

What is missing at the end it leaves black. The file has a table of where its chunks begin, and each
chunk says how long it is. Black is also what it makes of 32-bit channels under DWA.
"""

from __future__ import annotations

import struct

_MAGIC = b"\x76\x2f\x31\x01"
# Flags of the version: the picture is in tiles; what has other chunks: deep data, several parts.
_TILED, _OTHER = 0x200, 0x1800
_DWA = (8, 9)
_FLOAT = 2
_COLOURS = (b"R", b"G", b"B", b"A", b"Y")


def problem_of(data: bytes) -> str | None:
    """Why an EXR would not be read rightly, to follow its name; None where nothing is known."""
    if data[:4] != _MAGIC:
        return None
    try:
        (version,) = struct.unpack_from("<I", data, 4)
        if version & _OTHER:
            return None
        attributes, table = _header(data)
        last = max(_chunk_places(data, table))
        # Coordinates of a chunk, then its size.
        head = 16 if version & _TILED else 4
        (size,) = struct.unpack_from("<I", data, last + head)
        is_cut = last + head + 4 + size > len(data)
        is_black = attributes[b"compression"][0] in _DWA and _has_floats(attributes[b"channels"])
    except (struct.error, ValueError, LookupError):
        is_cut, is_black = True, False
    if is_cut:
        return "is cut off; write it again"
    return "holds 32-bit floats in DWA compression; write it with ZIP or PIZ" if is_black else None


def _header(data: bytes) -> tuple[dict[bytes, bytes], int]:
    """The attributes by name, and where the table of chunks begins."""
    found = {}
    position = 8
    while data[position : position + 1] != b"\0":
        end_of_name = data.index(b"\0", position)
        name = data[position:end_of_name]
        end_of_type = data.index(b"\0", end_of_name + 1)
        (size,) = struct.unpack_from("<I", data, end_of_type + 1)
        found[name] = data[end_of_type + 5 : end_of_type + 5 + size]
        position = end_of_type + 5 + size
    return found, position + 1


def _has_floats(channels: bytes) -> bool:
    """Whether one of the channels that make the picture has 32 bits."""
    position = 0
    while channels[position : position + 1] != b"\0":
        end = channels.index(b"\0", position)
        if channels[position:end] in _COLOURS and channels[end + 1] == _FLOAT:
            return True
        position = end + 1 + 16  # kind, flags, two samplings
    return False


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
