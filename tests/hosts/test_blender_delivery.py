"""What `--for blender` offers is composited by real Blenders as it should be."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from cli import main as door
from cli.formats.editors import EDITORS
from tests.hosts.blender import run_inside
from tests.hosts.installed import blenders

pytestmark = pytest.mark.host

FRAME = 3
GREEN = np.array([0, 255, 0])
SUFFIXES = {"png": ".mov", "animation": ".mov", "ffv1": ".mkv"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Path:
    """Movies with alpha, by the names of their profiles."""
    folder = tmp_path_factory.mktemp("delivery")
    for codec, suffix in SUFFIXES.items():
        target = str(folder / f"{codec}{suffix}")
        source = str(repository / "samples" / "turn.mp4")
        options = ("--codec", codec, "--range", "0f-6f", "-q")
        with pytest.raises(SystemExit) as ended:
            door.main([source, "-o", target, *options])
        assert not ended.value.code
    return folder


def test_every_movie_that_is_offered_is_tried_here() -> None:
    offered = [name for name in EDITORS["blender"].profiles if "sequence" not in name]
    assert offered == list(SUFFIXES)


@pytest.mark.parametrize("version", [0, -1], ids=["oldest", "newest"])
def test_a_cutout_lies_over_another_strip_as_it_should(folder: Path, version: int) -> None:
    with av.open(str(folder / "png.mov")) as movie:
        *_, frame = (frame for frame, _ in zip(movie.decode(video=0), range(FRAME + 1)))  # noqa: B905
        rgba = frame.to_ndarray(format="rgba").astype(np.float64)
    alpha = rgba[..., 3:] / 255
    expected = rgba[..., :3] * alpha + GREEN * (1 - alpha)
    names = [f"{codec}{suffix}" for codec, suffix in SUFFIXES.items()]
    job = {"movies": names, "frame": FRAME, "size": [rgba.shape[1], rgba.shape[0]]}
    run_inside(blenders()[version], "blender_delivery_inside.py", job, folder)
    for name in names:
        picture = cv2.imread(str(folder / f"{name}.png"))
        assert picture is not None
        error = np.abs(picture[..., ::-1] - expected)
        # FFV1 holds the colours as Y'CbCr, which Blender enlarges and rounds in its own way.
        mean, most = (0.4, 12) if name.endswith(".mkv") else (0.05, 1)
        assert (error.mean() < mean, error.max() <= most) == (True, True), (name, error.max())
