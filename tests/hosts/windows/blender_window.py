"""Blender's program in a window, with a picture in its Image Editor and a real engine.

Knows nothing of what a test clicks.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import pytest

from cli.video import VideoSource
from shm_plugin.client import find_client
from shm_plugin.finding import clean_environment
from tests.hosts.blender import ended, write_archive
from tests.hosts.installed import debian
from tests.hosts.windows.screen import HEIGHT, WIDTH, Screen, save_picture, screen

PATIENCE = 60.0
INSIDE = Path(__file__).parent / "blender_window_inside.py"

# The engine itself, but that it stays at its outline while the file of the gate is there.
_WORKER = """
import pathlib, sys, time
from shm_plugin import worker

gate, matte = pathlib.Path(sys.argv[1]), worker.MatterEngine.matte

def matte_gated(self, request, tell):
    def tell_gated(share, text):
        tell(share, text)
        while share >= 0.6 and gate.exists():
            time.sleep(0.02)
            tell(share, text)
    return matte(self, request, tell_gated)

worker.MatterEngine.matte = matte_gated
sys.exit(worker.main(["--idle", "600"]))
"""

_SETUP = """
bpy.ops.extensions.package_install_files(
    filepath="{folder}/human_matte.zip", repo="user_default", enable_on_install=True
)
window = bpy.context.window_manager.windows[0]
area = max(window.screen.areas, key=lambda area: area.width * area.height)
area.type = "IMAGE_EDITOR"
area.spaces.active.image = bpy.data.images.load("{folder}/turn.png")
told = bpy.app.version_string
"""

_VIEW_ALL = """
window = bpy.context.window_manager.windows[0]
area = max(window.screen.areas, key=lambda area: area.width * area.height)
region = next(each for each in area.regions if each.type == "WINDOW")
area.spaces.active.show_region_ui = True
with bpy.context.temp_override(window=window, area=area, region=region):
    bpy.ops.image.view_all(fit_view=True)
told = [area.type, area.width, area.height]
"""

_LOOK = """
from bl_ext.user_default.human_matte.shm_plugin.blender import modal
areas = bpy.context.window_manager.windows[0].screen.areas
shown = [a.spaces.active.image for a in areas if a.type == "IMAGE_EDITOR"]
told = {
    "images": sorted(bpy.data.images.keys()),
    "shown": [image.name for image in shown if image is not None],
    "under way": modal.under_way(),
    "sentence": modal.last_sentence(),
    "ticks": ticks,
}
"""


@dataclass
class Blender:
    """A running Blender, and where it and the test meet. inside: the same folder, as it sees it."""

    process: subprocess.Popen[bytes]
    screen: Screen
    folder: Path
    inside: str
    number: int = field(default=0)

    def do(self, script: str) -> Any:
        """What the script leaves in `told`."""
        self.expect(script)
        return self.answer()

    def expect(self, script: str) -> None:
        """Has the script run as soon as Blender can."""
        partial = self.folder / "partial"
        partial.write_text(script.replace("{folder}", self.inside))
        partial.rename(self.folder / f"{self.number}.py")
        self.number += 1

    def answer(self) -> Any:
        path = self.folder / f"{self.number - 1}.json"
        deadline = time.monotonic() + PATIENCE
        while not path.exists():
            log = (self.folder / "log.txt").read_text("utf-8", "replace")[-2000:]
            assert self.process.poll() is None, f"Blender ended: {log}"
            assert time.monotonic() < deadline, f"Blender hangs: {log}"
            time.sleep(0.02)
        said = json.loads(path.read_text())
        assert "error" not in said, said["error"]
        return said["told"]

    def look(self) -> dict[str, Any]:
        """What the editors show, what is under way and what was said last."""
        told = self.do(_LOOK)
        assert isinstance(told, dict)
        return told

    def wait_until(self, holds: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """What is seen as soon as that holds."""
        deadline = time.monotonic() + PATIENCE
        while not holds(seen := self.look()):
            assert time.monotonic() < deadline, f"it never happened: {seen}"
        return seen

    def engine_state(self) -> tuple[int, str]:
        """The engine's process, and what it does; the process is 0 where there is none."""
        client = find_client(self.folder / "runtime")
        if client is None:
            return 0, "gone"
        with closing(client):
            return client.welcome.pid, client.status().state

    @contextmanager
    def held(self) -> Iterator[None]:
        """Within the block no matte gets further than its outline."""
        gate = self.folder / "gate"
        gate.touch()
        try:
            yield
        finally:
            gate.unlink()

    def keep(self, name: str, box: tuple[int, int, int, int] = (0, 0, WIDTH, HEIGHT)) -> None:
        """A picture for the documentation, if somebody wants it."""
        wanted = os.environ.get("SHM_PICTURES")
        if wanted:
            save_picture(self.screen.shot(), Path(wanted) / f"{name}.png", box)


@contextmanager
def blender_window(clip: Path) -> Iterator[Blender]:
    """Blender's program with a picture in its Image Editor, and a worker that it finds."""
    root = debian()
    if not (root / ".installed-windows").exists():
        pytest.fail("Blender's program is not installed; run scripts/hosts --windows --install")
    (root / "tmp").mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=root / "tmp"))
    inside = f"/{folder.relative_to(root)}"
    write_archive(folder)
    shutil.copy(INSIDE, folder)
    with VideoSource(clip) as movie:
        rgb = next(iter(movie)).image.numpy().transpose(1, 2, 0)
    cv2.imwrite(str(folder / "turn.png"), rgb[..., ::-1])
    try:
        with _worker(folder / "runtime"), ended(folder / "runtime"), screen() as display:
            process = _start(root, folder, inside, display)
            try:
                blender = Blender(process, display, folder, inside)
                assert blender.do(_SETUP).startswith("4.")
                time.sleep(1)
                assert blender.do(_VIEW_ALL)[0] == "IMAGE_EDITOR"
                time.sleep(1)
                yield blender
                # Where Blender tells what goes wrong while it draws.
                assert "Traceback" not in (folder / "log.txt").read_text("utf-8", "replace")
            finally:
                process.kill()
                process.wait(30)
    finally:
        shutil.rmtree(folder)


def _worker(runtime: Path) -> subprocess.Popen[bytes]:
    runtime.mkdir(mode=0o700)
    env = {**clean_environment(), "SHM_MATTE_RUNTIME": str(runtime), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", _WORKER, str(runtime.parent / "gate")]
    with (runtime / "worker.log").open("wb") as log:
        return subprocess.Popen(command, cwd=runtime, env=env, stdout=log, stderr=log)


def _start(root: Path, folder: Path, inside: str, display: Screen) -> subprocess.Popen[bytes]:
    env = {
        "PATH": "/usr/bin:/bin",
        "HOME": inside,
        "TMPDIR": inside,
        "LC_ALL": "C.UTF-8",
        "DISPLAY": display.display,
        "LIBGL_ALWAYS_SOFTWARE": "1",
        "SHM_MATTE_RUNTIME": f"{inside}/runtime",
        "BLENDER_USER_RESOURCES": f"{inside}/profile",
    }
    size = ["--window-geometry", "0", "0", str(WIDTH), str(HEIGHT), "--no-window-focus"]
    script = ["--python", f"{inside}/{INSIDE.name}", "--", inside]
    command = ["/usr/sbin/chroot", str(root), "blender", "--factory-startup", *size, *script]
    with (folder / "log.txt").open("wb") as log:
        return subprocess.Popen(command, env=env, stdout=log, stderr=log)


def wait_for(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.05)
