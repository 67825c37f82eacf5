"""MobileNetV2 features (Sandler et al. 2018, width 1.0) at five scales."""

from __future__ import annotations

import torch
from torch import nn

from shm_engine.model.blocks import conv_bn

# Table 2 of the paper: expansion, output channels, repeats, stride of the first repeat.
_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)

# Layers of `features` whose output is the last one at 1/2, 1/4, 1/8, 1/16 and 1/32.
_TAPS = (1, 3, 6, 13, 17)

CHANNELS = (16, 24, 32, 96, 320)


class InvertedResidual(nn.Module):
    """Expand, depthwise, project; with a shortcut where the shape allows it."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = in_channels * expansion
        expand = [conv_bn(in_channels, hidden, 1)] if expansion > 1 else []
        # Layer names follow the usual layout of published MobileNetV2 weights.
        self.conv = nn.Sequential(
            *expand,
            conv_bn(hidden, hidden, 3, stride=stride, groups=hidden),
            *conv_bn(hidden, out_channels, 1, activation=False),
        )
        self.shortcut = stride == 1 and in_channels == out_channels

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.conv(x)
        return x + y if self.shortcut else y


class MobileNetV2(nn.Module):
    """Image [B, 3, H, W] -> five maps at 1/2, 1/4, 1/8, 1/16, 1/32 with CHANNELS channels.

    H and W must be multiples of 32. The stem has stride 2, as in the paper.
    """

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [conv_bn(3, 32, stride=2)]
        channels = 32
        for expansion, width, repeats, stride in _STAGES:
            for repeat in range(repeats):
                first = repeat == 0
                layers.append(InvertedResidual(channels, width, stride if first else 1, expansion))
                channels = width
        self.features = nn.Sequential(*layers)

    def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
        maps = []
        x = image
        for index, layer in enumerate(self.features):
            x = layer(x)
            if index in _TAPS:
                maps.append(x)
        return maps
