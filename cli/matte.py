"""shm-matte INPUT -o OUTPUT: one movie or one still picture; knows no codec and no network."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.background import Background
from cli.memory import allowance
from cli.options import (
    FILE,
    PASS_NAMES,
    matter_options,
    memory_option,
    progress_option,
    verbosity_options,
)
from cli.progress import Progress, ProgressMode, display_for
from shm_engine.errors import MattingError, OptionsError
from shm_engine.options import MatterOptions

if TYPE_CHECKING:
    from shm_engine.passes import Pass
    from shm_engine.stream import FrameSource, MatteSink
    from shm_engine.types import Frame, Matte

_log = logging.getLogger(__name__)

# Formats of still pictures that keep 16 bits and alpha, and those for opaque passes only.
_STILL_SUFFIXES = (".png", ".tif", ".tiff")
_OPAQUE_STILL_SUFFIXES = (".jpg", ".jpeg")


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is to be done; OptionsError where the wishes contradict one another."""

    source: Path
    target: Path
    pass_name: str
    background: Background | None
    model: Path | None
    options: MatterOptions
    memory: int | None
    progress: ProgressMode
    overwrites: bool
    keeps_partial: bool

    def __post_init__(self) -> None:
        if self.pass_name == "composite" and self.background is None:
            raise OptionsError("--pass composite needs --background, say green or a picture file")
        if self.pass_name != "composite" and self.background is not None:
            raise OptionsError(
                f"--background has no meaning with --pass {self.pass_name}; use --pass composite"
            )

    @property
    def needs_alpha(self) -> bool:
        """Whether the output has to hold an alpha channel."""
        return self.pass_name == "rgba"

    def pass_for(self, size: tuple[int, int], pixel_aspect: float) -> Pass:
        """The pass for pictures of a size (height, width)."""
        from shm_engine.passes import PASSES, composite_over

        if self.background is None:
            return PASSES[self.pass_name]
        return composite_over(self.background.image(size, pixel_aspect))


@click.command(short_help="Cut people out of a movie or a picture (the default command).")
@click.argument("source", metavar="INPUT", type=FILE)
@click.option(
    "-o",
    "--output",
    "target",
    metavar="OUTPUT",
    required=True,
    type=FILE,
    help="The file to write: .mov for a movie, .png for a picture.",
)
@click.option(
    "--pass",
    "pass_name",
    default=PASS_NAMES[0],
    show_default=True,
    type=click.Choice(PASS_NAMES),
    help="What to write: the cut-out with alpha, the alpha alone as grey, the colours alone, the "
    "three-way map, or people over a new --background.",
)
@click.option(
    "--background",
    metavar="COLOUR|PICTURE",
    help="For --pass composite: #rrggbb, a name such as green, or a picture, scaled to fill.",
)
@matter_options
@memory_option
@progress_option
@click.option("-y", "--overwrite", "overwrites", is_flag=True, help="Replace an existing OUTPUT.")
@click.option(
    "--keep-partial",
    "keeps_partial",
    is_flag=True,
    help="If INPUT breaks off, keep the frames before that instead of failing.",
)
@verbosity_options
def command(  # noqa: PLR0913 - a parameter an option
    source: Path,
    target: Path,
    pass_name: str,
    background: str | None,
    options: MatterOptions,
    model: Path | None,
    memory: int | None,
    progress: ProgressMode,
    overwrites: bool,
    keeps_partial: bool,
) -> None:
    """Cut the people out of INPUT, a movie or a still picture."""
    run(
        Job(
            source=source,
            # A link stays a link: what it points to is written.
            target=Path(os.path.realpath(target)) if target.is_symlink() else target,
            pass_name=pass_name,
            background=None if background is None else Background.parse(background),
            model=model,
            options=options,
            memory=memory,
            progress=progress,
            overwrites=overwrites,
            keeps_partial=keeps_partial,
        )
    )


def run(job: Job) -> None:
    """Do the job; MattingError, before any work where possible, if it cannot be done."""
    check_paths(job)
    started = time.monotonic()
    frames = _matte_picture(job) if is_picture(job.source) else _matte_movie(job)
    seconds = time.monotonic() - started
    counted = "1 frame" if frames == 1 else f"{frames} frames"
    _log.info("wrote %s: %s in %.1f s", job.target, counted, seconds)


def check_paths(job: Job) -> None:
    """Raise MattingError for what can be known to go wrong from the file system alone."""
    source, target = job.source, job.target
    if str(source) != "-" and not source.exists():
        raise MattingError(f"{source} does not exist; check its name and folder", path=source)
    if source.is_dir():
        raise MattingError(f"{source} is a folder; give one movie or picture", path=source)
    if not source.is_file():
        raise MattingError(f"{source} is a pipe or a device; save it as a file first", path=source)
    behind = None if job.background is None else job.background.picture
    for read in (source, job.model, behind):
        if read is not None and read.exists() and target.exists() and target.samefile(read):
            raise MattingError(f"OUTPUT is the same file as {read}, which is read; give another")
    _check_target(target, job.overwrites)


