"""shm-matte bench CLIP: speed beside the codec's own, and memory; writes nothing that stays."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.matte import pump
from cli.options import FILE, matter_options, verbosity_options
from cli.progress import Item, Progress, ProgressMode, display_for
from shm_engine.options import MatterOptions

if TYPE_CHECKING:
    from collections.abc import Callable

    from shm_engine.types import Frame, Matte

# After so many frames every buffer has been filled once.
_SETTLED_FRAMES = 100


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One run over a clip.

    fps: frames / wall time from the first decoded byte to the completed file, without loading.
    settled_mib, peak_mib: the process's peak memory after _SETTLED_FRAMES frames (None if the clip
        is shorter) and at the end.
    """

    frames: int
    fps: float
    settled_mib: float | None
    peak_mib: float


@click.command(short_help="Measure speed and memory on a clip.")
@click.argument("clip", type=FILE)
@click.option("--frames", type=click.IntRange(1), metavar="N", help="Stop after N frames.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")
@matter_options
@verbosity_options
def command(
    clip: Path, frames: int | None, as_json: bool, device: str, size: int, model: Path | None
) -> None:
    """Matte CLIP into a temporary file, then copy it with the codec alone, in one run.

    The second number is the ceiling: what decoding (to RGB) and encoding (with an opaque alpha)
    allow if matting took no time.
    """
    from shm_engine import Matter

    options = MatterOptions(device=device, long_side_pixels=size)
    matter = Matter.load(model, options)
    whole = measure(clip, matter.mattes, frames)
    codec = measure(clip, _opaque, frames)
    show = _as_json if as_json else _as_table
    click.echo(show(matter.description, whole, codec))


def measure(
    clip: Path, matte: Callable[[Iterator[Frame]], Iterator[Matte]], frame_limit: int | None
) -> Reading:
    """Decode, matte and encode the clip once, as the matte command does."""
    from cli.profiles import profile_for
    from cli.video import VideoSink, VideoSource
    from shm_engine.passes import PASSES

    settled: list[float] = []

    def limited(frames: Iterator[Frame]) -> Iterator[Matte]:
        return matte(islice(frames, frame_limit))

    with tempfile.TemporaryDirectory(prefix="shm-bench-") as folder, VideoSource(clip) as source:
        target = Path(folder) / "bench.mov"
        total = min(filter(None, (source.info.frame_count, frame_limit)), default=None)
        with Progress(display_for(ProgressMode.AUTO), total) as progress:
            started = time.perf_counter()
            profile = profile_for(target, needs_alpha=True)
            with VideoSink(target, source.info, profile, output_pass=PASSES["rgba"]) as sink:
                pump(source, limited, lambda mattes: _noting(settled, progress.track(mattes)), sink)
            seconds = time.perf_counter() - started
    count = progress.status.frame
    return Reading(
        frames=count,
        fps=count / seconds,
        settled_mib=settled[0] if settled else None,
        peak_mib=peak_memory_mib(),
    )


def _noting(settled: list[float], items: Iterator[Item]) -> Iterator[Item]:
    """The same items; notes the peak memory once, after _SETTLED_FRAMES of them."""
    for number, item in enumerate(items):
        if number == _SETTLED_FRAMES:
            settled.append(peak_memory_mib())
        yield item


def peak_memory_mib() -> float:
    """The most memory this process has had in RAM so far."""
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def _opaque(frames: Iterator[Frame]) -> Iterator[Matte]:
    import torch

    from shm_engine.types import Matte

    for frame in frames:
        yield Matte(frame=frame, alpha=torch.ones(1, *frame.size))


def _as_json(description: str, whole: Reading, codec: Reading) -> str:
    return json.dumps(
        {"matter": description, "end_to_end": asdict(whole), "codec_alone": asdict(codec)}
    )


def _as_table(description: str, whole: Reading, codec: Reading) -> str:
    lines = [
        f"{whole.frames} frames, {description}",
        f"end to end   {whole.fps:8.2f} frames/s",
        f"codec alone  {codec.fps:8.2f} frames/s",
        f"peak memory  {whole.peak_mib:8.0f} MiB at the end",
    ]
    if whole.settled_mib is not None:
        ratio = whole.peak_mib / whole.settled_mib
        lines[-1] += f", {whole.settled_mib:.0f} MiB after {_SETTLED_FRAMES} frames: {ratio:.3f}"
    return "\n".join(lines)
