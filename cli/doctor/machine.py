"""What the program runs on: system, processor, memory and the room in folders; changes nothing."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from cli.doctor.findings import Finding, Mark, look
from cli.formats.delivery import Delivery
from cli.jobs.space import in_words
from shm_engine.errors import MattingError

# Less than this deserves a word: what 4K takes, and a minute of 1080p while it is put together.
_LITTLE_MEMORY = 2 << 30
_LITTLE_ROOM = 8e9

# What a container may take, in both versions of Linux's cgroups.
_MEMORY_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


def machine() -> Iterator[Finding]:
    """System, processor and memory, then the two folders that a run may write to."""
    system = f"{platform.system()} {platform.release()}, {platform.machine()}"
    yield Finding(name="system", words=system, facts={"system": system})
    yield look("processor", _processor)
    yield look("memory", _memory)
    yield look("this folder", _this_folder)
    yield look("temporary", _temporary)


def _processor() -> Finding:
    cores = os.cpu_count() or 1
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else cores
    words = "1 core" if cores == 1 else f"{cores} cores"
    if usable < cores:
        words += f", of which this program may use {usable}"
    return Finding(name="processor", words=words, facts={"cores": cores, "usable": usable})


def _memory() -> Finding:
    size = memory_bytes()
    facts = {"bytes": size}
    if size is None:
        return Finding(name="memory", words="this system does not say how much", facts=facts)
    words = f"{size / 2**30:.1f} GiB"
    if size < _LITTLE_MEMORY:
        words += ": little for large pictures; --memory sets a ceiling"
        return Finding(name="memory", mark=Mark.NOTE, words=words, facts=facts)
    return Finding(name="memory", words=words, facts=facts)


def memory_bytes() -> int | None:
    """The main memory this process may take: the machine's, or its container's if that is less."""
    try:
        size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        return None
    for path in _MEMORY_LIMITS:
        with contextlib.suppress(OSError, ValueError):  # "max" is no limit
            size = min(size, int(path.read_text(encoding="ascii")))
    return size


def _this_folder() -> Finding:
    folder = Path.cwd()
    reason = _why_not_written(folder)
    if reason is None:
        return _room(folder)
    words = f"{folder} cannot be written to ({reason}): give outputs in another folder"
    facts = {"path": str(folder), "is_writable": False}
    return Finding(name="this folder", mark=Mark.NOTE, words=words, facts=facts)


def _temporary() -> Finding:
    try:
        folder = Path(tempfile.gettempdir())
    except OSError as error:
        raise MattingError(
            "there is no temporary folder that can be written to; set TMPDIR to one"
        ) from error
    reason = _why_not_written(folder)
    if reason is not None:
        raise MattingError(
            f"{folder} cannot be written to ({reason}); make room, or set TMPDIR to another folder"
        )
    free = shutil.disk_usage(folder).free
    facts = {"path": str(folder), "is_writable": True, "free_bytes": free}
    return Finding(name="temporary", words=f"{folder}: {in_words(free)} free", facts=facts)


def _why_not_written(folder: Path) -> str | None:
    try:
        # It has no name on most systems, and vanishes when it is closed on all.
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"shm-matte")
            file.flush()
    except OSError as error:
        return (error.strerror or str(error)).lower()
    return None


def _room(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free
    profile = Delivery().profile_for(Path("out.mov"), needs_alpha=True)
    # Twice, for a movie is put together from what was kept while it was made.
    minutes = free / (2 * 60 * 25 * 1920 * 1080 * profile.bits_per_pixel / 8)
    amount = f"{minutes:.0f} minutes" if minutes < 120 else f"{minutes / 60:.0f} hours"
    words = f"{folder}: {in_words(free)} free, about {amount} of 1080p in ProRes 4444"
    facts = {"path": str(folder), "is_writable": True, "free_bytes": free}
    mark = Mark.NOTE if free < _LITTLE_ROOM else Mark.OK
    return Finding(name="this folder", mark=mark, words=words, facts=facts)
