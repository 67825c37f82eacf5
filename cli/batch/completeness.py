"""Whether a movie is still being written or copied; reads a few headers and decodes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

_FIRST_BOX, _INDEX = b"ftyp", b"moov"


def what_is_missing(path: Path) -> str | None:
    """Why the file cannot be complete yet; None if nothing speaks against it.

    What is damaged in another way counts as complete: waiting would not help. Raises OSError if the
    file cannot be read.
    """
    from cli.video.truncation import missing_bytes

    if path.stat().st_size == 0:
        return "it is empty so far"
    if missing := missing_bytes(path):
        return f"{missing} bytes of it are still missing"
    with path.open("rb") as file:
        # A recorder writes it last.
        return None if _has_index(file) else "its index is still missing"


def _has_index(file: BinaryIO) -> bool:
    """Whether ISO media (ISO/IEC 14496-12) have their index; True for all other files."""
    if file.read(8)[4:] != _FIRST_BOX:
        return True
    position = 0
    while True:
        file.seek(position)
        header = file.read(16)
        if len(header) < 8:
            return False
        if header[4:8] == _INDEX:
            return True
        size = int.from_bytes(header[:4], "big")
        if size == 1:
            size = int.from_bytes(header[8:16], "big")
        if size < 8:
            return False
        position += size
