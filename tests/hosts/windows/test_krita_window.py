"""Human Matte in Krita's own window, with a real mouse and keys: the menu, the dialog, progress,
Cancel, the mask, and Ctrl+Z. The engine is a stand-in; test_krita.py has the real one.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.hosts import krita
from tests.hosts.windows.screen import Screen, screen
from tests.plugin.workers import RedEngine, living

pytestmark = pytest.mark.window

PATIENCE = 60.0
_INSIDE = Path(__file__).with_name("krita_inside.py")
_HOME = "home-of-tests"


@dataclass
class Window:
    """A Krita that shows one picture. folder, runtime: outer paths of its questions and engine."""

    screen: Screen
    folder: Path
    runtime: Path
    _asked: int = field(default=0)

    def ask(self, do: str, text: str = "") -> Any:
        """What the plug-in of the tests says; Krita has to be alive for that."""
        file = self.folder / f"{self._asked:04}.ask"
        self._asked += 1
        partial = file.with_suffix(".partial")
        partial.write_text(json.dumps({"do": do, "text": text}))
        partial.rename(file)
        told = file.with_suffix(".told")
        _wait_for(told.exists, f"an answer to {do} {text}")
        return json.loads(told.read_text())

    def click(self, text: str) -> None:
        """Clicks on what has that text, as soon as it is there."""
        place: list[int] = []

        def is_there() -> bool:
            place[:] = self.ask("where", text) or []
            return bool(place)

        _wait_for(is_there, text)
        self.screen.click(*place)

    def wait_until(self, holds: Callable[[Any], bool], what: str) -> Any:
        """The state as soon as it holds."""
        _wait_for(lambda: holds(self.ask("state")), what)
        return self.ask("state")

    def press(self, keys: str) -> None:
        """Keys, for the main window: there is no manager of windows that would turn them there."""
        number = str(self.ask("state")["window"])
        env = {**os.environ, "DISPLAY": self.screen.display}
        subprocess.run(["xdotool", "windowfocus", "--sync", number], env=env, check=True)
        self.screen.press(keys)


def _wait_for(holds: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, f"Krita never had: {what}"
        time.sleep(0.1)


def picture() -> np.ndarray:
    """[60, 80, 3], RGB; RedEngine waits for its gate where the first byte is 66."""
    made = np.random.default_rng(3).integers(0, 256, (60, 80, 3)).astype(np.uint8)
    made[0, 0, 0] = 66
    return made


def _set_up(root: Path, folder: Path) -> None:
    """A home with both plug-ins switched on, and a picture."""
    shutil.rmtree(root / _HOME, ignore_errors=True)
    plug_ins = krita.install(root)
    (root / _HOME / ".config").mkdir()
    entries = "[python]\nenable_human_matte=true\nenable_shm_inside=true\n"
    (root / _HOME / ".config" / "kritarc").write_text(entries)
    resources = root / _HOME / ".local/share/krita"
    resources.mkdir(parents=True)
    (root / str(plug_ins)[1:]).rename(resources / "pykrita")
    desktop = (resources / "pykrita" / "human_matte.desktop").read_text()
    own = resources / "pykrita" / "shm_inside"
    own.mkdir()
    shutil.copy(_INSIDE, own / "__init__.py")
    own.with_suffix(".desktop").write_text(desktop.replace("human_matte", "shm_inside"))
    assert cv2.imwrite(str(folder / "picture.png"), picture()[..., ::-1])


@contextmanager
def _krita(root: Path) -> Iterator[Window]:
    with (
        screen() as opened,
        tempfile.TemporaryDirectory(prefix="shm-window-", dir=root / "tmp") as name,
    ):
        folder = Path(name)
        _set_up(root, folder)
        (folder / "run").mkdir()
        inside = Path("/tmp") / folder.name
        variables = {
            "HOME": f"/{_HOME}",
            "LC_ALL": "C.UTF-8",
            "PATH": "/usr/bin:/bin",
            "DISPLAY": opened.display,
            "LIBGL_ALWAYS_SOFTWARE": "1",
            "SHM_MATTE_RUNTIME": f"{inside}/run",
            "SHM_QUESTIONS": str(inside),
        }
        settings = [f"{key}={value}" for key, value in variables.items()]
        program = ["krita", "--nosplash", f"{inside}/picture.png"]
        command = ["chroot", str(root), "/usr/bin/env", "-i", *settings, *program]
        with (folder / "said").open("wb") as said:
            process = subprocess.Popen(command, stdout=said, stderr=said, start_new_session=True)
        try:
            yield Window(screen=opened, folder=folder, runtime=folder / "run")
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture(scope="module")
def window() -> Iterator[Window]:
    with _krita(krita.root()) as opened:
        told = (opened.folder / "said").read_text
        try:
            opened.wait_until(lambda state: state is not None, "a document")
        except AssertionError as error:
            raise AssertionError(told()) from error
        yield opened


@pytest.fixture
def engine(window: Window) -> Iterator[RedEngine]:
    """The one that Krita finds; its alpha is the red channel."""
    made = RedEngine()
    with living(window.runtime, lambda: made):
        yield made
        made.gate.set()


def _open(window: Window) -> None:
    for text in ("Tools", "Scripts", "Human Matte..."):
        window.click(text)


def _mask() -> list[Any]:
    return ["Human Matte", picture()[..., 0].flatten().tolist()]


def test_a_mask_comes_in_one_step_which_ctrl_z_takes_back(
    window: Window, engine: RedEngine
) -> None:
    engine.gate.set()
    _open(window)
    window.click("Cut Out")
    state = window.wait_until(lambda state: state["masks"], "a mask")
    assert state["masks"] == [_mask()]
    window.press("ctrl+z")
    state = window.wait_until(lambda state: not state["masks"], "no mask")
    assert not state["is_modified"]


def test_an_older_mask_of_ours_comes_back_in_two_steps(window: Window, engine: RedEngine) -> None:
    engine.gate.set()
    for _ in range(2):
        _open(window)
        window.click("Cut Out")
        window.wait_until(lambda state: "Engine:" not in state["labels"], "no dialog")
    assert window.ask("state")["masks"] == [_mask()]
    # Krita lets scripts undo neither a change of a mask nor several steps as one.
    window.press("ctrl+z")
    window.wait_until(lambda state: not state["masks"], "no mask")
    window.press("ctrl+z")
    window.wait_until(lambda state: state["masks"] == [_mask()], "the older mask")
    window.press("ctrl+z")
    state = window.wait_until(lambda state: not state["masks"], "no mask")
    assert not state["is_modified"]


def test_cancel_leaves_the_document_alone_while_krita_and_the_engine_live_on(
    window: Window, engine: RedEngine
) -> None:
    _open(window)
    window.click("Cut Out")
    # Krita answers while the engine works.
    assert engine.begun.wait(PATIENCE)
    assert window.ask("where", "Cut Out") is None
    window.click("Cancel")
    state = window.wait_until(lambda state: "Engine:" not in state["labels"], "no dialog")
    assert not state["masks"]
    assert not state["is_modified"]
    engine.gate.set()
    _open(window)
    window.click("Cut Out")
    assert window.wait_until(lambda state: state["masks"], "a mask")["masks"] == [_mask()]
    window.press("ctrl+z")
    window.wait_until(lambda state: not state["masks"], "no mask")


def test_without_an_engine_a_sentence_says_what_to_do(window: Window) -> None:
    _open(window)
    window.click("Cut Out")
    state = window.wait_until(
        lambda state: any("engine is not installed" in each for each in state["labels"]),
        "a sentence",
    )
    assert not state["masks"]
    window.click("OK")
    window.click("Cancel")
    window.wait_until(lambda state: "Engine:" not in state["labels"], "no dialog")
