"""The options that say what a job is, each under the name of its field in `Job`."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any, TypeVar

import click

from cli.formats.delivery import CODECS
from cli.formats.editors import EDITORS
from cli.formats.profiles import ALPHA_MODES
from cli.jobs.background import Background
from cli.jobs.time_range import TimeRange
from cli.options import FILE, PASS_NAMES, Command
from cli.report.limits import Limit
from shm_engine.errors import OptionsError

Value = TypeVar("Value")


def _parsed(parse: Callable[[str], Value]) -> Callable[..., Value | None]:
    """A callback that turns text into a value."""

    def callback(_: click.Context, __: click.Parameter, text: str | None) -> Value | None:
        return None if text is None else parse(text)

    return callback


def _limits(_: click.Context, __: click.Parameter, texts: tuple[str, ...]) -> tuple[Limit, ...]:
    return tuple(Limit.parse(text) for text in texts)


def _rate(text: str) -> Fraction:
    try:
        rate = Fraction(text)
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if rate <= 0:
        raise OptionsError(f"--frame-rate is {text!r}; write 25, 23.976 or 24000/1001")
    return rate


WHAT = (
    click.option(
        "--pass",
        "pass_name",
        default=PASS_NAMES[0],
        show_default=True,
        type=click.Choice(PASS_NAMES),
        help="What to write: the cut-out with alpha, the alpha alone as grey, the colours alone, "
        "the three-way map, or people over a new --background.",
    ),
    click.option(
        "--background",
        metavar="COLOUR|FILE",
        callback=_parsed(Background.parse),
        help="For --pass composite: #rrggbb, a name such as green, a picture or a movie, scaled to "
        "fill; a movie begins again when it ends.",
    ),
    click.option(
        "--range",
        "time_range",
        metavar="A-B",
        callback=_parsed(TimeRange.parse),
        help="Only this part: 10s-20s, 0:10-0:20 or 250f-500f.",
    ),
    click.option(
        "--splice",
        "splices",
        is_flag=True,
        help="Put the part of --range into the finished OUTPUT; the rest of it stays as it is.",
    ),
)
HOW_STORED = (
    click.option(
        "--codec",
        metavar="NAME",
        type=click.Choice(CODECS),
        help=f"The format, where the name says too little: {', '.join(CODECS)}.",
    ),
    click.option(
        "--for",
        "editor",
        type=click.Choice(list(EDITORS)),
        help="The program that is to open it: chooses the format, and OUTPUT needs no suffix.",
    ),
    click.option(
        "--alpha",
        type=click.Choice(ALPHA_MODES),
        help="How colours are stored beside alpha; straight, but premultiplied in EXR, if not "
        "given.",
    ),
)
HOW_DONE = (
    click.option(
        "--frame-rate",
        metavar="FPS",
        default="25",
        show_default=True,
        callback=_parsed(_rate),
        help="Of numbered pictures, such as in/%04d.exr.",
    ),
    click.option("--url", "allows_url", is_flag=True, help="INPUT may be an http(s) address."),
    click.option(
        "--keep-partial",
        "keeps_partial",
        is_flag=True,
        help="If INPUT breaks off, keep the frames before that instead of failing.",
    ),
    click.option(
        "-y", "--overwrite", "overwrites", is_flag=True, help="Replace an existing OUTPUT."
    ),
    click.option(
        "--resume",
        "resumes",
        is_flag=True,
        help="Go on with the same command where it was stopped; a finished one is left alone.",
    ),
    click.option(
        "--no-disk-check",
        "checks_disk",
        is_flag=True,
        flag_value=False,
        default=True,
        help="Begin even if OUTPUT will probably not fit on its disk.",
    ),
)
REPORTING = (
    click.option(
        "--report", type=FILE, metavar="HTML", help="Write a page that shows where to look."
    ),
    click.option(
        "--fail-on",
        "limits",
        multiple=True,
        metavar="LIMIT",
        callback=_limits,
        help="Fail if the matte is worse than this, such as 'flicker>5'; see --report.",
    ),
)


def job_options(*groups: tuple[Any, ...]) -> Callable[[Command], Command]:
    """All options of the groups, in their order."""

    def with_options(command: Command) -> Command:
        for option in reversed([option for group in groups for option in group]):
            command = option(command)
        return command

    return with_options
