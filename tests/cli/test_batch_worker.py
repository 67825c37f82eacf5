"""A worker: what it waits for, what it keeps between files, and what it tells."""

from __future__ import annotations

import logging
import os
import pickle
import shutil
import subprocess
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cli.batch import worker as module
from cli.batch.completeness import what_is_missing
from cli.batch.executor import Advanced, Failed, Finished, Incomplete, Logged, Message, Task
from cli.batch.worker import Worker, forwarding_logs, setup_for, with_share
from cli.jobs.job import Job
from shm_engine.options import MatterOptions
from tests.cli.clips import Clip, cut
from tests.cli.test_matte import HalfMatter

_MJPEG = Clip(frames=8, codec="mjpeg", pixel_format="yuvj420p", options={})
_INDEX_IN_FRONT = replace(_MJPEG, container_options={"movflags": "faststart"})
_INDEX_AT_THE_END = replace(_MJPEG, container_options={"movflags": "0"})


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[Path | None]:
    """Replaces the network; holds the weights of every load."""
    seen: list[Path | None] = []

    def load(weights: Path | None, _: MatterOptions) -> HalfMatter:
        seen.append(weights)
        return HalfMatter()

    monkeypatch.setattr(module, "load_matter", load)
    return seen


@pytest.fixture
def job(tmp_path: Path) -> Job:
    source = Clip(frames=3).write(tmp_path / "a.mp4")
    return Job(source=source, target=tmp_path / "out" / "deep" / "a.mov")


def _worker() -> Worker:
    return Worker(setup_for(threads=1))


def _do(job: Job, worker: Worker | None = None, *, may_grow: bool = False) -> list[Message]:
    sent: list[Message] = []
    task = Task(number=7, job=job, may_grow=may_grow)
    sent.append((worker or _worker()).do(task, sent.append))
    return sent


@pytest.mark.usefixtures("loads")
def test_a_task_is_told_from_its_beginning_to_its_end(job: Job) -> None:
    sent = _do(job)
    news = [message for message in sent if isinstance(message, Advanced)]
    assert (news[0].status.frame, news[-1].status.frame) == (0, 3)
    assert isinstance(sent[-1], Finished)
    assert (sent[-1].task, sent[-1].frames) == (7, 3)
    assert job.target.is_file()


def test_the_network_is_loaded_once_for_many_files(loads: list[Path | None], job: Job) -> None:
    worker = _worker()
    for index in range(3):
        _do(replace(job, target=job.target.with_name(f"{index}.mov")), worker)
    assert loads == [None]


def test_other_weights_or_options_are_loaded_anew(
    loads: list[Path | None], job: Job, tmp_path: Path
) -> None:
    worker, weights = _worker(), tmp_path / "own.safetensors"
    weights.write_bytes(b"one")
    _do(replace(job, target=tmp_path / "1.mov", model=weights), worker)
    weights.write_bytes(b"another")
    _do(replace(job, target=tmp_path / "2.mov", model=weights), worker)
    options = MatterOptions(smoothing="off")
    _do(replace(job, target=tmp_path / "3.mov", model=weights, options=options), worker)
    assert loads == [weights] * 3


@pytest.mark.usefixtures("loads")
def test_what_goes_wrong_is_one_sentence_and_the_next_task_works(job: Job) -> None:
    worker = _worker()
    (failed,) = _do(replace(job, source=job.source.with_name("absent.mp4")), worker)
    assert isinstance(failed, Failed)
    assert failed.reason.endswith("absent.mp4 does not exist; check its name and folder")
    assert "Traceback" in failed.trace
    assert isinstance(_do(job, worker)[-1], Finished)


