"""The worst mattes as one picture, because people look rather than read; measures nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from training.evaluation.evaluate import Finding

_CELL_PIXELS = 256
_LABEL_PIXELS = 24
_GREEN = np.array([0, 255, 0], np.float32)
_TITLES = "picture | truth | found | over green | error: red too much, blue too little"


class Worst:
    """Keeps the findings with the largest MAD, of a clip only its worst frame."""

    def __init__(self, count: int = 10) -> None:
        self._count = count
        self.findings: list[Finding] = []

    def watching(self, found: Iterable[Finding]) -> Iterator[Finding]:
        """The same findings; the worst are kept on the way."""
        for finding in found:
            self._consider(finding)
            yield finding

    def _consider(self, finding: Finding) -> None:
        rivals = {(other.set_name, other.clip): other for other in self.findings}
        rival = rivals.get((finding.set_name, finding.clip))
        if rival is None or _mad(rival) < _mad(finding):
            rivals[finding.set_name, finding.clip] = finding
        self.findings = sorted(rivals.values(), key=_mad, reverse=True)[: self._count]


def draw_sheet(found: Sequence[Finding]) -> torch.Tensor:
    """uint8 [3, H, W] RGB: a labelled row for each finding, as the heading names its cells.

    What does not count is grey in the error, and the region is framed in the picture.
    """
    rows = [_label(_TITLES)]
    for place, finding in enumerate(found, start=1):
        figures = finding.figures
        # A picture without people has no IoU.
        overlap = f"   IoU {figures['iou']:.3f}" if "iou" in figures else ""
        rows.append(
            _label(
                f"{place}. {finding.set_name}: {finding.case.name}   "
                f"MAD {figures['mad']:.4f}{overlap}"
            )
        )
        rows.append(np.concatenate([_fitted(cell) for cell in _cells(finding)], axis=1))
    sheet = np.concatenate(rows)
    return torch.from_numpy(sheet).permute(2, 0, 1)


def _cells(finding: Finding) -> list[NDArray[np.uint8]]:
    """Five pictures [H, W, 3] of the case's size."""
    case, alpha = finding.case, finding.predicted_alpha[..., None]
    image = case.image.astype(np.float32)
    shown = case.image.copy()
    difference = finding.predicted_alpha - case.true_alpha
    too_much, too_little = difference.clip(0, 1), (-difference).clip(0, 1)
    # Faint errors show: the square root lifts 0.04 to 0.2.
    error = np.sqrt(np.stack([too_much, np.zeros_like(difference), too_little], axis=-1)) * 255
    if case.region is not None:
        error[~case.region] = 96
        x, y, width, height = cv2.boundingRect(case.region.astype(np.uint8))
        cv2.rectangle(shown, (x, y), (x + width - 1, y + height - 1), (255, 255, 0), 2)
    grey = [np.repeat(a[..., None] * 255, 3, axis=2) for a in (case.true_alpha, alpha[..., 0])]
    over_green = alpha * image + (1 - alpha) * _GREEN
    return [shown, *(np.rint(cell).astype(np.uint8) for cell in (*grey, over_green, error))]


def _fitted(cell: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The cell in its proportions, as wide as all cells and at most as tall."""
    height, width = cell.shape[:2]
    factor = _CELL_PIXELS / max(height, width)
    tall, wide = max(1, round(height * factor)), max(1, round(width * factor))
    way = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    strip = np.full((tall, _CELL_PIXELS, 3), 32, np.uint8)
    x = (_CELL_PIXELS - wide) // 2
    strip[:, x : x + wide] = cv2.resize(cell, (wide, tall), interpolation=way)
    return strip


def _label(text: str) -> NDArray[np.uint8]:
    strip = np.full((_LABEL_PIXELS, 5 * _CELL_PIXELS, 3), 255, np.uint8)
    black = (0, 0, 0)
    cv2.putText(strip, text, (8, 17), cv2.FONT_HERSHEY_SIMPLEX, 0.5, black, 1, cv2.LINE_AA)
    return strip


def _mad(finding: Finding) -> float:
    return finding.figures["mad"]
