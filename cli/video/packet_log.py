"""Encoded packets in a plain file, one after the other; knows no container.

What was appended and synced survives a crash, and the file can be cut back to any point that was
synced.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, cast, get_args

from av.packet import Packet, PacketSideData, PktSideDataT
from av.stream import Stream

from shm_engine.errors import VideoError

# pts, dts, duration, bytes of data, bytes of side data, key frame.
_HEADER = struct.Struct("<qqqII?")
# Where VP9 keeps alpha. No other side data of an encoder means anything to a container.
_SIDE: PktSideDataT = "matroska_block_additional"


class PacketLog:
    """The packets of one stream, in the order of decoding.

    path: made if it is not there, and cut to `keep_bytes`.
    time_base: of all times.
    """

    def __init__(self, path: Path, time_base: Fraction, keep_bytes: int = 0) -> None:
        self._path = path
        self._time_base = time_base
        # Unbuffered: a late flush would fail where nobody looks.
        self._file = path.open("r+b" if path.exists() else "x+b", buffering=0)
        if self._file.seek(0, os.SEEK_END) < keep_bytes:
            self._file.close()
            raise VideoError(
                f"the unfinished run beside {path.parent.name} is damaged; begin anew with "
                "--overwrite and without --resume"
            )
        self._file.truncate(keep_bytes)
        self._file.seek(keep_bytes)

    def append(self, packet: Packet[Any]) -> None:
        """Add a packet; OSError if the disk refuses."""
        side = b""
        if packet.has_sidedata(_SIDE):
            side = bytes(cast("Any", packet.get_sidedata(_SIDE)))
        pts = packet.pts or 0
        dts = pts if packet.dts is None else packet.dts
        header = _HEADER.pack(
            pts, dts, packet.duration or 0, packet.size, len(side), packet.is_keyframe
        )
        rest = memoryview(b"".join((header, cast("Any", packet), side)))
        while rest:
            rest = rest[cast("int", self._file.write(rest)) :]

    def sync(self) -> int:
        """Have the disk keep what was appended, and say how many bytes that is in all."""
        os.fsync(self._file.fileno())
        return self._file.tell()

    def __iter__(self) -> Iterator[Packet[Stream]]:
        """All packets, in order; new ones with every call."""
        with self._path.open("rb") as file:
            while len(head := file.read(_HEADER.size)) == _HEADER.size:
                pts, dts, duration, size, side_size, is_key = _HEADER.unpack(head)
                packet: Packet[Stream] = Packet(file.read(size))
                packet.pts, packet.dts, packet.duration = pts, dts, duration
                packet.time_base = self._time_base
                packet.is_keyframe = is_key
                if side_size:
                    _add_side_data(packet, file.read(side_size))
                yield packet

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _add_side_data(packet: Packet[Stream], data: bytes) -> None:
    # PyAV's stubs do not show the constructor.
    made = cast("Any", PacketSideData)(get_args(PktSideDataT).index(_SIDE), len(data))
    made.update(data)
    made.to_packet(packet, move=True)
