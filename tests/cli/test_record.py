"""Records: what makes a finished output count as finished, and what does not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from cli.formats.delivery import Delivery
from cli.jobs import record
from cli.jobs.background import Background
from cli.jobs.identity import identity_of
from cli.jobs.job import Job
from cli.jobs.record import (
    WITHOUT_EFFECT,
    is_finished,
    is_untouched,
    read_record,
    record_path,
    settings_of,
    write_record,
)
from shm_engine.checkpoint import shipped_weights
from shm_engine.errors import MattingError
from shm_engine.options import MatterOptions

_OUTPUT = {"codec": "prores_ks", "alpha": "straight", "width": 8, "height": 6, "frames": 50}
_CLASSES = (Job, MatterOptions, Background, Delivery)


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """A job whose output is in place, without a record."""
    (tmp_path / "clip.mp4").write_bytes(b"frames")
    (tmp_path / "out.mov").write_bytes(b"mattes of frames")
    return Job(source=tmp_path / "clip.mp4", target=tmp_path / "out.mov")


@pytest.fixture
def finished(job: Job) -> Job:
    """The same with a record."""
    write_record(job, output=_OUTPUT, seconds=4.0)
    return job


def _pretend_later(path: Path) -> None:
    stat = path.stat()
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 10**9))


def test_a_record_lies_beside_its_output_and_a_sequence_has_one_for_all_its_files() -> None:
    assert record_path(Path("out/a.mov")) == Path("out/a.mov.json")
    assert record_path(Path("out/%05d.png")) == Path("out/sequence.png.json")
    assert record_path(Path("out/take_%d.exr")) == Path("out/take_sequence.exr.json")


def test_a_record_is_sorted_json_that_says_what_was_done(finished: Job) -> None:
    text = record_path(finished.target).read_text()
    contents = json.loads(text)
    assert text == json.dumps(contents, indent=2, sort_keys=True) + "\n"
    assert set(contents) == {"format", "source", "settings", "output", "versions", "timing"}
    assert contents["source"]["name"] == "clip.mp4"
    assert contents["source"]["bytes"] == 6
    assert contents["output"] == {**_OUTPUT, "name": "out.mov", "files": 1, "bytes": 16}
    assert contents["timing"] == {"seconds": 4.0, "frames_per_second": 12.5}
    assert {"shm-matte", "python", "torch", "av"} <= set(contents["versions"])


def test_what_was_written_can_be_read_and_counts_as_finished(finished: Job) -> None:
    known = read_record(finished.target)
    assert known is not None
    assert known.settings == settings_of(finished)
    assert is_finished(finished)


def test_without_a_record_an_output_is_not_finished(job: Job) -> None:
    assert read_record(job.target) is None
    assert not is_finished(job)


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"format": 1}',
        b'{"format": 99, "source": {}, "settings": {}, "output": {}, "versions": {}, "timing": {}}',
        b'{"format": 1, "source": 3, "settings": {}, "output": {}, "versions": {}, "timing": {}}',
        b"[" * 100_000,
    ],
)
def test_a_record_that_cannot_be_read_is_none(finished: Job, garbage: bytes) -> None:
    record_path(finished.target).write_bytes(garbage)
    assert read_record(finished.target) is None
    assert not is_finished(finished)


def test_every_field_of_a_job_is_a_setting_or_known_to_make_no_difference(job: Job) -> None:
    behind = Background(colour=(1, 2, 3))
    settings: dict[str, Any] = settings_of(replace(job, pass_name="composite", background=behind))
    parts = {
        "Job": settings,
        "MatterOptions": settings["options"],
        "Background": settings["background"],
        "Delivery": settings["delivery"],
    }
    for kind in _CLASSES:
        names = {field.name for field in fields(kind)}
        ignored = WITHOUT_EFFECT[kind.__name__]
        assert ignored <= names, f"{kind.__name__} has no such field any more"
        assert set(parts[kind.__name__]) == names - ignored
    assert set(WITHOUT_EFFECT) == set(parts)


def test_a_setting_that_cannot_be_written_is_told_at_once(job: Job) -> None:
    unknown: Any = object()
    behind = Background(colour=unknown)
    with pytest.raises(TypeError, match="object"):
        settings_of(replace(job, pass_name="composite", background=behind))


@pytest.mark.parametrize(
    "change",
    [
        {"options": MatterOptions(long_side_pixels=640)},
        {"options": MatterOptions(smoothing="off")},
        {"options": MatterOptions(foreground="source")},
        {"options": MatterOptions(source_alpha="replace")},
        {"pass_name": "alpha"},
        {"delivery": Delivery(codec="ffv1")},
        {"delivery": Delivery(editor="resolve")},
        {"delivery": Delivery(alpha="premultiplied")},
        {"keeps_partial": True},
        {"pass_name": "composite", "background": Background.parse("green")},
    ],
    ids=str,
)
def test_another_setting_makes_another_job(finished: Job, change: dict[str, Any]) -> None:
    assert not is_finished(replace(finished, **change))


@pytest.mark.parametrize(
    "change",
    [
        {"options": MatterOptions(device="cpu", backend="eager", batch=3, frames_ahead=0)},
        {"memory": 1 << 30, "overwrites": True, "resumes": True, "checks_disk": False},
    ],
    ids=["options", "job"],
)
def test_what_changes_no_pixel_makes_no_other_job(finished: Job, change: dict[str, Any]) -> None:
    assert is_finished(replace(finished, **change))


def test_weights_count_by_their_content(job: Job, tmp_path: Path) -> None:
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(shipped_weights().read_bytes())
    write_record(job, output=_OUTPUT, seconds=1)
    assert is_finished(replace(job, model=copy))
    copy.write_bytes(b"other weights")
    assert not is_finished(replace(job, model=copy))
    copy.unlink()
    assert not is_finished(replace(job, model=copy))


def test_a_background_picture_counts_by_its_content(job: Job, tmp_path: Path) -> None:
    picture = tmp_path / "beach.png"
    picture.write_bytes(b"sand")
    over = replace(job, pass_name="composite", background=Background(picture=picture))
    write_record(over, output=_OUTPUT, seconds=1)
    moved = picture.rename(tmp_path / "elsewhere.png")
    assert is_finished(replace(over, background=Background(picture=moved)))
    moved.write_bytes(b"snow")
    assert not is_finished(replace(over, background=Background(picture=moved)))


def test_a_source_that_was_touched_or_copied_is_the_same(finished: Job, tmp_path: Path) -> None:
    _pretend_later(finished.source)
    assert is_finished(finished)
    copy = tmp_path / "copy.mp4"
    copy.write_bytes(finished.source.read_bytes())
    assert is_finished(replace(finished, source=copy))


def test_a_source_that_was_changed_is_another(finished: Job) -> None:
    finished.source.write_bytes(b"FRAMES")
    _pretend_later(finished.source)
    assert not is_finished(finished)
    finished.source.unlink()
    assert not is_finished(finished)


def test_a_source_is_not_read_again_while_its_size_and_time_stay(
    finished: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(finished)
    monkeypatch.setattr(record, "settings_of", lambda _: settings)
    monkeypatch.setattr(record, "digest_of", None)  # calling it fails
    assert is_finished(finished)
    finished.source.write_bytes(b"longer than before")
    assert not is_finished(finished)


def test_a_source_that_changes_during_the_work_does_not_count_as_finished(job: Job) -> None:
    before = identity_of(job.source)
    job.source.write_bytes(b"newer")
    write_record(job, output=_OUTPUT, seconds=1, source=before)
    known = read_record(job.target)
    assert known is not None
    assert known.source["digest"] is None
    assert not is_finished(job)


def test_an_output_that_somebody_changed_is_told_from_one_of_ours(finished: Job) -> None:
    other = replace(finished, pass_name="alpha")
    assert not is_finished(other)
    assert is_untouched(finished.target)
    finished.target.write_bytes(b"graded")
    assert not is_untouched(finished.target)
    finished.target.unlink()
    assert not is_untouched(finished.target)
    record_path(finished.target).unlink()
    finished.target.write_bytes(b"mattes of frames")
    assert not is_untouched(finished.target)


@pytest.mark.parametrize("damage", [lambda p: p.unlink(), lambda p: p.write_bytes(b"half")])
def test_an_output_that_is_gone_or_changed_is_not_finished(
    finished: Job, damage: Callable[[Path], None]
) -> None:
    damage(finished.target)
    assert not is_finished(finished)


def test_the_record_of_another_output_does_not_count(finished: Job) -> None:
    other = replace(finished, target=finished.target.with_name("other.mov"))
    other.target.write_bytes(finished.target.read_bytes())
    record_path(finished.target).rename(record_path(other.target))
    assert not is_finished(other)


def test_sequences_count_by_all_their_files(tmp_path: Path) -> None:
    frames = [tmp_path / f"{index}.png" for index in range(3)]
    (tmp_path / "out").mkdir()
    for frame in frames:
        frame.write_bytes(frame.name.encode())
        (tmp_path / "out" / frame.name).write_bytes(b"matte")
    (tmp_path / "out" / "x1.png").write_bytes(b"no frame of it")
    job = Job(source=tmp_path / "%d.png", target=tmp_path / "out" / "%d.png")
    write_record(job, output=_OUTPUT, seconds=1, source=identity_of(frames))
    known = read_record(job.target)
    assert known is not None
    assert known.source["files"] == 3
    assert (known.output["files"], known.output["bytes"]) == (3, 15)
    assert is_finished(job, frames)
    _pretend_later(frames[1])
    assert is_finished(job, frames)
    frames[1].write_bytes(b"X.png")
    assert not is_finished(job, frames)
    assert not is_finished(job, frames[:2])


def test_a_sequence_that_lost_a_file_is_not_finished(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"frames")
    job = Job(source=tmp_path / "clip.mp4", target=tmp_path / "%02d.png")
    for index in range(3):
        (tmp_path / f"{index:02d}.png").write_bytes(b"matte")
    write_record(job, output=_OUTPUT, seconds=1)
    assert is_finished(job)
    (tmp_path / "01.png").unlink()
    assert not is_finished(job)


def test_a_record_that_cannot_be_written_is_named(job: Job) -> None:
    record_path(job.target).mkdir()
    with pytest.raises(MattingError, match=r"out\.mov\.json cannot be written"):
        write_record(job, output=_OUTPUT, seconds=1)


def test_the_weights_of_the_package_are_those_of_the_engine() -> None:
    assert record._shipped_weights() == shipped_weights()


def test_records_are_compared_without_importing_anything_slow(finished: Job) -> None:
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from cli.jobs.job import Job\n"
        "from cli.jobs.record import is_finished, versions\n"
        f"job = Job(source=Path({str(finished.source)!r}), target=Path({str(finished.target)!r}))\n"
        "assert is_finished(job) and versions()\n"
        "assert not {'torch', 'av', 'cv2', 'numpy'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