def _check_target(target: Path, overwrites: bool) -> None:
    folder = target.parent
    if target.is_dir():
        raise MattingError(f"{target} is a folder; give a file name in it", path=target)
    if not folder.is_dir():
        problem = "is no folder" if folder.exists() else "does not exist; create it first"
        raise MattingError(f"{target} cannot be written: {folder} {problem}", path=target)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise MattingError(f"the folder {folder} cannot be written to; use another", path=target)
    if target.exists() and not overwrites:
        raise MattingError(f"{target} exists already; --overwrite replaces it", path=target)


def is_picture(path: Path) -> bool:
    """Whether the name is that of a still picture; everything else is taken for a movie."""
    from shm_engine.images import PICTURE_SUFFIXES

    return path.suffix.lower() in PICTURE_SUFFIXES


def _matte_picture(job: Job) -> int:
    suffix = job.target.suffix.lower()
    if suffix not in _STILL_SUFFIXES + _OPAQUE_STILL_SUFFIXES:
        raise MattingError(f"{job.source} is a still picture; give an OUTPUT that ends in .png")
    if job.needs_alpha and suffix in _OPAQUE_STILL_SUFFIXES:
        raise MattingError(f"{job.target}: {suffix} cannot hold an alpha channel; use .png")
    import torch

    from shm_engine import Matter, read_image, write_image
    from shm_engine.compositing import as_unit, from_unit

    frame = read_image(job.source)
    depth = 8 if frame.image.dtype == torch.uint8 else 16
    allowance(job.memory, frame.size[1], frame.size[0], depth)  # refuses what does not fit
    wanted = job.pass_for(frame.size, float(frame.pixel_aspect))
    with Progress(display_for(job.progress), 1) as progress:
        matter = Matter.load(job.model, job.options)
        for matte in progress.track(matter.mattes([frame])):
            dtype = torch.uint8 if suffix in _OPAQUE_STILL_SUFFIXES else frame.image.dtype
            write_image(job.target, from_unit(as_unit(wanted.picture(matte)), dtype))
    return 1


def _matte_movie(job: Job) -> int:
    from cli.profiles import profile_for

    if is_picture(job.target):
        raise MattingError(f"{job.source} is taken for a movie; give an OUTPUT that ends in .mov")
    profile = profile_for(job.target, needs_alpha=job.needs_alpha)
    from cli.video import VideoSink, VideoSource
    from shm_engine import Matter

    with (
        VideoSource(job.source, keep_partial=job.keeps_partial) as source,
        Progress(display_for(job.progress), source.info.frame_count) as progress,
    ):
        info = source.info
        allowed = allowance(job.memory, info.width, info.height, info.bit_depth)
        size = info.display_height, info.display_width
        wanted = job.pass_for(size, float(info.display_pixel_aspect))
        options = replace(job.options, frames_ahead=allowed.frames_ahead)
        matter = Matter.load(job.model, options)
        with VideoSink(
            job.target,
            info,
            profile,
            output_pass=wanted,
            audio_from=job.source if info.has_audio else None,
            threads=allowed.encoder_threads,
        ) as sink:
            pump(source, matter.mattes, progress.track, sink, allowed.frames_ahead)
    return progress.status.frame


def pump(
    source: FrameSource,
    matte: Callable[[Iterator[Frame]], Iterator[Matte]],
    watch: Callable[[Iterator[Matte]], Iterator[Matte]],
    sink: MatteSink,
    frames_ahead: int = MatterOptions.frames_ahead,
) -> None:
    """Frames from the source through `matte` and `watch` into the sink; the three overlap in time,
    unless frames_ahead is 0.

    All threads have ended when this returns or raises: the source and the sink may be closed.
    """
    from shm_engine.stream import prefetch

    frames = prefetch(iter(source), frames_ahead)
    mattes = prefetch(matte(frames), frames_ahead)
    with _a_core_for_the_codec(), closing(frames), closing(mattes):
        for done in watch(mattes):
            sink.write(done)


@contextmanager
def _a_core_for_the_codec() -> Iterator[None]:
    """The network leaves one core to decoding and encoding.

    Its threads wait for one another after every layer, so that one that shares its core with the
    codec holds up all: PyTorch with two threads on two cores took an eighth longer than with one.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(max(1, min(before, (os.cpu_count() or 1) - 1)))
    try:
        yield
    finally:
        torch.set_num_threads(before)
