"""Putting a foreground over a background, and what values mean in light: pure functions on tensors;
knows no file and no network.

Everything works on [..., C, H, W] in [0, 1], sRGB-encoded unless the name says linear: editors
composite in the encoded values of their timeline, and a preview must look like theirs.
"""

from __future__ import annotations

import math

import torch

# What a sheet of paper in the picture is to shine with, in cd/m2 (ITU-R BT.2408, table 1).
_DIFFUSE_WHITE = 203

# SMPTE ST 2084, equation 4.1, whose values count units of 10 000 cd/m2.
_PQ_PEAK = 10_000
_PQ_M1, _PQ_M2 = 2610 / 16384, 2523 / 4096 * 128
_PQ_C1, _PQ_C2, _PQ_C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32

# ITU-R BT.2100, table 5: HLG on the display of 1000 cd/m2 for which its system gamma is 1.2.
_HLG_PEAK, _HLG_GAMMA = 1000, 1.2
_HLG_A = 0.17883277
_HLG_B = 1 - 4 * _HLG_A
_HLG_C = 0.5 - _HLG_A * math.log(4 * _HLG_A)
_LUMINANCE_OF_BT2020 = (0.2627, 0.6780, 0.0593)

# Linear light with the primaries of BT.2020 to that with those of BT.709 (ITU-R BT.2407), and back
# (BT.2087).
_BT709_OF_BT2020 = (
    (1.6604910, -0.5876411, -0.0728499),
    (-0.1245505, 1.1328999, -0.0083494),
    (-0.0181508, -0.1005789, 1.1187297),
)

_BT2020_OF_BT709 = (
    (0.6274039, 0.3292830, 0.0433131),
    (0.0690973, 0.9195404, 0.0113623),
    (0.0163914, 0.0880133, 0.8955953),
)

# Light from here on, in diffuse whites, is bent so that no highlight is cut off.
_SHOULDER = 0.8


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


def linear_light(image: torch.Tensor, encoding: str) -> torch.Tensor:
    """Light of an image, [..., 3, H, W] float, with the primaries of BT.709 and diffuse white at 1.

    encoding: that of the image, see `Frame`. Of "pq" and "hlg", both with the primaries of BT.2020,
    highlights are above 1 (diffuse white is 203 cd/m2), and colours outside of BT.709 below 0.
    """
    if encoding == "srgb":
        return srgb_to_linear(image)
    light = _light_of_pq(image) if encoding == "pq" else _light_of_hlg(image)
    return _mixed(light / _DIFFUSE_WHITE, _BT709_OF_BT2020)


def display_referred(image: torch.Tensor, encoding: str) -> torch.Tensor:
    """The image as a display of today shows it: [..., 3, H, W] float in [0, 1], sRGB, BT.709.

    encoding: that of the image. "srgb" comes back as it is. Of "pq" and "hlg" diffuse white becomes
    nearly 1; highlights are bent to stay below 1, and colours outside of BT.709 are cut off.
    """
    if encoding == "srgb":
        return image
    light = linear_light(image, encoding).clamp_min(0)
    room = 1 - _SHOULDER
    bent = 1 - room * room / (light - _SHOULDER + room).clamp_min(room)
    return linear_to_srgb(torch.where(light <= _SHOULDER, light, bent))


def encoded_from_display(image: torch.Tensor, encoding: str) -> torch.Tensor:
    """An sRGB picture [..., 3, H, W] in [0, 1], such as a background, in the encoding of others.

    Its white becomes diffuse white. "srgb" comes back as it is.
    """
    if encoding == "srgb":
        return image
    light = _mixed(srgb_to_linear(image), _BT2020_OF_BT709).clamp_min(0) * _DIFFUSE_WHITE
    return _pq_of_light(light) if encoding == "pq" else _hlg_of_light(light)


def _mixed(light: torch.Tensor, matrix: tuple[tuple[float, float, float], ...]) -> torch.Tensor:
    """The matrix times the channels [..., 3, H, W], summed in one order everywhere."""
    red, green, blue = light.unbind(-3)
    return torch.stack([red * r + green * g + blue * b for r, g, b in matrix], -3)


def _light_of_pq(image: torch.Tensor) -> torch.Tensor:
    """Light in cd/m2 of values in PQ."""
    root = image.clamp(0, 1) ** (1 / _PQ_M2)
    share = (root - _PQ_C1).clamp_min(0) / (_PQ_C2 - _PQ_C3 * root)
    light: torch.Tensor = _PQ_PEAK * share ** (1 / _PQ_M1)
    return light


def _pq_of_light(light: torch.Tensor) -> torch.Tensor:
    """The inverse of `_light_of_pq`."""
    share = (light / _PQ_PEAK) ** _PQ_M1
    values: torch.Tensor = ((_PQ_C1 + _PQ_C2 * share) / (1 + _PQ_C3 * share)) ** _PQ_M2
    return values


def _light_of_hlg(image: torch.Tensor) -> torch.Tensor:
    """Light in cd/m2 on a display of values in HLG."""
    low = image * image / 3
    high = (torch.exp((image - _HLG_C) / _HLG_A) + _HLG_B) / 12
    scene = torch.where(image <= 0.5, low, high)
    return _HLG_PEAK * _luminance(scene) ** (_HLG_GAMMA - 1) * scene


def _hlg_of_light(light: torch.Tensor) -> torch.Tensor:
    """The inverse of `_light_of_hlg`."""
    shown = light / _HLG_PEAK
    # 1e-12 for black, of which any power is as good.
    scene = shown * _luminance(shown).clamp_min(1e-12) ** (1 / _HLG_GAMMA - 1)
    high = _HLG_A * torch.log((12 * scene - _HLG_B).clamp_min(1e-12)) + _HLG_C
    return torch.where(scene <= 1 / 12, (3 * scene).sqrt(), high).clamp(0, 1)


def _luminance(light: torch.Tensor) -> torch.Tensor:
    """[..., 1, H, W] of light with the primaries of BT.2020."""
    return _mixed(light, (_LUMINANCE_OF_BT2020,))
