"""A live session: mattes onto the screen and into files, whatever the source does meanwhile."""

from __future__ import annotations

import errno
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from cli.camera.command import _working
from cli.camera.look import Look, Shows
from cli.camera.recording import Recorder
from cli.camera.screen import Screen
from cli.camera.session import Rate, Session
from cli.camera.virtual import VirtualCamera
from cli.video import VideoSink
from cli.video.live import LiveSource
from shm_engine.errors import MattingError, VideoError
from shm_engine.types import Frame, Matte
from tests.cli.clips import ALPHA, decode
from tests.cli.live import (
    HEIGHT,
    ORANGE,
    TICKS,
    WIDTH,
    FedSource,
    HalfMatter,
    frame,
    times_of,
    until,
)


@pytest.fixture
def source() -> FedSource:
    return FedSource()


@pytest.fixture
def recorder(tmp_path: Path) -> Recorder:
    return Recorder(tmp_path)


@pytest.fixture
def screen() -> Screen:
    return Screen(Look(shows=Shows.ORIGINAL))


def _unavailable() -> LiveSource:
    raise VideoError("the camera is still gone")


@contextmanager
def _session(
    source: FedSource,
    recorder: Recorder,
    screen: Screen,
    reopen: Callable[[], LiveSource] = _unavailable,
) -> Iterator[Session]:
    session = Session(source, reopen, HalfMatter(), recorder, screen)
    with ExitStack() as stack:
        stack.callback(recorder.stop)
        stack.enter_context(_working(session, screen))
        yield session


