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
from cli.formats.sequences import is_sequence
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
    def pass_for(self, size: tuple[int, int], pixel_aspect: float) -> Iterator[Pass]:
        """The pass for pictures of a size (height, width), while it is needed."""
        from shm_engine.passes import PASSES, composite_over

        if self.background is None:
            yield PASSES[self.pass_name]
            return
        with self.background.behind(size, pixel_aspect) as behind:
            yield composite_over(behind)


def check_paths(job: Job) -> None:
    """Raise MattingError for what can be known to go wrong from the file system alone."""
    source, target = job.source, job.target
    if not is_sequence(source) and address_of(source) is None:
        _check_source(source)
    behind = None if job.background is None else job.background.file
    for read in (source, job.model, behind):
        if read is not None and read.exists() and target.exists() and target.samefile(read):
            raise MattingError(f"OUTPUT is the same file as {read}, which is read; give another")
    is_begun = job.resumes and journal_folder(target).exists()
    _check_target(target, overwrites=job.overwrites or job.splices or is_begun)
    if job.report is not None and not job.report.parent.is_dir():
        raise MattingError(f"the folder of {job.report} does not exist; create it first")


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
