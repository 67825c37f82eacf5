"""Pictures <-> network tensors: resize, normalise, pad, and back; the same for engine and training.

Never squashes: both sides shrink by one factor (after undoing anamorphic pixels) and the rest is
padded to the multiple the network needs.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from shm_engine.compositing import as_unit


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """The constants a network was trained with; they travel inside its weights file.

    mean, std: of sRGB-encoded RGB in [0, 1]; the defaults are those of the ImageNet backbone.
    multiple: both sides of the network's input are multiples of this.
    """

    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    multiple: int = 32

    def __post_init__(self) -> None:
        if len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise ValueError(f"mean {self.mean} and std {self.std} must be three values each")
        if self.multiple < 1:
            raise ValueError(f"multiple is {self.multiple}; 1 is the smallest")

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Preprocessing:
        """The inverse of `as_dict`; unknown keys are an error."""
        return cls(**(values | {name: tuple(values[name]) for name in ("mean", "std")}))


def working_size(
    height: int, width: int, long_side_pixels: int, pixel_aspect: Fraction = Fraction(1)
) -> tuple[int, int]:
    """Height and width at which the network looks at a picture of height x width.

    Square pixels, long side at most `long_side_pixels`, never enlarged (an anamorphic picture is
    narrowed on the side with more samples), never below 1.
    """
    tall, wide = float(height), float(width)
    if pixel_aspect > 1:
        tall /= float(pixel_aspect)
    else:
        wide *= float(pixel_aspect)
    factor = min(1.0, long_side_pixels / max(tall, wide))
    return max(1, round(tall * factor)), max(1, round(wide * factor))


def shrink(images: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Images [B, 3, H, W] of any Frame dtype as float32 [B, 3, h, w] in [0, 1], anti-aliased."""
    if images.shape[-2:] == size:
        return as_unit(images)
    if images.dtype == torch.uint8 and images.device.type == "cpu" and size[1] > 1:
        # The 8-bit path of torch is several times faster than its float path and rounds after each
        # of its two passes. At a width of 1 it mistakes the memory layout (seen in torch 2.13).
        return as_unit(_resize(images, size))
    return _resize(as_unit(images), size).clamp(0, 1)


def _resize(images: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    return F.interpolate(images, size=size, mode="bilinear", antialias=True, align_corners=False)


def normalise(images: torch.Tensor, preprocessing: Preprocessing) -> torch.Tensor:
    """Images [B, 3, h, w] float in [0, 1], normalised, padded at the right and the bottom.

    The padding repeats the last row and column: an edge of zeros would look like an outline.
    """
    mean = torch.tensor(preprocessing.mean, device=images.device).view(1, 3, 1, 1)
    std = torch.tensor(preprocessing.std, device=images.device).view(1, 3, 1, 1)
    height, width = images.shape[-2:]
    bottom, right = -height % preprocessing.multiple, -width % preprocessing.multiple
    normalised = (images - mean) / std
    if bottom or right:
        normalised = F.pad(normalised, (0, right, 0, bottom), mode="replicate")
    return normalised


def enlarge(maps: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Maps [C, h, w] float32 in [0, 1] at `size`, bilinear: a cubic would ring below 0, above 1."""
    if maps.shape[-2:] == size:
        return maps
    if maps.device.type != "cpu":
        return F.interpolate(maps[None], size=size, mode="bilinear", align_corners=False)[0]
    # The same arithmetic as torch's, several times faster on a CPU.
    height, width = size
    large = np.empty((maps.shape[0], height, width), np.float32)
    for small, target in zip(maps.numpy(), large, strict=True):
        cv2.resize(small, (width, height), dst=target, interpolation=cv2.INTER_LINEAR)
    return torch.from_numpy(large)
