"""Work that is broken off and gone on with: the result is the one of a run without a break."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch

from cli.formats.numbering import numbered_files
from cli.jobs.background import Background
from cli.jobs.job import Job
from cli.jobs.performing import perform
from cli.journal import SEGMENT_FRAMES, journal_folder
from cli.progress import Silence
from shm_engine import Matter
from shm_engine.checkpoint import load_checkpoint
from shm_engine.errors import MattingError
from shm_engine.options import MatterOptions
from shm_engine.types import Frame
from tests.cli.clips import Clip

FRAMES = 2 * SEGMENT_FRAMES + 10
OPTIONS = MatterOptions(device="cpu", long_side_pixels=64, backend="eager")


@pytest.fixture(scope="module")
def matter(random_weights: Path) -> Matter:
    return Matter(load_checkpoint(random_weights), OPTIONS)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Changing noise with sound, so that smoothing has something to remember."""
    folder = tmp_path_factory.mktemp("clip")
    return Clip(frames=FRAMES, audio="aac").write(folder / "clip.mp4")


def breaking_off(matter: Matter, after: int) -> Any:
    """What loads one that breaks off after so many frames."""
    return lambda *_: BreaksOff(matter, after)


class BreaksOff:
    """A Matter that ends, as if pulled out of the wall, when it is asked for a frame too many."""

    def __init__(self, matter: Matter, after: int) -> None:
        self._matter, self._after = matter, after

    def mattes(self, frames: Iterator[Frame], *since: Any) -> Iterator[Any]:
        for count, matte in enumerate(self._matter.mattes(frames, *since)):
            if count == self._after:
                raise KeyboardInterrupt
            yield matte


def contents(target: Path) -> list[bytes]:
    files = numbered_files(target).values() or [target]
    return [path.read_bytes() for path in files]


@pytest.mark.parametrize(
    "name",
    [
        "out.mov",
        *(
            pytest.param(name, marks=pytest.mark.long)
            for name in ("f_%04d.png", "a.mkv", "a.webm", "out.mp4")
        ),
    ],
)
def test_a_resumed_run_gives_the_same_bytes(
    tmp_path: Path, clip: Path, matter: Matter, name: str
) -> None:
    target = tmp_path / name
    wishes: dict[str, Any] = {"source": clip, "target": target, "options": OPTIONS}
    if name == "out.mp4":
        wishes["pass_name"] = "alpha"
    perform(Job(**wishes), Silence(), lambda *_: matter)
    whole = contents(target)
    for path in numbered_files(target).values() or [target]:
        path.unlink()

    with pytest.raises(KeyboardInterrupt):
        perform(Job(**wishes), Silence(), breaking_off(matter, SEGMENT_FRAMES + 7))
    with pytest.raises(MattingError, match=r"--resume"):
        perform(Job(**wishes), Silence(), lambda *_: matter)
    # Broken off once more, in the next segment.
    with pytest.raises(KeyboardInterrupt):
        perform(Job(**wishes, resumes=True), Silence(), breaking_off(matter, SEGMENT_FRAMES + 1))
    assert perform(Job(**wishes, resumes=True), Silence(), lambda *_: matter) == FRAMES
    assert contents(target) == whole
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_finished_job_is_not_done_again(tmp_path: Path, clip: Path, matter: Matter) -> None:
    job = Job(source=clip, target=tmp_path / "out.mov", options=OPTIONS, resumes=True)
    perform(job, Silence(), lambda *_: matter)
    before = job.target.stat().st_mtime_ns

    def load(*_: Any) -> Matter:
        raise AssertionError("nothing was to be done")

    assert perform(job, Silence(), load) == 0
    assert job.target.stat().st_mtime_ns == before


def test_another_clip_under_the_same_name_is_not_mixed_in(
    tmp_path: Path, clip: Path, matter: Matter
) -> None:
    source = tmp_path / "clip.mp4"
    source.write_bytes(clip.read_bytes())
    job = Job(source=source, target=tmp_path / "out.mov", options=OPTIONS)
    with pytest.raises(KeyboardInterrupt):
        perform(job, Silence(), breaking_off(matter, SEGMENT_FRAMES + 1))
    Clip(frames=FRAMES, rate=Fraction(30)).write(source)
    again = Job(source=source, target=tmp_path / "out.mov", options=OPTIONS, resumes=True)
    with pytest.raises(MattingError, match="another file"):
        perform(again, Silence(), lambda *_: matter)


