"""Values of a small map at any places in it; knows nothing of what they mean."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

# OpenCV holds the places in a picture, too, no side of which may reach 32768.
_ROW = 1024


def sample(values: NDArray[Any], places: NDArray[np.float32]) -> NDArray[Any]:
    """Values [h, w] or [h, w, C] (C at most 4) at places [H, W, 2], bilinear: [H, W] or [H, W, C].

    A place is (x, y) with pixel centres at whole numbers; outside, the nearest edge counts.
    """
    edge = cv2.BORDER_REPLICATE
    # None, which the stubs do not know: an empty second map is taken for one.
    return np.asarray(cv2.remap(values, places, None, cv2.INTER_LINEAR, borderMode=edge))  # type: ignore[call-overload]


def sample_list(
    values: NDArray[Any], x: NDArray[np.float32], y: NDArray[np.float32]
) -> NDArray[Any]:
    """Values [h, w, C] (C at most 4) at a list of places, x and y [N] each: [C, N], each channel in
    one piece. As `sample`."""
    count = len(x)
    table = np.zeros((2, -(-count // _ROW), _ROW), np.float32)
    flat = table.reshape(2, -1)
    flat[0, :count], flat[1, :count] = x, y
    edge = cv2.BORDER_REPLICATE
    found = cv2.remap(values, table[0], table[1], cv2.INTER_LINEAR, borderMode=edge)
    return np.ascontiguousarray(np.asarray(found).reshape(-1, values.shape[2])[:count].T)
