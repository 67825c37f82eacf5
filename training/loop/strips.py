"""Samples as a picture for people: input, true alpha, predicted alpha, composite over green."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from shm_engine.compositing import from_unit, over
from shm_engine.preprocess import shrink
from training.data.dataset import Sample

# Rows of a picture, the longest side of its cells, and the grey line that ends each of them.
STRIPS = 4
_CELL_PIXELS = 256
_LINE_PIXELS = 2

_GREEN = (0.0, 0.6, 0.25)


def draw_strips(batch: Sample, predicted_alpha: torch.Tensor) -> torch.Tensor:
    """uint8 [3, n * side, 4 * side]: a row for each of the first n samples of a batch.

    predicted_alpha: [n, 1, S, S] in [0, 1].
    """
    count = len(predicted_alpha)
    image = batch.image[:count].cpu() / 255
    true_alpha = batch.alpha[:count].cpu() / 255
    predicted_alpha = predicted_alpha.detach().float().cpu()
    green = torch.tensor(_GREEN).view(1, 3, 1, 1)
    cells = [
        image,
        true_alpha.expand_as(image),
        predicted_alpha.expand_as(image),
        over(image, predicted_alpha, green),
    ]
    side = min(_CELL_PIXELS, image.shape[-1])
    ended = [
        F.pad(shrink(cell, (side, side)), (0, _LINE_PIXELS, 0, _LINE_PIXELS), value=0.5)
        for cell in cells
    ]
    rows = torch.cat(ended, dim=-1)  # [n, 3, S + 2, 4 (S + 2)]
    return from_unit(torch.cat(list(rows), dim=-2), torch.uint8)
