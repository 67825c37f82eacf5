"""Putting a foreground over a background: pure functions on tensors; knows no file and no network.

Everything works on [..., C, H, W] in [0, 1], sRGB-encoded unless the name says linear: editors
composite in the encoded values of their timeline, and a preview must look like theirs.
"""

from __future__ import annotations

import torch


def as_unit(image: torch.Tensor) -> torch.Tensor:
    """The image as float32 in [0, 1], from uint8, uint16 (full range) or float32."""
    if image.dtype == torch.uint8:
        return image.to(torch.float32) / 255
    if image.dtype == torch.uint16:
        return image.to(torch.float32) / 65535
    return image.to(torch.float32)


def from_unit(image: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """The inverse of `as_unit`: [0, 1] to `dtype`, rounded to nearest and clamped."""
    if dtype == torch.float32:
        return image.clamp(0, 1)
    largest = 255 if dtype == torch.uint8 else 65535
    return (image.clamp(0, 1) * largest + 0.5).to(torch.int32).to(dtype)


def over(foreground: torch.Tensor, alpha: torch.Tensor, background: torch.Tensor) -> torch.Tensor:
    """Straight `foreground` over `background`: alpha * F + (1 - alpha) * B.

    Colours [..., 3, H, W] and alpha [..., 1, H, W], all float in [0, 1] (Porter and Duff 1984).
    """
    return background + alpha * (foreground - background)


def premultiply(foreground: torch.Tensor, alpha: torch.Tensor) -> torch.Tensor:
    """Colours times coverage."""
    return foreground * alpha


def unpremultiply(foreground_premultiplied: torch.Tensor, alpha: torch.Tensor) -> torch.Tensor:
    """Straight colours of premultiplied ones; black where nothing is covered."""
    straight = foreground_premultiplied / alpha.clamp_min(torch.finfo(torch.float32).eps)
    return torch.where(alpha > 0, straight, torch.zeros_like(straight)).clamp(0, 1)


def srgb_to_linear(encoded: torch.Tensor) -> torch.Tensor:
    """Light of sRGB-encoded values (IEC 61966-2-1)."""
    low = encoded / 12.92
    return torch.where(encoded <= 0.04045, low, ((encoded.clamp_min(0) + 0.055) / 1.055) ** 2.4)


def linear_to_srgb(linear: torch.Tensor) -> torch.Tensor:
    """sRGB-encoded values of light (IEC 61966-2-1)."""
    low = linear * 12.92
    high = 1.055 * linear.clamp_min(0) ** (1 / 2.4) - 0.055
    return torch.where(linear <= 0.0031308, low, high)
