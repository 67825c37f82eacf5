"""Whole folders in real worker processes: what is good is done, what is bad is named."""

from __future__ import annotations

import contextlib
import io
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

from cli.batch import supplies
from cli.batch.displays import FilesStatus
from cli.batch.performing import Plan, perform_folder
from cli.batch.results import SUMMARY_NAME
from cli.jobs.job import Job
from cli.jobs.record import read_record
from shm_engine.errors import MattingError, OptionsError
from shm_engine.images import read_image, write_image
from shm_engine.options import MatterOptions
from tests.cli.clips import Clip, cut, decode

_FRAMES, _MANY = 4, 60
_OPTIONS = MatterOptions(device="cpu", backend="eager", long_side_pixels=64)

# What is wrong with each, as the table says it, by the name below the folder.
_BAD = {
    "audio.mp4": "holds sound but no video",
    "bad/broken link.mp4": "does not exist",
    "bad/corrupt.mp4": "is not a movie that can be read",
    "bad/cut.mp4": "is cut off",
    "bad/empty.mp4": "is empty",
    "bad/empty.png": "is not a picture",
    "bad/half.jpg": "is not a picture",
    "bad/noise.mkv": "is not a movie that can be read",
    "bad/text.mp4": "is not a movie that can be read",
    "bad/text.png": "is not a picture",
    "blocked/a.mp4": "blocked cannot be made (file exists)",
    "taken.mp4": "exists already; --overwrite replaces it",
}


class Silence:
    """Shows nothing; does something on the way instead."""

    def __init__(self, on_the_way: Callable[[FilesStatus], None] = lambda _: None) -> None:
        self._on_the_way = on_the_way

    def start(self, status: FilesStatus) -> None: ...

    def advance(self, status: FilesStatus) -> None:
        self._on_the_way(status)

    def ended(self, fields: Mapping[str, Any]) -> None: ...

    def stop(self, status: FilesStatus) -> None: ...

    def done(self, status: FilesStatus) -> None: ...


class Outcome(NamedTuple):
    """What a run printed, its error, and its summary by name."""

    table: str
    error: str | None
    files: dict[str, dict[str, Any]]

    @property
    def results(self) -> dict[str, str]:
        return {name: file["result"] for name, file in self.files.items()}


def _run(job: Job, *, jobs: int = 1, display: Silence | None = None) -> Outcome:
    error = None
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        try:
            perform_folder(job, Plan(jobs=jobs), display or Silence())
        except (MattingError, KeyboardInterrupt) as raised:
            error = str(raised) or type(raised).__name__
    summary = json.loads((job.target / SUMMARY_NAME).read_text())
    files = {file["name"]: file for file in summary["files"]}
    return Outcome(printed.getvalue(), error, files)


def _job(root: Path, weights: Path, **wishes: Any) -> Job:
    return Job(source=root / "in", target=root / "out", model=weights, options=_OPTIONS, **wishes)


def _add_good(folder: Path) -> None:
    clip = Clip(frames=_FRAMES)
    (folder / "day 1" / "late").mkdir(parents=True)
    for name in (
        "plain.mp4", "-dash.mp4", "with space.mov", "new\nline.mkv", "手を振る.mp4", "UPPER.MP4",
        "take.mp4", "take.mkv", "day 1/plain.mp4", "day 1/late/ünïcode.mov",
    ):  # fmt: skip
        # FFmpeg tells the container from the suffix.
        made = clip.write(folder / f"made{Path(name).suffix.lower()}")
        made.rename(folder / name)
    image = torch.arange(3 * 8 * 10).reshape(3, 8, 10).to(torch.uint8)
    for name in ("still.png", "photo.jpg", "take.png", "day 1/still.png", "day 1/ß.webp"):
        write_image(folder / name, image)
    write_image(folder / "deep.png", image.to(torch.uint16) * 256)
    Clip(frames=_FRAMES, codec="ffv1", pixel_format="yuv422p10le", options={}).write(
        folder / "ten bits.mkv"
    )
    Clip(frames=_FRAMES, audio="aac").write(folder / "with sound.mp4")


