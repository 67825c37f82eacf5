"""What flows through the engine: Frame in, Matte out; knows no container and no network."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import torch

IMAGE_DTYPES = (torch.uint8, torch.uint16, torch.float32)


def _check_tensor(
    name: str, tensor: torch.Tensor, channels: int, dtypes: tuple[torch.dtype, ...]
) -> None:
    if tensor.ndim != 3 or tensor.shape[0] != channels or 0 in tensor.shape:
        raise ValueError(f"{name} has shape {tuple(tensor.shape)}; [{channels}, H, W] is needed")
    if tensor.dtype not in dtypes:
        allowed = ", ".join(str(dtype).removeprefix("torch.") for dtype in dtypes)
        raise ValueError(f"{name} is {tensor.dtype}; it must be one of {allowed}")


@dataclass(frozen=True, kw_only=True, eq=False)
class Frame:
    """One picture of a clip, upright, with its exact time.

    image: [3, H, W] sRGB-encoded RGB; uint8 or uint16 over their full range, or float32 in [0, 1].
    pts, time_base: presentation time in seconds is exactly pts * time_base.
    index: 0-based position in the source.
    pixel_aspect: width of a pixel over its height (anamorphic video), 1 for square pixels.
    native: whatever the source decoded, untouched, so that a sink can reuse the original samples.
    """

    image: torch.Tensor
    index: int = 0
    pts: int = 0
    time_base: Fraction = Fraction(1, 25)
    pixel_aspect: Fraction = Fraction(1)
    native: Any = None

    def __post_init__(self) -> None:
        _check_tensor("image", self.image, 3, IMAGE_DTYPES)
        if self.index < 0:
            raise ValueError(f"index is {self.index}; it counts from 0")
        if self.time_base <= 0 or self.pixel_aspect <= 0:
            raise ValueError("time_base and pixel_aspect must be above 0")

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.image.shape[1], self.image.shape[2]


@dataclass(frozen=True, kw_only=True, eq=False)
class Matte:
    """What was found for one frame.

    alpha: [1, H, W] float32 at the frame's size, linear coverage in [0, 1].
    trimap: [3, h, w] float32 probabilities in the order of `trimap.Trimap`, of the whole frame at
        the size they were decided at (enlarging them is left to who draws them); or None.
    foreground: [3, H, W] straight sRGB colours with the dtype of frame.image, or None where the
        source colours are to be used.
    """

    frame: Frame
    alpha: torch.Tensor
    trimap: torch.Tensor | None = None
    foreground: torch.Tensor | None = None

    def __post_init__(self) -> None:
        _check_tensor("alpha", self.alpha, 1, (torch.float32,))
        if self.trimap is not None:
            _check_tensor("trimap", self.trimap, 3, (torch.float32,))
        if self.foreground is not None:
            _check_tensor("foreground", self.foreground, 3, (self.frame.image.dtype,))
        for name in ("alpha", "foreground"):
            tensor = getattr(self, name)
            if tensor is not None and tensor.shape[1:] != self.frame.image.shape[1:]:
                raise ValueError(
                    f"{name} is {tuple(tensor.shape[1:])} but its frame is {self.frame.size}"
                )

    @property
    def colours(self) -> torch.Tensor:
        """The straight colours to composite with: the estimated foreground, else the source."""
        return self.frame.image if self.foreground is None else self.foreground
