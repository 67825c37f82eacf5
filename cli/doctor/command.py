"""shm-matte doctor: what works here and what does not, in plain words; leaves nothing behind."""

from __future__ import annotations

import json
import logging
import shutil
import textwrap
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

import click

from cli.doctor.findings import Finding, Mark
from cli.doctor.formats import decoders, encoders, round_trips
from cli.doctor.machine import machine
from cli.doctor.network import Network
from cli.doctor.parts import needed, optional
from cli.options import verbosity_options
from shm_engine import __version__
from shm_engine.errors import MattingError

_COLOURS = {Mark.OK: "green", Mark.NOTE: "yellow", Mark.BROKEN: "red"}

# Columns that marks and names take, and the width of a report in a terminal of any size.
_MARK, _NAME = 8, 15
_NARROWEST, _WIDEST = 60, 110


@click.command(short_help="Find out what works here and what does not.")
@click.option("--quick", is_flag=True, help="Leave out the second of film through every format.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of lines.")
@verbosity_options
def command(quick: bool, as_json: bool) -> None:
    """Look at all that the program stands on: libraries, device, weights, codecs and disks.

    Then matte a second of drawn film into every format and read it again, which takes less than
    half a minute. The exit code is 1 if something is broken; notes do no harm.
    """
    started = time.monotonic()
    network = Network()
    written = encoders() if quick else round_trips(network)
    sections = {
        "Installed": needed(),
        "This machine": machine(),
        "Network": network.findings(),
        "Reads": decoders(),
        "Writes": written,
        "Not needed, but useful": optional(),
    }
    found: dict[str, list[Finding]] = {}
    with _facts_left_out_of_the_log(), closing(written):
        for title, finding in _one_by_one(sections):
            if title not in found and not as_json:
                click.secho(f"\n{title}" if found else title, bold=True)
            found.setdefault(title, []).append(finding)
            if not as_json:
                click.echo(in_text(finding))
    if as_json:
        click.echo(in_json(found, time.monotonic() - started))
    broken = names_of_broken(found)
    if broken:
        raise MattingError(f"broken here: {', '.join(broken)}; the lines marked so say more")
    if not as_json:
        click.echo(f"\nAll is well ({time.monotonic() - started:.0f} s).")


def _one_by_one(sections: Mapping[str, Iterator[Finding]]) -> Iterator[tuple[str, Finding]]:
    for title, findings in sections.items():
        for finding in findings:
            yield title, finding


@contextmanager
def _facts_left_out_of_the_log() -> Iterator[None]:
    """What jobs state of themselves would stand between the lines; with --verbose it may."""
    loggers = [logging.getLogger(name) for name in ("cli", "shm_engine")]
    changed = [logger for logger in loggers if logger.level == logging.INFO]
    for logger in changed:
        logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for logger in changed:
            logger.setLevel(logging.INFO)


def names_of_broken(found: Mapping[str, list[Finding]]) -> list[str]:
    """What is broken, in the order in which it was found."""
    return [each.name for part in found.values() for each in part if each.mark is Mark.BROKEN]


def in_text(finding: Finding) -> str:
    """A finding in columns, as wide as the terminal, with colour codes."""
    columns = min(_WIDEST, max(_NARROWEST, shutil.get_terminal_size().columns))
    indent = _MARK + _NAME
    wrapper = textwrap.TextWrapper(
        columns - indent - 1, break_long_words=False, break_on_hyphens=False
    )
    wrapped = [line for part in finding.words.splitlines() for line in wrapper.wrap(part)]
    first, *rest = wrapped or [""]
    mark = click.style(finding.mark.ljust(_MARK), fg=_COLOURS[finding.mark])
    lines = [f"{mark}{finding.name:{_NAME}}{first}", *(" " * indent + line for line in rest)]
    return "\n".join(lines)


def in_json(found: Mapping[str, list[Finding]], seconds: float) -> str:
    """The whole report as one JSON object."""
    broken = names_of_broken(found)
    sections = {title: [_as_dict(each) for each in part] for title, part in found.items()}
    return json.dumps(
        {
            "version": __version__,
            "is_healthy": not broken,
            "broken": broken,
            "seconds": round(seconds, 3),
            "sections": sections,
        }
    )


def _as_dict(finding: Finding) -> dict[str, Any]:
    facts, words = dict(finding.facts), " ".join(finding.words.split())
    return {"name": finding.name, "mark": finding.mark, "words": words, "facts": facts}
