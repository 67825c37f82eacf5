"""The losses of the paper (equations 4 and 5), with a weight per pixel where the truth is rough."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from shm_engine.model.blocks import double
from shm_engine.model.shm import Prediction
from shm_engine.trimap import Trimap
from training.data.dataset import IGNORED

_LAPLACIAN_LEVELS = 4


def trimap_loss(logits: torch.Tensor, true_trimap: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of logits [B, 3, H, W] against classes [B, H, W], over what is not IGNORED."""
    classes = true_trimap.long()
    total = F.cross_entropy(logits, classes, ignore_index=IGNORED, reduction="sum")
    return total / (classes != IGNORED).sum().clamp_min(1)


def pixel_weights(true_trimap: torch.Tensor, outline_weight: torch.Tensor) -> torch.Tensor:
    """[B, 1, H, W]: 1, but `outline_weight` [B] where the true trimap [B, H, W] is unknown, and 0
    where it is IGNORED."""
    classes = true_trimap[:, None]
    weights = torch.where(classes == Trimap.UNKNOWN, outline_weight.view(-1, 1, 1, 1), 1.0)
    return torch.where(classes == IGNORED, 0.0, weights)


def alpha_losses(
    prediction: Prediction,
    true_alpha: torch.Tensor,
    image: torch.Tensor,
    true_trimap: torch.Tensor,
    outline_weight: torch.Tensor,
) -> dict[str, torch.Tensor]:
    """Mean absolute errors of alpha, of alpha in the unknown region, and of the composition.

    true_alpha [B, 1, H, W] and image [B, 3, H, W] in [0, 1]; true_trimap [B, H, W];
    outline_weight [B].
    The composition loss weighs an error in alpha by the colour there: c = alpha * image.
    """
    signed = (prediction.alpha - true_alpha) * pixel_weights(true_trimap, outline_weight)
    difference = signed.abs()
    unknown = (true_trimap == Trimap.UNKNOWN)[:, None]
    return {
        "alpha": difference.mean(),
        "unknown": (difference * unknown).sum() / unknown.sum().clamp_min(1),
        "composition": (difference * image).mean(),
        "laplacian": laplacian_loss(signed),
    }


def laplacian_loss(difference: torch.Tensor) -> torch.Tensor:
    """Mean absolute bands of a Laplacian pyramid of an error [B, 1, H, W], the coarse ones weighing
    more (Niklaus and Liu 2018; here with 2 x 2 means as the low pass, which costs little).

    H and W must be multiples of 16.
    """
    bands = []
    for level in range(_LAPLACIAN_LEVELS):
        coarse = F.avg_pool2d(difference, 2)
        bands.append(2**level * (difference - double(coarse)).abs().mean())
        difference = coarse
    return torch.stack(bands).sum()
