"""What a step of each phase minimises. To add one: a function here, a row in OBJECTIVES."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F

from shm_engine.model.shm import Prediction, SemanticHumanMatting
from shm_engine.preprocess import Preprocessing, normalise
from shm_engine.trimap import Trimap
from training.config import Phase
from training.data.dataset import IGNORED, Sample
from training.loop.losses import alpha_losses, trimap_loss

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


def m_net_objective(
    model: SemanticHumanMatting, batch: Sample, phase: Phase, preprocessing: Preprocessing
) -> tuple[torch.Tensor, dict[str, float]]:
    """Phase 2 of the paper: raw alpha from true trimaps, judged where they are unknown; T-Net is
    not run."""
    unknown = batch.trimap == Trimap.UNKNOWN
    # What is IGNORED is anything to M-Net: unknown.
    classes = torch.where(batch.trimap == IGNORED, Trimap.UNKNOWN, batch.trimap).long()
    trimap = F.one_hot(classes, len(Trimap)).permute(0, 3, 1, 2).float()
    alpha_raw = model.raw_alpha(_network_input(batch, preprocessing), trimap)
    # Elsewhere the fusion does not ask M-Net: what it says there is taken for right.
    alpha = torch.where(unknown[:, None], alpha_raw, batch.alpha / 255)
    terms = _alpha_terms(Prediction(alpha, alpha_raw, trimap), batch)
    return _weighted(terms, phase)


def end_to_end_objective(
    model: SemanticHumanMatting, batch: Sample, phase: Phase, preprocessing: Preprocessing
) -> tuple[torch.Tensor, dict[str, float]]:
    """Phase 3 of the paper: both networks through the fusion."""
    prediction = model(_network_input(batch, preprocessing))
    terms = {"trimap": trimap_loss(prediction.trimap_logits, batch.trimap)}
    return _weighted(terms | _alpha_terms(prediction, batch), phase)


OBJECTIVES: dict[str, Objective] = {
    "t_net": t_net_objective,
    "m_net": m_net_objective,
    "end_to_end": end_to_end_objective,
}


def _network_input(batch: Sample, preprocessing: Preprocessing) -> torch.Tensor:
    image = normalise(batch.image / 255, preprocessing)
    return image.contiguous(memory_format=torch.channels_last)


def _alpha_terms(prediction: Prediction, batch: Sample) -> dict[str, torch.Tensor]:
    return alpha_losses(
        prediction, batch.alpha / 255, batch.image / 255, batch.trimap, batch.outline_weight
    )


def _weighted(
    terms: dict[str, torch.Tensor], phase: Phase
) -> tuple[torch.Tensor, dict[str, float]]:
    weights = {
        "trimap": phase.trimap_loss,
        "alpha": phase.alpha_loss,
        "composition": phase.composition_loss,
        "unknown": phase.unknown_loss,
        "laplacian": phase.laplacian_loss,
    }
    loss = torch.stack([weights[name] * term for name, term in terms.items()]).sum()
    return loss, {name: term.item() for name, term in terms.items()}
