"""Movies with known alpha: NAME_rgb.mp4 beside NAME_alpha.mkv; knows no set and no network.

OpenCV reads them, for `av` belongs to the terminal's side. It gives the same pixels as
`shm-matte` does for 8-bit H.264, and FFV1 grey unchanged; a test holds it to that.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from shm_engine.errors import VideoError
from training.data.picture import Picture

_COLOURS, _ALPHA = "_rgb.mp4", "_alpha.mkv"


class Movie(NamedTuple):
    """Two films of the same frames; the alpha is grey."""

    name: str
    colours: Path
    alpha: Path


def list_movies(folder: Path) -> list[Movie]:
    """The movies of a folder by name; VideoError if one has no alpha."""
    found = []
    for colours in sorted(folder.glob(f"*{_COLOURS}")):
        name = colours.name.removesuffix(_COLOURS)
        alpha = folder / f"{name}{_ALPHA}"
        if not alpha.is_file():
            raise VideoError(f"{colours} has no alpha; put it into {alpha.name}", path=colours)
        found.append(Movie(name, colours, alpha))
    return found


def read_movie(movie: Movie) -> Iterator[Picture]:
    """The frames in their order, one at a time.

    Raises VideoError if a film cannot be read or the two differ in length or size.
    """
    index = -1
    with _opened(movie.colours) as colours, _opened(movie.alpha) as alphas:
        for index, (colour, alpha) in enumerate(zip_longest(_frames(colours), _frames(alphas))):
            if colour is None or alpha is None or colour.shape != alpha.shape:
                raise VideoError(
                    f"{movie.colours} and {movie.alpha.name} differ in length or size at frame "
                    f"{index}; make both of the same frames",
                    path=movie.colours,
                    frame_index=index,
                )
            yield Picture(np.ascontiguousarray(colour[..., ::-1]), alpha[..., 0])
    if index < 0:
        raise VideoError(f"{movie.colours} has no frames", path=movie.colours)


@contextmanager
def _opened(path: Path) -> Iterator[cv2.VideoCapture]:
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    try:
        if not capture.isOpened():
            raise VideoError(f"{path} cannot be read as a movie", path=path)
        yield capture
    finally:
        capture.release()


def _frames(capture: cv2.VideoCapture) -> Iterator[NDArray[np.uint8]]:
    """[H, W, 3] in OpenCV's order of channels."""
    while True:
        is_read, frame = capture.read()
        if not is_read:
            return
        yield np.asarray(frame, np.uint8)
