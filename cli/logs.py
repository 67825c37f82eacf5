"""Log records on stderr: a sentence a line, or JSON events; knows nothing of what is logged.

By default a user sees the facts that this project states (INFO: the device, an assumed colour
space) and the warnings of libraries. Nothing else writes to stderr: JSON lines stay JSON.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from cli.progress import Event, json_line, write_line

_OWN = ("cli", "shm_engine")


class SentenceFormatter(logging.Formatter):
    """For people."""

    def __init__(self) -> None:
        super().__init__("shm-matte: %(prefix)s%(message)s")

    def format(self, record: logging.LogRecord) -> str:
        record.prefix = "warning: " if record.levelno == logging.WARNING else ""
        return super().format(record)


class JsonFormatter(logging.Formatter):
    """For programs: the event error for errors, log for the rest."""

    def format(self, record: logging.LogRecord) -> str:
        fields = {"message": record.getMessage()}
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        if record.levelno >= logging.ERROR:
            return json_line(Event.ERROR, **fields)
        return json_line(Event.LOG, level=record.levelname.lower(), **fields)


class _StderrHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        write_line(self.format(record))


_handler = _StderrHandler()


@contextmanager
def logging_to_stderr() -> Iterator[None]:
    """Show records on stderr, and nowhere else, until the end of the block."""
    root = logging.getLogger()
    before = root.handlers, root.level
    root.handlers = [_handler]
    logging.captureWarnings(True)
    set_format(SentenceFormatter())
    show_normally()
    try:
        yield
    finally:
        logging.captureWarnings(False)
        root.handlers, root.level = before


def set_format(formatter: logging.Formatter) -> None:
    """How records look from now on."""
    _handler.setFormatter(formatter)


def show_normally() -> None:
    """Facts of this project, warnings of libraries, no warnings meant for developers."""
    _set_levels(own=logging.INFO, others=logging.WARNING, python_warnings=logging.ERROR)


def show_errors() -> None:
    """Nothing but errors."""
    _set_levels(own=logging.ERROR, others=logging.ERROR, python_warnings=logging.ERROR)


def show_everything() -> None:
    """Details of this project, facts of libraries, warnings meant for developers, tracebacks."""
    _set_levels(own=logging.DEBUG, others=logging.INFO, python_warnings=logging.WARNING)


def _set_levels(*, own: int, others: int, python_warnings: int) -> None:
    logging.getLogger().setLevel(others)
    logging.getLogger("py.warnings").setLevel(python_warnings)
    for name in _OWN:
        logging.getLogger(name).setLevel(own)
