"""A job whose input is a movie, or numbered pictures: from the plan to the record beside the
output; knows no codec and no network."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.formats.addresses import address_of
from cli.formats.numbering import is_pattern
from cli.formats.sequences import expand, is_sequence
from cli.jobs.cutting import Cut, Gap, Part, Whole
from cli.jobs.identity import Identity, identity_of, identity_of_address
from cli.jobs.job import Job
from cli.jobs.pumping import pump
from cli.jobs.record import amend_record, settings_of, write_record
from cli.jobs.reporting import Reporter
from cli.jobs.space import check_space
from cli.jobs.splicing import finished, splice_for
from cli.journal import Journal
from cli.logs import noting_warnings
from cli.memory import Allowance, allowance
from cli.progress import Display, Progress
from shm_engine import __version__
from shm_engine.errors import MattingError
from shm_engine.options import MatterOptions

if TYPE_CHECKING:
    from cli.formats.profiles import OutputProfile
    from cli.video import SequenceSink, SequenceSource, Splice, VideoInfo, VideoSink, VideoSource
    from shm_engine.matter import Matter
    from shm_engine.passes import Pass
    from shm_engine.types import Draft, Frame, Matte

_log = logging.getLogger(__name__)

Load = Callable[[Path | None, MatterOptions], "Matter"]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What was decided before the first frame."""

    job: Job
    info: VideoInfo
    profile: OutputProfile
    output_pass: Pass
    journal: Journal
    cut: Cut
    splice: Splice | None
    allowed: Allowance


def matte_movie(job: Job, display: Display, load: Load) -> int:
    """Do the job, and say how many frames the result has."""
    started = time.monotonic()
    profile = job.delivery.profile_for(job.target, needs_alpha=job.needs_alpha)
    identity = _identity(job.source)
    splice = splice_for(job, finished(job, profile, identity)) if job.splices else None
    with ExitStack() as stack:
        warnings = stack.enter_context(noting_warnings())
        journal = stack.enter_context(_journal(job, identity))
        cut = _cut(job, splice, journal.frames)
        source = _source(job, cut)
        stack.enter_context(source)
        info = source.info
        frames = cut.count(info)
        _check_range(job, info, frames)
        if job.checks_disk:
            whole = frames if splice is None else splice.frames
            check_space(job.target, profile, info, whole, journal.written)
        size = info.display_height, info.display_width
        begin = None if job.time_range is not None and splice is None else info.start_seconds
        passes = job.pass_for(size, float(info.display_pixel_aspect), begin)
        plan = Plan(
            job=job,
            info=info,
            profile=profile,
            output_pass=stack.enter_context(passes),
            journal=journal,
            cut=cut,
            splice=splice,
            allowed=allowance(job.memory, info.width, info.height, info.bit_depth),
        )
        reporter = Reporter(job, info, journal.states.get("report"), journal.frames)
        sink = _sink(plan, reporter)
        progress = Progress(display, frames, done=journal.frames)
        description = _write(plan, source, sink, stack.enter_context(progress), reporter, load)
        done, seconds = progress.status.frame, time.monotonic() - started
        output = _about(plan, sink, done)
        output |= {"figures": reporter.figures() or None, "warnings": warnings}
        _record(plan, identity, output, seconds)
        reporter.write(description, output, seconds)
        # Not before: a record without its output, or the other way round, is nobody's.
        journal.close(is_done=True)
    return done


def _record(plan: Plan, identity: Identity, output: Mapping[str, Any], seconds: float) -> None:
    if plan.splice is None:
        write_record(plan.job, output=output, seconds=seconds, source=identity)
    else:
        amend_record(plan.job, plan.splice.first, plan.splice.last, output["figures"])


def _check_range(job: Job, info: VideoInfo, frames: int | None) -> None:
    if frames == 0 and job.time_range is not None:
        raise MattingError(
            f"{job.source} has {info.frame_count} frames and ends before the range begins; check "
            "--range",
            path=job.source,
        )


def _identity(source: Path) -> Identity:
    address = address_of(source)
    if address is not None:
        return identity_of_address(address)
    return identity_of(expand(source).paths if is_sequence(source) else source)


