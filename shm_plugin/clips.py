"""Whole movies for a host: `shm-matte` as a child process, its progress, and its end.

Knows no host and no engine: hosts get a copy of this file. Standard library only, Python 3.10 or
newer. All of it may run in a thread of the host.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import finding
from .client import Cancelled
from .finding import EngineNotFound, WorkerError

# How long the program may take to put away what it has done, when it is asked to end.
_ENDING_SECONDS = 20.0

# CREATE_NO_WINDOW, which subprocess names on Windows alone.
_NO_WINDOW = 0x08000000

# In the sentence of the program about an unfinished run of other options.
_BEGIN_ANEW = "without --resume"

# What its sentences propose to people at a terminal.
_FOR_TERMINALS = re.compile(r",? or (?:use|add|give) (?:--|another OUTPUT).*")


@dataclass(frozen=True, kw_only=True)
class ClipRequest:
    """A movie, a picture or numbered pictures (as in/%04d.png), and where its alpha goes as grey.

    target: .mov, .mkv or .png, or numbered .png; its folder exists. What lies there is replaced,
        unless it is just this.
    device, size, smoothing: as the options of `shm-matte`.
    """

    source: Path
    target: Path
    device: str = "auto"
    size: int = 512
    smoothing: str = "light"

    def arguments(self) -> list[str]:
        """The command line, without what says how progress is told."""
        codec = {".mov": ["--codec", "png"], ".mkv": ["--codec", "ffv1"]}
        return [
            *("matte", "--pass", "alpha", "--output", str(self.target)),
            *codec.get(self.target.suffix, []),
            *("--device", self.device, "--size", str(self.size), "--smooth", self.smoothing),
            *("--", str(self.source)),
        ]


@dataclass(frozen=True, kw_only=True)
class ClipProgress:
    """How much is done: `share` in [0, 1], and in words."""

    share: float
    text: str


class ClipRun:
    """The matting of one clip. `cancel` from any thread; what is done until then is kept, and the
    next run of the same request goes on with it.

    engine: as in the preferences of a host, see `finding.find_python`.
    """

    def __init__(self, request: ClipRequest, engine: str = "") -> None:
        self._request = request
        self._engine = engine
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._is_cancelled = False

    def progress(self) -> Generator[ClipProgress]:
        """Does the work, and tells how far it is. Who stops early cancels it.

        A clip that is finished already, by the same options, costs nothing. Raises Cancelled after
        `cancel`, EngineNotFound, else WorkerError with the sentence of the program.
        """
        try:
            yield from self._run("--resume", "--overwrite")
        except _Unfinished:
            yield from self._run("--overwrite")

    def cancel(self) -> None:
        """Asks the program to end; returns at once."""
        with self._lock:
            self._is_cancelled = True
            if self._process is not None:
                _ask_to_end(self._process)

    def _run(self, *how: str) -> Generator[ClipProgress]:
        python = finding.find_python(self._engine)
        process = self._start(python, [*self._request.arguments()[:1], *how])
        error = last = ""
        try:
            assert process.stderr is not None
            for line in process.stderr:
                event = _read(line)
                if event.get("event") == "error":
                    error = str(event.get("message"))
                elif "frame" in event:
                    yield _progress(event)
                elif not event:
                    last = line.decode(errors="replace").strip() or last
            code = process.wait()
        finally:
            _end(process)
        if self._is_cancelled:
            raise Cancelled("Cancelled; what is done is kept for the next time.")
        if _BEGIN_ANEW in error and "--resume" in how:
            raise _Unfinished(error)
        if code != 0:
            raise finding.has_no_engine(python, last) or WorkerError(_why(code, error or last))

    def _start(self, python: Path, beginning: list[str]) -> subprocess.Popen[bytes]:
        # -P: what lies in the current folder is none of the engine's modules.
        command = [str(python), "-P", "-X", "utf8", "-m", "cli.hosted", *beginning]
        command += ["--progress", "json", *self._request.arguments()[1:]]
        with self._lock:
            if self._is_cancelled:
                raise Cancelled("Cancelled before it began.")
            try:
                self._process = subprocess.Popen(
                    command,
                    env=finding.clean_environment(),
                    # Held open: where the host ends, so does the program.
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    start_new_session=True,
                    creationflags=_NO_WINDOW if sys.platform == "win32" else 0,
                )
            except OSError as error:
                raise EngineNotFound(f"{python} cannot be started: {error.strerror}.") from error
            return self._process


class _Unfinished(WorkerError):  # noqa: N818 (not a mistake of the program)
    """An unfinished run of other options is in the way."""


def _ask_to_end(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    with suppress(OSError):
        process.stdin.close()


def _end(process: subprocess.Popen[bytes]) -> None:
    """Waits for the end of the program, first politely."""
    _ask_to_end(process)
    for insist in (process.terminate, process.kill, process.wait):
        try:
            process.wait(_ENDING_SECONDS)
            break
        except subprocess.TimeoutExpired:
            insist()
    assert process.stderr is not None
    process.stderr.close()


def _read(line: bytes) -> dict[str, Any]:
    """A line of the program as an event; {} for what libraries write."""
    with suppress(ValueError):
        event = json.loads(line)
        if isinstance(event, dict):
            return event
    return {}


def _progress(event: dict[str, Any]) -> ClipProgress:
    frame, total, left = event.get("frame") or 0, event.get("total"), event.get("seconds_left")
    text = f"frame {frame}" if total is None else f"frame {frame} of {total}"
    if left is not None:
        text += f", {_as_time(left)} left"
    return ClipProgress(share=min(1.0, frame / total) if total else 0.0, text=text)


def _as_time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def _why(code: int, said: str) -> str:
    if code < 0:
        return (
            "The engine was ended by the system, perhaps for want of memory; try again, what is "
            "done is kept."
        )
    said = _FOR_TERMINALS.sub("", said) or f"the engine ended with code {code}"
    return finding.as_sentence(said)