def _add_bad(folder: Path, output: Path) -> None:
    bad = folder / "bad"
    bad.mkdir()
    (bad / "broken link.mp4").symlink_to("absent.mp4")
    (bad / "corrupt.mp4").write_bytes(b"\0\0\0\x18ftypmp42" + bytes(range(256)) * 40)
    noisy = Clip(
        frames=_FRAMES,
        codec="mjpeg",
        pixel_format="yuvj420p",
        options={},
        container_options={"movflags": "faststart"},
    )
    cut(noisy.write(bad / "whole.mp4"), 0.6).rename(bad / "cut.mp4")
    (bad / "whole.mp4").unlink()
    (bad / "empty.mp4").touch()
    (bad / "empty.png").touch()
    (bad / "half.jpg").write_bytes((folder / "photo.jpg").read_bytes()[:200])
    (bad / "noise.mkv").write_bytes(bytes(range(255, 0, -1)) * 40)
    (bad / "text.mp4").write_text("Dear diary,\n" * 100)
    (bad / "text.png").write_text("Dear diary,\n" * 100)
    Clip(frames=1, audio="aac").write(folder / "audio.mp4")
    _keep_sound_alone(folder / "audio.mp4")
    (folder / "blocked").mkdir()
    shutil.copy(folder / "plain.mp4", folder / "blocked" / "a.mp4")
    shutil.copy(folder / "plain.mp4", folder / "taken.mp4")
    output.mkdir()
    # No folder can be made of it; root, who may write anywhere, fails there too.
    (output / "blocked").write_text("a file")
    (output / "taken.mov").write_text("somebody else's")


