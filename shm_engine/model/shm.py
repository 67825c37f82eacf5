"""Semantic Human Matting (Chen et al. 2018, figure 2): T-Net, M-Net and their fusion."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn

from shm_engine.model.m_net import MNet
from shm_engine.model.t_net import TNet
from shm_engine.trimap import Trimap


class Prediction(NamedTuple):
    """What the network says of a batch; all float32 at the input's size.

    alpha: [B, 1, H, W] in [0, 1]. alpha_raw: [B, 1, H, W] in [0, 1], meaningful where unknown.
    trimap_logits: [B, 3, H, W] in the order of Trimap.
    """

    alpha: torch.Tensor
    alpha_raw: torch.Tensor
    trimap_logits: torch.Tensor

    @property
    def trimap(self) -> torch.Tensor:
        """Probabilities [B, 3, H, W] in the order of Trimap."""
        return self.trimap_logits.softmax(dim=1)


def fuse(trimap: torch.Tensor, alpha_raw: torch.Tensor) -> torch.Tensor:
    """alpha = F + U * alpha_raw (equation 2 of the paper).

    trimap: probabilities [B, 3, H, W]; alpha_raw and the result: [B, 1, H, W] in [0, 1].
    """
    p_foreground = trimap[:, Trimap.FOREGROUND, None]
    p_unknown = trimap[:, Trimap.UNKNOWN, None]
    # Softmax sums to 1 only up to rounding: without the clamp alpha may exceed 1 by an ulp.
    return (p_foreground + p_unknown * alpha_raw).clamp(0, 1)


class SemanticHumanMatting(nn.Module):
    """Image [B, 3, H, W] (normalised, H and W multiples of 32) -> Prediction.

    T-Net decides where it is sure, M-Net the rest. Probabilities and the fusion are computed in
    float32 whatever the precision of the layers: 8 bits of mantissa would band a soft edge.
    """

    def __init__(self) -> None:
        super().__init__()
        self.t_net = TNet()
        self.m_net = MNet()

    def forward(self, image: torch.Tensor) -> Prediction:
        trimap_logits = self.t_net(image).float()
        trimap = trimap_logits.softmax(dim=1)
        alpha_raw = self.raw_alpha(image, trimap)
        return Prediction(fuse(trimap, alpha_raw), alpha_raw, trimap_logits)

    def raw_alpha(self, image: torch.Tensor, trimap: torch.Tensor) -> torch.Tensor:
        """M-Net alone: raw alpha [B, 1, H, W] in [0, 1] for a given trimap [B, 3, H, W]."""
        logits: torch.Tensor = self.m_net(torch.cat([image, trimap.to(image.dtype)], dim=1))
        return logits.float().sigmoid()
