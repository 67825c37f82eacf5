"""Pictures and clips whose alpha is known by construction; nothing here is read from a file."""

from __future__ import annotations

from typing import NamedTuple

import torch

from shm_engine.compositing import from_unit, over
from shm_engine.types import Frame

# Colours [3, 1, 1] no two of which share a channel value: a swapped channel cannot hide.
ORANGE = torch.tensor([0.9, 0.5, 0.1]).view(3, 1, 1)
TEAL = torch.tensor([0.05, 0.45, 0.6]).view(3, 1, 1)


class Drawing(NamedTuple):
    """A frame and the alpha [1, H, W] it was drawn with."""

    frame: Frame
    alpha: torch.Tensor


def disc_alpha(
    height: int, width: int, *, centre: tuple[float, float], radius: float
) -> torch.Tensor:
    """Coverage [1, H, W] of a disc; centre (y, x) in pixels, pixel centres at whole numbers.

    The outline is one pixel wide and linear in the distance: right to about 0.02 for radii above 3.
    """
    y = torch.arange(height, dtype=torch.float32).view(-1, 1) - centre[0]
    x = torch.arange(width, dtype=torch.float32).view(1, -1) - centre[1]
    return (radius + 0.5 - torch.hypot(y, x)).clamp(0, 1)[None]


def figure_alpha(height: int, width: int) -> torch.Tensor:
    """Coverage [1, H, W] of a head on shoulders that the picture's lower edge cuts off."""
    side = min(height, width)
    head = disc_alpha(height, width, centre=(height * 0.35, width / 2), radius=side * 0.15)
    # Shoulders: half an ellipse from the lower edge up to the head.
    tall, wide = height * 0.6, width * 0.4
    y = (torch.arange(height, dtype=torch.float32).view(-1, 1) - height) / tall
    x = (torch.arange(width, dtype=torch.float32).view(1, -1) - width / 2) / wide
    shoulders = ((1 - torch.hypot(y, x)) * min(tall, wide) + 0.5).clamp(0, 1)[None]
    return torch.maximum(head, shoulders)


def texture(height: int, width: int, seed: int = 0) -> torch.Tensor:
    """A colourful picture [3, H, W] in [0, 1] with detail at every scale; the same for a seed."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.linspace(0, 1, height).view(1, -1, 1)
    x = torch.linspace(0, 1, width).view(1, 1, -1)
    angle = torch.tensor([0.0, 2.1, 4.2]).view(3, 1, 1) + seed
    waves = 0.5 + 0.3 * torch.sin(7 * x + 4 * y + angle)
    return (waves + 0.2 * torch.rand(3, height, width, generator=generator)).clamp(0, 1)


def draw(alpha: torch.Tensor, dtype: torch.dtype = torch.uint8, *, index: int = 0) -> Drawing:
    """An orange thing of this alpha over a texture, as a frame of `dtype`."""
    image = over(ORANGE, alpha, texture(*alpha.shape[1:]))
    return Drawing(Frame(image=from_unit(image, dtype), index=index, pts=index), alpha)


def moving_disc(count: int, height: int, width: int) -> list[Drawing]:
    """A clip: a disc that walks from left to right at constant speed."""
    return [
        draw(
            disc_alpha(
                height,
                width,
                centre=(height / 2, width * (index + 1) / (count + 1)),
                radius=min(height, width) / 4,
            ),
            index=index,
        )
        for index in range(count)
    ]


def noise_frame(
    height: int, width: int, dtype: torch.dtype = torch.uint8, *, seed: int = 0, index: int = 0
) -> Frame:
    """A frame of texture alone, for tests that do not ask what it shows."""
    return Frame(image=from_unit(texture(height, width, seed), dtype), index=index, pts=index)
