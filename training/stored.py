"""Files known by their content: checksums, and writes that leave alone what is already so."""

from __future__ import annotations

import hashlib
from pathlib import Path

from shm_engine.files import replacing
from training.disk import writing_to


def checksum(path: Path) -> str:
    """SHA-256 of a file as 64 hexadecimal digits; empty if the file cannot be read."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return ""


def store(path: Path, content: bytes) -> bool:
    """Make the file hold the content, whole or not at all; whether it did not hold it before.

    Folders on the way are made. Raises MattingError if the disk refuses.
    """
    with writing_to(path):
        if path.is_file() and path.read_bytes() == content:
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            temporary.write_bytes(content)
    return True
