"""Training pictures on disk whose colours and alpha are known."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from shm_engine.compositing import from_unit, over
from tests.synthetic import ORANGE, TEAL, figure_alpha, texture

# As 8-bit RGB.
ORANGE_CODE, TEAL_CODE = (
    from_unit(colour, torch.uint8).flatten().numpy() for colour in (ORANGE, TEAL)
)


def interleaved(image: torch.Tensor) -> NDArray[np.uint8]:
    """[C, H, W] in [0, 1] as uint8 [H, W, C] (RGB becomes OpenCV's order of channels)."""
    pixels = from_unit(image, torch.uint8).permute(1, 2, 0).numpy()
    order = {1: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[pixels.shape[2]]
    return np.ascontiguousarray(pixels[..., order])


def store(path: Path, pixels: NDArray[np.uint8] | NDArray[np.uint16]) -> None:
    """Write a picture, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels)


def draw_training_data(root: Path) -> Path:
    """Figures of several sizes as pairs and as cut-outs, all cut by the lower edge, and scenes."""
    for index, (height, width) in enumerate([(90, 70), (64, 110), (120, 120)]):
        alpha = figure_alpha(height, width)
        image = over(ORANGE, alpha, texture(height, width, seed=index))
        store(root / "people" / "image" / f"{index}.png", interleaved(image))
        store(root / "people" / "mask" / f"{index}.png", interleaved((alpha > 0.5).float()))
        store(root / "people" / "alpha" / f"{index}.png", interleaved(alpha))
        sure = torch.where((alpha == 0) | (alpha == 1), alpha, 0.5)
        store(root / "people" / "trimap" / f"{index}.png", interleaved(sure))
        cutout = torch.cat([ORANGE.expand(3, height, width), alpha])
        store(root / "cutouts" / "rgba" / f"{index}.png", interleaved(cutout))
        scene = TEAL.expand(3, 80 + 9 * index, 100)
        store(root / "scenes" / f"{index}.png", interleaved(scene))
    return root
