"""What a step of each phase minimises. To add one: a function here, a row in OBJECTIVES."""

from __future__ import annotations

from collections.abc import Callable

import torch

from shm_engine.model.shm import SemanticHumanMatting
from shm_engine.preprocess import Preprocessing, normalise
from training.config import Phase
from training.dataset import Sample
from training.losses import alpha_losses, trimap_loss

# The weighted sum to minimise, and every term by name.
Objective = Callable[
    [SemanticHumanMatting, Sample, Phase, Preprocessing], tuple[torch.Tensor, dict[str, float]]
]


def t_net_objective(
    model: SemanticHumanMatting, batch: Sample, _: Phase, preprocessing: Preprocessing
) -> tuple[torch.Tensor, dict[str, float]]:
    """Phase 1 of the paper: the trimap alone; M-Net is not run."""
    logits = model.t_net(_network_input(batch, preprocessing)).float()
    loss = trimap_loss(logits, batch.trimap)
    return loss, {"trimap": loss.item()}


def end_to_end_objective(
    model: SemanticHumanMatting, batch: Sample, phase: Phase, preprocessing: Preprocessing
) -> tuple[torch.Tensor, dict[str, float]]:
    """Phase 3 of the paper: both networks through the fusion."""
    prediction = model(_network_input(batch, preprocessing))
    terms = {"trimap": trimap_loss(prediction.trimap_logits, batch.trimap)} | alpha_losses(
        prediction, batch.alpha / 255, batch.image / 255, batch.trimap, batch.exact
    )
    weights = {
        "trimap": phase.trimap_loss,
        "alpha": phase.alpha_loss,
        "composition": phase.composition_loss,
        "unknown": phase.unknown_loss,
    }
    loss = torch.stack([weights[name] * term for name, term in terms.items()]).sum()
    return loss, {name: term.item() for name, term in terms.items()}


OBJECTIVES: dict[str, Objective] = {
    "t_net": t_net_objective,
    "end_to_end": end_to_end_objective,
}


def _network_input(batch: Sample, preprocessing: Preprocessing) -> torch.Tensor:
    image = normalise(batch.image / 255, preprocessing)
    return image.contiguous(memory_format=torch.channels_last)