def _journal(job: Job, identity: Identity) -> Journal:
    """Where the work is kept until it is done; MattingError if an unfinished run would be lost."""
    if job.time_range is not None:  # a part is made in one go
        if is_pattern(job.target):
            job.target.parent.mkdir(exist_ok=True)
        return Journal.passing(job.target)
    key = {"program": __version__, "source": identity.listing, "settings": settings_of(job)}
    return Journal.begin(job.target, key, resumes=job.resumes, overwrites=job.overwrites)


def _cut(job: Job, splice: Splice | None, done: int) -> Cut:
    if splice is not None:
        return Gap(splice.first, splice.last)
    return Whole(done) if job.time_range is None else Part(job.time_range)


def _source(job: Job, cut: Cut) -> VideoSource | SequenceSource:
    from cli.video import SequenceSource, VideoSource

    if is_sequence(job.source):
        return SequenceSource(
            job.source,
            frame_rate=job.frame_rate,
            keep_partial=job.keeps_partial,
            start_frame=cut.start_frame,
            start_seconds=cut.start_seconds,
        )
    return VideoSource(
        job.source,
        keep_partial=job.keeps_partial,
        allow_url=job.allows_url,
        start_frame=cut.start_frame,
        start_seconds=cut.start_seconds,
    )


def _sink(plan: Plan, reporter: Reporter) -> VideoSink | SequenceSink:
    from cli.video import SequenceSink, SinkOptions, VideoSink

    job = plan.job
    kind = SequenceSink if plan.profile.is_sequence else VideoSink

    def states(matte: Matte) -> Mapping[str, bytes]:
        return {**_smoothing_state(matte), **reporter.states()}

    options = SinkOptions(
        alpha=job.delivery.alpha,
        streams_from=None if is_sequence(job.source) else job.source,
        is_part=plan.job.time_range is not None and plan.splice is None,
        splice=plan.splice,
        threads=plan.allowed.encoder_threads,
        journal=plan.journal,
        states_of=states,
    )
    return kind(job.target, plan.info, plan.profile, output_pass=plan.output_pass, options=options)


def _write(
    plan: Plan,
    source: VideoSource | SequenceSource,
    sink: VideoSink | SequenceSink,
    progress: Progress,
    reporter: Reporter,
    load: Load,
) -> str:
    """Matte the movie into its file; what the Matter says of itself."""
    since = _last_draft(plan.journal)
    if plan.journal.frames:
        _log.info("going on after frame %d", plan.journal.frames)
    options = replace(plan.job.options, frames_ahead=plan.allowed.frames_ahead)
    matter = load(plan.job.model, options)

    def mattes(frames: Iterator[Frame]) -> Iterator[Matte]:
        wanted = plan.cut.frames(frames, plan.info)
        made = matter.mattes(wanted) if since is None else matter.mattes(wanted, since)
        return plan.cut.mattes(made)

    def watched(made: Iterator[Matte]) -> Iterator[Matte]:
        return progress.track(reporter.watch(made))

    with sink:
        pump(source, mattes, watched, sink, plan.allowed.frames_ahead)
    return getattr(matter, "description", "")


def _smoothing_state(matte: Matte) -> Mapping[str, bytes]:
    """What smoothing has to know of the frames before."""
    from shm_engine.drafts import draft_to_bytes

    return {} if matte.draft is None else {"draft": draft_to_bytes(matte.draft)}


def _last_draft(journal: Journal) -> Draft | None:
    from shm_engine.drafts import draft_from_bytes

    state = journal.states.get("draft")
    return None if state is None else draft_from_bytes(state)


def _about(plan: Plan, sink: VideoSink | SequenceSink, frames: int) -> dict[str, Any]:
    """What the record says of the output."""
    from cli.video.hdr import as_numbers

    info, storage = plan.info, sink.storage
    return {
        "profile": plan.profile.name,
        "codec": plan.profile.codec,
        "pixel_format": storage.pixel_format,
        "alpha": storage.alpha_mode if plan.output_pass.has_alpha else None,
        "width": info.width,
        "height": info.height,
        "frames": frames,
        "frame_rate": str(info.frame_rate),
        "bits": info.bit_depth,
        "colour": asdict(storage.tags),
        "hdr": as_numbers(info.mastering, info.content_light),
        "first_timecode": info.timecode,
        "is_sequence": is_pattern(plan.job.target),
    }
