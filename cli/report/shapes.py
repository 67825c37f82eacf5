"""Holes in a person and pieces beside one, in a single alpha; knows nothing of other frames."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from cli.report.findings import Box
from cli.report.views import Plane

# What is smaller nobody notices: 23 x 23 pixels of 1920 x 1080.
_NOTICEABLE = 1 / 4000
_LEAST_PIXELS = 4


class Piece(NamedTuple):
    """A connected region of a view.

    mask: true inside, of the box alone; rows, columns: where the box is in the view.
    share: of the picture. touches_edge: whether it reaches the picture's edge.
    """

    mask: NDArray[np.bool_]
    rows: slice
    columns: slice
    share: float
    touches_edge: bool
    box: Box


class Shapes(NamedTuple):
    """holes: pieces of background that the person encloses. islands: pieces of foreground besides
    the largest. Each the largest first."""

    holes: list[Piece]
    islands: list[Piece]
    largest: float


def shapes(alpha: Plane) -> Shapes:
    """What alpha [h, w] consists of, cut at one half.

    Foreground hangs together over corners, background does not, as a closed line needs it.
    """
    person = alpha >= np.float32(0.5)
    pieces = list(_pieces(person, 8))
    holes = [piece for piece in _pieces(~person, 4) if not piece.touches_edge]
    return Shapes(holes, pieces[1:], pieces[0].share if pieces else 0.0)


def _pieces(mask: NDArray[np.bool_], connectivity: int) -> Iterator[Piece]:
    """The noticeable regions of a mask [h, w], the largest first."""
    height, width = mask.shape
    least = max(_LEAST_PIXELS, mask.size * _NOTICEABLE)
    # Without OpenCV's own statistics, which take six times as long as the labels.
    number, labels = cv2.connectedComponents(
        mask.view(np.uint8), connectivity=connectivity, ltype=cv2.CV_16U
    )
    # One region is the rule, and needs no counting by labels.
    is_one = number == 2
    counts = np.array([0, np.count_nonzero(mask)]) if is_one else np.bincount(labels.reshape(-1))
    counts[0] = 0
    for label in np.argsort(-counts, kind="stable"):
        count = int(counts[label])
        if count < least:
            return
        inside = np.asarray(labels == label)
        left, top, wide, tall = cv2.boundingRect(inside.view(np.uint8))
        rows, columns = slice(top, top + tall), slice(left, left + wide)
        yield Piece(
            mask=inside[rows, columns],
            rows=rows,
            columns=columns,
            share=count / mask.size,
            touches_edge=left == 0 or top == 0 or left + wide == width or top + tall == height,
            box=Box(left / width, top / height, wide / width, tall / height),
        )