def _keep_sound_alone(path: Path) -> None:
    import av

    sound = path.with_name("sound.mp4")
    with av.open(str(path)) as movie, av.open(str(sound), "w") as alone:
        stream = alone.add_stream_from_template(movie.streams.audio[0])
        for packet in movie.demux(audio=0):
            if packet.dts is not None:
                packet.stream = stream
                alone.mux(packet)
    sound.replace(path)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder `in` of 30 files, twelve of them bad, and others that are none of our business."""
    root = tmp_path_factory.mktemp("batch")
    folder = root / "in"
    folder.mkdir()
    _add_good(folder)
    _add_bad(folder, root / "out")
    (folder / "notes.txt").write_text("not a movie")
    (folder / ".hidden.mp4").write_text("nobody looks")
    (folder / "loop").symlink_to(folder)
    return root


@pytest.fixture(scope="module")
def first(root: Path, random_weights: Path) -> Outcome:
    """The first run over it."""
    return _run(_job(root, random_weights))


def _fingerprints(folder: Path) -> dict[str, tuple[int, int]]:
    return {
        str(path.relative_to(folder)): (path.stat().st_ino, path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file() and path.name != SUMMARY_NAME
    }


def test_every_good_file_of_thirty_is_done_and_every_bad_one_named(first: Outcome) -> None:
    assert len(first.files) == 30
    bad = {name for name, result in first.results.items() if result == "failed"}
    assert bad == set(_BAD)
    assert {first.results[name] for name in set(first.files) - bad} == {"done"}
    assert first.error == "12 of 30 files failed; the table says why"


@pytest.mark.parametrize("name", sorted(_BAD))
def test_the_table_and_the_summary_say_what_is_wrong_with_each(first: Outcome, name: str) -> None:
    reason = first.files[name]["reason"]
    assert _BAD[name].lower() in reason.lower()
    assert "unexpected" not in reason
    (line,) = [line for line in first.table.splitlines() if line.startswith(f"{name}  ")]
    assert "failed" in line
    assert _BAD[name].lower() in line.lower()


def test_what_was_written_is_what_the_names_promise(root: Path, first: Outcome) -> None:
    for name, file in first.files.items():
        if file["result"] != "done":
            continue
        target = Path(file["target"])
        record = read_record(target)
        assert record is not None, name
        if target.suffix == ".png":
            assert file["frames"] == 1
            assert read_image(target).size == (8, 10)
        else:
            assert file["frames"] == record.output["frames"] == _FRAMES
    assert len(decode(root / "out" / "day 1" / "late" / "ünïcode.mov")) == _FRAMES
    assert first.files["take.mkv"]["target"] == str(root / "out" / "take.mkv.mov")
    assert (root / "out" / "taken.mov").read_text() == "somebody else's"


def test_nothing_but_results_and_their_records_is_left(root: Path, first: Outcome) -> None:
    targets = {Path(file["target"]) for file in first.files.values() if file["result"] == "done"}
    records = {target.with_name(f"{target.name}.json") for target in targets}
    others = {root / "out" / name for name in (SUMMARY_NAME, "blocked", "taken.mov")}
    found = {path for path in (root / "out").rglob("*") if path.is_file()}
    assert found == targets | records | others


def test_a_second_run_writes_nothing_and_says_so(
    root: Path, first: Outcome, random_weights: Path
) -> None:
    before = _fingerprints(root / "out")
    # Two at once, for the files that are tried again.
    second = _run(_job(root, random_weights), jobs=2)
    assert _fingerprints(root / "out") == before
    expected = {
        name: "failed" if result == "failed" else "skipped"
        for name, result in first.results.items()
    }
    assert second.results == expected
    assert "18 skipped, 12 failed" in second.table


def test_a_finished_folder_needs_no_worker(
    root: Path, first: Outcome, random_weights: Path
) -> None:
    assert first.results["plain.mp4"] == "done"
    good = replace(_job(root, random_weights), source=root / "in" / "day 1")
    for name in ("plain.mp4", "still.png"):
        assert name in {path.name for path in good.source.iterdir()}
    job = replace(good, target=root / "out" / "day 1")

    def refuse(_: FilesStatus) -> None:
        assert not multiprocessing.active_children()

    outcome = _run(job, display=Silence(refuse))
    assert outcome.error is None
    assert "nothing to do, all were finished before" in outcome.table
    (job.target / SUMMARY_NAME).unlink()


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """Two movies long enough to be caught at work."""
    (tmp_path / "in").mkdir()
    for name in ("a.mp4", "b.mp4"):
        Clip(frames=_MANY).write(tmp_path / "in" / name)
    return tmp_path


def _once_at_work(action: Callable[[], None]) -> Silence:
    waiting = [action]

    def act(status: FilesStatus) -> None:
        if status.frame > 3 and waiting:
            waiting.pop()()

    return Silence(act)


def test_a_killed_worker_costs_its_file_a_second_try_and_the_others_nothing(
    clips: Path, random_weights: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def kill_one() -> None:
        victim = multiprocessing.active_children()[0]
        assert victim.pid is not None
        os.kill(victim.pid, signal.SIGKILL)

    outcome = _run(_job(clips, random_weights), jobs=2, display=_once_at_work(kill_one))
    assert outcome.error is None
    assert set(outcome.results.values()) == {"done"}
    assert sorted(file["tries"] for file in outcome.files.values()) == [1, 2]
    assert all(len(decode(Path(file["target"]))) == _MANY for file in outcome.files.values())
    assert "is tried once more: its worker process was ended by SIGKILL" in caplog.text
    assert not multiprocessing.active_children()


@pytest.mark.long
def test_ctrl_c_stops_all_workers_in_order_and_the_next_run_does_the_rest(
    clips: Path, random_weights: Path
) -> None:
    def press_ctrl_c() -> None:
        raise KeyboardInterrupt

    job = _job(clips, random_weights)
    stopped = _run(job, jobs=2, display=_once_at_work(press_ctrl_c))
    assert stopped.error == "KeyboardInterrupt"
    assert set(stopped.results.values()) == {"stopped"}
    assert not multiprocessing.active_children()
    assert not [path for path in job.target.iterdir() if path.suffix in {".mov", ".partial"}]
    again = _run(job)
    assert set(again.results.values()) == {"done"}
    assert all(len(decode(Path(file["target"]))) == _MANY for file in again.files.values())


class _Watching(Silence):
    """Completes a file when it is told to be incomplete, and ends the watch when it is done."""

    def __init__(self, path: Path, rest: bytes) -> None:
        super().__init__()
        self._path, self._rest = path, rest
        self.ended_as: list[str] = []

    def ended(self, fields: Mapping[str, Any]) -> None:
        self.ended_as.append(f"{fields['name']} {fields['result']}")
        if fields["result"] == "waiting":
            with self._path.open("ab") as file:
                file.write(self._rest)
        if self.ended_as[-1] == f"{self._path.name} done":
            raise KeyboardInterrupt


def test_a_watched_folder_takes_a_movie_once_it_is_complete(
    tmp_path: Path, random_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supplies, "SECONDS_BETWEEN_LOOKS", 0.1)
    monkeypatch.setattr(supplies, "SECONDS_OF_QUIET", 0.3)
    (tmp_path / "in").mkdir()
    arriving = Clip(frames=_FRAMES).write(tmp_path / "in" / "arriving.mp4")
    Clip(frames=_FRAMES).write(tmp_path / "in" / "there.mp4")
    whole = arriving.read_bytes()
    arriving.write_bytes(whole[: len(whole) // 2])
    display = _Watching(arriving, whole[len(whole) // 2 :])
    job = _job(tmp_path, random_weights)
    with contextlib.redirect_stdout(io.StringIO()), pytest.raises(KeyboardInterrupt):
        perform_folder(job, Plan(watches=True), display)
    assert display.ended_as == ["arriving.mp4 waiting", "there.mp4 done", "arriving.mp4 done"]
    summary = json.loads((job.target / SUMMARY_NAME).read_text())
    assert summary["counts"]["done"] == 2
    assert len(decode(job.target / "arriving.mov")) == _FRAMES


_PROGRAM = """
import signal, sys
from pathlib import Path
from cli.batch.displays import FilesSilence
from cli.batch.performing import Plan, perform_folder
from cli.jobs.job import Job
from shm_engine.options import MatterOptions

