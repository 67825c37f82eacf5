"""The door for a terminal: the commands by name and the one error boundary; knows no picture.

Exit codes: 0 done; 1 failed; 2 wrong usage; 130 stopped by Ctrl-C. A command is a row in COMMANDS
and a module with a click command named `command`. It is imported when it is used or listed, so it
has to import torch, av and cv2 inside functions.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from typing import NoReturn

import click

from cli.logs import JsonFormatter, logging_to_stderr, set_format
from cli.options import wants_json
from cli.sentences import sentence_for
from shm_engine import MattingError, __version__
from shm_engine.errors import OptionsError

COMMANDS = {
    "matte": "cli.matte",
    "camera": "cli.camera.command",
    "bench": "cli.bench",
    "doctor": "cli.doctor.command",
    "plugin": "cli.plugin.command",
    "export": "cli.export",
    "licenses": "cli.licenses",
}
DEFAULT_COMMAND = "matte"

DONE, FAILED, WRONG_USAGE, INTERRUPTED = 0, 1, 2, 130

_log = logging.getLogger(__name__)


class DefaultGroup(click.Group):
    """A group that loads its commands when needed and takes DEFAULT_COMMAND where none is named."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(COMMANDS[cmd_name]).command
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        own = {name for parameter in self.get_params(ctx) for name in parameter.opts}
        if not args:
            args = ["--help"]
        elif args[0] not in COMMANDS and args[0] not in own:
            args = [DEFAULT_COMMAND, *args]
        return super().parse_args(ctx, args)

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_usage(ctx.command_path, "[OPTIONS] INPUT -o OUTPUT")
        formatter.write_usage(ctx.command_path, "COMMAND [ARGS]...", " " * len("Usage: "))

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The options of the default command, then the list of commands."""
        default = self.get_command(ctx, DEFAULT_COMMAND)
        assert default is not None
        with click.Context(default, parent=ctx, info_name=DEFAULT_COMMAND) as default_context:
            default.format_options(default_context, formatter)
        self.format_commands(ctx, formatter)


@click.group(cls=DefaultGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(prog)s %(version)s")
def group() -> None:
    """Cut the people out of INPUT, a movie or a still picture, with a soft alpha.

    \b
      shm-matte clip.mp4 -o cutout.mov         ProRes 4444 with alpha
      shm-matte clip.mp4 -o cutout --for nuke  what a program reads best
      shm-matte portrait.jpg -o cutout.png     PNG with alpha
      shm-matte footage -o cutouts             all of a folder, overnight
    """


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line (the process's own, unless given) and exit."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    _clean_up_when_ended()
    with logging_to_stderr():
        if wants_json(given):
            set_format(JsonFormatter())
        try:
            _run(given)
        except (Exception, KeyboardInterrupt) as error:
            with suppress(OSError):  # the terminal has been closed
                _tell(error, given)
            raise SystemExit(_exit_code(error)) from error
    raise SystemExit(DONE)


def _clean_up_when_ended() -> None:
    """A polite kill (of a host) or a closed terminal acts as Ctrl-C does; not if nohup forbids."""
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)


def _run(arguments: list[str]) -> None:
    try:
        with group.make_context("shm-matte", arguments) as context:
            group.invoke(context)
    except click.exceptions.Exit:
        # --help and --version have shown what was asked for.
        pass
    sys.stdout.flush()


def _exit_code(error: BaseException) -> int:
    if isinstance(error, KeyboardInterrupt | click.Abort):
        return INTERRUPTED
    if isinstance(error, OptionsError):
        return WRONG_USAGE
    return error.exit_code if isinstance(error, click.ClickException) else FAILED


def _tell(error: BaseException, arguments: list[str]) -> None:
    """One sentence on stderr; with --verbose a traceback too, of the cause if it was expected."""
    if isinstance(error, BrokenPipeError):
        # The reader has gone. What is still buffered must not fail once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return
    expected = isinstance(error, MattingError | click.ClickException | KeyboardInterrupt)
    trace = error.__cause__ if expected else error
    where: dict[str, str | int | None] = {}
    if isinstance(error, MattingError):
        path = None if error.path is None else str(error.path)
        where = {"path": path, "frame": error.frame_index}
    _log.error(
        _sentence(error, arguments),
        exc_info=trace if _log.isEnabledFor(logging.DEBUG) else None,
        extra=where,
    )


def _sentence(error: BaseException, arguments: list[str]) -> str:
    match error:
        case KeyboardInterrupt() | click.Abort():
            return "interrupted"
        case click.UsageError():
            where = "" if error.ctx is None else error.ctx.command_path
            command = where.removesuffix(f" {DEFAULT_COMMAND}") or "shm-matte"
            hint = f"{_hint_at_file(arguments)}{command} --help shows how it is used"
            return f"{error.format_message()} ({hint})"
        case click.ClickException():
            return error.format_message()
    return sentence_for(error)


def _hint_at_file(arguments: list[str]) -> str:
    """For a file whose name was taken for an option: -dash.mp4."""
    names = (name for name in arguments if name.startswith("-") and os.access(name, os.F_OK))
    return next((f"write ./{name} for a file; " for name in names), "")
