"""Human Matte in a window of Blender's program, with a real mouse, keys and engine.

$SHM_PICTURES names a folder for the pictures of the documentation, which are taken on the way.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cli.video import VideoSource
from tests.hosts.windows.blender_window import Blender, blender_window, wait_for

pytestmark = pytest.mark.window

# Where Blender 4 draws its words in a window of this size; what a click did is looked up.
IMAGE_MENU, ENTRY, NOWHERE = (190, 42), (234, 423), (640, 740)
ADJUST, OUTPUT, MATTE = (90, 703), (194, 674), (145, 721)
TAB, TEST_CONNECTION = (1042, 310), (900, 218)
HEADER = (40, 32, 1050, 52)

_INVOKE = """
window = bpy.context.window_manager.windows[0]
area = max(window.screen.areas, key=lambda area: area.width * area.height)
region = next(each for each in area.regions if each.type == "WINDOW")
with bpy.context.temp_override(window=window, area=area, region=region):
    told = sorted(bpy.ops.image.human_matte("INVOKE_DEFAULT"))
"""

_OPEN = """
window = bpy.context.window_manager.windows[0]
area = max(window.screen.areas, key=lambda area: area.width * area.height)
area.type = "IMAGE_EDITOR"
for image in list(bpy.data.images):
    if image.type == "IMAGE":
        bpy.data.images.remove(image)
area.spaces.active.image = bpy.data.images.load("{folder}/turn.png")
bpy.ops.ed.undo_push(message="open")
"""

_OPEN_MOVIE = """
window = bpy.context.window_manager.windows[0]
editor = next(a for a in window.screen.areas if a.type == "IMAGE_EDITOR").spaces.active
editor.image = bpy.data.images.load("{folder}/turn.mp4")
editor.image_user.frame_duration = 48
editor.image_user.use_auto_refresh = True
bpy.context.scene.frame_set(20)
"""

_PREFERENCES = """
window = bpy.context.window_manager.windows[0]
area = max(window.screen.areas, key=lambda area: area.width * area.height)
area.type = "PREFERENCES"
bpy.context.preferences.active_section = "ADDONS"
bpy.context.window_manager.addon_search = "Human"
bpy.ops.preferences.addon_expand(module="bl_ext.user_default.human_matte")
"""

_WRITE = """
from array import array
image = bpy.data.images["turn 20 matte"]
samples = array("f", bytes(4 * len(image.pixels)))
image.pixels.foreach_get(samples)
with open("{folder}/samples", "wb") as file:
    file.write(samples.tobytes())
told = list(image.size)
"""

_CLOSE = """
for area in bpy.context.window_manager.windows[0].screen.areas:
    if area.type == "IMAGE_EDITOR":
        area.type = "VIEW_3D"
