"""A disk that is full or closed to us becomes one sentence; knows no file format."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shm_engine.errors import MattingError


@contextmanager
def writing_to(path: Path) -> Iterator[None]:
    """Turns an OSError of the block into a MattingError that names `path`."""
    try:
        yield
    except OSError as error:
        raise MattingError(
            f"{path} cannot be written: {error.strerror or error}; make room for it or choose "
            "another folder, and give the same command again",
            path=path,
        ) from error
