"""M-Net: image + trimap probabilities -> raw alpha, drawn at the input's own resolution."""

from __future__ import annotations

import torch
from torch import nn

from shm_engine.model.blocks import conv_bn, double

# Widths at 1/2, 1/4 and 1/8. Multiples of 16 fill a vector register in half precision.
_HALF, _QUARTER, _EIGHTH = 16, 48, 96
# At full size: channels brought up from 1/2 beside the 6 of the input, and channels drawn with.
_LIFTED, _DRAWN = 10, 16


class MNet(nn.Module):
    """[B, 6, H, W] (normalised image, trimap probabilities) -> raw alpha logits [B, 1, H, W].

    H and W must be multiples of 8. It sees nothing but its own surroundings, so it may be run on
    tiles of a larger picture. The input itself is the skip connection at full size: the only two
    layers that work there are thin, which is where the seed's decoder spent most of its time.
    """

    def __init__(self) -> None:
        super().__init__()
        self.encode_half = nn.Sequential(conv_bn(6, _HALF, stride=2), conv_bn(_HALF, _HALF))
        self.encode_quarter = nn.Sequential(
            conv_bn(_HALF, _QUARTER, stride=2), conv_bn(_QUARTER, _QUARTER)
        )
        self.encode_eighth = nn.Sequential(
            conv_bn(_QUARTER, _EIGHTH, stride=2), conv_bn(_EIGHTH, _EIGHTH)
        )
        self.lift_quarter = conv_bn(_EIGHTH, _QUARTER, 1, activation=False)
        self.decode_quarter = conv_bn(_QUARTER, _QUARTER)
        self.lift_half = conv_bn(_QUARTER, _HALF, 1, activation=False)
        self.decode_half = conv_bn(_HALF, _HALF)
        self.lift_full = conv_bn(_HALF, _LIFTED, 1, activation=False)
        self.draw = nn.Sequential(conv_bn(_LIFTED + 6, _DRAWN), nn.Conv2d(_DRAWN, 1, 3, padding=1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        half = self.encode_half(x)
        quarter = self.encode_quarter(half)
        y = self.encode_eighth(quarter)
        y = self.decode_quarter(double(self.lift_quarter(y)) + quarter)
        y = self.decode_half(double(self.lift_half(y)) + half)
        logits: torch.Tensor = self.draw(torch.cat([double(self.lift_full(y)), x], dim=1))
        return logits
