"""From an error of the system to the sentence a user can act on; knows no codec library."""

from __future__ import annotations

import errno
from pathlib import Path

from shm_engine.errors import VideoError

_READ_SENTENCES = {
    errno.ENOENT: "{path} does not exist; check its name and folder",
    errno.EISDIR: "{path} is a folder; give the movie file itself",
    errno.EACCES: "{path} may not be read; change its permissions or copy it elsewhere",
    errno.EPERM: "{path} may not be read; change its permissions or copy it elsewhere",
}
_WRITE_SENTENCES = {
    errno.ENOSPC: "the disk is full, {path} was not written; free some space or write elsewhere",
    errno.EDQUOT: "the disk quota is used up, {path} was not written; free some space",
    errno.EACCES: "{path} may not be written; change the permissions of its folder",
    errno.EPERM: "{path} may not be written; change the permissions of its folder",
    errno.EROFS: "{path} may not be written, its disk is read-only; write elsewhere",
    errno.ENOENT: "the folder of {path} does not exist; create it first",
    errno.ENOTDIR: "the folder of {path} does not exist; create it first",
    errno.EISDIR: "{path} is a folder; give a file name",
}


def read_failure(path: Path, error: OSError) -> VideoError:
    """The error to raise from `error` when a file cannot be opened."""
    sentence = _READ_SENTENCES.get(
        error.errno or 0, "{path} cannot be read ({reason}); copy it elsewhere and try again"
    )
    return VideoError(sentence.format(path=path, reason=error.strerror), path=path)


def write_failure(path: Path, error: Exception) -> VideoError:
    """The error to raise from `error` when a file cannot be written."""
    # PyAV has no OSError for every code: a full disk arrives as an UndefinedError with an errno.
    sentence = _WRITE_SENTENCES.get(
        getattr(error, "errno", None) or 0,
        "{path} cannot be written ({reason}); check the disk and write elsewhere",
    )
    reason = getattr(error, "strerror", None) or str(error)
    return VideoError(sentence.format(path=path, reason=reason), path=path)