def _half(given: Frame) -> Matte:
    return next(HalfMatter().mattes([given]))


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_recording_has_alpha_and_the_times_of_its_pictures(
    source: FedSource, recorder: Recorder, screen: Screen, tmp_path: Path
) -> None:
    source.feed(1)
    with _session(source, recorder, screen) as session:
        until(lambda: session.facts()["fps"] is None and screen.after(0, 1) is not None)
        source._count = 40  # what a slow computer drops is a gap in the times
        session.start_recording(tmp_path / "take.mov")
        for index in (40, 41, 44, 50):
            source._count = index
            source.feed()
            until(lambda: _frames_of(session) == (40, 41, 44, 50).index(index) + 1)  # noqa: B023
        session.stop_recording()
        assert session.facts()["saved"] == {"name": "take.mov", "seconds": pytest.approx(1 / 3)}
    frames = decode(tmp_path / "take.mov")
    assert times_of(frames) == [Fraction(index * TICKS, 90_000) for index in (0, 1, 4, 10)]
    assert frames[0].format.name.startswith("yuva444p")
    picture = frames[-1].to_ndarray(format="rgba")
    assert (picture[:, : WIDTH // 2, 3] >= 255 * (1 - ALPHA)).all()
    assert (picture[:, WIDTH // 2 :, 3] == 0).all()
    assert np.abs(picture[:, : WIDTH // 2 - 4, :3].astype(int) - ORANGE).max() <= 4
    assert _names(tmp_path) == ["take.mov"]


def _frames_of(session: Session) -> int:
    recording = session.facts()["recording"]
    return recording["frames"] if isinstance(recording, dict) else -1


def test_recordings_are_named_by_the_time_and_never_overwrite(
    source: FedSource, recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.strftime", lambda _: "camera-2026-11-23-141502")
    for _ in range(3):
        recorder.start(source.info)
        recorder.write(_half(frame(0)))
        recorder.stop()
    names = [f"camera-2026-11-23-141502{number}.mov" for number in ("-2", "-3", "")]
    assert _names(tmp_path) == names
    with pytest.raises(VideoError, match="exists already"):
        recorder.start(source.info, tmp_path / names[0])


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("take.mp4", "alpha"),
        ("no/folder/take.mov", "create it first"),
        ("take", "suffix"),
        ("%05d.png", "no movie"),
    ],
)
def test_a_recording_that_cannot_be_is_refused(
    source: FedSource, recorder: Recorder, tmp_path: Path, name: str, words: str
) -> None:
    with pytest.raises(MattingError, match=words):
        recorder.start(source.info, tmp_path / name)
    assert recorder.current is None
    assert not _names(tmp_path)


def test_a_recording_without_a_picture_is_no_file(
    source: FedSource, recorder: Recorder, tmp_path: Path
) -> None:
    recorder.start(source.info)
    with pytest.raises(VideoError, match="no frame came"):
        recorder.stop()
    assert not _names(tmp_path)
    recorder.stop()  # nothing is open any more


def test_a_full_disk_ends_the_recording_but_not_the_session(
    source: FedSource,
    recorder: Recorder,
    screen: Screen,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise VideoError("the disk is full; free some space")

    monkeypatch.setattr(VideoSink, "write", fail)
    with _session(source, recorder, screen) as session:
        session.start_recording()
        source.feed()
        until(lambda: session.facts()["recording_trouble"] is not None)
        assert session.facts()["recording_trouble"] == "the disk is full; free some space"
        assert session.facts()["recording"] is None
        shown = screen.after(0, 20)
        assert shown is not None
        source.feed()
        assert screen.after(shown.number, 20) is not None
    assert not _names(tmp_path)


def test_the_pictures_flow_on_while_a_long_recording_is_completed(
    source: FedSource, recorder: Recorder, screen: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_end, complete = threading.Event(), VideoSink.__exit__

    def completes_slowly(sink: VideoSink, *error: None) -> None:
        assert may_end.wait(20)
        complete(sink, *error)

    monkeypatch.setattr(VideoSink, "__exit__", completes_slowly)
    with _session(source, recorder, screen) as session:
        session.start_recording()
        source.feed()
        until(lambda: _frames_of(session) == 1)
        ending = threading.Thread(target=session.stop_recording)
        ending.start()
        until(lambda: session.facts()["finishing"] is not None)
        shown = screen.after(0, 20)
        assert shown is not None
        source.feed()
        assert screen.after(shown.number, 20) is not None
        may_end.set()
        ending.join()
        assert session.facts()["finishing"] is None
        assert session.facts()["saved"] is not None


def test_a_camera_that_goes_away_is_told_and_taken_again_when_it_is_back(
    source: FedSource, recorder: Recorder, screen: Screen, tmp_path: Path
) -> None:
    back = FedSource()
    sources: list[FedSource] = []

    def reopen() -> LiveSource:
        if not sources:
            raise VideoError("the camera is still gone")
        return sources[0]

    with _session(source, recorder, screen, reopen) as session:
        source.feed()
        shown = screen.after(0, 20)
        assert shown is not None
        session.start_recording(tmp_path / "take.mov")
        source.feed()
        until(lambda: _frames_of(session) == 1)
        source.fail("the camera is gone")
        until(lambda: session.facts()["trouble"] is not None)
        until(lambda: session.facts()["recording"] is None)
        until(lambda: source.is_closed)
        until(lambda: session.facts()["trouble"] == "the camera is still gone")
        with pytest.raises(VideoError, match="nothing can be recorded: the camera is still gone"):
            session.start_recording()
        back.feed(1, (10, 20, 30))
        sources.append(back)
        until(lambda: session.facts()["trouble"] is None)
    assert len(decode(tmp_path / "take.mov")) == 1
    assert back.is_closed


def test_what_no_user_can_mend_ends_all(
    source: FedSource, recorder: Recorder, screen: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("bug")

    monkeypatch.setattr(Recorder, "write", fail)
    session = Session(source, _unavailable, HalfMatter(), recorder, screen)
    source.feed()
    with pytest.raises(ZeroDivisionError, match="bug"), _working(session, screen) as alarm:
        assert alarm.wait(20)
    assert not [t for t in threading.enumerate() if t.name.startswith("shm-camera")]


def test_nothing_is_drawn_while_nobody_looks(
    source: FedSource, recorder: Recorder, screen: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.camera.screen._FORGOTTEN_SECONDS", -1.0)
    drawn: list[Matte] = []
    monkeypatch.setattr("cli.camera.drawing.draw", lambda matte, _: drawn.append(matte))
    with _session(source, recorder, screen) as session:
        source.feed(3)
        until(lambda: session._mattes_made > 0)
        assert screen.after(0, 0.3) is None
    assert not drawn


def test_a_rate_is_that_of_the_last_seconds_and_none_when_nothing_comes() -> None:
    now = [0.0]
    rate = Rate(lambda: now[0])
    assert rate.per_second is None
    for step in range(100):
        now[0] = step / 10
        rate.tell(step * 3)
    assert rate.per_second == pytest.approx(30)
    now[0] += 10
    assert rate.per_second is None


class _Device:
    """Stands in for pyvirtualcam.Camera."""

    made: tuple[int, int, float]
    device = "/dev/video9"

    def __init__(self, width: int, height: int, fps: float) -> None:
        type(self).made = width, height, fps
        self.sent: list[np.ndarray] = []
        self.is_closed = False

    def send(self, picture: np.ndarray) -> None:
        self.sent.append(picture.copy())

    def close(self) -> None:
        self.is_closed = True


def test_a_virtual_camera_gets_what_is_on_the_screen_though_nobody_looks(
    source: FedSource, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    pyvirtualcam = pytest.importorskip("pyvirtualcam")
    monkeypatch.setattr(pyvirtualcam, "Camera", _Device)
    virtual = VirtualCamera((WIDTH, HEIGHT), 30.0)
    device = virtual._camera
    assert (virtual.name, device.made) == ("/dev/video9", (WIDTH, HEIGHT, 30.0))
    with _session(source, recorder, Screen(Look(colour=(0, 0, 255)), virtual)):
        source.feed()
        until(lambda: bool(device.sent))
    (picture,) = device.sent
    assert np.abs(picture[:, : WIDTH // 2].astype(int) - ORANGE).max() <= 1
    assert (picture[:, WIDTH // 2 :] == (0, 0, 255)).all()
    virtual.send(np.zeros((2 * HEIGHT, 2 * WIDTH, 3), np.uint8))
    assert device.sent[-1].shape == (HEIGHT, WIDTH, 3)
    virtual.close()
    assert device.is_closed


def test_a_virtual_camera_that_cannot_be_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pyvirtualcam = pytest.importorskip("pyvirtualcam")

    def fail(*_: object) -> None:
        raise RuntimeError("no device")

    monkeypatch.setattr(pyvirtualcam, "Camera", fail)
    with pytest.raises(MattingError, match="v4l2loopback"):
        VirtualCamera((WIDTH, HEIGHT), 30.0)
    monkeypatch.setitem(sys.modules, "pyvirtualcam", None)
    with pytest.raises(MattingError, match=r"pip install semantic-human-matting\[camera\]"):
        VirtualCamera((WIDTH, HEIGHT), 30.0)


def test_a_disk_that_fills_up_at_the_end_is_told_too(
    source: FedSource, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder.start(source.info)
    recorder.write(_half(frame(0)))

    def fail(*_: object) -> None:
        raise av.error.OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("cli.video.sink.assemble", fail)
    with pytest.raises(VideoError, match="disk is full"):
        recorder.stop()
    assert recorder.trouble is not None
    assert recorder.last is None