@pytest.mark.long
@pytest.mark.skipif(os.name == "nt", reason="needs signals")
@pytest.mark.parametrize("name", ["out.mov", "out.webm"])
def test_a_run_killed_at_five_random_points_gives_the_same_bytes(
    tmp_path: Path, random_weights: Path, name: str
) -> None:
    # Not near the end: progress is told five times a second, and the run may be over by then.
    points = sorted(random.Random(name).sample(range(1, 240), 5))
    noise = torch.rand(96, 128, 3, generator=torch.Generator().manual_seed(1)).double().numpy()
    clip = Clip(frames=300, width=128, height=96, rgb=noise, audio="aac")
    clip.write(tmp_path / "clip.mp4")
    program = [sys.executable, "-c", "from cli.entry import main; main()"]
    arguments = [*program, str(tmp_path / "clip.mp4"), "--model", str(random_weights)]
    arguments += ["--size", "64", "--device", "cpu", "--backend", "eager", "--progress", "json"]
    subprocess.run([*arguments, "-o", tmp_path / f"whole_{name}"], check=True, capture_output=True)
    target = tmp_path / name
    killed = 0
    for point in points:
        run = subprocess.Popen(
            [*arguments, "-o", target, "--resume"], stderr=subprocess.PIPE, text=True
        )
        assert run.stderr is not None
        for line in run.stderr:
            if (json.loads(line).get("frame") or 0) >= point:
                run.kill()
                break
        killed += run.wait() == -9
        run.stderr.close()
    assert killed == len(points)
    subprocess.run([*arguments, "-o", target, "--resume"], check=True, capture_output=True)
    assert target.read_bytes() == (tmp_path / f"whole_{name}").read_bytes()


@pytest.mark.long
def test_a_background_that_moves_goes_on_where_it_was(
    tmp_path: Path, clip: Path, matter: Matter
) -> None:
    behind = Clip(frames=70, rate=Fraction(30)).write(tmp_path / "behind.mp4")
    wishes: dict[str, Any] = {
        "source": clip,
        "target": tmp_path / "out.mov",
        "options": OPTIONS,
        "pass_name": "composite",
        "background": Background(movie=behind),
    }
    perform(Job(**wishes), Silence(), lambda *_: matter)
    whole = wishes["target"].read_bytes()
    wishes["target"].unlink()
    with pytest.raises(KeyboardInterrupt):
        perform(Job(**wishes), Silence(), breaking_off(matter, SEGMENT_FRAMES + 7))
    perform(Job(**wishes, resumes=True), Silence(), lambda *_: matter)
    assert wishes["target"].read_bytes() == whole


def test_a_report_of_the_rest_alone_is_refused(tmp_path: Path, clip: Path, matter: Matter) -> None:
    wishes: dict[str, Any] = {"source": clip, "target": tmp_path / "o.mov", "options": OPTIONS}
    with pytest.raises(KeyboardInterrupt):
        perform(Job(**wishes), Silence(), breaking_off(matter, SEGMENT_FRAMES + 7))
    measured = Job(**wishes, resumes=True, report=tmp_path / "report.html")
    with pytest.raises(MattingError, match="was not measured"):
        perform(measured, Silence(), lambda *_: matter)
    assert perform(Job(**wishes, resumes=True), Silence(), lambda *_: matter) == FRAMES


@pytest.mark.parametrize("damage", ["gone", "empty"])
def test_a_sequence_with_a_hole_is_not_gone_on_with(
    tmp_path: Path, clip: Path, matter: Matter, damage: str
) -> None:
    target = tmp_path / "f_%04d.png"
    job = Job(source=clip, target=target, options=OPTIONS)
    with pytest.raises(KeyboardInterrupt):
        perform(job, Silence(), breaking_off(matter, SEGMENT_FRAMES + 7))
    (tmp_path / "f_0005.png").unlink()
    if damage == "empty":
        (tmp_path / "f_0005.png").touch()
    with pytest.raises(MattingError, match=r"f_0005\.png of the unfinished run is gone"):
        perform(replace(job, resumes=True), Silence(), lambda *_: matter)


def test_lost_packets_are_said_so(tmp_path: Path, clip: Path, matter: Matter) -> None:
    job = Job(source=clip, target=tmp_path / "out.mov", options=OPTIONS)
    with pytest.raises(KeyboardInterrupt):
        perform(job, Silence(), breaking_off(matter, SEGMENT_FRAMES + 7))
    (journal_folder(job.target) / "packets").write_bytes(b"short")
    with pytest.raises(MattingError, match="is damaged; begin anew"):
        perform(replace(job, resumes=True), Silence(), lambda *_: matter)
    assert perform(replace(job, overwrites=True), Silence(), lambda *_: matter) == FRAMES
