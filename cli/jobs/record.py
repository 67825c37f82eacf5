"""What a finished output was made from, as JSON beside it; knows no codec and no network.

A record answers two questions: how was this file made, and does the same job have to be done again?
"""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, is_dataclass, replace
from enum import Enum
from fractions import Fraction
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path
from typing import Any

from cli.formats.numbering import is_pattern, numbered_files
from cli.jobs.identity import Identity, digest_of, identity_of
from cli.jobs.job import Job
from shm_engine import __version__
from shm_engine.errors import MattingError
from shm_engine.files import replacing

# Raised when older programs could misread a record; theirs and those of newer ones count as none.
FORMAT_NUMBER = 1

# Fields of Job and of what it holds that leave every pixel as it is, or stand elsewhere in a
# record. All others, new ones too, are settings: a field must be named here to make no difference.
WITHOUT_EFFECT = {
    "Job": frozenset(
        {
            *("source", "target", "memory", "overwrites", "resumes", "checks_disk"),
            *("splices", "report", "limits", "allows_url"),
        }
    ),
    "MatterOptions": frozenset({"device", "backend", "batch", "frames_ahead"}),
    "Background": frozenset[str](),
    "Delivery": frozenset[str](),
}

_PACKAGES = ("torch", "av", "opencv-python-headless", "numpy", "scipy")
_FRAME_NUMBER = re.compile(r"%(?:0[0-9]{1,2})?d")


@dataclass(frozen=True, kw_only=True)
class Record:
    """One sidecar.

    source: name, files, bytes, modified_ns, listing, digest; see `Identity`.
    settings: see `settings_of`.
    output: name, bytes, files, and what the writer said of it: codec, alpha, size, frames ...
    versions: of the programs that took part.
    timing: seconds, frames_per_second.
    """

    source: Mapping[str, Any]
    settings: Mapping[str, Any]
    output: Mapping[str, Any]
    versions: Mapping[str, str]
    timing: Mapping[str, float | None]


def settings_of(job: Job) -> dict[str, Any]:
    """All of the job that changes the picture, as JSON has it; files stand as their digests.

    Raises OSError if a file that the job names is absent.
    """
    settings: dict[str, Any] = _plain(job)
    settings["model"] = digest_of(_shipped_weights() if job.model is None else job.model)
    return settings


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        ignored = WITHOUT_EFFECT.get(type(value).__name__, frozenset())
        names = [field.name for field in fields(value) if field.name not in ignored]
        return {name: _plain(getattr(value, name)) for name in names}
    match value:
        case Path():
            return digest_of(value)
        case Enum():
            return _plain(value.value)
        case Fraction():
            return str(value)
        case Mapping():
            return {str(key): _plain(item) for key, item in value.items()}
        case tuple() | list():
            return [_plain(item) for item in value]
        case None | bool() | int() | float() | str():
            return value
    raise TypeError(f"cli.jobs.record cannot write a {type(value).__name__} as a setting")


def _shipped_weights() -> Path:
    """As shm_engine.checkpoint says too, which takes seconds to import."""
    (path,) = Path(str(files("shm_engine").joinpath("weights"))).glob("*.safetensors")
    return path


def record_path(target: Path) -> Path:
    """Where the record of an output lies: out.mov.json; for out/f_%05d.png out/f_sequence.png.json.

    The suffix stays: a folder may hold two sequences that differ in nothing else.
    """
    return target.with_name(_FRAME_NUMBER.sub("sequence", target.name) + ".json")


def write_record(
    job: Job,
    *,
    output: Mapping[str, Any],
    seconds: float,
    source: Identity | None = None,
) -> Path:
    """Write the record of a job whose output is in place; returns its path.

    output: what the writer knows: profile, codec, alpha, width, height, frames ...
    source: the identity from before the work; without it, the one that job.source has now.

    Raises MattingError if it cannot be written.
    """
    written = _files_of(job.target)
    frames = output.get("frames")
    contents = Record(
        source=(source or identity_of(job.source)).as_dict(),
        settings=settings_of(job),
        output={**output, "name": job.target.name, **written},
        versions=versions(),
        timing={
            "seconds": round(seconds, 3),
            "frames_per_second": round(frames / seconds, 3) if frames and seconds > 0 else None,
        },
    )
    path = record_path(job.target)
    _write(path, contents)
    return path


def _write(path: Path, contents: Record) -> None:
    text = json.dumps({"format": FORMAT_NUMBER, **asdict(contents)}, indent=2, sort_keys=True)
    try:
        with replacing(path) as temporary:
            temporary.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise MattingError(f"{path} cannot be written: {reason}", path=path) from error


def amend_record(job: Job, first: int, last: int, figures: Mapping[str, float] | None) -> None:
    """Say in the record of an output that some of its frames (last not with them) were made anew
    by another job; its settings stay those of the rest. MattingError if it cannot be written."""
    record = read_record(job.target)
    if record is None:
        raise MattingError(f"{record_path(job.target)} has vanished", path=job.target)
    part = {"first_frame": first, "last_frame": last - 1, "settings": settings_of(job)}
    parts = [*record.output.get("spliced", ()), part]
    # What was measured of the whole is no longer true.
    new = {"spliced": parts, "figures": figures}
    output = {**record.output, **_files_of(job.target), **new}
    _write(record_path(job.target), replace(record, output=output))


def read_record(target: Path) -> Record | None:
    """The record of an output; None if there is none that this program can read."""
    try:
        contents = json.loads(record_path(target).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(contents, dict) or contents.pop("format", None) != FORMAT_NUMBER:
        return None
    names = {field.name for field in fields(Record)}
    if set(contents) != names or not all(isinstance(part, dict) for part in contents.values()):
        return None
    return Record(**contents)


def is_untouched(target: Path) -> bool:
    """Whether the output is still as this program left it, so that it may be made anew."""
    record = read_record(target)
    try:
        return record is not None and _describes(record, target)
    except OSError:
        return False


def is_finished(job: Job, paths: Sequence[Path] | None = None) -> bool:
    """Whether the output is there already, made by the same settings from the same source.

    paths: the files of the source, where it is a sequence.
    """
    record = read_record(job.target)
    if record is None:
        return False
    try:
        return (
            _describes(record, job.target)
            and record.settings == settings_of(job)
            and identity_of(paths or job.source).matches(record.source)
            # Without them nobody can say whether it keeps within the limits; but what somebody
            # corrected by hand stays.
            and (not job.limits or bool(record.output.get("figures")) or "spliced" in record.output)
        )
    except OSError:
        return False


def _describes(record: Record, target: Path) -> bool:
    now = {"name": target.name, **_files_of(target)}
    return all(record.output.get(name) == value for name, value in now.items())


def _files_of(target: Path) -> dict[str, int]:
    """How many files an output has and their bytes; OSError if a single one is absent."""
    if not is_pattern(target):
        return {"files": 1, "bytes": target.stat().st_size}
    sizes = [path.stat().st_size for path in numbered_files(target).values()]
    return {"files": len(sizes), "bytes": sum(sizes)}


def versions() -> dict[str, str]:
    """Of this program, Python and the packages that make pictures; imports none of them."""
    found = {"shm-matte": __version__, "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
