"""What an unfinished run leaves beside its output so that it can be gone on with; knows no codec.

A journal is a folder `.OUTPUT.journal`. Work reaches it in segments: after each, what has been
written is synced and a checkpoint replaces the one before, so that the journal is always as of the
end of some segment, whatever happens.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

from shm_engine.errors import MattingError
from shm_engine.files import replacing

SEGMENT_FRAMES = 120
"""A multiple of every batch of frames, so that a resumed run forms the same batches."""

_log = logging.getLogger(__name__)

_CHECKPOINT, _INDEX, _LOCK = "checkpoint", "index.json", "lock"


def journal_folder(target: Path) -> Path:
    """Where the journal of an output lies while there is one."""
    return target.with_name(f".{target.name}.journal")


class Journal:
    """The journal of one output; made by `begin` or `passing`.

    folder: for what the segments consist of; belongs to whoever writes the output.
    frames: how many are done; 0 in a new journal.
    written: how far the files in the folder reached then, as `commit` was told.
    states: what the stages were told to remember then, by name.
    """

    def __init__(self, folder: Path, key: Mapping[str, Any] | None) -> None:
        self.folder = folder
        self._key = key
        self._lock: int | None = None
        self._is_closed = False
        self.frames = 0
        self.written = 0
        self.states: Mapping[str, bytes] = MappingProxyType({})

    @property
    def is_kept(self) -> bool:
        """Whether a later run may go on with it."""
        return self._key is not None

    @property
    def outlives_failure(self) -> bool:
        """Whether there is something to go on with."""
        return self.is_kept and self.frames > 0

    @classmethod
    def passing(cls, target: Path) -> Self:
        """A journal that nobody will go on with."""
        return cls(Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent)), None)

    @classmethod
    def begin(
        cls, target: Path, key: Mapping[str, Any], *, resumes: bool, overwrites: bool
    ) -> Self:
        """The journal for `target`, new or, with `resumes`, where the last run left it.

        key: all that determines the output; an unfinished run with another key is not gone on with.
        Raises MattingError if an unfinished run would be lost, or is still at work.
        """
        folder = journal_folder(target)
        journal = cls(folder, json.loads(json.dumps(key)))
        folder.mkdir(parents=True, exist_ok=True)
        journal._take_lock(target)
        found = _read(folder)
        if found is None or (overwrites and not resumes):
            journal._clear()
            return journal
        index, states = found
        if not resumes:
            raise journal._refusal(
                f"an unfinished run with {index['frames']} frames lies beside {target}; add "
                "--resume to go on with it, or --overwrite to begin anew"
            )
        if index["key"] != journal._key:
            raise journal._refusal(
                f"the unfinished run beside {target} was made from another file or with other "
                f"options ({_difference(index['key'], journal._key)}); use the same, or "
                "--overwrite without --resume to begin anew"
            )
        journal.frames, journal.written = index["frames"], index["written"]
        journal.states = MappingProxyType(states)
        return journal

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._is_closed:
            self.close(is_done=False)

    def commit(self, frames: int, written: int, states: Mapping[str, bytes]) -> None:
        """A segment is complete and synced: from here a later run goes on. OSError if it cannot
        be written down."""
        index = {"key": self._key, "frames": frames, "written": written}
        with replacing(self.folder / _CHECKPOINT) as path, path.open("wb") as file:
            with zipfile.ZipFile(file, "w") as archive:
                archive.writestr(_INDEX, json.dumps(index))
                for name, state in states.items():
                    archive.writestr(name, state)
            file.flush()
            os.fsync(file.fileno())
        self.frames, self.written, self.states = frames, written, states

    def close(self, *, is_done: bool) -> None:
        """Nothing more comes; the folder stays only if there is something to go on with."""
        if is_done or not self.outlives_failure:
            shutil.rmtree(self.folder, ignore_errors=True)
        else:
            _log.info(
                "%d frames are kept; the same command with --resume goes on after them",
                self.frames,
            )
        self._drop_lock()
        self._is_closed = True

    def _clear(self) -> None:
        for path in self.folder.iterdir():
            if path.name != _LOCK:
                path.unlink(missing_ok=True)

    def _refusal(self, sentence: str) -> MattingError:
        self._drop_lock()
        return MattingError(sentence)

    def _take_lock(self, target: Path) -> None:
        try:
            import fcntl
        except ImportError:  # Windows: two runs at once are not noticed there
            return
        self._lock = os.open(self.folder / _LOCK, os.O_CREAT | os.O_RDWR)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise self._refusal(
                f"{target} is being written by another run; wait for it, or give another OUTPUT"
            ) from error

    def _drop_lock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _read(folder: Path) -> tuple[dict[str, Any], dict[str, bytes]] | None:
    """Index and states of the last checkpoint; None if there is none that can be read."""
    with (
        contextlib.suppress(OSError, zipfile.BadZipFile, KeyError, ValueError),
        zipfile.ZipFile(folder / _CHECKPOINT) as archive,
    ):
        states = {name: archive.read(name) for name in archive.namelist() if name != _INDEX}
        return json.loads(archive.read(_INDEX)), states
    return None


def _difference(old: Mapping[str, Any], new: Mapping[str, Any] | None) -> str:
    """The names of what differs."""
    flat_old, flat_new = _flat(old), _flat(new or {})
    names = sorted({*flat_old, *flat_new})
    return ", ".join(name for name in names if flat_old.get(name) != flat_new.get(name))


def _flat(values: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name, value in values.items():
        made |= (
            _flat(value, f"{before}{name} ") if isinstance(value, dict) else {before + name: value}
        )
    return made
