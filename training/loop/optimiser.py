"""How values follow from gradients: AdamW, its rates over a phase, the precision of a step."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from shm_engine.model.shm import SemanticHumanMatting
from training.config import Phase
from training.loop.pretrained import freeze_layers

_GRADIENT_NORM = 5.0
_WEIGHT_DECAY = 1e-4


def make_optimiser(model: SemanticHumanMatting, phase: Phase) -> torch.optim.AdamW:
    """A fresh one, for what learns in the phase; each group knows the `peak` of its rate."""
    freeze_layers(model.t_net.backbone, phase.frozen_layers)
    backbone = list(model.t_net.backbone.parameters())
    inside = {id(parameter) for parameter in backbone}
    rest = [parameter for parameter in model.parameters() if id(parameter) not in inside]
    groups: list[dict[str, Any]] = [
        {"params": backbone, "peak": phase.learning_rate * phase.backbone_rate},
        {"params": rest, "peak": phase.learning_rate},
    ]
    return torch.optim.AdamW(groups, lr=phase.learning_rate, weight_decay=_WEIGHT_DECAY)


def restore_optimiser(optimiser: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Take over the moments that were saved. The peaks stay those of the phase as it reads now: a
    run may go on with another learning rate."""
    peaks = [group["peak"] for group in optimiser.param_groups]
    optimiser.load_state_dict(state)
    for group, peak in zip(optimiser.param_groups, peaks, strict=True):
        group["peak"] = peak


def set_learning_rate(optimiser: torch.optim.Optimizer, step: int, phase: Phase) -> float:
    """Give each group its rate for a step of the phase; returns that of most of the network."""
    factor = learning_rate_factor(step, phase)
    for group in optimiser.param_groups:
        group["lr"] = group["peak"] * factor
    return phase.learning_rate * factor


def learning_rate_factor(step: int, phase: Phase) -> float:
    """A half cosine from 1 down to 0.02, times a linear warm-up."""
    warm = min(1.0, (step + 1) / max(1, min(phase.warmup_steps, phase.steps)))
    cosine = 0.5 * (1 + math.cos(math.pi * step / phase.steps))
    return warm * (0.02 + 0.98 * cosine)


def training_precision(device: torch.device) -> torch.dtype:
    """What autocast computes in: bfloat16, which needs no scaling of the loss, or else float16."""
    if device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.float16
    return torch.bfloat16


def make_scaler(device: torch.device, precision: torch.dtype) -> torch.amp.GradScaler:
    """Keeps float16 gradients from vanishing; does nothing in bfloat16."""
    return torch.amp.GradScaler(device.type, enabled=precision == torch.float16)


def update(
    model: nn.Module, optimiser: torch.optim.Optimizer, scaler: torch.amp.GradScaler
) -> None:
    """One step down the clipped gradients; none where float16 overflowed."""
    scaler.unscale_(optimiser)
    nn.utils.clip_grad_norm_(model.parameters(), _GRADIENT_NORM)
    scaler.step(optimiser)
    scaler.update()
