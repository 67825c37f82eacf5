"""T-Net: image -> trimap logits. A MobileNetV2 encoder and a light U-Net decoder."""

from __future__ import annotations

import torch
from torch import nn

from shm_engine.model.backbone import CHANNELS, MobileNetV2
from shm_engine.model.blocks import conv_bn, double
from shm_engine.trimap import Trimap

# Decoder widths at 1/16, 1/8, 1/4, 1/2.
_WIDTHS = (96, 48, 32, 16)


class GlobalContext(nn.Module):
    """Features gated by a summary of the whole picture.

    The branch of Lite R-ASPP (Howard et al. 2019, fig. 10) with a global instead of a windowed
    mean: the deepest features see about 500 pixels, a person may fill more.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.project = conv_bn(in_channels, out_channels, 1)
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(in_channels, out_channels, 1), nn.Sigmoid()
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        gated: torch.Tensor = self.project(x) * self.gate(x)
        return gated


class DecoderStep(nn.Module):
    """Double the size, add the encoder's map of that size, smooth."""

    def __init__(self, in_channels: int, skip_channels: int, out_channels: int) -> None:
        super().__init__()
        # Channels are reduced before the map grows: the same sum, a quarter of the work.
        self.reduce = conv_bn(in_channels, out_channels, 1, activation=False)
        self.skip = conv_bn(skip_channels, out_channels, 1, activation=False)
        self.smooth = conv_bn(out_channels, out_channels)

    def forward(self, x: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        smoothed: torch.Tensor = self.smooth(double(self.reduce(x)) + self.skip(skip))
        return smoothed


class TNet(nn.Module):
    """Image [B, 3, H, W] (normalised, H and W multiples of 32) -> trimap logits [B, 3, H, W]."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = MobileNetV2()
        self.context = GlobalContext(CHANNELS[-1], 128)
        steps = []
        channels = 128
        for width, skip_channels in zip(_WIDTHS, CHANNELS[-2::-1], strict=True):
            steps.append(DecoderStep(channels, skip_channels, width))
            channels = width
        self.decoder = nn.ModuleList(steps)
        self.classify = nn.Conv2d(channels, len(Trimap), 3, padding=1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        *skips, x = self.backbone(image)
        x = self.context(x)
        for step, skip in zip(self.decoder, reversed(skips), strict=True):
            x = step(x, skip)
        # The classes are decided at 1/2: the trimap is a coarse thing, M-Net draws the edge.
        return double(self.classify(x))
