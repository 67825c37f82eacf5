"""One sentence for whatever went wrong while a job was done; knows no command line."""

from __future__ import annotations

import errno

from shm_engine.errors import MattingError


def sentence_for(error: BaseException) -> str:
    """What a user is told of an error."""
    match error:
        case MattingError():
            return str(error)
        case MemoryError():
            return "there is not enough memory; try a smaller --size"
        case OSError(errno=errno.ENOSPC):
            return f"the disk is full{_where(error)}"
        case OSError(strerror=str()):
            return f"{str(error.strerror).lower()}{_where(error)}"
    kind, text = type(error).__name__, str(error).partition("\n")[0].strip()
    return f"unexpected {kind} ({text}); please report it with what --verbose shows"


def _where(error: OSError) -> str:
    return f": {error.filename}" if error.filename else ""
