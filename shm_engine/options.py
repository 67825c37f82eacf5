"""The engine's options and their defaults; imports no torch, so that `--help` is instant."""

from __future__ import annotations

import re
from dataclasses import dataclass

from shm_engine.errors import OptionsError

DEVICES = ("auto", "cuda", "mps", "cpu")
SMOOTHINGS = ("light", "strong", "off")
BACKENDS = ("auto", "eager", "compile", "openvino")
FOREGROUNDS = ("estimate", "source")
SOURCE_ALPHAS = ("multiply", "replace")
_DEVICE = re.compile(r"auto|cuda(:[0-9]+)?|mps|cpu")

# Networks work in multiples of 32; beyond 4096 the matte no longer improves and memory explodes.
_SMALLEST_LONG_SIDE, _LARGEST_LONG_SIDE = 64, 4096


@dataclass(frozen=True, kw_only=True)
class MatterOptions:
    """How a Matter works.

    device: "auto" (cuda, then mps, then cpu), or one of them, or "cuda:1".
    long_side_pixels: the longer side of the picture the network sees; larger finds finer detail,
        slower. Pictures are never enlarged to reach it.
    frames_ahead: how many frames the network may be ahead of the rest: more evens out what takes
        long now and then, and takes memory; 0 does one after the other, without a thread.
    batch: frames per forward pass; 0 chooses: several on cuda, one elsewhere.
    backend: what runs the network: "eager" is PyTorch as it is, "compile" takes a minute to start
        and is faster then, "openvino" (an extra) is faster still on CPUs and takes a third of a
        second for every new size of picture; "auto" chooses: "openvino" where it is installed.
    smoothing: in time: "light", "strong" (steadier, but follows fast hair less closely) or "off".
    foreground: the colours at the outline: "estimate" takes the old background out of them,
        "source" leaves them as they were filmed.
    source_alpha: of pictures that have an alpha of their own: "multiply" the new one by it, so that
        what was transparent stays so, or "replace" it.
    """

    device: str = "auto"
    long_side_pixels: int = 512
    frames_ahead: int = 2
    batch: int = 0
    backend: str = BACKENDS[0]
    smoothing: str = SMOOTHINGS[0]
    foreground: str = FOREGROUNDS[0]
    source_alpha: str = SOURCE_ALPHAS[0]

    def __post_init__(self) -> None:
        if not _DEVICE.fullmatch(self.device):
            raise OptionsError(
                f"device is {self.device!r}; use one of {', '.join(DEVICES)}, or cuda:NUMBER"
            )
        if not _SMALLEST_LONG_SIDE <= self.long_side_pixels <= _LARGEST_LONG_SIDE:
            raise OptionsError(
                f"the working size is {self.long_side_pixels}; "
                f"use {_SMALLEST_LONG_SIDE} to {_LARGEST_LONG_SIDE} pixels"
            )
        if self.frames_ahead < 0:
            raise OptionsError(f"frames_ahead is {self.frames_ahead}; use 0 or more")
        if self.batch < 0:
            raise OptionsError(f"batch is {self.batch}; use 0 (automatic) or more")
        for name, allowed in (
            ("backend", BACKENDS),
            ("smoothing", SMOOTHINGS),
            ("foreground", FOREGROUNDS),
            ("source_alpha", SOURCE_ALPHAS),
        ):
            if getattr(self, name) not in allowed:
                raise OptionsError(
                    f"{name} is {getattr(self, name)!r}; use one of {', '.join(allowed)}"
                )
