"""Mattes and pictures as files, FOLDER/SET/NAME.png, so that any program can be scored.

A frame of a clip is called CLIP/FRAME. Knows no network and no metric.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from shm_engine.compositing import from_unit
from shm_engine.errors import ImageFileError
from shm_engine.images import write_image
from training.evaluation.cases import Case, EvaluationSet, cases
from training.evaluation.evaluate import Alpha, Finding, Predictor

_LARGEST = {np.dtype(np.uint8): 255, np.dtype(np.uint16): 65535}


def from_folder(folder: Path) -> Predictor:
    """Alphas that some program has written; ImageFileError if one is missing or does not fit."""

    def predict(chosen: EvaluationSet, found: Iterator[Case]) -> Iterator[tuple[Case, Alpha]]:
        for case in found:
            path = _path(folder, chosen.name, case)
            alpha = read_alpha(path)
            if alpha.shape != case.true_alpha.shape:
                (height, width), (tall, wide) = alpha.shape, case.true_alpha.shape
                raise ImageFileError(
                    f"{path} has {width} x {height} pixels but its picture {wide} x {tall}; "
                    "write it in the size of the picture",
                    path=path,
                )
            yield case, alpha

    return predict


def read_alpha(path: Path) -> Alpha:
    """Alpha [H, W] of a PNG: its alpha channel, or its grey values; 8 or 16 bits.

    Raises ImageFileError if it is missing or has colours but no alpha.
    """
    if not path.is_file():
        raise ImageFileError(
            f"the prediction {path} is missing; every picture of a set needs one", path=path
        )
    data = np.fromfile(path, dtype=np.uint8)
    pixels = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if data.size else None
    if pixels is None or pixels.dtype not in _LARGEST:
        raise ImageFileError(f"the prediction {path} is not a PNG of 8 or 16 bits", path=path)
    return _coverage(pixels, path).astype(np.float32) / np.float32(_LARGEST[pixels.dtype])


def _coverage(pixels: NDArray[np.generic], path: Path) -> NDArray[np.generic]:
    if pixels.ndim == 2:
        return pixels
    # Some programs write grey as three equal channels.
    grey = bool((pixels[..., :3] == pixels[..., :1]).all())
    if pixels.shape[2] == 4:
        opaque = bool((pixels[..., 3] == _LARGEST[pixels.dtype]).all())
        if opaque and grey and np.ptp(pixels[..., 0].astype(np.int64)) > 0:
            raise ImageFileError(
                f"the prediction {path} is opaque, with a grey picture: is that the matte? "
                "write it as grey without alpha, or as the alpha of the picture",
                path=path,
            )
        return pixels[..., 3]
    if not grey:
        raise ImageFileError(
            f"the prediction {path} has colours but no alpha; write grey or RGBA", path=path
        )
    return pixels[..., 0]


def writing(found: Iterable[Finding], folder: Path) -> Iterator[Finding]:
    """The same findings; each alpha is written as 16-bit grey on the way."""
    for finding in found:
        alpha = torch.from_numpy(finding.predicted_alpha)[None]
        path = _path(folder, finding.set_name, finding.case)
        _write(path, from_unit(alpha, torch.uint16))
        yield finding


def write_pictures(folder: Path, data: Path, chosen: EvaluationSet) -> int:
    """Write what a program is to be run on: the pictures of a set as 8-bit RGB; their number."""
    count = 0
    for case in cases(data, chosen):
        image = torch.from_numpy(np.ascontiguousarray(case.image)).permute(2, 0, 1)
        _write(_path(folder, chosen.name, case), image)
        count += 1
    return count


def _path(folder: Path, set_name: str, case: Case) -> Path:
    return folder / set_name / f"{case.name}.png"


def _write(path: Path, image: torch.Tensor) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ImageFileError(
            f"{path.parent} cannot be made: {(error.strerror or str(error)).lower()}", path=path
        ) from error
    write_image(path, image)
