"""Networks that say something: random, but with the statistics of a trained one."""

from __future__ import annotations

import torch
from torch import nn

from shm_engine.model import MODELS
from shm_engine.preprocess import Preprocessing, normalise
from tests.synthetic import draw, figure_alpha, texture


def lively(architecture: str) -> nn.Module:
    """A network in eval mode, the same at every call, whose batch norms are far from identity and
    whose outputs use most of their range. A fresh network answers 1/3 everywhere."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = MODELS[architecture]()
        for norm in model.modules():
            if isinstance(norm, nn.BatchNorm2d):
                nn.init.uniform_(norm.weight, 0.8, 1.6)
                nn.init.normal_(norm.bias, 0, 0.3)
                norm.get_buffer("running_mean").normal_(0, 0.2)
                norm.get_buffer("running_var").uniform_(0.1, 0.4)
    return model.eval()


def network_input(height: int = 64, width: int = 96) -> torch.Tensor:
    """Two different pictures [2, 3, H, W], normalised; sides must be multiples of 32."""
    person = draw(figure_alpha(height, width), torch.float32).frame.image
    return normalise(torch.stack([texture(height, width, seed=1), person]), Preprocessing())
