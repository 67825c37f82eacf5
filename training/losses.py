"""The losses of the paper (equations 4 and 5), with a weight per pixel where the truth is rough."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from shm_engine.model.shm import Prediction
from shm_engine.trimap import Trimap

# How much an outline counts whose truth is only right to a few pixels (a segmentation mask).
ROUGH_OUTLINE = 0.25


def trimap_loss(logits: torch.Tensor, true_trimap: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of logits [B, 3, H, W] against classes [B, H, W]."""
    return F.cross_entropy(logits, true_trimap.long())


def pixel_weights(true_trimap: torch.Tensor, exact: torch.Tensor) -> torch.Tensor:
    """[B, 1, H, W]: 1, but ROUGH_OUTLINE where unknown in samples that are not `exact` [B]."""
    unknown = (true_trimap == Trimap.UNKNOWN)[:, None]
    rough = (exact < 0.5).view(-1, 1, 1, 1)
    return torch.where(unknown & rough, ROUGH_OUTLINE, 1.0)


def alpha_losses(
    prediction: Prediction,
    true_alpha: torch.Tensor,
    image: torch.Tensor,
    true_trimap: torch.Tensor,
    exact: torch.Tensor,
) -> dict[str, torch.Tensor]:
    """Mean absolute errors of alpha, of alpha in the unknown region, and of the composition.

    true_alpha [B, 1, H, W] and image [B, 3, H, W] in [0, 1]; true_trimap [B, H, W]; exact [B].
    The composition loss weighs an error in alpha by the colour there: c = alpha * image.
    """
    weights = pixel_weights(true_trimap, exact)
    difference = (prediction.alpha - true_alpha).abs() * weights
    unknown = (true_trimap == Trimap.UNKNOWN)[:, None]
    return {
        "alpha": difference.mean(),
        "unknown": (difference * unknown).sum() / unknown.sum().clamp_min(1),
        "composition": (difference * image).mean(),
    }
