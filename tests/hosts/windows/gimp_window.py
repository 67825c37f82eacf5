"""GIMP's window on a screen of its own: its menus, dialogs and state; knows nothing of mattes."""

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

from tests.hosts.gimp import Gimp
from tests.hosts.windows.screen import HEIGHT, WIDTH, Screen, screen

PATIENCE = 60.0

_INSIDE = Path(__file__).with_name("gimp_window_inside.py")
_TITLE = "turn.*GIMP$"
DIALOG = "^Human Matte$"
# Where the pointer hovers over nothing that would tell about itself.
_NOWHERE = (640, 650)


@dataclass
class Window:
    """A GIMP that shows one picture. runtime: the outer path of its folder of the engine."""

    screen: Screen
    runtime: Path
    folder: Path
    process: subprocess.Popen[bytes]
    _asked: int = field(default=0)

    def ask(self, do: str, **more: Any) -> Any:
        """What the script within GIMP says."""
        file = self.folder / f"{self._asked}.ask"
        self._asked += 1
        partial = file.with_suffix(".writing")
        partial.write_text(json.dumps({"do": do, **more}))
        partial.rename(file)
        told = file.with_suffix(".told")
        wait_for(told.exists, f"GIMP does not answer to {do}")
        return json.loads(told.read_text())

    def state(self) -> Any:
        """What the image is like now."""
        return self.ask("state")

    def wait_until(self, holds: Callable[[Any], bool], what: str) -> Any:
        """The state as soon as it holds."""
        wait_for(lambda: holds(self.state()), what)
        return self.state()

    def press(self, *keys: str) -> None:
        """Keys, with the picture's window in front."""
        self.focus(_TITLE)
        self.screen.press(*keys)

    def focus(self, title: str) -> str:
        """Waits for a window, and turns the keys to it; its number."""
        found = ""

        def is_there() -> bool:
            nonlocal found
            found = self.find(title)
            return bool(found)

        wait_for(is_there, f"there is no window {title}")
        self._xdotool("windowfocus", "--sync", found)
        time.sleep(0.3)
        return found

    def find(self, title: str) -> str:
        """The number of a window that is seen, or ""."""
        said = self._xdotool("search", "--onlyvisible", "--name", title, is_sure=False)
        return said.split("\n")[-1]

    def place(self, title: str, x: int, y: int) -> None:
        """Moves a window; there is no manager of windows that would."""
        self._xdotool("windowmove", "--sync", self.focus(title), str(x), str(y))
        time.sleep(0.5)

    def fill_screen(self) -> None:
        """The picture's window, as large as the screen."""
        number = self.focus(_TITLE)
        self._xdotool("windowmove", number, "0", "0")
        self._xdotool("windowsize", number, str(WIDTH), str(HEIGHT))
        self.screen.move(*_NOWHERE)
        time.sleep(2)

    def open_menu(self) -> None:
        """Layer > Transparency, with its last entry, which is the plug-in's, before the eyes."""
        self.screen.move(*_NOWHERE)
        self.press("Escape")
        self.screen.press("alt+l")
        time.sleep(1)
        self.screen.press("a")
        time.sleep(1)
        self.screen.press("Up")
        time.sleep(0.5)

    def _xdotool(self, *words: str, is_sure: bool = True) -> str:
        env = {**os.environ, "DISPLAY": self.screen.display}
        result = subprocess.run(
            ["xdotool", *words], env=env, check=is_sure, capture_output=True, text=True, timeout=30
        )
        return result.stdout.strip()


def wait_for(holds: Callable[[], object], what: str) -> None:
    """Returns as soon as it holds; fails where it never does."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


@contextmanager
def gimp_window(gimp: Gimp, picture: Callable[[Path], None]) -> Iterator[Window]:
    """GIMP with the picture that is written to the path; it ends with the block."""
    with (
        tempfile.TemporaryDirectory(prefix="shm-window-", dir=gimp.root / "tmp") as name,
        screen() as shown,
    ):
        folder = Path(name)
        (folder / "run").mkdir(mode=0o700)
        picture(folder / "turn.png")
        shutil.copy(_INSIDE, folder / "inside.py")
        inside = f"/tmp/{folder.name}"
        variables = {
            "DISPLAY": shown.display,
            "NO_AT_BRIDGE": "1",
            "SHM_MATTE_RUNTIME": f"{inside}/run",
            "SHM_FOLDER": inside,
        }
        script = f"exec(open('{inside}/inside.py').read())"
        command = ["gimp-3.0", "--no-splash", "--new-instance"]
        command += ["--batch-interpreter", "python-fu-eval", "-b", script, f"{inside}/turn.png"]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                gimp.command(variables, *command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            window = Window(screen=shown, runtime=folder / "run", folder=folder, process=process)
            window.fill_screen()
            yield window
        finally:
            (folder / "end").touch()
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(PATIENCE)
