"""Log records on stderr: a sentence a line, or JSON events; knows nothing of what is logged.

By default a user sees the facts that this project states (INFO: the device, an assumed colour
space) and the warnings of libraries. Nothing else reaches stderr: JSON lines stay JSON.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TextIO

from cli.progress import Event, json_line, write_line

_OWN = ("cli", "shm_engine")
_STDERR = 2


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
            # Only the error boundary knows these.
            where = {name: getattr(record, name, None) for name in ("path", "frame")}
            return json_line(Event.ERROR, **fields, **where)
        return json_line(Event.LOG, level=record.levelname.lower(), **fields)


class _StderrHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        write_line(self.format(record))


_handler = _StderrHandler()
# Closing it lets C libraries be heard again.
_silence = ExitStack()


@contextmanager
def logging_to_stderr() -> Iterator[None]:
    """Show records on stderr, and nowhere else, until the end of the block.

    Until then, or until `show_everything`, what C libraries write to descriptor 2 is dropped.
    """
    root = logging.getLogger()
    before = root.handlers, root.level
    root.handlers = [_handler]
    logging.captureWarnings(True)
    set_format(SentenceFormatter())
    show_normally()
    try:
        with _without_libraries():
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
    _silence.close()
    _set_levels(own=logging.DEBUG, others=logging.INFO, python_warnings=logging.WARNING)


def _set_levels(*, own: int, others: int, python_warnings: int) -> None:
    logging.getLogger().setLevel(others)
    logging.getLogger("py.warnings").setLevel(python_warnings)
    for name in _OWN:
        logging.getLogger(name).setLevel(own)


@contextmanager
def _without_libraries() -> Iterator[None]:
    """sys.stderr on a descriptor of its own; 2, where C libraries write, leads nowhere.

    2 is as it was once `_silence` is closed, at the latest at the end of the block.
    """
    shared, own = sys.stderr, _own_stderr()
    if own is None:
        yield
        return
    sys.stderr = own
    _silence.callback(os.dup2, own.fileno(), _STDERR)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, _STDERR)
    os.close(nowhere)
    try:
        yield
    finally:
        _silence.close()
        sys.stderr = shared
        with suppress(OSError):  # what its reader did not wait for
            own.close()


def _own_stderr() -> TextIO | None:
    """A second stream to where stderr goes; None if a test or a host has put another in its place.

    Where stderr is closed it goes nowhere, but takes number 2: it could be the movie's otherwise.
    """
    if sys.stderr is None:
        return Path(os.devnull).open("w", encoding="utf-8")
    try:
        if sys.stderr.fileno() == _STDERR:
            return os.fdopen(os.dup(_STDERR), "w", 1, sys.stderr.encoding, sys.stderr.errors)
    except (OSError, ValueError):
        pass
    return None


@contextmanager
def noting_warnings() -> Iterator[list[str]]:
    """The warnings of this program from here to the end of the block, each once."""
    noted: list[str] = []
    handler = _Notes(noted)
    loggers = [logging.getLogger(name) for name in _OWN]
    for logger in loggers:
        logger.addHandler(handler)
    try:
        yield noted
    finally:
        for logger in loggers:
            logger.removeHandler(handler)


class _Notes(logging.Handler):
    """Keeps the sentences of warnings."""

    def __init__(self, noted: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._noted = noted

    def emit(self, record: logging.LogRecord) -> None:
        if (sentence := record.getMessage()) not in self._noted:
            self._noted.append(sentence)
