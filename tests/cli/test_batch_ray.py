"""The same batches on Ray: shares of a cluster, and a worker that is killed at its work."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from cli.batch.coordinator import Coordinator
from cli.batch.displays import FilesSilence
from cli.batch.executor import ENDS, Finished, Message
from cli.batch.overview import Overview
from cli.batch.ray_cluster import RayCluster, Share, share_of
from cli.batch.supplies import WholeFolder
from cli.batch.units import find_units
from cli.jobs.job import Job
from cli.jobs.record import record_path
from shm_engine.errors import MattingError
from shm_engine.options import MatterOptions
from tests.cli.clips import Clip, decode

_FRAMES = 120


@pytest.mark.parametrize(
    ("machines", "jobs", "share"),
    [
        ([2], None, Share(workers=1, beside=1, cpus=2, gpus=0)),
        ([2], 2, Share(workers=2, beside=2, cpus=1, gpus=0)),
        ([2], 5, Share(workers=2, beside=5, cpus=1, gpus=0)),
        ([8, 8, 8], None, Share(workers=3, beside=1, cpus=8, gpus=0)),
        ([8, 8, 8], 6, Share(workers=6, beside=2, cpus=4, gpus=0)),
        ([4, 16], 2, Share(workers=2, beside=1, cpus=4, gpus=0)),
        ([0, 4], None, Share(workers=1, beside=1, cpus=4, gpus=0)),
    ],
)
def test_machines_are_shared_equally(
    machines: Sequence[int], jobs: int | None, share: Share
) -> None:
    resources = [{"CPU": float(cores)} for cores in machines]
    assert share_of(resources, jobs, wants_gpus=True) == share


def test_gpus_are_shared_and_machines_without_one_left_alone() -> None:
    machines: list[Mapping[str, float]] = [{"CPU": 8, "GPU": 1}, {"CPU": 64}, {"CPU": 8, "GPU": 2}]
    assert share_of(machines, 2, wants_gpus=True) == Share(workers=2, beside=1, cpus=8, gpus=1)
    assert share_of(machines, 6, wants_gpus=True) == Share(workers=6, beside=3, cpus=2, gpus=0.3333)
    assert share_of(machines, None, wants_gpus=False).workers == 3


def test_a_cluster_without_machines_is_told() -> None:
    with pytest.raises(MattingError, match="no machine with a free core"):
        share_of([{"CPU": 0}], None, wants_gpus=False)


def test_without_ray_its_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with (
        pytest.raises(MattingError, match=r"pip install semantic-human-matting\[ray\]"),
        RayCluster(None, 2, "cpu"),
    ):
        pass


class _Killing(RayCluster):
    """Kills the process of one of its workers while it is in the middle of a movie."""

    def __init__(self) -> None:
        super().__init__(None, 2, "cpu")
        self.ends: list[Message] = []
        self.victim: int | None = None
        self.processes: set[int] = set()

    def wait(self, seconds: float) -> Sequence[Message]:
        messages = super().wait(seconds)
        self.ends += [message for message in messages if isinstance(message, ENDS)]
        for message in messages:
            status = getattr(message, "status", None)
            if status is not None and 0 < status.frame < _FRAMES and self.victim is None:
                self._kill(self._at_work[message.task])  # type: ignore[union-attr]
        return messages

    def _kill(self, actor: Any) -> None:
        self.victim = self._ray.get(actor.process_id.remote())
        self.processes = _processes_of_ray()
        os.kill(self.victim, signal.SIGKILL)


def _processes_of_ray() -> set[int]:
    found = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes()
        except OSError:  # it has just ended
            continue
        if command.startswith(b"ray::") or b"/ray/" in command.partition(b"\0")[0]:
            found.add(int(path.parent.name))
    return found


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc")
# What Ray says of its own future.
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_a_ray_worker_killed_at_its_work_loses_nothing_and_nothing_is_done_twice(
    tmp_path: Path, random_weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("ray")
    (tmp_path / "in").mkdir()
    for index in range(6):
        Clip(frames=_FRAMES).write(tmp_path / "in" / f"{index}.mp4")
    job = Job(
        source=tmp_path / "in",
        target=tmp_path / "out",
        model=random_weights,
        options=MatterOptions(device="cpu", backend="eager", long_side_pixels=64),
    )
    executor, before = _Killing(), _processes_of_ray()
    acts_on_end = signal.getsignal(signal.SIGTERM)

    def run(executor: RayCluster, display: Any) -> list[Any]:
        supply = WholeFolder(lambda: find_units(job.source, job.target, job.delivery))
        coordinator = Coordinator(supply, executor, Overview(display), job)
        coordinator.run()
        return list(coordinator.results)

    results = run(executor, FilesSilence())
    assert executor.victim in executor.processes
    assert [str(result.outcome) for result in results] == ["done"] * 6
    assert sorted(result.tries for result in results) == [1, 1, 1, 1, 1, 2]
    kinds = Counter(type(end).__name__ for end in executor.ends)
    assert kinds == {"Finished": 6, "Lost": 1}
    assert len({end.task for end in executor.ends if isinstance(end, Finished)}) == 6
    for result in results:
        assert len(decode(result.target)) == _FRAMES
    found = {path.name for path in job.target.iterdir()}
    names = [f"{index}.mov" for index in range(6)]
    assert found == {*names, *(record_path(Path(name)).name for name in names)}
    assert capsys.readouterr() == ("", "")
    assert signal.getsignal(signal.SIGTERM) == acts_on_end
    _wait_until_gone(before)


def _wait_until_gone(before: set[int]) -> None:
    for _ in range(300):
        if not _processes_of_ray() - before:
            return
        time.sleep(0.1)
    pytest.fail(f"processes of Ray go on: {_processes_of_ray() - before}")