bpy.data.images.remove(bpy.data.images["turn.png"])
"""

_SWITCH_OFF = """
bpy.ops.preferences.addon_disable(module="bl_ext.user_default.human_matte")
"""

_SWITCH_ON = """
bpy.ops.preferences.addon_enable(module="bl_ext.user_default.human_matte")
"""

_IS_GREY = """
image = bpy.data.images.get("turn matte")
told = image is not None and image.colorspace_settings.name == "Non-Color"
"""


@pytest.fixture(scope="module")
def blender(sample_clip: Path) -> Iterator[Blender]:
    with blender_window(sample_clip) as blender:
        yield blender


@pytest.fixture
def opened(blender: Blender) -> Blender:
    """The same Blender with its first image in the editor, and no other."""
    blender.do(_OPEN)
    time.sleep(0.5)
    return blender


def _is_drawing(seen: dict[str, Any]) -> bool:
    return str(seen["under way"]).endswith("drawing the outline")


def test_escape_leaves_everything_as_it_was_but_the_engine_alive(opened: Blender) -> None:
    display = opened.screen
    display.move(*NOWHERE)
    time.sleep(0.5)
    before, header = opened.look(), display.shot().crop(HEADER)
    pid, _ = opened.engine_state()
    with opened.held():
        display.click(*IMAGE_MENU)
        time.sleep(0.5)
        display.move(*ENTRY)
        time.sleep(0.5)
        opened.keep("blender-menu", (0, 28, 1056, 720))
        display.click(*ENTRY)
        seen = opened.wait_until(_is_drawing)
        display.move(*NOWHERE)
        time.sleep(0.5)
        opened.keep("blender-progress", (0, 28, 1056, 420))
        assert display.shot().crop(HEADER) != header
        # Its window lives on: what is asked of it here is done while the engine works.
        assert opened.look()["ticks"] > seen["ticks"]
        display.press("Escape")
        after = opened.wait_until(lambda seen: not seen["under way"])
        assert after["sentence"] == "Human Matte was cancelled; nothing is changed."
        assert after["images"] == before["images"]
        assert after["shown"] == before["shown"]
        wait_for(lambda: opened.engine_state() == (pid, "ready"))
        time.sleep(0.5)
        assert display.shot().crop(HEADER) == header


def test_the_menu_entry_shows_the_cutout_and_undo_takes_it_away(opened: Blender) -> None:
    display = opened.screen
    display.click(*IMAGE_MENU)
    display.click(*ENTRY)
    seen = opened.wait_until(lambda seen: "turn matte" in seen["images"])
    assert seen["shown"] == ["turn matte"]
    display.move(*NOWHERE)
    time.sleep(1)
    opened.keep("blender-result", (0, 28, 1056, 720))
    display.move(500, 600)
    display.press("ctrl+z")
    seen = opened.wait_until(lambda seen: "turn matte" not in seen["images"])
    assert seen["shown"] == ["turn.png"]
    display.press("ctrl+shift+z")
    seen = opened.wait_until(lambda seen: "turn matte" in seen["images"])
    assert seen["shown"] == ["turn matte"]


def test_what_was_done_can_be_adjusted(opened: Blender) -> None:
    display = opened.screen
    display.click(*IMAGE_MENU)
    display.click(*ENTRY)
    opened.wait_until(lambda seen: "turn matte" in seen["images"])
    time.sleep(1)
    display.click(*ADJUST)
    time.sleep(1)
    display.click(*OUTPUT)
    time.sleep(0.5)
    assert opened.do(_IS_GREY) is False
    display.click(*MATTE)
    wait_for(lambda: opened.do(_IS_GREY))
    seen = opened.look()
    assert seen["shown"] == ["turn matte"]
    assert seen["images"] == ["Render Result", "Viewer Node", "turn matte", "turn.png"]
    opened.do(_OPEN)
    time.sleep(0.5)
    display.click(*IMAGE_MENU)
    display.click(*ENTRY)
    opened.wait_until(lambda seen: "turn matte" in seen["images"])
    assert opened.do(_IS_GREY) is False


def test_the_panel_tests_the_connection(opened: Blender) -> None:
    display = opened.screen
    display.click(*TAB)
    display.click(*TEST_CONNECTION)
    seen = opened.wait_until(lambda seen: str(seen["sentence"]).startswith("Human Matte works"))
    assert "openvino" in seen["sentence"] or "eager" in seen["sentence"]
    display.move(*NOWHERE)
    time.sleep(1)
    opened.keep("blender-panel", (660, 28, 1056, 420))


def test_the_preferences_are_drawn(opened: Blender) -> None:
    opened.do(_PREFERENCES)
    time.sleep(1.5)
    opened.keep("blender-preferences", (172, 276, 1056, 520))
    assert "Traceback" not in (opened.folder / "log.txt").read_text("utf-8", "replace")


def test_an_editor_and_an_image_may_go_while_it_works(opened: Blender) -> None:
    with opened.held():
        assert opened.do(_INVOKE) == ["RUNNING_MODAL"]
        opened.wait_until(_is_drawing)
        opened.do(_CLOSE)
    seen = opened.wait_until(lambda seen: "turn matte" in seen["images"])
    assert seen["shown"] == []
    assert "turn.png" not in seen["images"]


def test_undo_while_it_works_does_no_harm(opened: Blender) -> None:
    opened.do("bpy.ops.ed.undo_push(message='one'); bpy.ops.ed.undo_push(message='two')")
    with opened.held():
        opened.do(_INVOKE)
        opened.wait_until(_is_drawing)
        opened.do("bpy.ops.ed.undo()")
        assert opened.do(_INVOKE) == ["CANCELLED"]
    seen = opened.wait_until(lambda seen: "turn matte" in seen["images"])
    assert seen["shown"] == ["turn matte"]


def test_of_a_movie_it_is_the_frame_that_is_shown(opened: Blender, sample_clip: Path) -> None:
    shutil.copy(sample_clip, opened.folder / "turn.mp4")
    opened.do(_OPEN_MOVIE)
    # Blender draws the frame first.
    time.sleep(2)
    opened.do(_INVOKE)
    opened.wait_until(lambda seen: "turn 20 matte" in seen["images"])
    width, height = opened.do(_WRITE)
    samples = np.frombuffer((opened.folder / "samples").read_bytes(), np.float32)
    picture = samples.reshape(height, width, 4)[::-1, :, :3]
    with VideoSource(sample_clip) as movie:
        away = [_difference(frame.image.numpy().transpose(1, 2, 0), picture) for frame in movie]
    assert int(np.argmin(away)) == 19
    assert min(away) < 2 / 255


def _difference(frame: np.ndarray, picture: np.ndarray) -> float:
    return float(np.abs(frame / np.float32(255) - picture).mean())


def test_switched_off_while_it_works_it_leaves_nothing_in_the_window(opened: Blender) -> None:
    display = opened.screen
    display.move(*NOWHERE)
    time.sleep(0.5)
    header = display.shot().crop(HEADER)
    with opened.held():
        opened.do(_INVOKE)
        opened.wait_until(_is_drawing)
        time.sleep(0.5)
        assert display.shot().crop(HEADER) != header
        opened.do(_SWITCH_OFF)
        wait_for(lambda: opened.engine_state()[1] == "ready")
        time.sleep(0.5)
        assert display.shot().crop(HEADER) == header
    opened.do(_SWITCH_ON)
    assert opened.do(_INVOKE) == ["RUNNING_MODAL"]
    opened.wait_until(lambda seen: "turn matte" in seen["images"])


def test_another_file_ends_it(opened: Blender) -> None:
    with opened.held():
        opened.do(_INVOKE)
        opened.wait_until(_is_drawing)
        opened.do("bpy.ops.wm.read_homefile()")
        opened.wait_until(lambda seen: not seen["under way"])
        wait_for(lambda: opened.engine_state()[1] == "ready")
    opened.do(_OPEN)
    time.sleep(0.5)
    assert opened.do(_INVOKE) == ["RUNNING_MODAL"]
    opened.wait_until(lambda seen: "turn matte" in seen["images"])
