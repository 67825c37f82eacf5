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

from cli.job import Job
from cli.journal import Journal
from cli.memory import Allowance, allowance
from cli.numbering import is_pattern
from cli.progress import Display, Progress
from cli.pumping import pump
from cli.record import Identity, identity_of, settings_of, write_record
from cli.space import check_space
from shm_engine import __version__
from shm_engine.options import MatterOptions

if TYPE_CHECKING:
    from cli.profiles import OutputProfile
    from cli.video import SequenceSink, VideoInfo, VideoSink, VideoSource
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
    allowed: Allowance


def matte_movie(job: Job, display: Display, load: Load) -> int:
    """Do the job, and say how many frames the result has."""
    profile = job.delivery.profile_for(job.target, needs_alpha=job.needs_alpha)
    started = time.monotonic()
    identity = identity_of(job.source)
    with ExitStack() as stack:
        journal = stack.enter_context(_journal(job, identity))
        source = stack.enter_context(_source(job, journal.frames))
        info = source.info
        if job.checks_disk:
            check_space(job.target, profile, info)
        plan = Plan(
            job=job,
            info=info,
            profile=profile,
            output_pass=_pass(job, info),
            journal=journal,
            allowed=allowance(job.memory, info.width, info.height, info.bit_depth),
        )
        sink = _sink(plan)
        progress = Progress(display, info.frame_count, done=journal.frames)
        _write(plan, source, sink, stack.enter_context(progress), load)
    seconds = time.monotonic() - started
    frames = progress.status.frame
    write_record(job, output=_about(plan, sink, frames), seconds=seconds, source=identity)
    return frames


def _journal(job: Job, identity: Identity) -> Journal:
    """Where the work is kept until it is done; MattingError if an unfinished run would be lost."""
    key = {"program": __version__, "source": identity.listing, "settings": settings_of(job)}
    return Journal.begin(job.target, key, resumes=job.resumes, overwrites=job.overwrites)


def _source(job: Job, start_frame: int) -> VideoSource:
    from cli.video import VideoSource

    return VideoSource(job.source, keep_partial=job.keeps_partial, start_frame=start_frame)


def _pass(job: Job, info: VideoInfo) -> Pass:
    size = info.display_height, info.display_width
    return job.pass_for(size, float(info.display_pixel_aspect))


def _sink(plan: Plan) -> VideoSink | SequenceSink:
    from cli.video import SequenceSink, SinkOptions, VideoSink

    job = plan.job
    kind = SequenceSink if plan.profile.is_sequence else VideoSink
    options = SinkOptions(
        alpha=job.delivery.alpha,
        streams_from=None if is_pattern(job.source) else job.source,
        threads=plan.allowed.encoder_threads,
        journal=plan.journal,
        states_of=_states,
    )
    return kind(job.target, plan.info, plan.profile, output_pass=plan.output_pass, options=options)


def _write(
    plan: Plan,
    source: VideoSource,
    sink: VideoSink | SequenceSink,
    progress: Progress,
    load: Load,
) -> None:
    since = _last_draft(plan.journal)
    if plan.journal.frames:
        _log.info("going on after frame %d", plan.journal.frames)
    options = replace(plan.job.options, frames_ahead=plan.allowed.frames_ahead)
    matter = load(plan.job.model, options)

    def mattes(frames: Iterator[Frame]) -> Iterator[Matte]:
        return matter.mattes(frames) if since is None else matter.mattes(frames, since)

    with sink:
        pump(source, mattes, progress.track, sink, plan.allowed.frames_ahead)


def _states(matte: Matte) -> Mapping[str, bytes]:
    """What smoothing has to know of the frames before."""
    from shm_engine.drafts import draft_to_bytes

    return {} if matte.draft is None else {"draft": draft_to_bytes(matte.draft)}


def _last_draft(journal: Journal) -> Draft | None:
    from shm_engine.drafts import draft_from_bytes

    state = journal.states.get("draft")
    return None if state is None else draft_from_bytes(state)


def _about(plan: Plan, sink: VideoSink | SequenceSink, frames: int) -> dict[str, Any]:
    """What the record says of the output."""
    info, storage = plan.info, sink.storage
    has_alpha = plan.output_pass.has_alpha
    return {
        "profile": plan.profile.name,
        "codec": plan.profile.codec,
        "pixel_format": storage.pixel_format,
        "alpha": storage.alpha_mode if has_alpha else None,
        "width": info.width,
        "height": info.height,
        "frames": frames,
        "frame_rate": str(info.frame_rate),
        "bits": info.bit_depth,
        "colour": asdict(storage.tags),
    }
