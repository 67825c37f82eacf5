"""Human Matte for strips in a window of Blender's program, with a real mouse and real keys.

The engine is a stand-in: the system of that Blender has none, and real ones make the mattes of
test_blender_strips.py. $SHM_PICTURES names a folder for the pictures of the documentation.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.hosts.windows.blender_window import PATIENCE, Blender, blender_window

pytestmark = pytest.mark.window

# Where Blender 4 draws its words in a window of this size; what a click did is looked up.
STRIP_MENU, ENTRY, NOWHERE, TAB = (415, 42), (464, 521), (500, 450), (1043, 417)
# What the preview shows of the background, and of the person in front of it.
WALL, SHIRT = (550, 100), (375, 240)
GREEN = (0, 255, 0)

SAMPLES = Path(__file__).parents[3] / "samples"

# Writes a matte that was made before, and waits in the middle while there is a gate.
_ENGINE = """#!/usr/bin/python3
import json, os, shutil, sys, threading, time
from pathlib import Path
here = Path(__file__).parent
def end_with_host():
    os.read(0, 1)
    (here / "ended").touch()
    os._exit(130)
threading.Thread(target=end_with_host, daemon=True).start()
for frame in range(49):
    while frame == 20 and (here / "gate").exists():
        time.sleep(0.02)
    event = {"event": "progress", "frame": frame, "total": 48, "seconds_left": 3}
    print(json.dumps(event), file=sys.stderr, flush=True)
shutil.copy(here / "matte.mkv", sys.argv[sys.argv.index("--output") + 1])
"""

_OPEN = """
addon = bpy.context.preferences.addons["bl_ext.user_default.human_matte"]
addon.preferences.engine = "{folder}/python3"
bpy.ops.wm.save_as_mainfile(filepath="{folder}/cut.blend")
window = bpy.context.window_manager.windows[0]
area = max(window.screen.areas, key=lambda area: area.width * area.height)
area.type = "SEQUENCE_EDITOR"
area.spaces.active.view_type = "SEQUENCER_PREVIEW"
area.spaces.active.show_region_ui = True
scene = bpy.context.scene
scene.render.resolution_x, scene.render.resolution_y = 640, 360
scene.view_settings.view_transform = "Standard"
scene.sequence_editor_clear()
editor = scene.sequence_editor_create()
strips = editor.strips if hasattr(editor, "strips") else editor.sequences
wall = strips.new_effect(name="wall", type="COLOR", channel=1, frame_start=1, frame_end=49)
wall.color, wall.select = (0, 1, 0), False
strip = strips.new_movie("turn", "{folder}/turn.mp4", 2, 1)
strip.select = True
editor.active_strip = strip
scene.frame_set(30)
bpy.ops.ed.undo_push(message="open")
"""

_LOOK = """
from bl_ext.user_default.human_matte.shm_plugin.blender import modal
editor = bpy.context.scene.sequence_editor
strips = editor.strips if hasattr(editor, "strips") else editor.sequences
told = {
    "strips": {each.name: [each.channel, each.mute, len(each.modifiers)] for each in strips},
    "under way": modal.under_way(),
    "playing": any(screen.is_animation_playing for screen in bpy.data.screens),
    "sentence": modal.last_sentence(),
}
"""

PLAIN = {"wall": [1, False, 0], "turn": [2, False, 0]}
MASKED = {"wall": [1, False, 0], "turn": [2, False, 1], "turn matte": [3, True, 0]}


@pytest.fixture(scope="module")
def running(sample_clip: Path) -> Iterator[Blender]:
    with blender_window(sample_clip) as blender:
        yield blender


@pytest.fixture
def blender(running: Blender, sample_clip: Path) -> Blender:
    """A saved timeline with the sample over green, and nothing beside it."""
    folder = running.folder
    shutil.rmtree(folder / "human_matte", ignore_errors=True)
    shutil.copy(sample_clip, folder / "turn.mp4")
    shutil.copy(SAMPLES / "turn_alpha.mkv", folder / "matte.mkv")
    (folder / "ended").unlink(missing_ok=True)
    (folder / "python3").write_text(_ENGINE)
    (folder / "python3").chmod(0o755)
    running.do(_OPEN)
    time.sleep(2)
    return running


def wait_until(blender: Blender, holds: Callable[[dict[str, Any]], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds(seen := blender.do(_LOOK)):
        assert time.monotonic() < deadline, f"it never happened: {seen}"


def click_entry(blender: Blender) -> None:
    blender.screen.click(*STRIP_MENU)
    blender.keep("blender-strip-menu")
    blender.screen.click(*ENTRY)


def test_the_entry_shows_progress_and_esc_ends_the_engine_and_changes_nothing(
    blender: Blender,
) -> None:
    with blender.held():
        click_entry(blender)
        wait_until(blender, lambda seen: "frame 19 of 48, 3 s left" in seen["under way"])
        time.sleep(0.5)
        blender.keep("blender-strip-progress")
        blender.screen.move(*NOWHERE)
        blender.screen.press("Escape")
        wait_until(blender, lambda seen: "cancelled" in seen["sentence"])
        deadline = time.monotonic() + PATIENCE
        while not (blender.folder / "ended").exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
    time.sleep(0.5)
    assert blender.do(_LOOK)["strips"] == PLAIN
    assert not (blender.folder / "human_matte").exists()


def test_escape_ends_the_playback_first_and_the_work_next(blender: Blender) -> None:
    with blender.held():
        click_entry(blender)
        wait_until(blender, lambda seen: "frame 19 of 48" in seen["under way"])
        blender.screen.move(*NOWHERE)
        blender.screen.press("space")
        wait_until(blender, lambda seen: seen["playing"])
        blender.screen.press("Escape")
        wait_until(blender, lambda seen: not seen["playing"])
        assert "frame 19 of 48" in blender.do(_LOOK)["under way"]
        blender.screen.press("Escape")
        wait_until(blender, lambda seen: "what is done is kept" in seen["sentence"])
    assert blender.do(_LOOK)["strips"] == PLAIN


def test_the_background_is_seen_at_once_and_undo_takes_the_matte_away(blender: Blender) -> None:
    click_entry(blender)
    wait_until(blender, lambda seen: seen["strips"] == MASKED)
    blender.screen.click(*TAB)
    time.sleep(2)
    blender.keep("blender-strip-matte")
    shot = np.asarray(blender.screen.shot()).astype(int)
    away = np.abs(shot - GREEN).max(axis=-1)
    assert away[WALL[1], WALL[0]] <= 1
    assert away[SHIRT[1], SHIRT[0]] > 50
    blender.screen.move(*NOWHERE)
    blender.screen.press("ctrl+z")
    wait_until(blender, lambda seen: seen["strips"] == PLAIN)
    blender.screen.press("ctrl+shift+z")
    wait_until(blender, lambda seen: seen["strips"] == MASKED)
