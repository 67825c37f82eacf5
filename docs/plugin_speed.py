"""Measures how long Human Matte takes for a 4K picture in the real hosts, and where the time goes.

    scripts/hosts --install && python docs/plugin_speed.py

For every host: the first call, which starts the engine and loads the network; the calls after it;
and those with a stand-in that answers at once, so that what is left is the host and the link. The
link alone: the same pictures there and back between a client and a stand-in.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cli.video import VideoSource
from shm_plugin.client import Client, connect
from shm_plugin.messages import MatteReply, MatteRequest
from tests.hosts import gimp
from tests.hosts.blender import run_inside
from tests.hosts.installed import blenders, debian
from tests.plugin.workers import living

SIZE, TIMES = (3840, 2160), 6
SAMPLE = Path(__file__).parents[1] / "samples" / "turn.mp4"


class AtOnce:
    """An engine that answers at once; all it says is transparent."""

    description = "a stand-in"

    def matte(self, request: MatteRequest, tell: Callable[[float, str], None]) -> MatteReply:
        """See `queueing.Engine`."""
        tell(0.5, "")
        pixels = request.width * request.height
        blobs = {"foreground": b"", "trimap": b"", "rgba": b""}
        return MatteReply(
            id=request.id,
            width=request.width,
            height=request.height,
            alpha=bytes(4 * pixels),
            **blobs,
        )


def photograph() -> NDArray[np.uint8]:
    """[2160, 3840, 3]: the first frame of the sample, enlarged."""
    with VideoSource(SAMPLE) as source:
        image = next(iter(source)).image.numpy().transpose(1, 2, 0)
    return np.ascontiguousarray(cv2.resize(image, SIZE, interpolation=cv2.INTER_CUBIC))


def measure_link(picture: NDArray[np.uint8]) -> None:
    """As GIMP sends it, and as Blender does."""
    alpha = np.full((*picture.shape[:2], 1), 255, np.uint8)
    rgba = np.concatenate([picture, alpha], axis=2).astype(np.float32)
    for name, values, dtype in (("RGB u8", picture, "u8"), ("RGBA f32", rgba / 255, "f32")):
        request = MatteRequest(
            width=SIZE[0],
            height=SIZE[1],
            dtype=dtype,
            channels=values.shape[2],
            pixels=values.tobytes(),
        )
        with closing(connect()) as client:
            seconds = [_seconds(client, request) for _ in range(TIMES)]
        tell(f"link alone, {name} ({len(request.pixels) / 1e6:.0f} MB)", seconds)


def _seconds(client: Client, request: MatteRequest) -> float:
    begun = time.perf_counter()
    for _ in client.matte(request):
        pass
    return time.perf_counter() - begun


def blender_seconds(python: Path, folder: Path) -> list[float]:
    """Of the operator, one call after the other."""
    job: dict[str, Any] = {"picture": "picture.png", "times": TIMES}
    told = run_inside(python, "blender_speed_inside.py", job, folder)
    return list(told["seconds"])


def measure_blender(python: Path, picture: NDArray[np.uint8]) -> None:
    """With the engine and without."""
    name = f"Blender ({python.parent.parent.name})"
    for what in ("", ", stand-in"):
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            cv2.imwrite(str(folder / "picture.png"), picture[..., ::-1])
            if not what:
                tell(name, blender_seconds(python, folder))
                continue
            (folder / "runtime").mkdir(mode=0o700)
            with living(folder / "runtime", AtOnce):
                tell(name + what, blender_seconds(python, folder))


def measure_gimp(picture: NDArray[np.uint8]) -> None:
    """With the engine and without; GIMP starts a process for every call."""
    cases = [gimp.Case(name=str(n), picture=picture, arguments={}) for n in range(TIMES)]
    with gimp.new_gimp(debian()) as new:
        with gimp.engine_to_start(new.root) as (program, runtime):
            own = [
                gimp.Case(name=c.name, picture=picture, arguments={"engine": program})
                for c in cases
            ]
            done = gimp.run_cases(new, runtime, own)
            tell("GIMP", [done[case.name].seconds for case in own])
        with tempfile.TemporaryDirectory(dir=new.root / "tmp") as temporary:
            folder = Path(temporary)
            with living(folder, AtOnce):
                done = gimp.run_cases(new, f"/tmp/{folder.name}", cases)
            tell("GIMP, stand-in", [done[case.name].seconds for case in cases])


def tell(name: str, seconds: Sequence[float]) -> None:
    """A row: the first, and the median and range of the others."""
    first, *others = seconds
    middle = statistics.median(others)
    spread = f"{min(others):.2f} to {max(others):.2f}"
    print(f"{name:<40}{first:8.2f}{middle:8.2f}   {spread}", flush=True)


def main() -> None:
    """All of it, as a table."""
    print(f"{'seconds for 3840 x 2160':<40}{'first':>8}{'again':>8}")
    picture = photograph()
    with tempfile.TemporaryDirectory() as temporary:
        os.environ["SHM_MATTE_RUNTIME"] = temporary
        with living(Path(temporary), AtOnce):
            measure_link(picture)
        del os.environ["SHM_MATTE_RUNTIME"]
    for python in blenders():
        measure_blender(python, picture)
    measure_gimp(picture)


if __name__ == "__main__":
    main()
