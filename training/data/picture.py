"""A picture with alpha as training handles it: uint8 arrays in OpenCV's layout."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# A person taller than this many widths is a standing figure.
_FIGURE_ASPECT = 1.8


class Picture(NamedTuple):
    """Colours [H, W, 3] RGB (premultiplied where alpha is a cut-out's) and alpha [H, W], uint8."""

    colours: NDArray[np.uint8]
    alpha: NDArray[np.uint8]


def standing(alpha: NDArray[np.uint8]) -> bool:
    """Whether alpha [H, W] shows a whole figure rather than a head, a bust or nobody."""
    solid = alpha > 127
    rows, columns = np.flatnonzero(solid.any(axis=1)), np.flatnonzero(solid.any(axis=0))
    return len(rows) > 0 and rows[-1] - rows[0] + 1 > _FIGURE_ASPECT * len(columns)
