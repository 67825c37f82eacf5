"""Whether a disk can hold a result, before any work is done; a guess, for nobody knows."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from cli.formats.profiles import OutputProfile
from shm_engine.errors import MattingError

if TYPE_CHECKING:
    from cli.video import VideoInfo

_log = logging.getLogger(__name__)

_UNITS = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"))


def check_space(
    target: Path,
    profile: OutputProfile,
    info: VideoInfo,
    frames: int | None,
    done_bytes: int = 0,
) -> None:
    """Log what a movie of so many frames typically takes; MattingError if the disk of `target` is
    too small for it. Nothing is known if `frames` is None.

    done_bytes: what of a movie lies on the disk already.
    """
    if frames is None:
        return
    size = round(info.width * info.height * frames * profile.bits_per_pixel / 8)
    # A movie is put together from what was kept while it was made: both are there for a moment.
    needed = size if profile.is_sequence else size + max(0, size - done_bytes)
    folder = target.parent if target.parent.exists() else target.parent.parent
    free = shutil.disk_usage(folder).free
    _log.info("about %s will be written; %s are free", in_words(size), in_words(free))
    if needed > free:
        raise MattingError(
            f"{target} needs about {in_words(needed)} while it is written, and {in_words(free)} "
            "are free; free some space, write elsewhere, or add --no-disk-check",
            path=target,
        )


def in_words(size: int) -> str:
    """An amount as people read it."""
    for unit, name in _UNITS:
        if size >= unit:
            return f"{size / unit:.1f} {name}"
    return f"{max(1, round(size / 1e3))} kB"
