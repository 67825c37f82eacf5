"""What is to be done with one movie or picture, and whether that can work at all; does nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from cli.formats.addresses import address_of
from cli.formats.delivery import Delivery
from cli.formats.numbering import is_pattern, numbered_files
from cli.formats.sequences import expand, is_sequence
from cli.jobs.background import Background
from cli.jobs.time_range import TimeRange
from cli.journal import journal_folder
from cli.report.limits import Limit
from shm_engine.errors import MattingError, OptionsError
from shm_engine.options import MatterOptions

if TYPE_CHECKING:
    from shm_engine.passes import Pass


@dataclass(frozen=True, kw_only=True)
class Job:
    """One input, one output, and all wishes; OptionsError where they contradict one another.

    memory: the most main memory to take, in bytes; None sets no ceiling.
    keeps_partial: whether an input that breaks off is matted up to there.
    resumes: whether an unfinished run beside the output is gone on with.
    checks_disk: whether to refuse what a disk will probably not hold.
    time_range: the part of a movie that is wanted; None is all of it.
    splices: whether that part takes its place in an output that is there.
    allows_url: whether the source may be an address of the network.
    frame_rate: of numbered pictures, which do not say it.
    report: where a page about the matte is written, or None.
    limits: what the matte must not be.
    """

    source: Path
    target: Path
    pass_name: str = "rgba"
    background: Background | None = None
    model: Path | None = None
    options: MatterOptions = field(default_factory=MatterOptions)
    delivery: Delivery = field(default_factory=Delivery)
    memory: int | None = None
    overwrites: bool = False
    keeps_partial: bool = False
    resumes: bool = False
    checks_disk: bool = True
    time_range: TimeRange | None = None
    splices: bool = False
    allows_url: bool = False
    frame_rate: Fraction = Fraction(25)
    report: Path | None = None
    limits: tuple[Limit, ...] = ()

    def __post_init__(self) -> None:
        if self.pass_name == "composite" and self.background is None:
            raise OptionsError(
                "--pass composite needs --background, say green, or a picture or movie file"
            )
        if self.pass_name != "composite" and self.background is not None:
            raise OptionsError(
                f"--background has no meaning with --pass {self.pass_name}; use --pass composite"
            )

        if self.splices and self.time_range is None:
            raise OptionsError("--splice needs --range, the part that is made anew")

    @property
    def needs_alpha(self) -> bool:
        """Whether the output has to hold an alpha channel."""
        return self.pass_name == "rgba"

    @contextmanager
    def pass_for(
        self, size: tuple[int, int], pixel_aspect: float, start_seconds: Fraction | None = None
    ) -> Iterator[Pass]:
        """The pass for pictures of a size (height, width), while it is needed.

        start_seconds: when the movie begins; None if only a part of it is shown.
        """
        from shm_engine.passes import PASSES, composite_over

        if self.background is None:
            yield PASSES[self.pass_name]
            return
        with self.background.behind(size, pixel_aspect, start_seconds) as behind:
            yield composite_over(behind)


def check_paths(job: Job) -> None:
    """Raise MattingError for what can be known to go wrong from the file system alone."""
    source, target = job.source, job.target
    if not is_sequence(source) and address_of(source) is None:
        _check_source(source)
    if job.model is not None and not job.model.is_file():
        raise MattingError(f"the weights {job.model} do not exist; check the name", path=job.model)
    reads = _read_by(job)
    for written in (target, *numbered_files(target).values()):
        if _identity(written) in reads:
            raise MattingError(f"OUTPUT is the same file as {written}, which is read; give another")
    _check_report(job, reads)
    # A part is made in one go, and never goes on with anything.
    is_begun = job.resumes and job.time_range is None and journal_folder(target).exists()
    _check_target(target, overwrites=job.overwrites or job.splices or is_begun)


def _identity(path: Path) -> tuple[int, int] | None:
    """The same for all names of one file; None if there is none."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_dev, stat.st_ino


def _read_by(job: Job) -> set[tuple[int, int]]:
    """The identities of all files that the job reads."""
    behind = None if job.background is None else job.background.file
    sources = expand(job.source).paths if is_sequence(job.source) else (job.source,)
    found = (_identity(path) for path in (*sources, job.model, behind) if path is not None)
    return {identity for identity in found if identity is not None}


def _check_report(job: Job, reads: set[tuple[int, int]]) -> None:
    report = job.report
    if report is None:
        return
    if report.suffix.lower() not in (".html", ".htm") or report.is_dir():
        raise MattingError(f"{report} is no name for a page; give one that ends in .html")
    if not report.parent.is_dir():
        raise MattingError(f"the folder of {report} does not exist; create it first", path=report)
    if report.resolve() == job.target.resolve() or _identity(report) in reads:
        raise MattingError(f"{report} is read or written already; give the page another name")


def _check_source(source: Path) -> None:
    if str(source) != "-" and not source.exists():
        raise MattingError(f"{source} does not exist; check its name and folder", path=source)
    if source.is_dir():
        raise MattingError(f"{source} is a folder; give one movie or picture", path=source)
    if not source.is_file():
        raise MattingError(f"{source} is a pipe or a device; save it as a file first", path=source)


def _check_target(target: Path, *, overwrites: bool) -> None:
    folder = target.parent
    if target.is_dir():
        raise MattingError(f"{target} is a folder; give a file name in it", path=target)
    if is_pattern(target) and not folder.exists():
        folder = folder.parent  # a folder for the pictures is made
    if not folder.is_dir():
        problem = "is no folder" if folder.exists() else "does not exist; create it first"
        raise MattingError(f"{target} cannot be written: {folder} {problem}", path=target)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise MattingError(f"the folder {folder} cannot be written to; use another", path=target)
    is_there = target.exists()
    if is_pattern(target) and not journal_folder(target).exists():
        is_there = bool(numbered_files(target))
    if is_there and not overwrites:
        raise MattingError(f"{target} exists already; --overwrite replaces it", path=target)


def is_picture(path: Path) -> bool:
    """Whether the name is that of a still picture; everything else is taken for a movie."""
    from shm_engine.images import PICTURE_SUFFIXES

    return path.suffix.lower() in PICTURE_SUFFIXES
