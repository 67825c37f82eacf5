"""shm-matte bench CLIP: speed by stage and beside the codec's own, and memory; leaves nothing."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.jobs.pumping import pump
from cli.options import FILE, matter_options, verbosity_options
from cli.progress import Item, Progress, ProgressMode, display_for
from cli.stages import STAGES, milliseconds_by_stage
from shm_engine.errors import MattingError, OptionsError
from shm_engine.options import MatterOptions

if TYPE_CHECKING:
    from collections.abc import Callable

    from shm_engine.matter import Matter
    from shm_engine.types import Frame, Matte

# After so many frames every buffer has been filled once.
_SETTLED_FRAMES = 100

# Stages are timed over fewer frames than the whole.
_STAGE_FRAMES = 24


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


@dataclass(frozen=True, kw_only=True)
class Result:
    """All about one size of the clip; `stages` in milliseconds a frame, by name."""

    width: int
    height: int
    stages: dict[str, float]
    end_to_end: Reading
    codec_alone: Reading

    @property
    def ratio(self) -> float:
        """How many times longer the whole takes than the codec alone."""
        return self.codec_alone.fps / self.end_to_end.fps


@click.command(short_help="Measure speed and memory on a clip.")
@click.argument("clip", type=FILE)
@click.option(
    "--frames",
    type=click.IntRange(1),
    metavar="N",
    help="Use N frames; a shorter clip is played again and again.",
)
@click.option(
    "--heights", metavar="H,H...", help="Scale the clip to these heights, one after the other."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of tables.")
@click.option("--plot", type=FILE, metavar="PNG", help="Draw the stages as bars.")
@matter_options
@verbosity_options
def command(  # noqa: PLR0913 - a parameter an option
    clip: Path,
    frames: int | None,
    heights: str | None,
    as_json: bool,
    plot: Path | None,
    options: MatterOptions,
    model: Path | None,
) -> None:
    """Matte CLIP into a temporary file, stage by stage and as a whole, then copy it with the codec
    alone, in one run.

    The last number is the ceiling: what decoding and encoding (with an opaque alpha) allow if
    matting took no time.
    """
    wanted = _heights(heights)
    if plot is not None:
        _matplotlib()  # before the long part
    from shm_engine import Matter

    matter = Matter.load(model, options)
    results = []
    for height in wanted:
        with _scaled(clip, height, frames) as scaled:
            results.append(measure_all(scaled, matter, frames))
    about = {"matter": matter.description, "cores": os.cpu_count()}
    if plot is not None:
        draw_stages(plot, results, matter.description)
    if as_json:
        sizes = [asdict(result) | {"ratio": result.ratio} for result in results]
        click.echo(json.dumps({**about, "sizes": sizes}))
    else:
        click.echo(f"{matter.description}, {os.cpu_count()} cores\n\n{table(results)}")


def _heights(given: str | None) -> list[int | None]:
    if given is None:
        return [None]
    try:
        heights = [int(text) for text in given.split(",")]
    except ValueError:
        heights = [0]
    if min(heights) < 16:
        raise OptionsError(f"--heights is {given!r}; give numbers from 16 on, such as 540,1080")
    return list(heights)


@contextmanager
def _scaled(clip: Path, height: int | None, frames: int | None) -> Iterator[Path]:
    """The clip itself where it will do, or a copy of another size or length."""
    from cli.video import VideoSource, copy_clip

    with VideoSource(clip) as source:
        count = source.info.frame_count
    is_long_enough = frames is None or (count is not None and count >= frames)
    if height is None and is_long_enough:
        yield clip
        return
    with tempfile.TemporaryDirectory(prefix="shm-bench-") as folder:
        copy = Path(folder) / "clip.mp4"
        copy_clip(clip, copy, height, frames)
        yield copy


def measure_all(clip: Path, matter: Matter, frame_limit: int | None) -> Result:
    """Every figure of one clip."""
    from cli.formats.delivery import Delivery
    from cli.video import VideoSink, VideoSource
    from shm_engine.passes import PASSES

    with tempfile.TemporaryDirectory(prefix="shm-bench-") as folder, VideoSource(clip) as source:
        target = Path(folder) / "bench.mov"
        profile = Delivery().profile_for(target, needs_alpha=True)
        stages = milliseconds_by_stage(
            source,
            matter,
            lambda: VideoSink(target, source.info, profile, output_pass=PASSES["rgba"]),
            min(_STAGE_FRAMES, frame_limit or _STAGE_FRAMES),
        )
        width, height = source.info.display_width, source.info.display_height
    return Result(
        width=width,
        height=height,
        stages=stages,
        end_to_end=measure(clip, matter.mattes, frame_limit),
        codec_alone=measure(clip, _opaque, frame_limit),
    )


def measure(
    clip: Path, matte: Callable[[Iterator[Frame]], Iterator[Matte]], frame_limit: int | None
) -> Reading:
    """Decode, matte and encode the clip once, as the matte command does."""
    from cli.formats.delivery import Delivery
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
            profile = Delivery().profile_for(target, needs_alpha=True)
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
    with contextlib.suppress(OSError):
        # getrusage counts what the parent had when it started this process.
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def _opaque(frames: Iterator[Frame]) -> Iterator[Matte]:
    import torch

    from shm_engine.types import Matte

    for frame in frames:
        yield Matte(frame=frame, alpha=torch.ones(1, *frame.size))


def table(results: Sequence[Result]) -> str:
    """Markdown: milliseconds by stage, then speed and memory, a line for every size."""
    head = ["size", *STAGES, "frames/s", "codec alone", "ratio", "peak MiB", "after 100 frames"]
    lines = [head, ["---"] * len(head)]
    for result in results:
        whole = result.end_to_end
        settled = "–" if whole.settled_mib is None else f"{whole.settled_mib:.0f}"
        lines.append(
            [
                f"{result.width} x {result.height}",
                *(f"{result.stages[name]:.1f}" for name in STAGES),
                f"{whole.fps:.2f}",
                f"{result.codec_alone.fps:.2f}",
                f"{result.ratio:.2f}",
                f"{whole.peak_mib:.0f}",
                settled,
            ]
        )
    rows = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    frames = results[0].end_to_end.frames
    return f"Stages in milliseconds a frame, each alone; the whole over {frames} frames.\n\n{rows}"


def _matplotlib() -> None:
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise MattingError(
            "--plot needs matplotlib; pip install semantic-human-matting[bench]"
        ) from error
    mpl.use("Agg")


def draw_stages(path: Path, results: Sequence[Result], title: str) -> None:
    """A stacked bar for every size, the stages one on the other; MattingError if not writable."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    names = [f"{result.width} x {result.height}" for result in results]
    bottoms = [0.0] * len(results)
    for stage in STAGES:
        heights = [result.stages[stage] for result in results]
        axes.bar(names, heights, bottom=bottoms, label=stage)
        bottoms = [below + height for below, height in zip(bottoms, heights, strict=True)]
    axes.set_ylabel("milliseconds a frame, each stage alone")
    axes.set_title(title, fontsize=8)
    axes.legend(fontsize=8)
    try:
        figure.savefig(path, format="png")
    except OSError as error:
        raise MattingError(f"{path} cannot be written: {error.strerror}", path=path) from error
