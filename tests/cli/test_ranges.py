"""A part of a movie: as one of its own, and put into a finished one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
import torch

from cli.formats.delivery import Delivery
from cli.formats.numbering import numbered_files
from cli.jobs.job import Job
from cli.jobs.performing import perform
from cli.jobs.record import is_finished, read_record
from cli.jobs.time_range import TimeRange
from cli.journal import SEGMENT_FRAMES, journal_folder
from cli.progress import Silence
from cli.video import VideoSource
from shm_engine.compositing import as_unit
from shm_engine.errors import MattingError, OptionsError
from shm_engine.types import Frame, Matte
from tests.cli.clips import Clip, shade, sound_packets

FRAMES = 50


class Flat:
    """A Matter whose alpha is the same everywhere."""

    def __init__(self, alpha: float) -> None:
        self.alpha = float(alpha)

    def mattes(self, frames: Iterable[Frame]) -> Iterator[Matte]:
        for frame in frames:
            yield Matte(frame=frame, alpha=torch.full((1, *frame.size), self.alpha))


def matte(alpha: float, **wishes: Any) -> int:
    return perform(Job(**wishes), Silence(), lambda *_: Flat(alpha))  # type: ignore[arg-type]


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return Clip(frames=FRAMES, audio="aac", timecode="01:00:00:00").write(tmp_path / "clip.mov")


def alphas(target: Path) -> list[float]:
    found = []
    for path in numbered_files(target).values() or [target]:
        with VideoSource(path) as source:
            # An alpha that is opaque everywhere is none.
            found += [1.0 if f.alpha is None else as_unit(f.alpha).mean().item() for f in source]
    return [round(value, 2) for value in found]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10s-20s", TimeRange(begin=Fraction(10), end=Fraction(20))),
        ("0:10-0:20.5", TimeRange(begin=Fraction(10), end=Fraction(41, 2))),
        ("1:00:00-", TimeRange(begin=Fraction(3600))),
        ("-3", TimeRange(end=Fraction(3))),
        ("250f-500f", TimeRange(begin=Fraction(250), end=Fraction(500), in_frames=True)),
    ],
)
def test_a_range_is_read_as_people_write_it(text: str, expected: TimeRange) -> None:
    assert TimeRange.parse(text) == expected


@pytest.mark.parametrize("text", ["", "-", "10", "20-10", "5-5", "a-b", "10f-20s", "1:2:3:4-5"])
def test_a_range_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(OptionsError, match="--range"):
        TimeRange.parse(text)


@pytest.mark.parametrize("text", ["0.4s-1.2s", "10f-30f"])
def test_a_part_begins_at_zero_with_its_own_sound_and_timecode(
    tmp_path: Path, clip: Path, text: str
) -> None:
    target = tmp_path / "part.mov"
    assert matte(1, source=clip, target=target, time_range=TimeRange.parse(text)) == 20
    with VideoSource(target) as source:
        frames = list(source)
        assert source.info.timecode == "01:00:00:10"
    assert [frame.pts * frame.time_base for frame in frames] == [Fraction(i, 25) for i in range(20)]
    for index, frame in enumerate(frames):
        grey = frame.image.double().mean() / 65535
        assert float(grey) == pytest.approx(shade(10 + index), abs=0.01)
    whole = [(time, data) for time, data in sound_packets(clip) if 0.4 <= time < 1.2]
    part = sound_packets(target)
    assert [data for _, data in part] == [data for _, data in whole]
    assert abs(part[0][0] - (whole[0][0] - Fraction(2, 5))) <= Fraction(1, 1000)


def test_a_part_beyond_the_end_is_refused(tmp_path: Path, clip: Path) -> None:
    with pytest.raises(MattingError, match="has 50 frames and ends before"):
        matte(1, source=clip, target=tmp_path / "part.mov", time_range=TimeRange.parse("60-"))


@pytest.mark.parametrize("name", ["out.mov", "out.mkv", "f_%03d.png"])
def test_a_spliced_part_changes_its_frames_and_no_others(
    tmp_path: Path, clip: Path, name: str
) -> None:
    target = tmp_path / name
    matte(1, source=clip, target=target)
    job = Job(source=clip, target=target)
    before = _pictures(target)
    part = TimeRange.parse("0.4s-1.2s")
    assert matte(0.5, source=clip, target=target, time_range=part, splices=True) == 20
    assert alphas(target) == [1.0] * 10 + [0.5] * 20 + [1.0] * 20
    after = _pictures(target)
    assert len(after) == FRAMES
    for index in (*range(10), *range(30, FRAMES)):
        assert after[index] == before[index]
    record = read_record(target)
    assert record is not None
    assert [part["first_frame"] for part in record.output["spliced"]] == [10]
    # What somebody corrected by hand is not done again by the next batch.
    assert is_finished(job)
    if name == "out.mov":
        assert sound_packets(target) == sound_packets(clip)


def _pictures(target: Path) -> list[tuple[Any, bytes]]:
    if files := numbered_files(target):
        return [(number, path.read_bytes()) for number, path in files.items()]
    with av.open(str(target)) as container:
        return [(p.pts, bytes(p)) for p in container.demux(video=0) if p.size]


def test_a_codec_that_needs_its_neighbours_is_spliced_by_segments(tmp_path: Path) -> None:
    frames = SEGMENT_FRAMES + 20
    clip = Clip(frames=frames).write(tmp_path / "clip.mp4")
    target = tmp_path / "out.webm"
    matte(1, source=clip, target=target)
    part = TimeRange.parse(f"{SEGMENT_FRAMES + 3}f-{SEGMENT_FRAMES + 5}f")
    assert matte(0, source=clip, target=target, time_range=part, splices=True) == 20
    assert alphas(target) == [1.0] * SEGMENT_FRAMES + [0.0] * 20


def test_a_splice_into_nothing_or_into_another_movie_is_refused(tmp_path: Path, clip: Path) -> None:
    part = TimeRange.parse("10f-20f")
    target = tmp_path / "out.mov"
    with pytest.raises(MattingError, match="leave it out"):
        matte(1, source=clip, target=target, time_range=part, splices=True)
    other = Clip(frames=FRAMES).write(tmp_path / "other.mp4")
    matte(1, source=other, target=target)
    before = target.read_bytes()
    with pytest.raises(MattingError, match="made from another file"):
        matte(1, source=clip, target=target, time_range=part, splices=True)
    assert target.read_bytes() == before
    with pytest.raises(OptionsError, match="--splice needs --range"):
        Job(source=clip, target=target, splices=True)


@pytest.mark.parametrize("codec", ["h264", "h265"])
def test_movies_in_mp4_are_spliced_whole(tmp_path: Path, codec: str) -> None:
    frames = SEGMENT_FRAMES + 30
    clip = Clip(frames=frames).write(tmp_path / "clip.mp4")
    wishes: dict[str, Any] = {
        "source": clip,
        "target": tmp_path / "out.mp4",
        "pass_name": "alpha",
        "delivery": Delivery(codec=codec),
    }
    matte(1, **wishes)
    part = TimeRange.parse(f"{SEGMENT_FRAMES + 3}f-{SEGMENT_FRAMES + 5}f")
    assert matte(0, **wishes, time_range=part, splices=True) == 30
    with VideoSource(wishes["target"]) as source:
        levels = [round(as_unit(frame.image).mean().item()) for frame in source]
    assert levels == [1] * SEGMENT_FRAMES + [0] * 30


def test_a_splice_keeps_the_kind_of_alpha_and_the_file_that_was_made(
    tmp_path: Path, clip: Path
) -> None:
    target, part = tmp_path / "out.mov", TimeRange.parse("10f-20f")
    matte(1, source=clip, target=target, delivery=Delivery(alpha="premultiplied"))
    before = target.read_bytes()
    with pytest.raises(MattingError, match="is premultiplied; give the same --alpha"):
        matte(0, source=clip, target=target, time_range=part, splices=True)
    target.write_bytes(before + b"\0")
    premultiplied = Delivery(alpha="premultiplied")
    with pytest.raises(MattingError, match="was changed after it was made"):
        matte(0, source=clip, target=target, time_range=part, splices=True, delivery=premultiplied)


def test_a_part_into_numbered_pictures_makes_their_folder(tmp_path: Path, clip: Path) -> None:
    target = tmp_path / "new" / "%04d.png"
    assert matte(1, source=clip, target=target, time_range=TimeRange.parse("5f-9f")) == 4
    assert len(numbered_files(target)) == 4


def test_a_part_never_replaces_what_is_finished(tmp_path: Path, clip: Path) -> None:
    target = tmp_path / "out.mov"
    matte(1, source=clip, target=target)
    journal_folder(target).mkdir()
    with pytest.raises(MattingError, match="--overwrite replaces it"):
        matte(0, source=clip, target=target, time_range=TimeRange.parse("5f-9f"), resumes=True)


def test_a_part_is_not_spliced_into_a_part(tmp_path: Path, clip: Path) -> None:
    target = tmp_path / "part.mov"
    matte(1, source=clip, target=target, time_range=TimeRange.parse("30f-40f"))
    with pytest.raises(MattingError, match="is a part itself"):
        matte(0, source=clip, target=target, time_range=TimeRange.parse("0f-5f"), splices=True)
