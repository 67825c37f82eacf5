"""shm-matte camera from the command line to its end: what it shows, records, refuses and leaves."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
import webbrowser
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from cli import main as door
from cli.camera.session import Session
from shm_engine import Matter, MatterOptions
from shm_engine.errors import CheckpointError
from tests.cli.clips import Clip, decode
from tests.cli.live import Browser, HalfMatter, times_of, until

_FRAMES = 6
_SECOND_TAKE = 8


class Outcome(NamedTuple):
    code: int
    out: str
    errors: str


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[MatterOptions]:
    """Replaces the network; holds the options of every load."""
    seen: list[MatterOptions] = []

    def load(_: Path | None, options: MatterOptions) -> HalfMatter:
        seen.append(options)
        return HalfMatter()

    monkeypatch.setattr(Matter, "load", load)
    return seen


@pytest.fixture
def camera(
    loads: list[MatterOptions],  # noqa: ARG001 - for its effect
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Callable[..., Outcome]:
    """Runs the command in this process, with a function in the place of the user's browser."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DISPLAY", ":0")

    def run(*arguments: str | Path, user: Callable[[Browser], None] | None = None) -> Outcome:
        def open_browser(address: str) -> None:
            assert user is not None, "nobody asked for a browser"
            user(Browser(address))
            signal.raise_signal(signal.SIGINT)

        monkeypatch.setattr(webbrowser, "open", open_browser)
        with pytest.raises(SystemExit) as ended:
            door.main(["camera", *map(str, arguments)])
        shown = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        assert "Traceback" not in shown.err
        left = [t.name for t in threading.enumerate() if t.name != "MainThread"]
        assert not [name for name in left if "shm-camera" in name or "process_request" in name]
        return Outcome(ended.value.code, shown.out, shown.err)

    return run


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return Clip(frames=_FRAMES).write(tmp_path / "clip.mp4")


def _left(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_clip_becomes_a_live_page_and_ctrl_c_is_its_normal_end(
    camera: Callable[..., Outcome], loads: list[MatterOptions], clip: Path, tmp_path: Path
) -> None:
    shown: list[NDArray[np.int_]] = []

    def user(browser: Browser) -> None:
        shown.extend(browser.picture().pixels.astype(int) for _ in range(2 * _FRAMES))
        assert browser.get("/state").facts["source"] == "clip.mp4"

    outcome = camera(clip, "--background", "#0000ff", user=user)
    assert outcome.code == 0
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\?token=[\w-]{32,}\n", outcome.out)
    for pixels in shown:
        assert np.abs(pixels[:, 40:] - (0, 0, 255)).max() <= 4
        assert np.ptp(pixels[:, :24]) <= 4  # the grey of one of the clip's frames
    assert len({int(pixels[0, 0, 0]) for pixels in shown}) > 1
    assert _left(tmp_path) == {"clip.mp4"}
    (options,) = loads
    assert (options.frames_ahead, options.batch) == (0, 1)  # nothing waits on its way


def test_what_is_recorded_from_the_start_is_complete_at_the_end(
    camera: Callable[..., Outcome], clip: Path, tmp_path: Path
) -> None:
    def user(browser: Browser) -> None:
        # For so long that the clip went round.
        until(lambda: browser.get("/state").facts["recording"]["seconds"] > 1.5 * _FRAMES / 25)

    outcome = camera(clip, "--record", tmp_path / "take.mov", user=user)
    assert outcome.code == 0
    assert "wrote" in outcome.errors
    frames = decode(tmp_path / "take.mov")
    seconds = times_of(frames)
    assert all(earlier < later for earlier, later in pairwise(seconds))
    # Each is a moment of the clip, and the time goes on over its end.
    assert seconds[0] == 0
    assert all(moment * 25 == round(moment * 25) for moment in seconds)
    assert seconds[-1] > Fraction(_FRAMES, 25)
    assert frames[0].format.name.startswith("yuva444p")
    assert _left(tmp_path) == {"clip.mp4", "take.mov"}


@pytest.mark.skipif(sys.platform != "linux", reason="knows where Linux has no camera")
@pytest.mark.parametrize("arguments", [["--camera", "97"], ["--camera", "/dev/video97"]])
def test_a_camera_that_is_absent_is_told_before_the_network_is_loaded(
    camera: Callable[..., Outcome], loads: list[MatterOptions], arguments: list[str]
) -> None:
    outcome = camera(*arguments)
    assert (outcome.code, outcome.out) == (1, "")
    sentence = "there is no camera at /dev/video97; plug one in, or give a clip instead"
    assert outcome.errors == f"shm-matte: {sentence}\n"
    assert not loads


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["none.mp4"], 1, "does not exist"),
        (["clip.mp4", "--camera", "0"], 2, "not both"),
        (["clip.mp4", "--background", "nothing"], 2, "neither a colour"),
        (["clip.mp4", "--record", "clip.mp4"], 1, "exists already"),
        (["clip.mp4", "--record", "take.mp4"], 1, "alpha"),
        (["clip.mp4", "--port", "99999"], 2, "--port"),
        (["clip.mp4", "--size", "5"], 2, "64"),
    ],
)
def test_what_cannot_be_is_told_in_one_line_before_the_network_is_loaded(
    camera: Callable[..., Outcome],
    loads: list[MatterOptions],
    clip: Path,
    arguments: list[str],
    code: int,
    words: str,
) -> None:
    outcome = camera(*arguments)
    assert (outcome.code, outcome.out) == (code, "")
    assert words in outcome.errors
    assert outcome.errors.count("\n") == 1
    assert not loads
    assert _left(clip.parent) == {"clip.mp4"}


def test_a_network_that_cannot_be_loaded_leaves_nothing_open(
    camera: Callable[..., Outcome], clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise CheckpointError("the weights are damaged; download them again")

    monkeypatch.setattr(Matter, "load", fail)
    outcome = camera(clip)
    assert outcome.code == 1
    assert outcome.errors.splitlines()[-1].endswith("the weights are damaged; download them again")


@pytest.mark.parametrize("wish", [["--no-browser"], []])
def test_no_browser_is_opened_where_none_is_wanted_or_there_is_no_desktop(
    camera: Callable[..., Outcome], clip: Path, monkeypatch: pytest.MonkeyPatch, wish: list[str]
) -> None:
    def fail(_: object) -> None:
        raise ZeroDivisionError("which ends it")

    monkeypatch.setattr(Session, "run", fail)
    if not wish:
        monkeypatch.setattr(sys, "platform", "linux")
        monkeypatch.delenv("DISPLAY")
        monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    outcome = camera(clip, *wish)
    assert outcome.code == 1
    assert "unexpected ZeroDivisionError (which ends it)" in outcome.errors


def test_a_real_program_ends_well_when_it_is_asked_to(
    tmp_path: Path, clip: Path, random_weights: Path
) -> None:
    """In a process of its own, with a network, and with a recording that is under way."""
    options = ["--size", "64", "--device", "cpu", "--backend", "eager"]
    take = ["--no-browser", "--model", str(random_weights), "--record", str(tmp_path / "take.mov")]
    program = [sys.executable, "-c", "from cli.entry import main; main()"]
    with subprocess.Popen(
        [*program, "camera", str(clip), *options, *take],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        browser = Browser(process.stdout.readline().strip())
        until(lambda: browser.get("/state").facts["recording"]["frames"] >= _SECOND_TAKE)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert "wrote" in errors
    assert len(decode(tmp_path / "take.mov")) >= _SECOND_TAKE
    assert _left(tmp_path) == {"clip.mp4", "take.mov"}
