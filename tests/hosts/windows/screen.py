"""A screen that nobody sees, with a hand on its mouse and keys; knows no program that it shows."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageGrab

WIDTH, HEIGHT = 1280, 800


@dataclass(frozen=True, kw_only=True)
class Screen:
    """An X display. Places are pixels from its upper left corner."""

    display: str

    def shot(self) -> Image.Image:
        return ImageGrab.grab(xdisplay=self.display).convert("RGB")

    def move(self, x: int, y: int) -> None:
        self._do("mousemove", str(x), str(y))

    def click(self, x: int, y: int, *, wait_seconds: float = 0.4) -> None:
        self.move(x, y)
        # A program that was not told of the move takes the click for one at the old place.
        time.sleep(wait_seconds)
        self._do("click", "1")
        time.sleep(wait_seconds)

    def press(self, *keys: str) -> None:
        self._do("key", *keys)

    def _do(self, *words: str) -> None:
        env = {**os.environ, "DISPLAY": self.display}
        subprocess.run(["xdotool", *words], env=env, check=True, timeout=30)


@contextmanager
def screen() -> Iterator[Screen]:
    """A new Screen of WIDTH x HEIGHT, as long as the block lasts."""
    reading, writing = os.pipe()
    size = ("-screen", "0", f"{WIDTH}x{HEIGHT}x24")
    # Else it begins anew whenever the last client leaves, and refuses those who come meanwhile:
    # programs that look for a display and then open it.
    command = ["Xvfb", "-displayfd", str(writing), *size, "-noreset"]
    server = subprocess.Popen(
        command, pass_fds=[writing], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    os.close(writing)
    try:
        with open(reading) as told:  # noqa: PTH123 (a descriptor)
            number = told.readline().strip()
        assert number, "Xvfb does not start"
        yield Screen(display=f":{number}")
    finally:
        server.terminate()
        server.wait(30)


def save_picture(image: Image.Image, path: Path, box: tuple[int, int, int, int]) -> None:
    """The part of a shot (left, top, right, bottom), small enough for a page."""
    part = image.crop(box).quantize(256, dither=Image.Dither.NONE)
    part.save(path, optimize=True)