def test_an_unforeseen_error_is_no_end_of_the_worker(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    def burn(*_: object) -> None:
        raise ZeroDivisionError("on fire")

    monkeypatch.setattr(module, "load_matter", burn)
    failed = _do(job)[-1]
    assert isinstance(failed, Failed)
    assert "unexpected ZeroDivisionError (on fire)" in failed.reason


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    """A folder in which even root can write nothing."""
    folder = tmp_path / "read only"
    folder.mkdir(mode=0o555)
    made_immutable = False
    if os.access(folder, os.W_OK):
        change = shutil.which("chattr")
        made_immutable = bool(change) and _changes(folder, "+i")
    if os.access(folder, os.W_OK):
        pytest.skip("root may write everywhere, and chattr does not work on this disk")
    yield folder
    if made_immutable:
        _changes(folder, "-i")


def _changes(folder: Path, attribute: str) -> bool:
    ended = subprocess.run(["chattr", attribute, folder], capture_output=True, check=False)
    return ended.returncode == 0


@pytest.mark.usefixtures("loads")
def test_a_read_only_folder_is_named(job: Job, read_only: Path) -> None:
    for target, problem in (
        (read_only / "a.mov", f"the folder {read_only} cannot be written to"),
        (read_only / "sub" / "a.mov", f"the folder {read_only / 'sub'} cannot be made"),
    ):
        failed = _do(replace(job, target=target))[-1]
        assert isinstance(failed, Failed)
        assert problem in failed.reason
    assert list(read_only.iterdir()) == []


@pytest.mark.usefixtures("loads")
def test_all_that_a_worker_says_can_be_pickled(job: Job) -> None:
    for message in [*_do(job), *_do(replace(job, source=Path("absent.mp4")))]:
        assert pickle.loads(pickle.dumps(message)) is not None


def test_records_are_sent_and_shown_nowhere_else(caplog: pytest.LogCaptureFixture) -> None:
    sent: list[Message] = []
    log = logging.getLogger("cli.video")
    levels = {"": logging.WARNING, "cli": logging.INFO, "py.warnings": logging.WARNING}
    with forwarding_logs(levels, sent.append):
        log.info("frame %d of %s", 3, object)
        log.debug("too much detail")
        logging.getLogger("somebody.else").info("a library's fact")
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("old function", stacklevel=1)
        try:
            raise ValueError("inside")
        except ValueError:
            log.warning("went wrong", exc_info=True)
    records = [message.record for message in sent if isinstance(message, Logged)]
    assert [record.name for record in records] == ["cli.video", "py.warnings", "cli.video"]
    assert records[0].getMessage() == "frame 3 of <class 'object'>"
    assert "ValueError: inside" in (records[2].exc_text or "")
    assert pickle.loads(pickle.dumps(records[2])).getMessage() == "went wrong"
    assert caplog.messages == []


def test_memory_is_shared_among_the_workers(job: Job) -> None:
    task = Task(number=1, job=replace(job, memory=6 << 30))
    assert with_share(task, 3).job.memory == 2 << 30
    assert with_share(Task(number=1, job=job), 3).job.memory is None


@pytest.mark.parametrize(
    ("name", "clip", "part", "missing"),
    [
        ("whole.mp4", _INDEX_AT_THE_END, 1, None),
        ("whole.mkv", _MJPEG, 1, None),
        ("front.mp4", _INDEX_IN_FRONT, 0.7, "bytes of it are still missing"),
        ("end.mp4", _INDEX_AT_THE_END, 0.7, "bytes of it are still missing"),
        ("short.mkv", _MJPEG, 0.7, "bytes of it are still missing"),
        ("empty.mp4", _MJPEG, 0, "it is empty so far"),
    ],
)
def test_a_movie_is_complete_when_nothing_of_it_is_missing(
    tmp_path: Path, name: str, clip: Clip, part: float, missing: str | None
) -> None:
    path = clip.write(tmp_path / name)
    reason = what_is_missing(path if part == 1 else cut(path, part))
    assert (reason is None) == (missing is None)
    assert missing is None or missing in (reason or "")


def test_a_recording_without_its_index_is_not_complete(tmp_path: Path) -> None:
    """As a recorder leaves it until it stops: the last box goes on to the end of the file."""
    path = tmp_path / "recording.mp4"
    path.write_bytes(b"\0\0\0\x10ftypisom\0\0\0\0" + b"\0\0\0\0mdat" + bytes(500))
    assert what_is_missing(path) == "its index is still missing"


@pytest.mark.parametrize("content", [b"Dear diary,\n" * 40, bytes(range(256)) * 4])
def test_what_is_no_movie_is_not_waited_for(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "text.mp4"
    path.write_bytes(content)
    assert what_is_missing(path) is None


def test_a_watched_movie_that_still_grows_is_left_alone(loads: list[Path | None], job: Job) -> None:
    short = cut(job.source, 0.5)
    (answer,) = _do(replace(job, source=short), may_grow=True)
    assert isinstance(answer, Incomplete)
    assert "missing" in answer.reason
    assert not job.target.parent.exists()
    assert loads == []
    assert isinstance(_do(replace(job, source=short))[-1], Failed)
