"""Where the mattes of strips and nodes go: names and numbers of files alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cli.formats.numbering import numbered_files
from cli.jobs.record import record_path
from cli.video.sequence_sink import FIRST_NUMBER
from shm_plugin.client import WorkerError
from shm_plugin.clips import ClipProgress, ClipRequest
from tests.plugin import fake_bpy


@pytest.fixture
def footage() -> Iterator[Any]:
    with fake_bpy.installed():
        from shm_plugin.blender import footage

        yield footage


@pytest.fixture
def here(tmp_path: Path) -> Path:
    return tmp_path / "human_matte"


def put(path: Path, content: str = "x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def put_matte(target: Path, source: Path) -> None:
    """A matte as the program leaves it, of a file or of numbered ones."""
    output = numbered_files(target).values() or [put(target, "a matte")]
    sources = list(numbered_files(source).values()) or [source]
    record = {
        "source": {"name": sources[0].name, "bytes": sum(len(f.read_text()) for f in sources)},
        "output": {"files": len(output), "bytes": sum(f.stat().st_size for f in output)},
    }
    put(record_path(target), json.dumps(record))


@pytest.mark.parametrize(
    ("name", "matte"),
    [
        ("clip.mp4", "clip.matte.mov"),
        ("clip.MOV", "clip.matte.mov"),
        ("a b.c.mxf", "a b.c.matte.mov"),
        ("clip.mkv", "clip.matte.mkv"),
        ("clip.WebM", "clip.matte.mkv"),
        ("100% take#2 %03d ####.mp4", "100% take#2 _ _.matte.mov"),
    ],
)
def test_a_movie_has_a_movie_of_its_name_with_times_as_exact_as_its_own(
    footage: Any, here: Path, name: str, matte: str
) -> None:
    movie = put(here.parent / name)
    plan = footage.plan_movie(movie, here)
    assert plan.shown == (here / matte,)
    ((source, target),) = plan.parts
    assert (source.path, target) == (movie, here / matte)
    assert not source.is_sequence


def test_a_matte_that_is_there_serves_again_but_only_its_own_movie(
    footage: Any, here: Path
) -> None:
    movie = put(here.parent / "a" / "clip.mp4", "first")
    other = put(here.parent / "b" / "clip.mp4", "another")
    put_matte(here / "clip.matte.mov", movie)
    assert footage.plan_movie(movie, here).shown == (here / "clip.matte.mov",)
    assert footage.plan_movie(other, here).shown == (here / "clip.matte.2.mov",)


def test_a_file_of_somebody_else_is_never_replaced(footage: Any, here: Path) -> None:
    movie = put(here.parent / "clip.mp4")
    put(here / "clip.matte.mov", "not ours")
    assert footage.plan_movie(movie, here).shown == (here / "clip.matte.2.mov",)
    put_matte(here / "clip.matte.2.mov", movie)
    put(here / "clip.matte.2.mov", "painted over by hand")
    assert footage.plan_movie(movie, here).shown == (here / "clip.matte.3.mov",)


def test_a_movie_that_changed_is_matted_anew_under_the_same_name(footage: Any, here: Path) -> None:
    movie = put(here.parent / "clip.mp4")
    put_matte(here / "clip.matte.mov", movie)
    put(movie, "edited since")
    now = here / "clip.matte.mov"
    assert footage.plan_movie(movie, here, now).shown == (now,)
    # Unless something else shows it: nobody knows what that is of.
    assert footage.plan_movie(movie, here).shown == (here / "clip.matte.2.mov",)


def test_numbered_pictures_are_matted_as_a_sequence_in_their_order(
    footage: Any, here: Path
) -> None:
    shot = [put(here.parent / "shot" / f"take2_{number:04d}.exr") for number in range(98, 103)]
    put(here.parent / "shot" / "take2_0200.exr")
    plan = footage.plan_pictures([shot[3], shot[1], shot[3]], here)
    ((source, target),) = plan.parts
    assert source.path == here.parent / "shot" / "take2_%04d.exr"
    assert source.files == tuple(shot)
    assert source.is_sequence
    assert target == here / "take2.matte" / "take2_%05d.png"
    numbers = [FIRST_NUMBER + index for index in (3, 1, 3)]
    assert [path.name for path in plan.shown] == [f"take2_{n:05d}.png" for n in numbers]


def test_pictures_that_are_only_numbers_are_named_after_their_folder(
    footage: Any, here: Path
) -> None:
    shot = [put(here.parent / "shot" / f"{number:02d}.png") for number in (1, 2)]
    ((_, target),) = footage.plan_pictures(shot, here).parts
    assert target == here / "shot.matte" / "shot_%05d.png"


@pytest.mark.parametrize(
    "names",
    [
        ["b.png", "a.jpg"],
        ["f_1.png", "f_3.png"],
        ["f_%d_1.png", "f_%d_2.png"],
        ["20240101123456789.png", "20250101123456789.png"],
    ],
)
def test_other_pictures_are_matted_one_by_one(footage: Any, here: Path, names: list[str]) -> None:
    pictures = [put(here.parent / name) for name in names]
    plan = footage.plan_pictures([*pictures, pictures[0]], here)
    assert [source.path for source, _ in plan.parts] == pictures
    stems = [Path(name).stem.replace("%d", "_") for name in [*names, names[0]]]
    assert plan.shown == tuple(here / f"{stem}.matte.png" for stem in stems)


def test_two_pictures_of_one_name_have_two_mattes(footage: Any, here: Path) -> None:
    pictures = [put(here.parent / name) for name in ("a.png", "a.jpg")]
    names = [path.name for path in footage.plan_pictures(pictures, here).shown]
    assert names == ["a.matte.png", "a.matte.2.png"]


def test_a_sequence_is_all_its_pictures_and_its_numbers_are_told_apart(
    footage: Any, here: Path
) -> None:
    shot = [put(here.parent / f"f{number:04d}.png") for number in range(1001, 1005)]
    plan = footage.plan_sequence(shot[2], here)
    assert plan.parts[0][0].files == tuple(shot)
    assert plan.shown[0].name == f"f_{FIRST_NUMBER + 2:05d}.png"
    assert plan.shift == 1003 - (FIRST_NUMBER + 2)
    for index in range(4):
        put(here / "f.matte" / f"f_{FIRST_NUMBER + index:05d}.png")
    put_matte(here / "f.matte" / "f_%05d.png", here.parent / "f%04d.png")
    assert footage.plan_sequence(shot[2], here).shown == plan.shown
    put(here / "f.matte" / "f_00002.png", "painted over")
    assert footage.plan_sequence(shot[2], here).shown[0].parent.name == "f.matte.2"


class Runs:
    """In the place of ClipRun: writes the target, or fails."""

    def __init__(self) -> None:
        self.requests: list[ClipRequest] = []
        self.error: Exception | None = None

    def __call__(self, request: ClipRequest, engine: str) -> Any:
        assert engine == "an engine"
        self.requests.append(request)
        return self

    def progress(self) -> Iterator[ClipProgress]:
        yield ClipProgress(share=0.5, text="frame 1 of 2")
        if self.error is not None:
            raise self.error
        self.requests[-1].target.touch()

    def cancel(self) -> None:
        pass


class Told(list[tuple[float, str]]):
    def __call__(self, share: float, text: str) -> None:
        self.append((share, text))

    def when_stopped(self, action: object) -> None:
        assert callable(action)


WANTED = SimpleNamespace(engine="an engine", device="cpu", size=384, smoothing="off")


def test_the_parts_are_made_one_after_the_other_as_the_preferences_say(
    footage: Any, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs, tell = Runs(), Told()
    monkeypatch.setattr(footage, "ClipRun", runs)
    pictures = [put(here.parent / name) for name in ("a.png", "b.png")]
    plan = footage.plan_pictures(pictures, here)
    footage.make_mattes(plan, WANTED, tell)
    assert [request.source for request in runs.requests] == pictures
    assert {(r.device, r.size, r.smoothing) for r in runs.requests} == {("cpu", 384, "off")}
    assert [share for share, _ in tell] == [0, 0.25, 0.5, 0.75]
    assert all(path.exists() for path in plan.shown)


def test_a_failure_leaves_no_empty_folder(
    footage: Any, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = Runs()
    runs.error = ValueError("no room")
    monkeypatch.setattr(footage, "ClipRun", runs)
    plan = footage.plan_movie(put(here.parent / "clip.mp4"), here)
    with pytest.raises(ValueError, match="no room"):
        footage.make_mattes(plan, WANTED, Told())
    assert not here.exists()


def test_a_refused_sequence_leaves_no_empty_folder_beside_other_mattes(
    footage: Any, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = Runs()
    runs.error = WorkerError("m_2.png is of another size.")
    monkeypatch.setattr(footage, "ClipRun", runs)
    other = put(here / "other.matte.mov")
    plan = footage.plan_pictures([put(here.parent / f"m_{n}.png") for n in (1, 2)], here)
    told = Told()
    # As the program does before it looks at the second picture.
    monkeypatch.setattr(Told, "when_stopped", lambda *_: runs.requests[-1].target.parent.mkdir())
    with pytest.raises(WorkerError, match="another size"):
        footage.make_mattes(plan, WANTED, told, "starting the engine; it takes long")
    assert list(here.iterdir()) == [other]
    assert told[0] == (0, "starting the engine; it takes long")


def test_a_gap_among_the_pictures_that_are_shown_is_one_sentence(footage: Any, here: Path) -> None:
    shot = [put(here.parent / f"f{number:03d}.png") for number in (4, 5, 6, 8, 9)]
    missing = r"^f007\.png is missing; add it and try again\.$"
    with pytest.raises(WorkerError, match=missing):
        footage.plan_sequence(shot[0], here, last=7)
    # What lies after it cannot be matted either, and nor can it itself.
    for picture in (shot[3], here.parent / "f007.png"):
        with pytest.raises(WorkerError, match=missing):
            footage.plan_sequence(picture, here)
    for last in (None, 6):
        assert len(footage.plan_sequence(shot[0], here, last=last).parts[0][0].files) == 3
    # As many as there might be: the node says 100, and there are fewer.
    assert footage.plan_sequence(put(here.parent / "g_1.png"), here, last=100).shift == 0


def test_it_is_known_how_many_pictures_are_matted_with_some_of_them(
    footage: Any, here: Path
) -> None:
    shot = [put(here.parent / "shot" / f"f{number:03d}.png") for number in range(1, 13)]
    assert footage.frames_of(shot[3:5]) == 12
    assert footage.frames_of(shot[3:4]) == 1
    others = [put(here.parent / "shot" / name) for name in ("a.png", "b.png")]
    assert footage.frames_of(others) == 2
    assert footage.frames_of([here / "gone" / "a_1.png", here / "gone" / "a_2.png"]) == 2


def test_a_folder_that_cannot_be_made_is_one_sentence(
    footage: Any, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = Runs()
    monkeypatch.setattr(footage, "ClipRun", runs)
    plan = footage.plan_movie(put(here.parent / "clip.mp4"), here / "missing")
    with pytest.raises(WorkerError, match="save the blend file where you may write"):
        footage.make_mattes(plan, WANTED, Told())
    assert not runs.requests
