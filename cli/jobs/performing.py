"""A job from beginning to end: a movie or a still picture in, one file out; knows no codec and no
network."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING

from cli.formats.numbering import is_pattern
from cli.formats.profiles import PREMULTIPLIED, STRAIGHT
from cli.formats.sequences import expand, is_sequence
from cli.jobs.identity import identity_of
from cli.jobs.job import Job, check_paths, is_picture
from cli.jobs.movie import Load, matte_movie
from cli.jobs.record import is_finished, write_record
from cli.jobs.reporting import broken_limits
from cli.memory import allowance
from cli.progress import Display, Progress
from shm_engine.errors import MattingError, OptionsError
from shm_engine.options import MatterOptions

if TYPE_CHECKING:
    from shm_engine.matter import Matter

_log = logging.getLogger(__name__)

# Formats of still pictures that keep 16 bits and alpha, and those for opaque passes only.
_STILL_SUFFIXES = (".png", ".tif", ".tiff")
_OPAQUE_STILL_SUFFIXES = (".jpg", ".jpeg")


def load_matter(weights: Path | None, options: MatterOptions) -> Matter:
    """A Matter, fresh from its file; what does many jobs passes `perform` one that remembers."""
    from shm_engine import Matter

    return Matter.load(weights, options)


def perform(job: Job, display: Display, load: Load = load_matter) -> int:
    """Do the job, and say how many frames it had; 0 if it was to go on and was finished.

    MattingError, before any work where possible, if it cannot be done; and after it, if the result
    breaks a limit.
    """
    paths = expand(job.source).paths if is_sequence(job.source) else None
    frames = 0
    if job.resumes and is_finished(job, paths):
        _log.info("%s is finished already", job.target)
        if job.report is not None and not job.report.exists():
            _log.warning("there is no %s: it would have to be made anew", job.report)
    else:
        check_paths(job)
        is_still = is_picture(job.source) and not is_sequence(job.source)
        frames = (_matte_picture if is_still else matte_movie)(job, display, load)
    if (broken := broken_limits(job)) is not None:
        raise MattingError(broken, path=job.target)
    return frames


def _matte_picture(job: Job, display: Display, load: Load) -> int:
    suffix = job.target.suffix.lower()
    started, identity = time.monotonic(), identity_of(job.source)
    if job.report is not None or job.limits:
        raise OptionsError(f"--report and --fail-on are for movies, and {job.source} is a picture")
    if suffix not in _STILL_SUFFIXES + _OPAQUE_STILL_SUFFIXES or is_pattern(job.target):
        raise MattingError(f"{job.source} is a still picture; give an OUTPUT that ends in .png")
    if job.needs_alpha and suffix in _OPAQUE_STILL_SUFFIXES:
        raise MattingError(f"{job.target}: {suffix} cannot hold an alpha channel; use .png")
    import torch

    from shm_engine import read_image, write_image
    from shm_engine.compositing import as_unit, from_unit

    frame = read_image(job.source)
    depth = 8 if frame.image.dtype == torch.uint8 else 16
    allowance(job.memory, frame.size[1], frame.size[0], depth)  # refuses what does not fit
    dtype = torch.uint8 if suffix in _OPAQUE_STILL_SUFFIXES else frame.image.dtype
    if job.background is not None and job.background.movie is not None:
        raise MattingError(f"{job.source} is a still picture; give a --background that is one too")
    pass_for = job.pass_for(frame.size, float(frame.pixel_aspect))
    with pass_for as wanted, Progress(display, 1) as progress:
        matter = load(job.model, job.options)
        for matte in progress.track(matter.mattes([frame])):
            picture = as_unit(wanted.picture(matte))
            if job.needs_alpha and job.delivery.alpha == PREMULTIPLIED:
                picture[:3] *= picture[3:]
            write_image(job.target, from_unit(picture, dtype))
    output = {
        "codec": suffix.removeprefix("."),
        "alpha": (job.delivery.alpha or STRAIGHT) if job.needs_alpha else None,
        "width": frame.size[1],
        "height": frame.size[0],
        "frames": 1,
        "bits": 8 if dtype == torch.uint8 else 16,
    }
    write_record(job, output=output, seconds=time.monotonic() - started, source=identity)
    return 1
