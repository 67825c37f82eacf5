"""Options that commands share, as click decorators; defaults come from the engine's dataclasses."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from cli import logs
from cli.memory import parse_size
from cli.progress import ProgressMode
from shm_engine.options import (
    BACKENDS,
    DEVICES,
    FOREGROUNDS,
    SMOOTHINGS,
    SOURCE_ALPHAS,
    MatterOptions,
)

# The keys of PASSES in shm_engine.passes, which imports torch, and the one with a background.
PASS_NAMES = ("rgba", "alpha", "foreground", "trimap", "composite")


# click's own checks are off: what is wrong with a file is told by whoever opens it.
class _FileName(click.Path):
    """A path, but not the empty one, which would be the current folder."""

    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Any:
        if str(value) == "":
            self.fail("the name is empty; give a file or a folder", param, ctx)
        return super().convert(value, param, ctx)


FILE = _FileName(path_type=Path, readable=False)

Command = TypeVar("Command", bound=Callable[..., Any])


# Last first: click lists the one that was put on last at the top.
_ENGINE_OPTIONS = (
    click.option(
        "--model",
        metavar="FILE",
        type=FILE,
        help="Other weights than the shipped ones.",
    ),
    click.option(
        "--source-alpha",
        type=click.Choice(SOURCE_ALPHAS),
        default=MatterOptions.source_alpha,
        show_default=True,
        help="Where INPUT has an alpha of its own: keep what it hides hidden, or replace it.",
    ),
    click.option(
        "--foreground",
        type=click.Choice(FOREGROUNDS),
        default=MatterOptions.foreground,
        show_default=True,
        help="Colours where the old background shines through: without it, or as filmed.",
    ),
    click.option(
        "--smooth",
        type=click.Choice(SMOOTHINGS),
        default=MatterOptions.smoothing,
        show_default=True,
        help="How hard to hold the matte of a movie still.",
    ),
    click.option(
        "--backend",
        type=click.Choice(BACKENDS),
        default=MatterOptions.backend,
        show_default=True,
        help="What runs the network: PyTorch as it is, compiled, or OpenVINO.",
    ),
    click.option(
        "--size",
        type=int,
        default=MatterOptions.long_side_pixels,
        show_default=True,
        metavar="PIXELS",
        help="The longer side of the picture the network sees: larger is finer and slower.",
    ),
    click.option(
        "--device",
        default=MatterOptions.device,
        show_default=True,
        metavar="NAME",
        help=f"Where to compute: {', '.join(DEVICES)}, or cuda:1 for a second card.",
    ),
)


def matter_options(command: Command) -> Command:
    """--model for a parameter `model`, and what a MatterOptions holds for one called `options`."""

    @functools.wraps(command)
    def with_options(
        *,
        device: str,
        size: int,
        backend: str,
        smooth: str,
        foreground: str,
        source_alpha: str,
        **others: Any,
    ) -> Any:
        options = MatterOptions(
            device=device,
            long_side_pixels=size,
            backend=backend,
            smoothing=smooth,
            foreground=foreground,
            source_alpha=source_alpha,
        )
        return command(options=options, **others)

    wrapped = cast("Command", with_options)
    for option in _ENGINE_OPTIONS:
        wrapped = option(wrapped)
    return wrapped


def memory_option(command: Command) -> Command:
    """--memory, for a parameter `memory` in bytes, or None."""
    return click.option(
        "--memory",
        metavar="SIZE",
        callback=_as_bytes,
        help="Take at most so much main memory, say 2G; slower where it is tight.",
    )(command)


def verbosity_options(command: Command) -> Command:
    """--verbose and --quiet, which act at once and are not passed on."""
    for option in (
        click.option(
            "-q",
            "--quiet",
            is_flag=True,
            expose_value=False,
            is_eager=True,
            callback=_act(logs.show_errors),
            help="Show nothing but errors.",
        ),
        click.option(
            "-v",
            "--verbose",
            is_flag=True,
            expose_value=False,
            is_eager=True,
            callback=_act(logs.show_everything),
            help="Show details, and where an error came from.",
        ),
    ):
        command = option(command)
    return command


def progress_option(command: Command) -> Command:
    """--progress, for a parameter `progress`; `main` turns log lines into JSON for json."""
    return click.option(
        "--progress",
        type=click.Choice([mode.value for mode in ProgressMode]),
        default=ProgressMode.AUTO.value,
        show_default=True,
        callback=_as_mode,
        help="How to show progress; json writes one object a line on stderr, for programs.",
    )(command)


def _act(action: Callable[[], None]) -> Callable[[click.Context, click.Parameter, bool], None]:
    def act_if_set(_: click.Context, __: click.Parameter, is_set: bool) -> None:
        if is_set:
            action()

    return act_if_set


def _as_bytes(_: click.Context, __: click.Parameter, value: str | None) -> int | None:
    return None if value is None else parse_size(value)


def _as_mode(_: click.Context, __: click.Parameter, value: str) -> ProgressMode:
    return ProgressMode(value)


def wants_json(arguments: Sequence[str]) -> bool:
    """Whether --progress json is among the arguments, which need not be right otherwise."""
    name, value = "--progress", ProgressMode.JSON.value
    return f"{name}={value}" in arguments or (name, value) in pairwise(arguments)
