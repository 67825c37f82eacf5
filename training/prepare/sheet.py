"""A contact sheet of a set: picture, trimap and alpha over green, because people look."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from training.data.manifest import ManifestRow
from training.data.sources import Entry, read_picture, read_pixels

PICTURES = 24

_CELLS_IN_A_ROW = 3
_BOX, _LABEL, _GAP = 180, 22, 8  # pixels
_GREEN = np.array([0, 177, 64], np.float32)  # RGB
_GREY = np.array([128, 128, 128], np.float32)
_PAPER, _INK = 24, (225, 225, 225)


def draw_sheet(rows: Sequence[ManifestRow], rng: np.random.Generator) -> bytes:
    """A PNG of up to PICTURES rows, drawn at random and shown in their order."""
    chosen = sorted(rng.choice(len(rows), size=min(PICTURES, len(rows)), replace=False))
    cells = [_cell(rows[index]) for index in chosen]
    empty = np.full_like(cells[0], _PAPER)
    cells += [empty] * (-len(cells) % _CELLS_IN_A_ROW)
    lines = [
        np.hstack(cells[start : start + _CELLS_IN_A_ROW])
        for start in range(0, len(cells), _CELLS_IN_A_ROW)
    ]
    return cv2.imencode(".png", np.vstack(lines)[..., ::-1])[1].tobytes()


def _cell(row: ManifestRow) -> NDArray[np.uint8]:
    """Three pictures side by side above a label, RGB."""
    as_kind = row.kind if row.alpha is None else "alpha"
    picture = read_picture(Entry(row.image, row.alpha), as_kind)
    alpha = picture.alpha[..., None].astype(np.float32) / 255
    if row.kind == "cutout":  # premultiplied
        person = np.asarray(picture.colours, np.float32)
        shown = np.asarray(person + (1 - alpha) * _GREY, np.float32)
    else:
        shown = np.asarray(picture.colours, np.float32)
        person = np.asarray(shown * alpha, np.float32)
    trimap = np.zeros_like(picture.alpha)
    if row.trimap is not None:
        trimap = read_pixels(row.trimap, cv2.IMREAD_GRAYSCALE)
    over_green = person + (1 - alpha) * _GREEN
    parts = (shown, np.repeat(trimap[..., None], 3, axis=2), over_green)
    boxes = np.hstack([_fit(np.asarray(part, np.float32)) for part in parts])
    cell = np.full((_BOX + _LABEL, boxes.shape[1] + _GAP, 3), _PAPER, np.uint8)
    cell[:_BOX, : boxes.shape[1]] = boxes
    _write(cell, f"{row.image.name}  {row.width} x {row.height}  {row.kind}  {row.split}")
    return cell


def _fit(part: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The part, as large as it can be in a square box."""
    height, width = part.shape[:2]
    scale = _BOX / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    small = cv2.resize(part, size, interpolation=way)
    box = np.full((_BOX, _BOX, 3), _PAPER, np.uint8)
    y, x = (_BOX - size[1]) // 2, (_BOX - size[0]) // 2
    box[y : y + size[1], x : x + size[0]] = np.rint(small.clip(0, 255))
    return box


def _write(cell: NDArray[np.uint8], text: str) -> None:
    # OpenCV's own font knows ASCII only. The end of the text says more than its beginning.
    plain = text.encode("ascii", "replace").decode()
    font, scale = cv2.FONT_HERSHEY_SIMPLEX, 0.45
    while cv2.getTextSize(plain, font, scale, 1)[0][0] > cell.shape[1] - _GAP:
        plain = plain[1:]
    place = (2, cell.shape[0] - _LABEL // 3)
    cv2.putText(cell, plain, place, font, scale, _INK, 1, cv2.LINE_AA)
