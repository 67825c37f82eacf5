"""Batches in which nothing is matted: workers that do what a script says; no test in here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from cli.batch.coordinator import Coordinator
from cli.batch.displays import FilesStatus
from cli.batch.executor import Failed, Finished, Incomplete, Lost, Message, Task
from cli.batch.overview import Overview
from cli.batch.results import Result
from cli.batch.supplies import Supply, WholeFolder
from cli.batch.units import Findings, find_units
from cli.jobs.job import Job
from cli.jobs.record import write_record

Ending = Callable[[Task], Sequence[Message]]


def write_result(job: Job, **more: Any) -> None:
    job.target.parent.mkdir(parents=True, exist_ok=True)
    job.target.write_bytes(b"matte of " + job.source.read_bytes())
    write_record(job, output={"frames": 3, **more}, seconds=1.5)


def finishes(task: Task) -> Sequence[Message]:
    write_result(task.job)
    return [Finished(task=task.number, frames=3, seconds=1.5)]


def warns(task: Task) -> Sequence[Message]:
    write_result(task.job, warnings=["a.mp4 is damaged near frame 2."], figures={"flicker": 7.0})
    return [Finished(task=task.number, frames=3, seconds=1.5)]


def fails(task: Task) -> Sequence[Message]:
    return [Failed(task=task.number, reason=f"{task.job.source} is no movie", trace="Traceback")]


def dies(task: Task) -> Sequence[Message]:
    return [Lost(task=task.number, reason="its worker was ended by SIGKILL")]


def dies_unheard(task: Task) -> Sequence[Message]:
    write_result(task.job)
    return dies(task)


def grows(task: Task) -> Sequence[Message]:
    return [Incomplete(task=task.number, reason="9 bytes of it are still missing")]


class Script:
    """An executor that does with each source what the script says, at its first, second ... try.

    The last that was begun ends first. clock: goes on while nothing happens.
    """

    def __init__(
        self, script: Mapping[str, Sequence[Ending]] | None = None, capacity: int = 2
    ) -> None:
        self.script = {name: list(endings) for name, endings in (script or {}).items()}
        self.capacity = capacity
        self.tasks: list[Task] = []
        self.most_at_once = 0
        self.is_open = False
        self.now = 0.0
        self.at: dict[float, Callable[[], object]] = {}
        self._under_way: list[Task] = []

    @property
    def names(self) -> list[str]:
        return [task.job.source.name for task in self.tasks]

    def submit(self, task: Task) -> None:
        self.tasks.append(task)
        self._under_way.append(task)
        self.most_at_once = max(self.most_at_once, len(self._under_way))

    def wait(self, seconds: float) -> Sequence[Message]:
        if self._under_way:
            task = self._under_way.pop()
            endings = self.script.get(task.job.source.name, [])
            return (endings.pop(0) if endings else finishes)(task)
        self.now += seconds
        for moment in [moment for moment in self.at if moment <= self.now]:
            self.at.pop(moment)()
        return []

    def __enter__(self) -> Self:
        self.is_open = True
        return self

    def __exit__(self, *_: object) -> None:
        self.is_open = False


class Recorder:
    """A display that keeps what it is shown."""

    def __init__(self) -> None:
        self.last: FilesStatus | None = None
        self.events: list[str] = []

    def start(self, status: FilesStatus) -> None:
        self.advance(status)

    def advance(self, status: FilesStatus) -> None:
        self.last = status

    def ended(self, fields: Mapping[str, Any]) -> None:
        self.events.append(f"{fields['name']} {fields['result']}")

    def stop(self, status: FilesStatus) -> None:
        self.advance(status)
        self.events.append("stop")

    def done(self, status: FilesStatus) -> None:  # noqa: ARG002 - a Display's signature
        self.events.append("done")


def make_folder(root: Path, *names: str) -> Path:
    for name in names:
        path = root / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return root / "in"


def wishes_for(folder: Path) -> Job:
    return Job(source=folder, target=folder.parent / "out")


def found(wishes: Job) -> Findings:
    return find_units(wishes.source, wishes.target, wishes.delivery)


def run(
    wishes: Job,
    script: Script | None = None,
    display: Recorder | None = None,
    supply: Supply | None = None,
) -> dict[str, Result]:
    coordinator = Coordinator(
        supply or WholeFolder(lambda: found(wishes)),
        script or Script(),
        Overview(display or Recorder()),
        wishes,
    )
    coordinator.run()
    return {result.name: result for result in coordinator.results}


def outcomes(results: Mapping[str, Result]) -> dict[str, str]:
    return {name: str(result.outcome) for name, result in results.items()}
