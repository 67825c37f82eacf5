"""Losses and objectives against sums done by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from shm_engine.model.shm import Prediction, SemanticHumanMatting
from shm_engine.preprocess import Preprocessing
from shm_engine.trimap import Trimap
from tests.assertions import FLOAT32, assert_close
from training.config import Phase
from training.dataset import Sample
from training.losses import ROUGH_OUTLINE, alpha_losses, pixel_weights, trimap_loss
from training.phases import OBJECTIVES

B, U, F = Trimap.BACKGROUND, Trimap.UNKNOWN, Trimap.FOREGROUND

# Four pixels in a row: half wrong in the unknown one, right twice, and 0.2 of background.
TRIMAP = torch.tensor([[[U, F, B, B]]])
TRUE = torch.tensor([1.0, 1.0, 0.0, 0.0]).view(1, 1, 1, 4)
PREDICTED = torch.tensor([0.5, 1.0, 0.0, 0.2]).view(1, 1, 1, 4)
# Colours (0.9, 0.6, 0): their mean is 0.5.
IMAGE = torch.tensor([0.9, 0.6, 0.0]).view(1, 3, 1, 1).expand(1, 3, 1, 4)


def losses_of(*, exact: float, trimap: torch.Tensor = TRIMAP) -> dict[str, torch.Tensor]:
    prediction = Prediction(PREDICTED, PREDICTED, torch.zeros(1, 3, 1, 4))
    return alpha_losses(prediction, TRUE, IMAGE, trimap, torch.tensor([exact]))


def test_losses_of_an_exact_sample_by_hand() -> None:
    losses = losses_of(exact=1.0)
    assert_close(losses["alpha"], (0.5 + 0.2) / 4, FLOAT32)
    assert_close(losses["unknown"], 0.5, FLOAT32)
    assert_close(losses["composition"], (0.5 + 0.2) / 4 * 0.5, FLOAT32)


def test_a_rough_outline_counts_a_quarter_in_the_unknown_region_only() -> None:
    assert ROUGH_OUTLINE == 0.25
    losses = losses_of(exact=0.0)
    assert_close(losses["alpha"], (0.125 + 0.2) / 4, FLOAT32)
    assert_close(losses["unknown"], 0.125, FLOAT32)
    assert_close(losses["composition"], (0.125 + 0.2) / 4 * 0.5, FLOAT32)


def test_a_sample_without_unknown_pixels_has_no_unknown_loss() -> None:
    assert losses_of(exact=1.0, trimap=torch.full_like(TRIMAP, B))["unknown"].item() == 0


def test_weights_are_given_per_sample() -> None:
    weights = pixel_weights(TRIMAP.expand(2, 1, 4), torch.tensor([1.0, 0.0]))
    assert weights.shape == (2, 1, 1, 4)
    assert weights.flatten().tolist() == [1, 1, 1, 1, ROUGH_OUTLINE, 1, 1, 1]


def test_trimap_loss_of_no_opinion_is_log_3_and_of_the_truth_is_0() -> None:
    assert trimap_loss(torch.zeros(1, 3, 1, 4), TRIMAP).item() == pytest.approx(math.log(3))
    sure = 50 * torch.nn.functional.one_hot(TRIMAP, 3).permute(0, 3, 1, 2).float()
    assert trimap_loss(sure, TRIMAP).item() < 1e-6
    wrong = trimap_loss(sure.roll(1, dims=1), TRIMAP).item()
    assert wrong == pytest.approx(50)


@pytest.fixture
def batch() -> Sample:
    generator = torch.Generator().manual_seed(0)

    def codes(*shape: int, below: int = 256) -> torch.Tensor:
        return torch.randint(0, below, shape, generator=generator, dtype=torch.uint8)

    exact = torch.tensor([1.0, 0.0])
    return Sample(codes(2, 3, 32, 32), codes(2, 1, 32, 32), codes(2, 32, 32, below=3), exact)


def phase(train: str, **weights: Any) -> Phase:
    return Phase(train=train, steps=1, batch=2, crop_pixels=32, learning_rate=1e-3, **weights)


def test_every_phase_that_can_be_configured_has_an_objective() -> None:
    assert all(phase(name).train == name for name in OBJECTIVES)
    assert set(OBJECTIVES) == {"t_net", "end_to_end"}


def test_the_first_phase_trains_t_net_alone(batch: Sample) -> None:
    model = SemanticHumanMatting()
    loss, terms = OBJECTIVES["t_net"](model, batch, phase("t_net"), Preprocessing())
    loss.backward()
    assert terms == {"trimap": loss.item()}
    assert all(parameter.grad is None for parameter in model.m_net.parameters())
    assert all(parameter.grad is not None for parameter in model.t_net.parameters())


def test_the_last_phase_minimises_the_weighted_sum_of_its_terms(batch: Sample) -> None:
    model = SemanticHumanMatting().eval()
    weights = {
        "trimap_loss": 0.5,
        "alpha_loss": 3.0,
        "composition_loss": 7.0,
        "unknown_loss": 11.0,
    }
    objective = OBJECTIVES["end_to_end"]
    loss, terms = objective(model, batch, phase("end_to_end", **weights), Preprocessing())
    assert set(terms) == {"trimap", "alpha", "composition", "unknown"}
    expected = sum(weights[f"{name}_loss"] * term for name, term in terms.items())
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    loss.backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
