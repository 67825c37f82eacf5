"""Where live pictures come from: a clip that goes round, cameras, and the newest of what came."""

from __future__ import annotations

import errno
import gc
import logging
import sys
import threading
import weakref
from fractions import Fraction
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import pytest
import torch

from cli.camera.grabbing import Grabber
from cli.camera.newest import Newest, Task
from cli.video import live
from cli.video.camera import Camera, CameraAddress, find_camera
from cli.video.live import TIME_BASE, LoopedClip
from shm_engine.errors import VideoError
from tests.cli.clips import Clip, shade
from tests.cli.live import FedSource, until

_FRAMES = 5


class _Clock:
    """Time that passes only while somebody waits for it."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


class _Waiting(threading.Event):
    def __init__(self, clock: _Clock) -> None:
        super().__init__()
        self._clock = clock

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self._clock.now += timeout
        return self.is_set()


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return Clip(frames=_FRAMES).write(tmp_path / "clip.mp4")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> _Clock:
    """Real time for clips."""
    clock = _Clock()
    monkeypatch.setattr(live, "time", clock)
    return clock


def _open(path: Path, clock: _Clock) -> LoopedClip:
    looped = LoopedClip(path)
    looped._stopped = _Waiting(clock)
    return looped


def test_a_clip_goes_round_in_real_time_and_its_times_go_on_rising(
    clip: Path, clock: _Clock
) -> None:
    looped = _open(clip, clock)
    shown, shades = [], []
    for frame in islice(looped, 3 * _FRAMES):
        shown.append((frame.index, frame.pts * frame.time_base, clock.now - 100))
        shades.append(float(frame.image.float().mean()) / 255)
    looped.close()
    for index, (number, seconds, when) in enumerate(shown):
        assert number == index
        assert seconds == Fraction(index, 25)
        assert when == pytest.approx(index / 25)
        assert shades[index] == pytest.approx(shade(index % _FRAMES), abs=0.01)


def test_a_clip_that_is_late_goes_on_without_a_rush(clip: Path, clock: _Clock) -> None:
    looped = _open(clip, clock)
    frames = iter(looped)
    next(frames)
    clock.now += 1000  # the computer slept
    second, third = next(frames), next(frames)
    assert clock.now - 1100 == pytest.approx(float((third.pts - second.pts) * TIME_BASE))
    looped.close()


def test_what_there_is_to_say_of_a_clip_is_said_once(
    clip: Path, clock: _Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    looped = _open(clip, clock)
    list(islice(looped, 3 * _FRAMES))
    looped.close()
    assert [record.getMessage() for record in caplog.records] == [
        "clip.mp4 does not say how its colours are coded; BT.601 is assumed."
    ]


def test_a_clip_is_described_as_a_live_stream(tmp_path: Path) -> None:
    clip = Clip(frames=2, audio="aac", metadata={"title": "x"}, timecode="01:00:00:00")
    looped = LoopedClip(clip.write(tmp_path / "clip.mov"))
    info = looped.info
    looped.close()
    assert (info.time_base, info.start_pts) == (TIME_BASE, 0)
    assert info.frame_rate == 25
    assert info.frame_count is None
    assert not info.has_audio
    assert not info.metadata
    assert not info.stream_metadata


def test_a_clip_can_be_stopped_while_it_waits(tmp_path: Path) -> None:
    slides = Clip(frames=2, time_base=Fraction(1, 25), pts=[0, 25 * 3600])
    looped = LoopedClip(slides.write(tmp_path / "slides.mp4"))
    frames = iter(looped)
    next(frames)
    task = Task("waiting", lambda: list(frames).clear(), threading.Event())
    task.start()
    looped.stop()
    task.join(20)
    assert not task.is_alive
    looped.close()


def test_a_clip_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="does not exist"):
        LoopedClip(tmp_path / "none.mp4")


def _lavfi(description: str) -> CameraAddress:
    return CameraAddress(name="test card", format="lavfi", file=description)


def test_a_camera_gives_pictures_with_rising_times_from_0() -> None:
    camera = Camera(_lavfi("color=c=red:size=64x48:rate=30:duration=0.3"))
    assert (camera.info.width, camera.info.height) == (64, 48)
    assert camera.info.frame_rate == 30
    assert camera.info.time_base == TIME_BASE
    frames = list(islice(camera, 5))
    camera.close()
    assert [frame.pts for frame in frames] == [0, 3000, 6000, 9000, 12000]
    assert [frame.index for frame in frames] == [0, 1, 2, 3, 4]
    assert {(frame.native.pts, frame.native.duration) for frame in frames[:2]} == {
        (0, 3000),
        (3000, 3000),
    }
    red = frames[0].image.float().mean(dim=(1, 2))
    assert torch.allclose(red, torch.tensor([254.0, 0.0, 0.0]), atol=3)


def test_a_camera_that_goes_away_says_so() -> None:
    camera = Camera(_lavfi("color=size=64x48:rate=30:duration=0.1"))
    with pytest.raises(VideoError, match="test card sends no picture any more"):
        list(camera)
    camera.close()


def test_a_camera_ends_when_it_is_stopped() -> None:
    camera = Camera(_lavfi("color=size=64x48:rate=30"))
    frames = iter(camera)
    next(frames)
    camera.stop()
    assert next(frames, None) is None
    camera.close()
    camera.close()


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOENT, "there is no camera at"),
        (errno.EBUSY, "is in use"),
        (errno.EACCES, "may not be used"),
        (errno.EIO, "unplug it"),
    ],
)
def test_a_camera_that_cannot_be_opened_is_told_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, number: int, words: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, "reason")

    monkeypatch.setattr(av, "open", fail)
    with pytest.raises(VideoError, match=words):
        Camera(CameraAddress(name="the webcam", format="v4l2", file="/dev/video7"))


def test_a_camera_is_asked_for_less_until_it_agrees(monkeypatch: pytest.MonkeyPatch) -> None:
    opened, really_open = [], av.open

    def refuse(file: str, *, format: str, options: dict[str, str]) -> Any:  # noqa: A002
        opened.append((file, format, options))
        if options:
            raise OSError(errno.EINVAL, "Invalid argument")
        return really_open("color=size=64x48:rate=5", format="lavfi")

    monkeypatch.setattr(av, "open", refuse)
    Camera(CameraAddress(name="x", format="v4l2", file="/dev/video0")).close()
    assert [options.get("input_format") for _, _, options in opened] == ["mjpeg", None]


_LISTED = [
    SimpleNamespace(name="0", description="Built-in Camera", media_types=["video"]),
    SimpleNamespace(name="1", description="Microphone", media_types=["audio"]),
    SimpleNamespace(name="2", description="USB Camera", media_types=["video"]),
]


@pytest.mark.parametrize(
    ("system", "wanted", "expected"),
    [
        ("linux", None, ("v4l2", "0")),
        ("linux", "3", ("v4l2", "/dev/video3")),
        ("linux", "/dev/v4l/by-id/x", ("v4l2", "/dev/v4l/by-id/x")),
        ("linux", "usb", ("v4l2", "2")),
        ("darwin", None, ("avfoundation", "0")),
        ("darwin", "1", ("avfoundation", "2")),
        ("win32", None, ("dshow", "video=0")),
        ("win32", "usb cam", ("dshow", "video=2")),
    ],
)
def test_a_camera_is_found_by_number_name_or_path(
    monkeypatch: pytest.MonkeyPatch, system: str, wanted: str | None, expected: tuple[str, str]
) -> None:
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(av, "enumerate_input_devices", lambda _: _LISTED)
    found = find_camera(wanted)
    assert (found.format, found.file) == expected


@pytest.mark.parametrize(
    ("system", "wanted", "listed", "words"),
    [
        ("linux", "usb", [], "no camera was found"),
        ("darwin", "9", _LISTED, "use one of these: Built-in Camera, USB Camera"),
        ("win32", None, [], "no camera was found"),
        ("plan9", None, [], "on this system"),
    ],
)
def test_a_camera_that_is_not_there_is_told_with_those_that_are(
    monkeypatch: pytest.MonkeyPatch, system: str, wanted: str | None, listed: Any, words: str
) -> None:
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(av, "enumerate_input_devices", lambda _: listed)
    with pytest.raises(VideoError, match=words):
        find_camera(wanted)


def test_where_none_is_listed_on_linux_opening_the_first_says_why(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(av, "enumerate_input_devices", lambda _: [])
    assert find_camera(None).file == "/dev/video0"


def test_whoever_is_slow_gets_the_newest_and_the_rest_is_forgotten() -> None:
    class Thing:
        pass

    newest: Newest[Thing] = Newest()
    things = [Thing() for _ in range(3)]
    first = weakref.ref(things[0])
    for thing in things:
        newest.put(thing)
    found = newest.after(0, 0)
    assert found is not None
    assert found == (3, things[2])
    assert newest.after(3, 0) is None
    del things, thing, found
    gc.collect()
    assert first() is None


def test_whoever_waits_is_woken_by_something_new_and_by_the_end() -> None:
    newest: Newest[str] = Newest()
    seen: list[object] = []

    def read() -> None:
        number = 0
        while (newer := newest.after(number, 60)) is not None:
            number = newer.number
            seen.append(newer.item)

    task = Task("reader", read, threading.Event())
    task.start()
    newest.put("a")
    until(lambda: seen == ["a"])
    newest.close()
    task.join(20)
    assert not task.is_alive


def test_the_error_of_a_task_is_kept_and_raises_the_alarm() -> None:
    alarm = threading.Event()

    def fail() -> None:
        raise ZeroDivisionError("bug")

    task = Task("failing", fail, alarm)
    task.start()
    assert alarm.wait(20)
    task.join()
    with pytest.raises(ZeroDivisionError, match="bug"):
        task.check()


def test_frames_that_come_during_work_are_dropped_but_for_the_newest() -> None:
    source = FedSource(frames=1)
    with Grabber(source, threading.Event()) as grabber:
        frames = iter(grabber)
        assert next(frames).index == 0
        source.feed(7)
        until(lambda: grabber.count == 8)
        newest = next(frames)
        assert newest.index == 7
        assert grabber.arrival(newest) > 0


def test_frames_end_with_the_source_with_its_error_and_with_the_session() -> None:
    stopped = threading.Event()
    source = FedSource(frames=1)
    with Grabber(source, stopped) as grabber:
        frames = iter(grabber)
        next(frames)
        source.fail("the camera is gone")
        with pytest.raises(VideoError, match="the camera is gone"):
            next(frames)
    source = FedSource(frames=1)
    with Grabber(source, stopped) as grabber:
        frames = iter(grabber)
        next(frames)
        source.stop()
        assert next(frames, None) is None
    with Grabber(FedSource(), stopped) as grabber:
        stopped.set()
        assert list(grabber) == []


def test_a_camera_that_falls_silent_is_no_reason_to_wait_for_ever() -> None:
    source = FedSource(frames=1)
    source.patience_seconds = 0.15
    with Grabber(source, threading.Event()) as grabber:
        frames = iter(grabber)
        next(frames)
        with pytest.raises(VideoError, match="has sent no picture for"):
            next(frames)
