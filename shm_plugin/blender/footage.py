"""What a strip or a node shows, as files, and the files that its matte goes to.

Knows no Blender: it is given paths. The names of records, and what is said in them, are those of
the engine's program; a file that is not by it is never replaced.
"""

from __future__ import annotations

import functools
import itertools
import json
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..client import WorkerError
from ..clips import ClipRequest, ClipRun
from ..jobs import Tell
from .numbering import PLACE, gap, number_of, numbered, on_disk

if TYPE_CHECKING:
    from .preferences import Settings

# The folder beside the blend file.
FOLDER = "human_matte"

# What is said where somebody cancels.
KEPT = "Human Matte was cancelled; what is done is kept for the next time."

# Their times are rounded to milliseconds; a .mov keeps them so exactly that Blender, which looks
# for the unrounded ones, finds the frame before.
_ROUNDED_TIMES = frozenset({".mkv", ".webm", ".mk3d", ".flv"})

# Of numbered pictures that the program writes.
_FIRST_NUMBER = 1

_MARKS = re.compile(rf"{PLACE.pattern}|#{{2,}}")


@dataclass(frozen=True, kw_only=True)
class Source:
    """Files that are matted in one go. path: a file, or the pattern that stands for `files`."""

    path: Path
    files: tuple[Path, ...]

    @property
    def is_sequence(self) -> bool:
        return self.path != self.files[0]


@dataclass(frozen=True, kw_only=True)
class MattePlan:
    """Where the mattes of footage go.

    shown: the files to show, one for each that was given. shift: of a sequence, how much higher the
        numbers of its files are than those of their mattes.
    """

    parts: tuple[tuple[Source, Path], ...]
    shown: tuple[Path, ...]
    shift: int = 0


def plan_movie(movie: Path, folder: Path, current: Path | None = None) -> MattePlan:
    """The matte of a movie. current: the file that serves as its matte now."""
    suffix = ".mkv" if movie.suffix.lower() in _ROUNDED_TIMES else ".mov"
    source = Source(path=movie, files=(movie,))
    stem = _plain(movie.stem)
    target = _free_target(source, current, lambda mark: folder / f"{stem}.{mark}{suffix}")
    return MattePlan(parts=((source, target),), shown=(target,))


def plan_pictures(
    pictures: Sequence[Path], folder: Path, current: Sequence[Path] = ()
) -> MattePlan:
    """The mattes of pictures in their order, some perhaps twice: numbered ones as a sequence, which
    holds still, others one by one. current: the files that serve as their mattes now."""
    distinct = list(dict.fromkeys(pictures))
    now = dict(zip(pictures, current, strict=False))
    sequence = _sequence_of(distinct) if len(distinct) > 1 else None
    if sequence is not None:
        target = _sequence_target(sequence, folder, now.get(distinct[0]))
        numbers = {file: _FIRST_NUMBER + i for i, file in enumerate(sequence.files)}
        made = {file: numbered(target, numbers[file]) for file in distinct}
        parts = [(sequence, target)]
    else:
        parts = []
        for each in distinct:
            still = Source(path=each, files=(each,))
            taken = [target for _, target in parts]
            parts.append((still, _still_target(still, folder, now.get(each), taken)))
        made = dict(zip(distinct, (target for _, target in parts), strict=True))
    return MattePlan(parts=tuple(parts), shown=tuple(made[each] for each in pictures))


def frames_of(pictures: Sequence[Path]) -> int:
    """How many are matted for these distinct ones. Quick enough to be asked while drawing."""
    if len(pictures) < 2:
        return len(pictures)
    with suppress(OSError):
        return _frames_of(tuple(pictures), pictures[0].parent.stat().st_mtime_ns)
    return len(pictures)


@functools.lru_cache(maxsize=8)
def _frames_of(pictures: tuple[Path, ...], changed: int) -> int:  # noqa: ARG001 (of the cache)
    sequence = _sequence_of(pictures)
    return len(pictures) if sequence is None else len(sequence.files)


def plan_sequence(
    picture: Path, folder: Path, current: Path | None = None, last: int | None = None
) -> MattePlan:
    """The mattes of all numbered pictures of which this is one; `shown` is its own matte.

    last: the highest number that is shown, at most. WorkerError where one is missing up to there:
    what comes after a gap would have no matte.
    """
    sequence = _sequence_of([picture])
    if sequence is None:
        if on_disk(picture)[1]:
            _refuse_gap(picture, number_of(picture))
        return plan_pictures([picture], folder, () if current is None else (current,))
    if last is not None:
        _refuse_gap(picture, last)
    target = _sequence_target(sequence, folder, current)
    number = _FIRST_NUMBER + sequence.files.index(picture)
    return MattePlan(
        parts=((sequence, target),),
        shown=(numbered(target, number),),
        shift=number_of(picture) - number,
    )


