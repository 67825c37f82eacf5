"""The door for a terminal: the commands by name and the one error boundary; knows no picture.

Exit codes: 0 done; 1 failed; 2 wrong usage; 130 stopped by Ctrl-C. A command is a row in COMMANDS
and a module with a click command named `command`. It is imported when it is used or listed, so it
has to import torch, av and cv2 inside functions.
"""

from __future__ import annotations

import errno
import logging
import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

import click

from cli.logs import logging_to_stderr
from shm_engine import MattingError, __version__
from shm_engine.errors import OptionsError

COMMANDS = {"matte": "cli.matte", "bench": "cli.bench"}
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
      shm-matte clip.mp4 -o cutout.mov        ProRes 4444 with alpha
      shm-matte portrait.jpg -o cutout.png    PNG with alpha
    """


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line (the process's own, unless given) and exit."""
    # A polite kill cleans up as Ctrl-C does: hosts end a job this way.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with logging_to_stderr():
        try:
            _run(sys.argv[1:] if arguments is None else list(arguments))
        except (Exception, KeyboardInterrupt) as error:
            _tell(error)
            raise SystemExit(_exit_code(error)) from error
    raise SystemExit(DONE)


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


def _tell(error: BaseException) -> None:
    """One sentence on stderr; the traceback too if --verbose was given."""
    if isinstance(error, BrokenPipeError):
        # The reader has gone. What is still buffered must not fail once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return
    expected = isinstance(error, MattingError | click.ClickException | KeyboardInterrupt)
    trace = error if _log.isEnabledFor(logging.DEBUG) and not expected else None
    _log.error(_sentence(error), exc_info=trace)


def _sentence(error: BaseException) -> str:
    match error:
        case KeyboardInterrupt() | click.Abort():
            return "interrupted"
        case click.UsageError():
            return f"{error.format_message()} (shm-matte --help shows how it is used)"
        case click.ClickException():
            return error.format_message()
        case MattingError():
            return str(error)
        case MemoryError():
            return "there is not enough memory; try a smaller --size"
        case OSError(errno=errno.ENOSPC):
            return f"the disk is full{_where(error)}"
        case OSError(strerror=str()):
            return f"{str(error.strerror).lower()}{_where(error)}"
    kind, text = type(error).__name__, str(error).partition("\n")[0].strip()
    return f"unexpected {kind} ({text}); please report it with what --verbose shows"


def _where(error: OSError) -> str:
    return f": {error.filename}" if error.filename else ""
