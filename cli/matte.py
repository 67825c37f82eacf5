"""shm-matte INPUT -o OUTPUT: what the user asked for as a job; does none of the work."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path
from typing import Any

import click

from cli.batch.displays import display_for_files
from cli.batch.performing import Plan, perform_folder
from cli.formats.delivery import Delivery
from cli.formats.sequences import as_pattern, is_sequence
from cli.jobs.job import Job, is_picture
from cli.jobs.options import HOW_DONE, HOW_STORED, REPORTING, WHAT, job_options
from cli.jobs.performing import perform
from cli.options import FILE, matter_options, memory_option, progress_option, verbosity_options
from cli.progress import ProgressMode, display_for

_log = logging.getLogger(__name__)


@click.command(short_help="Cut people out of a movie or a picture (the default command).")
@click.argument("source", metavar="INPUT", type=FILE)
@click.option(
    "-o",
    "--output",
    "target",
    metavar="OUTPUT",
    required=True,
    type=FILE,
    help="The file to write, say .mov for a movie, .png for a picture, out/%05d.png for numbered "
    "pictures; or a folder, if INPUT is one.",
)
@job_options(WHAT, HOW_STORED)
@matter_options
@memory_option
@job_options(HOW_DONE, REPORTING)
@click.option("--jobs", type=int, metavar="N", help="How many files of a folder at once.")
@click.option(
    "--watch", "watches", is_flag=True, help="Go on with a folder as files arrive, until Ctrl-C."
)
@click.option(
    "--cluster",
    metavar="ray|ray://HOST:PORT",
    help="Share the files of a folder out to the machines of a Ray cluster.",
)
@progress_option
@verbosity_options
def command(  # noqa: PLR0913 - a parameter an option
    source: Path,
    target: Path,
    progress: ProgressMode,
    codec: str | None,
    editor: str | None,
    alpha: str | None,
    jobs: int | None,
    watches: bool,
    cluster: str | None,
    **wishes: Any,
) -> None:
    """Cut the people out of INPUT: a movie, a still picture, numbered pictures or a folder."""
    delivery = Delivery(codec=codec, editor=editor, alpha=alpha)
    # `wishes` are the options of `cli.jobs.options`, by the names of the fields of a Job.
    if source.is_dir():
        job = Job(source=source, target=target, delivery=delivery, **wishes)
        plan = Plan(jobs=jobs, watches=watches, cluster=cluster)
        perform_folder(job, plan, display_for_files(progress))
        return
    if jobs is not None or watches or cluster is not None:
        raise click.UsageError("--jobs, --watch and --cluster need a folder as INPUT")
    job = Job(
        source=as_pattern(source),
        target=_named(target, source, delivery),
        delivery=delivery,
        **wishes,
    )
    started = time.monotonic()
    frames = perform(job, display_for(progress))
    seconds = time.monotonic() - started
    if frames:
        counted = "1 frame" if frames == 1 else f"{frames} frames"
        _log.info("wrote %s: %s in %.1f s", job.target, counted, seconds)


def _named(target: Path, source: Path, delivery: Delivery) -> Path:
    """The output's full name."""
    if not target.suffix and (delivery.codec or delivery.editor):
        is_still = is_picture(source) and not is_sequence(source)
        target = target.with_name(f"{target.name}.png") if is_still else delivery.named(target)
    # A link stays a link: what it points to is written.
    return Path(os.path.realpath(target)) if target.is_symlink() else as_pattern(target)
