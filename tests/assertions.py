"""How far two results may lie apart: the one table of tolerances, by cause, each with a reason."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch


class Tolerance(NamedTuple):
    """The largest absolute difference that a cause explains, for values of the order of 1."""

    largest: float
    reason: str


EXACT = Tolerance(0.0, "the same operations on the same numbers in the same order")
FLOAT32 = Tolerance(1e-6, "a few roundings to 24 bits of mantissa (6e-8 each)")
INTERPOLATION = Tolerance(
    5e-6, "OpenCV and torch compute where a pixel lies in another order: 1 ulp of 500 pixels"
)
NETWORK_FLOAT32 = Tolerance(
    1e-4, "60 layers of float32 sums in another order (batch, tile, merged batch norm): 1e-5 seen"
)
NETWORK_BFLOAT16_MEAN = Tolerance(
    0.02, "60 layers with 8 bits of mantissa, 0.01 seen; the mean of a picture, pixels err more"
)
NETWORK_8_BIT_MEAN = Tolerance(
    0.02, "RESIZE_8_BIT is noise in the input, which a random network enlarges: 0.01 seen"
)
NETWORK_OF_HDR = Tolerance(0.002, "HDR_FLOAT32 in the input, which a random network enlarges")
HALF_PRECISION = Tolerance(
    1e-3, "11 bits of mantissa for values up to 2, as weights are stored in half precision"
)
RESIZE_8_BIT = Tolerance(
    1.01 / 255, "torch resizes uint8 in two passes and rounds after each: half a level twice"
)
DATA_PARALLEL = Tolerance(
    2e-6, "float32 gradients of shares added in another order, five steps of AdamW: 1.2e-7 seen"
)
CODE_8_BIT = Tolerance(0.501 / 255, "rounding to the nearest of 256 levels")
CODE_16_BIT = Tolerance(0.501 / 65535, "rounding to the nearest of 65536 levels")
DETAIL_FLOAT32 = Tolerance(
    1e-4, "alpha is a constant and a slope of up to 10 by a colour: the two cancel in float32"
)
COLOUR_8_BIT = Tolerance(
    1 / 512 + 1e-6, "colours are estimated to half a step of 8 bits, the arithmetic is float32"
)
SPREAD_COLOUR = Tolerance(
    0.05, "half-covered pixels hold half of the other colour and count a sixteenth; the mean"
)
COMPOSITE_8_BIT = Tolerance(
    3.5 / 255, "premultiplied, moved, tinted, put over: each step rounds or cuts to 8 bits"
)
HDR_FLOAT32 = Tolerance(
    1e-4,
    "PQ is a power of 79 and light spans five decades in float32; dark sRGB is 13 times as steep",
)
DRAWN_DISC = Tolerance(1.5, "pixels: a drawn outline and a digital disc round to the pixel grid")


def assert_close(actual: Any, expected: Any, tolerance: Tolerance) -> None:
    """Same shape, and no element further apart than the tolerance; NaN is never close."""
    found, wanted = (np.asarray(_on_cpu(value), np.float64) for value in (actual, expected))
    assert found.shape == wanted.shape, f"shapes {found.shape} and {wanted.shape}"
    if found.size:
        worst = np.abs(found - wanted).max()
        assert worst <= tolerance.largest, (
            f"differs by {worst:.3g}, {tolerance.largest:.3g} is explained by: {tolerance.reason}"
        )


def assert_mean_close(actual: Any, expected: Any, tolerance: Tolerance) -> None:
    """Same shape, and a mean absolute difference within the tolerance."""
    found, wanted = (np.asarray(_on_cpu(value), np.float64) for value in (actual, expected))
    assert found.shape == wanted.shape, f"shapes {found.shape} and {wanted.shape}"
    mean = np.abs(found - wanted).mean()
    assert mean <= tolerance.largest, (
        f"differs by {mean:.3g} in the mean, {tolerance.largest:.3g} is explained by: "
        f"{tolerance.reason}"
    )


def _on_cpu(value: Any) -> Any:
    return value.detach().cpu().float().numpy() if isinstance(value, torch.Tensor) else value
