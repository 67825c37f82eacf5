"""Human Matte in GIMP's own window, with a real mouse, keys and engine: the menu, the dialog,
progress, Cancel, the result, and Ctrl+Z.

$SHM_PICTURES names a folder for the pictures of the documentation, which are taken on the way.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from shm_engine.matter import Matter
from shm_engine.options import MatterOptions
from shm_plugin.messages import MatteReply, MatteRequest
from shm_plugin.worker import MatterEngine
from tests.hosts.gimp import new_gimp
from tests.hosts.installed import debian
from tests.hosts.test_gimp import TOLERANCE, alpha_of, frame
from tests.hosts.windows.gimp_window import DIALOG, PATIENCE, Window, gimp_window, wait_for
from tests.hosts.windows.screen import save_picture
from tests.plugin.workers import client_of, living, picture, reply_to

pytestmark = pytest.mark.window


# Where GIMP draws the button beside its progress, in a window of this size.
CANCEL = (1000, 782)


class PatientEngine:
    """The real engine, which begins as soon as `gate` is open."""

    def __init__(self, engine: MatterEngine) -> None:
        self._engine = engine
        self.gate = threading.Event()
        self.begun = threading.Event()
        self.dropped = threading.Event()

    @property
    def description(self) -> str:
        return self._engine.description

    def matte(self, request: MatteRequest, tell: Callable[[float, str], None]) -> MatteReply:
        self.begun.set()
        try:
            while not self.gate.wait(0.1):
                tell(0.4, "looking at the picture")
        except BaseException:
            self.dropped.set()
            raise
        return self._engine.matte(request, tell)


@pytest.fixture(scope="module")
def real_engine() -> MatterEngine:
    options = MatterOptions()
    return MatterEngine(Matter.load(None, options), lambda other: Matter.load(None, other))


@pytest.fixture(scope="module")
def window() -> Iterator[Window]:
    """GIMP, with a frame of the sample clip."""
    with new_gimp(debian()) as new, gimp_window(new, _write_picture) as opened:
        yield opened


def _write_picture(path: Path) -> None:
    assert cv2.imwrite(str(path), frame()[..., ::-1])


@pytest.fixture
def engine(window: Window, real_engine: MatterEngine) -> Iterator[PatientEngine]:
    """The worker that this GIMP finds."""
    patient = PatientEngine(real_engine)
    with living(window.runtime, lambda: patient):
        yield patient
        patient.gate.set()


def _keep(window: Window, name: str, box: tuple[int, int, int, int]) -> None:
    """A part of the screen for the documentation."""
    folder = os.environ.get("SHM_PICTURES")
    if folder:
        save_picture(window.screen.shot(), Path(folder) / f"{name}.png", box)


def _undo(window: Window, expected: Any) -> None:
    """Ctrl+Z, once; what was there before must be there again."""
    window.press("ctrl+z")
    window.wait_until(lambda state: bool(state == expected), "one undo did not bring all back")


def test_the_menu_leads_to_a_mask_that_one_undo_takes_away(
    window: Window, engine: PatientEngine
) -> None:
    before = window.state()
    window.open_menu()
    _keep(window, "gimp-menu", (185, 0, 1045, 600))
    window.screen.press("Return")
    window.place(DIALOG, 430, 250)
    _keep(window, "gimp-dialog", (290, 200, 950, 600))
    window.screen.press("Return")
    assert engine.begun.wait(PATIENCE)
    time.sleep(2)
    _keep(window, "gimp-progress", (195, 200, 1280, 800))
    # The window lives: it says what the image is like, and nothing of it has changed.
    assert window.state() == before
    engine.gate.set()
    after = window.wait_until(lambda state: state["layers"][0]["mask"] is not None, "no mask")
    assert after["layers"][0]["pixels"] == before["layers"][0]["pixels"]
    window.ask("mask")
    height, width, _ = frame().shape
    mask = np.fromfile(window.folder / "mask", np.float32).reshape(height, width)
    assert np.abs(mask - alpha_of(frame())).max() <= TOLERANCE
    time.sleep(2)
    _keep(window, "gimp-mask", (195, 200, 1280, 800))
    _undo(window, before)
    window.press("ctrl+y")
    window.wait_until(lambda state: bool(state == after), "redo does not bring the mask back")
    _undo(window, before)


def test_cancel_leaves_the_image_as_it_was_and_the_engine_alive(
    window: Window, engine: PatientEngine
) -> None:
    before = window.state()
    window.open_menu()
    window.screen.press("Return")
    window.focus(DIALOG)
    window.screen.press("Return")
    assert engine.begun.wait(PATIENCE)
    time.sleep(2)
    window.screen.click(*CANCEL)
    assert engine.dropped.wait(PATIENCE), "Cancel was not clicked, or nobody told the engine"
    assert window.state() == before
    engine.gate.set()
    with closing(client_of(window.runtime)) as client:
        assert len(reply_to(client, picture(1, width=64, height=64)).alpha) == 4 * 64 * 64
    # No open group of undo steps is left either: the next one is whole.
    assert window.ask("call", arguments={}) == "success"
    _undo(window, before)


@pytest.mark.parametrize("output", ["mask", "layer", "clean-layer", "trimap"])
@pytest.mark.parametrize("wish", ["mask", "selection", "layers"])
def test_one_undo_brings_everything_back(
    window: Window, engine: PatientEngine, output: str, wish: str
) -> None:
    engine.gate.set()
    before = window.state()
    prepared = window.ask("prepare", wish=wish)
    assert prepared != before
    assert window.ask("call", arguments={"output": output}) == "success"
    assert window.state() != prepared
    _undo(window, prepared)
    while window.state() != before:
        window.press("ctrl+z")
        time.sleep(0.3)


def test_the_search_for_commands_finds_it(window: Window, engine: PatientEngine) -> None:
    engine.gate.set()
    before = window.state()
    window.press("slash")
    window.place("^Search Actions$", 400, 150)
    window.screen.press(*("space" if letter == " " else letter for letter in "human matte"))
    time.sleep(1.5)
    window.screen.press("Return")
    window.focus(DIALOG)
    window.screen.press("Escape")
    wait_for(lambda: not window.find(DIALOG), "Escape does not close the dialog")
    assert window.state() == before


def test_repeat_needs_no_dialog(window: Window, engine: PatientEngine) -> None:
    engine.gate.set()
    before = window.state()
    window.press("ctrl+f")
    window.wait_until(lambda state: state["layers"][0]["mask"] is not None, "no mask")
    _undo(window, before)


def test_without_an_engine_the_dialog_says_what_to_install(window: Window) -> None:
    before = window.state()
    window.press("ctrl+f")
    window.place("^GIMP Message$", 290, 300)
    window.screen.press("Escape")
    wait_for(lambda: not window.find("^GIMP Message$"), "Escape does not close the message")
    assert window.state() == before
