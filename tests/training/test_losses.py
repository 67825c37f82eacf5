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
from training.data.dataset import IGNORED, Sample
from training.loop.losses import (
    alpha_losses,
    laplacian_loss,
    pixel_weights,
    trimap_loss,
)
from training.loop.phases import OBJECTIVES

B, U, F = Trimap.BACKGROUND, Trimap.UNKNOWN, Trimap.FOREGROUND


def fields(*values: float) -> torch.Tensor:
    """Four squares of 16 x 16 in a row, as [1, 16, 64]."""
    return torch.tensor(values).repeat_interleave(16).expand(1, 16, 64)


# Half wrong in the unknown square, right in two, and 0.2 of background.
TRIMAP = fields(U, F, B, B)
NOT_KNOWN = fields(U, F, B, IGNORED)
TRUE = fields(1.0, 1.0, 0.0, 0.0)[None]
PREDICTED = fields(0.5, 1.0, 0.0, 0.2)[None]
# Colours (0.9, 0.6, 0): their mean is 0.5.
IMAGE = torch.tensor([0.9, 0.6, 0.0]).view(1, 3, 1, 1).expand(1, 3, 16, 64)


def losses_of(*, outline: float, trimap: torch.Tensor = TRIMAP) -> dict[str, torch.Tensor]:
    prediction = Prediction(PREDICTED, PREDICTED, torch.zeros(1, 3, 16, 64))
    return alpha_losses(prediction, TRUE, IMAGE, trimap, torch.tensor([outline]))


def test_losses_of_an_exact_sample_by_hand() -> None:
    losses = losses_of(outline=1.0)
    assert_close(losses["alpha"], (0.5 + 0.2) / 4, FLOAT32)
    assert_close(losses["unknown"], 0.5, FLOAT32)
    assert_close(losses["composition"], (0.5 + 0.2) / 4 * 0.5, FLOAT32)


def test_an_outline_that_counts_a_quarter_does_so_in_the_unknown_region_only() -> None:
    losses = losses_of(outline=0.25)
    assert_close(losses["alpha"], (0.125 + 0.2) / 4, FLOAT32)
    assert_close(losses["unknown"], 0.125, FLOAT32)
    assert_close(losses["composition"], (0.125 + 0.2) / 4 * 0.5, FLOAT32)


def test_a_sample_without_unknown_pixels_has_no_unknown_loss() -> None:
    assert losses_of(outline=1.0, trimap=torch.full_like(TRIMAP, B))["unknown"].item() == 0


def test_weights_are_given_per_sample() -> None:
    weights = pixel_weights(TRIMAP[:, :1, ::16].expand(2, 1, 4), torch.tensor([1.0, 0.3]))
    assert weights.shape == (2, 1, 1, 4)
    assert weights.flatten().tolist() == pytest.approx([1, 1, 1, 1, 0.3, 1, 1, 1])


def test_what_is_not_known_counts_for_nothing() -> None:
    losses = losses_of(outline=1.0, trimap=NOT_KNOWN)
    assert_close(losses["alpha"], 0.5 / 4, FLOAT32)
    logits = torch.zeros(1, 3, 16, 64)
    logits[0, Trimap.FOREGROUND, :, 48:] = 90
    assert trimap_loss(logits, NOT_KNOWN).item() == pytest.approx(math.log(3))
    assert trimap_loss(logits, torch.full_like(TRIMAP, IGNORED)).item() == 0


def test_the_laplacian_of_a_constant_error_is_0_and_of_single_errors_by_hand() -> None:
    assert laplacian_loss(torch.full((1, 1, 32, 32), 0.3)).item() == pytest.approx(0, abs=1e-6)
    checks = torch.ones(1, 1, 32, 32)
    checks[..., ::2] = -1  # every 2 x 2 mean is 0: only the finest band sees it, in full
    assert laplacian_loss(checks).item() == pytest.approx(1)
    # Columns + + - -: their means + - are what the second band sees, in full and twice. Doubled,
    # these are +-0.5 but for the first and last column: half the error stays for the first band.
    pairs = torch.tensor([1.0, 1, -1, -1]).repeat(8).expand(1, 1, 32, 32)
    assert laplacian_loss(pairs).item() == pytest.approx(0.5 * 30 / 32 + 2)


def test_trimap_loss_of_no_opinion_is_log_3_and_of_the_truth_is_0() -> None:
    assert trimap_loss(torch.zeros(1, 3, 16, 64), TRIMAP).item() == pytest.approx(math.log(3))
    sure = 50 * torch.nn.functional.one_hot(TRIMAP, 3).permute(0, 3, 1, 2).float()
    assert trimap_loss(sure, TRIMAP).item() < 1e-6
    wrong = trimap_loss(sure.roll(1, dims=1), TRIMAP).item()
    assert wrong == pytest.approx(50)


@pytest.fixture
def batch() -> Sample:
    generator = torch.Generator().manual_seed(0)

    def codes(*shape: int, below: int = 256) -> torch.Tensor:
        return torch.randint(0, below, shape, generator=generator, dtype=torch.uint8)

    outlines = torch.tensor([1.0, 0.25])
    return Sample(codes(2, 3, 32, 32), codes(2, 1, 32, 32), codes(2, 32, 32, below=3), outlines)


def phase(train: str, **weights: Any) -> Phase:
    return Phase(train=train, steps=1, batch=2, crop_pixels=32, learning_rate=1e-3, **weights)


def test_every_phase_that_can_be_configured_has_an_objective() -> None:
    assert all(phase(name).train == name for name in OBJECTIVES)
    assert set(OBJECTIVES) == {"t_net", "m_net", "end_to_end"}


def test_the_first_phase_trains_t_net_alone(batch: Sample) -> None:
    model = SemanticHumanMatting()
    loss, terms = OBJECTIVES["t_net"](model, batch, phase("t_net"), Preprocessing())
    loss.backward()
    assert terms == {"trimap": loss.item()}
    assert all(parameter.grad is None for parameter in model.m_net.parameters())
    assert all(parameter.grad is not None for parameter in model.t_net.parameters())


def test_the_second_phase_trains_m_net_alone_where_the_true_trimap_is_unknown(
    batch: Sample,
) -> None:
    model = SemanticHumanMatting()
    loss, terms = OBJECTIVES["m_net"](model, batch, phase("m_net"), Preprocessing())
    loss.backward()
    assert "trimap" not in terms
    assert all(parameter.grad is None for parameter in model.t_net.parameters())
    assert all(parameter.grad is not None for parameter in model.m_net.parameters())
    sure = batch._replace(trimap=torch.full_like(batch.trimap, Trimap.FOREGROUND))
    nothing, _ = OBJECTIVES["m_net"](model, sure, phase("m_net"), Preprocessing())
    assert nothing.item() == 0


def test_the_last_phase_minimises_the_weighted_sum_of_its_terms(batch: Sample) -> None:
    model = SemanticHumanMatting().eval()
    weights = {
        "trimap_loss": 0.5,
        "alpha_loss": 3.0,
        "composition_loss": 7.0,
        "unknown_loss": 11.0,
        "laplacian_loss": 13.0,
    }
    objective = OBJECTIVES["end_to_end"]
    loss, terms = objective(model, batch, phase("end_to_end", **weights), Preprocessing())
    assert set(terms) == {"trimap", "alpha", "composition", "unknown", "laplacian"}
    expected = sum(weights[f"{name}_loss"] * term for name, term in terms.items())
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    loss.backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
