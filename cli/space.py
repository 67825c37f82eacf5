"""Whether a disk can hold a result, before any work is done; a guess, for nobody knows."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from cli.profiles import OutputProfile
from shm_engine.errors import MattingError

if TYPE_CHECKING:
    from cli.video import VideoInfo

_log = logging.getLogger(__name__)

_UNITS = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"))


def estimated_bytes(profile: OutputProfile, info: VideoInfo) -> int | None:
    """What a movie of this size and length typically takes; None if its length is unknown."""
    if info.frame_count is None:
        return None
    pixels = info.width * info.height * info.frame_count
    return round(pixels * profile.bits_per_pixel / 8)


def check_space(target: Path, profile: OutputProfile, info: VideoInfo) -> None:
    """Log the estimate; MattingError if the disk of `target` is too small for it."""
    size = estimated_bytes(profile, info)
    if size is None:
        return
    # A movie is put together from what was kept while it was made: both are there for a moment.
    needed = size if profile.is_sequence else 2 * size
    free = shutil.disk_usage(target.parent).free
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
