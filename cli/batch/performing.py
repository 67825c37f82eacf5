"""A folder from beginning to end: every movie and picture in it, and a summary of all; knows no
codec and no network."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click

from cli.batch.coordinator import Coordinator
from cli.batch.displays import FilesDisplay
from cli.batch.executor import Executor
from cli.batch.overview import Overview
from cli.batch.processes import LocalProcesses
from cli.batch.results import Outcome, Result, table, write_summary
from cli.batch.supplies import Supply, WatchedFolder, WholeFolder
from cli.batch.units import MOVIE_SUFFIXES, PICTURE_SUFFIXES, find_units
from cli.jobs.job import Job
from shm_engine.errors import MattingError, OptionsError

_log = logging.getLogger(__name__)

_RAY = "ray"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How a folder is worked through.

    jobs: how many files at once; None is one here, and one for each machine of a cluster.
    watches: whether to go on, until Ctrl-C, with files as they arrive.
    cluster: "ray" for the Ray of this machine, which is started where there is none, or
        "ray://HOST:PORT" for one elsewhere; None does all here.
    """

    jobs: int | None = None
    watches: bool = False
    cluster: str | None = None

    def __post_init__(self) -> None:
        if self.jobs is not None and self.jobs < 1:
            raise OptionsError(f"--jobs is {self.jobs}; use 1 or more")
        if self.cluster not in (None, _RAY) and not str(self.cluster).startswith(f"{_RAY}://"):
            raise OptionsError(f"--cluster is {self.cluster!r}; use ray or ray://HOST:PORT")


def perform_folder(job: Job, plan: Plan, display: FilesDisplay) -> None:
    """Matte every movie and picture below the folder job.source into the folder job.target.

    Prints a table of all, and writes it to the target as JSON, also after Ctrl-C. MattingError at
    the end if a file failed.
    """
    source, target = job.source, job.target
    _check_folders(source, target)
    find = partial(find_units, source, target, job.delivery)
    supply: Supply = WatchedFolder(find) if plan.watches else WholeFolder(find)
    coordinator = Coordinator(supply, _executor(plan, job), Overview(display), job)
    started = time.monotonic()
    try:
        coordinator.run()
    finally:
        results = coordinator.results
        if results:
            click.echo(table(results))
            summary = write_summary(target, results, time.monotonic() - started)
            _log.info("the same, for programs, is in %s", summary)
    _judge(source, results)


def _check_folders(source: Path, target: Path) -> None:
    if target.exists() and not target.is_dir():
        raise MattingError(f"{target} is a file; give a folder for the results", path=target)
    if target.suffix.lower() in MOVIE_SUFFIXES | PICTURE_SUFFIXES and not target.exists():
        raise OptionsError(f"{source} is a folder, and {target} the name of a file; give a folder")
    if target.exists() and target.samefile(source):
        raise MattingError(f"OUTPUT is the folder {source} itself; give another", path=target)
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise MattingError(f"{target} cannot be created: {reason}", path=target) from error


def _executor(plan: Plan, job: Job) -> Executor:
    if plan.cluster is None:
        return LocalProcesses(plan.jobs or 1)
    from cli.batch.ray_cluster import RayCluster

    address = None if plan.cluster == _RAY else plan.cluster
    return RayCluster(address, plan.jobs, job.options.device)


def _judge(source: Path, results: Sequence[Result]) -> None:
    if not results:
        raise MattingError(f"there is no movie and no picture in {source}", path=source)
    failed = sum(result.outcome is Outcome.FAILED for result in results)
    if failed:
        files = "1 file" if len(results) == 1 else f"{len(results)} files"
        raise MattingError(f"{failed} of {files} failed; the table says why")
