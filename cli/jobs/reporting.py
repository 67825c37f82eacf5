"""The report of a job, if one is wanted: watches the mattes, writes the page, holds the limits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from cli.jobs.job import Job
from cli.jobs.record import read_record, settings_of, versions
from shm_engine.errors import MattingError

if TYPE_CHECKING:
    from cli.video import VideoInfo
    from shm_engine.types import Matte


class Reporter:
    """What --report and --fail-on do; nothing if neither was given.

    state: what an earlier run had seen, if this one goes on with it after `done` frames.
    """

    def __init__(self, job: Job, info: VideoInfo, state: bytes | None, done: int) -> None:
        self._job, self._info = job, info
        self._recorder = None
        if job.report is not None or job.limits:
            from cli.report.measures import Recorder

            if done and state is None:
                raise MattingError(
                    "the unfinished run was not measured; go on without --report and --fail-on, "
                    "or begin anew with --overwrite"
                )

            self._recorder = Recorder(state)

    def watch(self, mattes: Iterator[Matte]) -> Iterator[Matte]:
        """The same mattes."""
        return mattes if self._recorder is None else self._recorder.watch(mattes)

    def states(self) -> Mapping[str, bytes]:
        """What has to be kept for a later run."""
        return {} if self._recorder is None else {"report": self._recorder.state()}

    def figures(self) -> dict[str, float]:
        """What was measured, for the record; empty if nothing was."""
        return {} if self._recorder is None else self._recorder.findings().summary()

    def write(self, matter: str, output: Mapping[str, Any], seconds: float) -> None:
        """Write the page, if one is wanted."""
        if self._recorder is not None and self._job.report is not None:
            from cli.report.page import write_page

            about = self._about(matter, output, seconds)
            write_page(self._job.report, self._recorder.findings(), about)

    def _about(self, matter: str, output: Mapping[str, Any], seconds: float) -> Any:
        from cli.report.about import About

        info, job = self._info, self._job
        frames = int(output["frames"])
        settings = _flat(settings_of(job))
        timing = {
            "frames": str(frames),
            "time": f"{seconds:.1f} s",
            "speed": f"{frames / seconds:.2f} frames a second",
        }
        return About(
            source=job.source.name,
            facts=(
                f"{info.display_width} × {info.display_height}",
                f"{float(info.frame_rate):.5g} frames a second",
                f"{info.bit_depth} bits",
            ),
            tables={
                "Output": {"file": job.target.name, **_flat(output)},
                "Engine": {"matter": matter, **timing},
                "Settings": settings,
                "Versions": versions(),
            },
            limits=job.limits,
            frame_rate=info.frame_rate,
            first_timecode=info.timecode or "00:00:00:00",
        )


def broken_limits(job: Job) -> str | None:
    """What the output, whose record is there, breaks of the job's limits; None if it keeps them."""
    record = read_record(job.target)
    figures = {} if record is None else record.output.get("figures") or {}
    broken = [found for limit in job.limits if figures and (found := limit.broken_by(figures))]
    if not broken:
        return None
    return f"{job.target} was written, but {'; '.join(broken)}; --report shows where to look"


def _flat(values: Mapping[str, Any], before: str = "") -> dict[str, str]:
    """Names and values in words, without those that say nothing."""
    made: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            made |= _flat(value, f"{before}{name} ")
        elif value is not None:
            made[before + name.replace("_", " ")] = str(value)
    return made
