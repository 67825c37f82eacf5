"""What flows through the engine: Frame in, Matte out; knows no container and no network."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import torch

IMAGE_DTYPES = (torch.uint8, torch.uint16, torch.float32)
ENCODINGS = ("srgb", "pq", "hlg")


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

    image: [3, H, W] RGB, straight; uint8 or uint16 over their full range, or float32 in [0, 1].
    alpha: [1, H, W] of the image's dtype and range: linear coverage that the source itself has;
        None where it has none or covers everything.
    encoding: how the image's values mean light: "srgb" (as displays of computers take them), "pq"
        or "hlg" (BT.2100, primaries of BT.2020).
    pts, time_base: presentation time in seconds is exactly pts * time_base.
    index: 0-based position in the source.
    pixel_aspect: width of a pixel over its height (anamorphic video), 1 for square pixels.
    native: whatever the source decoded, untouched, so that a sink can reuse the original samples.
    """

    image: torch.Tensor
    alpha: torch.Tensor | None = None
    encoding: str = ENCODINGS[0]
    index: int = 0
    pts: int = 0
    time_base: Fraction = Fraction(1, 25)
    pixel_aspect: Fraction = Fraction(1)
    native: Any = None

    def __post_init__(self) -> None:
        _check_tensor("image", self.image, 3, IMAGE_DTYPES)
        if self.alpha is not None:
            _check_tensor("alpha", self.alpha, 1, (self.image.dtype,))
            if self.alpha.shape[1:] != self.image.shape[1:]:
                raise ValueError(f"alpha is {tuple(self.alpha.shape[1:])}, its image {self.size}")
        if self.encoding not in ENCODINGS:
            raise ValueError(f"encoding is {self.encoding!r}; it is one of {', '.join(ENCODINGS)}")
        if self.index < 0:
            raise ValueError(f"index is {self.index}; it counts from 0")
        if self.time_base <= 0 or self.pixel_aspect <= 0:
            raise ValueError("time_base and pixel_aspect must be above 0")

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.image.shape[1], self.image.shape[2]


@dataclass(frozen=True, kw_only=True, eq=False)
class Draft:
    """A matte at the working size: what the network said, before it is drawn at full size.

    image: [3, h, w] float32 in [0, 1]: the frame at that size in its own encoding, square pixels.
    alpha: [1, h, w] float32 in [0, 1].
    trimap: [3, h, w] float32 probabilities in the order of `trimap.Trimap`; or None.
    unsmoothed: alpha as it was before it was smoothed in time, or None where it is alpha itself.
    """

    frame: Frame
    image: torch.Tensor
    alpha: torch.Tensor
    trimap: torch.Tensor | None = None
    unsmoothed: torch.Tensor | None = None

    def __post_init__(self) -> None:
        _check_tensor("image", self.image, 3, (torch.float32,))
        _check_tensor("alpha", self.alpha, 1, (torch.float32,))
        sizes = {self.image.shape[1:], self.alpha.shape[1:]}
        for name, values, channels in (
            ("trimap", self.trimap, 3),
            ("unsmoothed", self.unsmoothed, 1),
        ):
            if values is not None:
                _check_tensor(name, values, channels, (torch.float32,))
                sizes.add(values.shape[1:])
        if len(sizes) > 1:
            raise ValueError(f"a draft has one size; these have {[tuple(size) for size in sizes]}")


@dataclass(frozen=True, kw_only=True, eq=False)
class Foreground:
    """Straight sRGB colours of the pixels that show something else as well.

    pixels: [N] int64, ascending: y * width + x of each, in its frame.
    colours: [3, N] with the dtype of the frame's image. All other pixels keep the frame's colours.
    """

    pixels: torch.Tensor
    colours: torch.Tensor

    def __post_init__(self) -> None:
        if self.pixels.ndim != 1 or self.pixels.dtype != torch.int64:
            raise ValueError(f"pixels are {self.pixels.dtype}; [N] int64 is needed")
        if self.colours.shape != (3, len(self.pixels)):
            raise ValueError(
                f"colours have shape {tuple(self.colours.shape)}; [3, {len(self.pixels)}] is needed"
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class Matte:
    """What was found for one frame.

    alpha: [1, H, W] float32 at the frame's size, linear coverage in [0, 1].
    trimap: [3, h, w] float32 probabilities in the order of `trimap.Trimap`, of the whole frame at
        the size they were decided at (enlarging them is left to who draws them); or None.
    foreground: the colours of people where the background shines through, or None where the
        source's colours are to be used.
    draft: what the matte was drawn from, for who wants to go on from here another time; or None.
    """

    frame: Frame
    alpha: torch.Tensor
    trimap: torch.Tensor | None = None
    foreground: Foreground | None = None
    draft: Draft | None = None

    def __post_init__(self) -> None:
        _check_tensor("alpha", self.alpha, 1, (torch.float32,))
        if self.trimap is not None:
            _check_tensor("trimap", self.trimap, 3, (torch.float32,))
        if self.alpha.shape[1:] != self.frame.image.shape[1:]:
            raise ValueError(
                f"alpha is {tuple(self.alpha.shape[1:])} but its frame is {self.frame.size}"
            )
        if self.foreground is not None:
            dtype = self.foreground.colours.dtype
            if dtype != self.frame.image.dtype:
                raise ValueError(f"foreground is {dtype} but its frame {self.frame.image.dtype}")

    @property
    def colours(self) -> torch.Tensor:
        """Straight sRGB to composite with, [3, H, W] like frame.image, which it is where there is
        no estimate."""
        if self.foreground is None:
            return self.frame.image
        colours = self.frame.image.clone(memory_format=torch.contiguous_format)
        # By NumPy, for torch cannot index uint16.
        flat = colours.numpy().reshape(3, -1)
        flat[:, self.foreground.pixels.numpy()] = self.foreground.colours.numpy()
        return colours
