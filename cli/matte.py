"""shm-matte INPUT -o OUTPUT: what the user asked for as a job; does none of the work."""

from __future__ import annotations

import logging
import os
import time
from fractions import Fraction
from pathlib import Path

import click

from cli.background import Background
from cli.delivery import CODECS, Delivery
from cli.editors import EDITORS
from cli.job import Job
from cli.options import (
    FILE,
    PASS_NAMES,
    matter_options,
    memory_option,
    progress_option,
    verbosity_options,
)
from cli.performing import perform
from cli.profiles import ALPHA_MODES
from cli.progress import ProgressMode, display_for
from cli.report.limits import Limit
from cli.sequences import as_pattern
from cli.time_range import TimeRange
from shm_engine.errors import OptionsError
from shm_engine.options import MatterOptions

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
    help="The file to write: .mov for a movie, .png for a picture.",
)
@click.option(
    "--pass",
    "pass_name",
    default=PASS_NAMES[0],
    show_default=True,
    type=click.Choice(PASS_NAMES),
    help="What to write: the cut-out with alpha, the alpha alone as grey, the colours alone, the "
    "three-way map, or people over a new --background.",
)
@click.option(
    "--background",
    metavar="COLOUR|PICTURE",
    help="For --pass composite: #rrggbb, a name such as green, or a picture, scaled to fill.",
)
@click.option("--codec", type=click.Choice(CODECS), help="The format, if the name is not enough.")
@click.option(
    "--for",
    "editor",
    type=click.Choice(list(EDITORS)),
    help="The program that is to open it; chooses the format, and OUTPUT needs no suffix.",
)
@click.option(
    "--alpha",
    type=click.Choice(ALPHA_MODES),
    help="How colours are stored beside alpha: straight, but premultiplied in EXR, unless given.",
)
@matter_options
@memory_option
@progress_option
@click.option("-y", "--overwrite", "overwrites", is_flag=True, help="Replace an existing OUTPUT.")
@click.option(
    "--resume",
    "resumes",
    is_flag=True,
    help="Go on with the same command where it was stopped; nothing is done if it was finished.",
)
@click.option(
    "--range",
    "time_range",
    metavar="A-B",
    help="Only this part: 10s-20s, 0:10-0:20 or 250f-500f.",
)
@click.option(
    "--splice",
    "splices",
    is_flag=True,
    help="Put the part of --range into the finished OUTPUT; the rest of it stays as it is.",
)
@click.option(
    "--frame-rate",
    metavar="FPS",
    default="25",
    show_default=True,
    help="Of numbered pictures, such as in/%04d.exr.",
)
@click.option("--report", type=FILE, metavar="HTML", help="Write a page that shows where to look.")
@click.option(
    "--fail-on",
    "limits",
    multiple=True,
    metavar="LIMIT",
    help="Fail if the matte is worse than this, such as 'flicker>5'; see the page of --report.",
)
@click.option(
    "--no-disk-check",
    "checks_disk",
    is_flag=True,
    flag_value=False,
    default=True,
    help="Begin even if OUTPUT will probably not fit on its disk.",
)
@click.option(
    "--keep-partial",
    "keeps_partial",
    is_flag=True,
    help="If INPUT breaks off, keep the frames before that instead of failing.",
)
@verbosity_options
def command(  # noqa: PLR0913 - a parameter an option
    source: Path,
    target: Path,
    pass_name: str,
    background: str | None,
    codec: str | None,
    editor: str | None,
    alpha: str | None,
    options: MatterOptions,
    model: Path | None,
    memory: int | None,
    progress: ProgressMode,
    overwrites: bool,
    resumes: bool,
    time_range: str | None,
    splices: bool,
    frame_rate: str,
    report: Path | None,
    limits: tuple[str, ...],
    checks_disk: bool,
    keeps_partial: bool,
) -> None:
    """Cut the people out of INPUT, a movie or a still picture."""
    source, target = as_pattern(source), as_pattern(target)
    delivery = Delivery(codec=codec, editor=editor, alpha=alpha)
    if not target.suffix and (codec or editor):
        target = delivery.named(target)
    job = Job(
        source=source,
        # A link stays a link: what it points to is written.
        target=Path(os.path.realpath(target)) if target.is_symlink() else target,
        delivery=delivery,
        pass_name=pass_name,
        background=None if background is None else Background.parse(background),
        model=model,
        options=options,
        memory=memory,
        overwrites=overwrites,
        resumes=resumes,
        time_range=None if time_range is None else TimeRange.parse(time_range),
        splices=splices,
        frame_rate=_rate(frame_rate),
        report=report,
        limits=tuple(Limit.parse(limit) for limit in limits),
        checks_disk=checks_disk,
        keeps_partial=keeps_partial,
    )
    started = time.monotonic()
    frames = perform(job, display_for(progress))
    seconds = time.monotonic() - started
    counted = "1 frame" if frames == 1 else f"{frames} frames"
    _log.info("wrote %s: %s in %.1f s", job.target, counted, seconds)


def _rate(text: str) -> Fraction:
    try:
        rate = Fraction(text)
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if rate <= 0:
        raise OptionsError(f"--frame-rate is {text!r}; write 25, 23.976 or 24000/1001")
    return rate
