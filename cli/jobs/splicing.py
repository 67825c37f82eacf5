"""A part of a finished output that is made anew in its place: which frames, and whether it may be;
knows no codec."""

from __future__ import annotations

from fractions import Fraction
from math import ceil
from typing import TYPE_CHECKING

from cli.formats.numbering import is_pattern, numbered_files
from cli.formats.sequences import is_sequence
from cli.jobs.identity import Identity
from cli.jobs.job import Job
from cli.jobs.record import Record, is_untouched, read_record
from shm_engine.errors import MattingError

if TYPE_CHECKING:
    from cli.formats.profiles import OutputProfile
    from cli.video import Splice


def finished(job: Job, profile: OutputProfile, identity: Identity) -> Record:
    """The record of the output; MattingError if this job cannot make a part of it."""
    record = read_record(job.target)
    if record is None:
        raise MattingError(
            f"{job.target} is not there, or its record is not; --splice puts a part into a "
            "finished output, leave it out for a movie of the part alone",
            path=job.target,
        )
    if not is_untouched(job.target):
        raise MattingError(
            f"{job.target} was changed after it was made; make it anew", path=job.target
        )
    if not identity.matches(record.source):
        raise MattingError(
            f"{job.target} was made from another file; make it anew", path=job.target
        )
    if record.output.get("profile") != profile.name or record.settings.get("pass_name") != (
        job.pass_name
    ):
        raise MattingError(
            f"{job.target} is {record.output.get('profile')} and shows the pass "
            f"{record.settings.get('pass_name')}; give the same --codec and --pass",
            path=job.target,
        )
    if record.settings.get("time_range") is not None:
        raise MattingError(
            f"{job.target} is a part itself; splice into an output of the whole movie",
            path=job.target,
        )
    alpha = (job.delivery.alpha or profile.alpha_mode) if job.needs_alpha else None
    if record.output.get("alpha") != alpha:
        raise MattingError(
            f"the alpha of {job.target} is {record.output.get('alpha')}; give the same --alpha",
            path=job.target,
        )
    if is_sequence(job.source) and record.settings.get("frame_rate") != str(job.frame_rate):
        raise MattingError(
            f"{job.target} was made with --frame-rate {record.settings.get('frame_rate')}; give "
            "the same",
            path=job.target,
        )
    return record


def splice_for(job: Job, record: Record) -> Splice:
    """What stays of the output."""
    from cli.video import Splice, shown_at

    assert job.time_range is not None
    begin, end = job.time_range.begin, job.time_range.end
    frames = int(record.output["frames"])
    if job.time_range.in_frames:
        first, last = int(begin), frames if end is None else int(end)
    elif is_pattern(job.target):
        rate = Fraction(record.output["frame_rate"])
        first, last = ceil(begin * rate), frames if end is None else ceil(end * rate)
    else:
        times = shown_at(job.target)
        first = sum(time < begin for time in times)
        last = frames if end is None else sum(time < end for time in times)
    if first >= frames:
        raise MattingError(f"{job.target} ends before the range begins; check --range")
    last = min(max(last, first + 1), frames)
    if is_pattern(job.target):
        count = len(numbered_files(job.target))
        return Splice(path=job.target, first=first, last=last, frames=count)
    return Splice.find(job.target, first, last)