if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    folder, weights = map(Path, sys.argv[1:])
    options = MatterOptions(device="cpu", backend="eager", long_side_pixels=64)
    job = Job(source=folder / "in", target=folder / "out", model=weights, options=options)
    try:
        perform_folder(job, Plan(jobs=2), FilesSilence())
    except KeyboardInterrupt:
        sys.exit(130)
"""


def _is_gone(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


def _wait_for(condition: Callable[[], bool]) -> None:
    for _ in range(600):
        if condition():
            return
        time.sleep(0.1)
    pytest.fail("it did not happen within a minute")


@pytest.mark.long
@pytest.mark.parametrize(
    ("number", "goes_to_all", "code"),
    [(signal.SIGINT, True, 130), (signal.SIGTERM, False, 130), (signal.SIGKILL, False, -9)],
    ids=str,
)
def test_no_process_outlives_the_program_however_it_ends(
    clips: Path, random_weights: Path, number: int, goes_to_all: bool, code: int
) -> None:
    for name in ("a.mp4", "b.mp4"):
        Clip(frames=2000).write(clips / "in" / name)
    with subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, str(clips), str(random_weights)],
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        _wait_for(lambda: len(list((clips / "out").glob(".*.journal/*"))) > 2)
        (os.killpg if goes_to_all else os.kill)(program.pid, number)
        _, errors = program.communicate()
    assert program.returncode == code
    assert "Traceback" not in errors
    _wait_for(lambda: _is_gone(program.pid))
    assert (clips / "out" / SUMMARY_NAME).exists() == (code == 130)


def test_an_empty_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    job = Job(source=tmp_path / "in", target=tmp_path / "out")
    with pytest.raises(MattingError, match="there is no movie and no picture in"):
        perform_folder(job, Plan(), Silence())


def test_results_do_not_go_among_the_sources_nor_into_a_file(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "file").touch()
    job = Job(source=tmp_path / "in", target=tmp_path / "in")
    with pytest.raises(MattingError, match="itself; give another"):
        perform_folder(job, Plan(), Silence())
    with pytest.raises(MattingError, match="is a file; give a folder for the results"):
        perform_folder(replace(job, target=tmp_path / "file"), Plan(), Silence())
    with pytest.raises(MattingError, match="cannot be created"):
        perform_folder(replace(job, target=tmp_path / "file" / "out"), Plan(), Silence())


@pytest.mark.parametrize(
    ("plan", "problem"),
    [
        ({"jobs": 0}, "--jobs is 0; use 1 or more"),
        ({"cluster": "spark"}, "--cluster is 'spark'; use ray or ray://HOST:PORT"),
    ],
    ids=str,
)
def test_plans_that_cannot_work_are_refused(plan: dict[str, Any], problem: str) -> None:
    with pytest.raises(OptionsError, match=problem):
        Plan(**plan)
