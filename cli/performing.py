"""A job from beginning to end: a movie or a still picture in, one file out; knows no codec and no
network."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from cli.job import Job, check_paths, is_picture
from cli.memory import allowance
from cli.progress import Display, Progress
from shm_engine.errors import MattingError
from shm_engine.options import MatterOptions

if TYPE_CHECKING:
    from shm_engine.matter import Matter
    from shm_engine.stream import FrameSource, MatteSink
    from shm_engine.types import Frame, Matte

# Formats of still pictures that keep 16 bits and alpha, and those for opaque passes only.
_STILL_SUFFIXES = (".png", ".tif", ".tiff")
_OPAQUE_STILL_SUFFIXES = (".jpg", ".jpeg")

Load = Callable[[Path | None, MatterOptions], "Matter"]


def load_matter(weights: Path | None, options: MatterOptions) -> Matter:
    """A Matter, fresh from its file; what does many jobs passes `perform` one that remembers."""
    from shm_engine import Matter

    return Matter.load(weights, options)


def perform(job: Job, display: Display, load: Load = load_matter) -> int:
    """Do the job, and say how many frames it had.

    MattingError, before any work where possible, if it cannot be done.
    """
    check_paths(job)
    if is_picture(job.source):
        return _matte_picture(job, display, load)
    return _matte_movie(job, display, load)


def _matte_picture(job: Job, display: Display, load: Load) -> int:
    suffix = job.target.suffix.lower()
    if suffix not in _STILL_SUFFIXES + _OPAQUE_STILL_SUFFIXES:
        raise MattingError(f"{job.source} is a still picture; give an OUTPUT that ends in .png")
    if job.needs_alpha and suffix in _OPAQUE_STILL_SUFFIXES:
        raise MattingError(f"{job.target}: {suffix} cannot hold an alpha channel; use .png")
    import torch

    from shm_engine import read_image, write_image
    from shm_engine.compositing import as_unit, from_unit

    frame = read_image(job.source)
    depth = 8 if frame.image.dtype == torch.uint8 else 16
    allowance(job.memory, frame.size[1], frame.size[0], depth)  # refuses what does not fit
    wanted = job.pass_for(frame.size, float(frame.pixel_aspect))
    with Progress(display, 1) as progress:
        matter = load(job.model, job.options)
        for matte in progress.track(matter.mattes([frame])):
            dtype = torch.uint8 if suffix in _OPAQUE_STILL_SUFFIXES else frame.image.dtype
            write_image(job.target, from_unit(as_unit(wanted.picture(matte)), dtype))
    return 1


def _matte_movie(job: Job, display: Display, load: Load) -> int:
    from cli.profiles import profile_for

    if is_picture(job.target):
        raise MattingError(f"{job.source} is taken for a movie; give an OUTPUT that ends in .mov")
    profile = profile_for(job.target, needs_alpha=job.needs_alpha)
    from cli.video import VideoSink, VideoSource

    with (
        VideoSource(job.source, keep_partial=job.keeps_partial) as source,
        Progress(display, source.info.frame_count) as progress,
    ):
        info = source.info
        allowed = allowance(job.memory, info.width, info.height, info.bit_depth)
        size = info.display_height, info.display_width
        wanted = job.pass_for(size, float(info.display_pixel_aspect))
        options = replace(job.options, frames_ahead=allowed.frames_ahead)
        matter = load(job.model, options)
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
