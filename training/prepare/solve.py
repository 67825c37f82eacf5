"""Trimaps with random kernels, and alpha from them by PyMatting; knows no file.

Xu, Price, Cohen and Huang 2017 and Chen et al. 2018 both find that kernels must vary.
KNN matting: Chen, Li and Tang 2013. Closed form: Levin, Lischinski and Weiss 2008.
"""

from __future__ import annotations

import importlib.util
import io
from contextlib import redirect_stdout

import cv2
import numpy as np
from numpy.typing import NDArray

from shm_engine.errors import MattingError, OptionsError
from shm_engine.trimap import CERTAIN, Trimap, trimap_from_alpha

# Names in PyMatting of the values of training.prepare.options.ALPHAS.
_SOLVERS = {"knn": "estimate_alpha_knn", "closed_form": "estimate_alpha_cf"}

# Solving a box round the unknown pixels halves the time of KNN matting on people in full figure,
# and moves its error on rendered hair by a fiftieth; closed form stays the same to the last bit.
_MARGIN_PIXELS = 16

# Kernels shrink until this share of the person stays certain: wide ones lose thin legs and arms.
_LEAST_CERTAIN = 0.6

# KNN matting takes 3.5 kB a pixel of the box, closed form 0.8: 7 GB and 2 GB here, per process.
_LARGEST_BOX_PIXELS = 2_000_000

# Grey values of Trimap's classes on disk.
_CODES = np.array([0, 128, 255], np.uint8)


class CannotSolveError(MattingError):
    """There is no alpha for this trimap; the message is the end of a sentence on the picture."""


def draw_trimap(
    alpha: NDArray[np.float32], radii: tuple[int, int], rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Classes [H, W] of an alpha [H, W] in [0, 1], eroded and dilated by radii drawn from `radii`.

    The radii are halved until a thin person keeps most of the certain foreground, and a person who
    fills the picture some certain background, if there is any at all.
    """
    least = _LEAST_CERTAIN * np.count_nonzero(alpha >= 1 - CERTAIN)
    erosion, dilation = (int(radius) for radius in rng.integers(radii[0], radii[1] + 1, size=2))
    while True:
        classes = trimap_from_alpha(alpha, erosion_pixels=erosion, dilation_pixels=dilation)
        if erosion and np.count_nonzero(classes == Trimap.FOREGROUND) < least:
            erosion //= 2
        elif dilation and not (classes == Trimap.BACKGROUND).any():
            dilation //= 2
        else:
            return classes


def codes_of(classes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A trimap's classes as the grey values 0, 128 and 255 of a file."""
    return _CODES[classes]


def classes_of(codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A trimap file's grey values as classes; each counts as the nearest of 0, 128 and 255."""
    classes = np.full(codes.shape, Trimap.UNKNOWN, np.uint8)
    classes[codes < 64] = Trimap.BACKGROUND
    classes[codes > 191] = Trimap.FOREGROUND
    return classes


def check_solver() -> None:
    """OptionsError if PyMatting is not here."""
    if importlib.util.find_spec("pymatting") is None:
        raise OptionsError(
            "solving alphas needs PyMatting; pip install 'semantic-human-matting[train]', "
            "or choose alpha keep"
        )


def solve_alpha(
    image: NDArray[np.float64], classes: NDArray[np.uint8], method: str
) -> NDArray[np.float32]:
    """Alpha [H, W] in [0, 1] of an sRGB image [H, W, 3] in [0, 1]; certain pixels are 0 or 1.

    Raises CannotSolveError where the trimap leaves nothing to start from, or the method fails.
    """
    known = classes[classes != Trimap.UNKNOWN]
    for needed in (Trimap.FOREGROUND, Trimap.BACKGROUND):
        if not (known == needed).any():
            raise CannotSolveError(
                f"its trimap has no certain {needed.name.lower()}, so no alpha can be solved"
            )
    alpha = (classes == Trimap.FOREGROUND).astype(np.float32)
    unknown = classes == Trimap.UNKNOWN
    if not unknown.any():
        return alpha
    box = _box_around(unknown, classes)
    if unknown[box].size > _LARGEST_BOX_PIXELS:
        raise CannotSolveError(
            f"{unknown[box].size} pixels are too many for matting; make it smaller"
        )
    solved = _solve_box(np.ascontiguousarray(image[box]), classes[box], method)
    alpha[unknown] = solved[unknown[box]]
    return alpha


def _solve_box(
    image: NDArray[np.float64], classes: NDArray[np.uint8], method: str
) -> NDArray[np.float64]:
    import pymatting  # 0.7 s; 45 s when numba compiles it for the first time

    solve = getattr(pymatting, _SOLVERS[method])
    try:
        # It prints warnings of performance, through the middle of a progress bar.
        with redirect_stdout(io.StringIO()):
            return solve(image, classes / Trimap.FOREGROUND)
    except ValueError as error:  # how PyMatting says that it does not converge
        raise CannotSolveError(f"PyMatting cannot solve it: {error}") from error


def _box_around(unknown: NDArray[np.bool_], classes: NDArray[np.uint8]) -> tuple[slice, slice]:
    x, y, width, height = cv2.boundingRect(unknown.astype(np.uint8))
    box = (
        slice(max(0, y - _MARGIN_PIXELS), y + height + _MARGIN_PIXELS),
        slice(max(0, x - _MARGIN_PIXELS), x + width + _MARGIN_PIXELS),
    )
    if len(np.unique(classes[box])) == len(Trimap):
        return box
    return slice(None), slice(None)  # one of the certain classes lies further away