def make_mattes(
    plan: MattePlan, wanted: Settings, tell: Tell, beginning: str = "starting the engine"
) -> None:
    """Has the engine write what is not there yet. Raises WorkerError.

    beginning: what is told until the first frame is done.
    """
    total = len(plan.parts)
    for index, (source, target) in enumerate(plan.parts):
        # Of a sequence the program makes the folder.
        folder = target.parent.parent if source.is_sequence else target.parent
        new = [each for each in dict.fromkeys((target.parent, folder)) if not each.exists()]
        try:
            folder.mkdir(exist_ok=True)
        except OSError as error:
            why = f"{folder} cannot be made ({error.strerror})"
            raise WorkerError(f"{why}; save the blend file where you may write.") from error
        request = ClipRequest(
            source=source.path,
            target=target,
            device=wanted.device,
            size=wanted.size,
            smoothing=wanted.smoothing,
        )
        run = ClipRun(request, wanted.engine)
        tell.when_stopped(run.cancel)
        try:
            tell(index / total, beginning)
            for item in run.progress():
                tell((index + item.share) / total, item.text)
        finally:
            for each in new:
                with suppress(OSError):
                    each.rmdir()  # unless there is something in it


def _sequence_of(pictures: Sequence[Path]) -> Source | None:
    """The numbered pictures on the disk, up to a gap, that these are some of; None if not."""
    pattern, there = on_disk(pictures[0])
    if not there:
        return None
    files = tuple(numbered(pattern, number) for number in range(min(there), gap(there)))
    return Source(path=pattern, files=files) if set(pictures) <= set(files) else None


def _refuse_gap(picture: Path, last: int) -> None:
    pattern, there = on_disk(picture)
    if there and gap(there) <= last and gap(there) < max(there):
        missing = numbered(pattern, gap(there))
        raise WorkerError(f"{missing.name} is missing; add it and try again.")


def _sequence_target(sequence: Source, folder: Path, current: Path | None) -> Path:
    name = PLACE.sub("", sequence.path.stem, count=1).rstrip("_-. ") or sequence.path.parent.name

    def named(mark: str) -> Path:
        return folder / f"{name}.{mark}" / f"{name}_%05d.png"

    now = None if current is None else current.parent / named("").name
    return _free_target(sequence, now, named)


def _still_target(still: Source, folder: Path, current: Path | None, taken: Sequence[Path]) -> Path:
    def named(mark: str) -> Path:
        return folder / f"{_plain(still.path.stem)}.{mark}.png"

    return _free_target(still, current, named, taken)


def _plain(stem: str) -> str:
    """Without what the program takes for the place of a number."""
    return _MARKS.sub("_", stem)


def _free_target(
    source: Source,
    current: Path | None,
    named: Callable[[str], Path],
    taken: Sequence[Path] = (),
) -> Path:
    """The first name that is free, or has a matte of this very source; or that of `current`, if it
    is still as the engine left it."""
    for number in itertools.count(1):
        target = named("matte" if number == 1 else f"matte.{number}")
        if target in taken:
            continue
        record = _record_of(target)
        if record is None:
            if not _is_there(target):
                return target
        elif _is_untouched(target, record) and (target == current or _is_of(source, record)):
            return target
    raise AssertionError("numbers do not end")


def _record_path(target: Path) -> Path:
    return target.with_name(PLACE.sub("sequence", target.name) + ".json")


def _record_of(target: Path) -> dict[str, Any] | None:
    """What the program says of its output; None where it says nothing."""
    with suppress(OSError, ValueError):
        record = json.loads(_record_path(target).read_text(encoding="utf-8"))
        if isinstance(record, dict):
            return record
    return None


def _is_there(target: Path) -> bool:
    if PLACE.search(target.name) is None:
        return target.exists()
    return target.parent.exists()


def _is_untouched(target: Path, record: dict[str, Any]) -> bool:
    """Whether the files are as large as the program left them, or gone."""
    files = [target]
    if PLACE.search(target.name) is not None:
        count = record.get("output", {}).get("files", 0)
        files = [numbered(target, _FIRST_NUMBER + index) for index in range(count)]
    sizes = [each.stat().st_size for each in files if each.exists()]
    return not sizes or sum(sizes) == record.get("output", {}).get("bytes")


def _is_of(source: Source, record: dict[str, Any]) -> bool:
    said = record.get("source", {})
    with suppress(OSError):
        size = sum(each.stat().st_size for each in source.files)
        return bool((said.get("name"), said.get("bytes")) == (source.files[0].name, size))
    return False
