"""Learning rates, groups and precision."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from shm_engine.model.backbone import MobileNetV2
from shm_engine.model.shm import SemanticHumanMatting
from tests.training.conftest import PHASES
from training.config import Phase
from training.loop.optimiser import (
    learning_rate_factor,
    make_optimiser,
    make_scaler,
    restore_optimiser,
    set_learning_rate,
    training_precision,
    update,
)


def test_the_learning_rate_rises_to_its_peak_and_falls_to_a_fiftieth() -> None:
    phase = Phase(
        train="t_net", steps=1000, batch=1, crop_pixels=32, learning_rate=1, warmup_steps=100
    )
    factors = [learning_rate_factor(step, phase) for step in range(1000)]
    assert factors[0] == pytest.approx(0.01)
    assert factors.index(max(factors)) in range(90, 101)
    assert max(factors) == pytest.approx(1, abs=0.03)
    assert all(a > b for a, b in pairwise(factors[100:]))
    assert factors[549] == pytest.approx(0.02 + 0.98 * 0.42, abs=0.01)
    assert factors[-1] == pytest.approx(0.02, abs=1e-4)


@pytest.mark.parametrize(("steps", "warmup"), [(1, 100), (5, 0), (3, 3)])
def test_short_phases_learn_too(steps: int, warmup: int) -> None:
    phase = Phase(
        train="t_net",
        steps=steps,
        batch=1,
        crop_pixels=32,
        learning_rate=1,
        warmup_steps=warmup,
    )
    assert all(0 < learning_rate_factor(step, phase) <= 1 for step in range(steps))


def test_what_was_saved_goes_on_at_the_rates_of_the_phase_as_it_is_now() -> None:
    layer, phase = torch.nn.Linear(1, 1), PHASES[0]
    group = {"params": layer.parameters(), "peak": phase.learning_rate}
    saved = torch.optim.AdamW([group])
    layer(torch.ones(1)).backward()
    saved.step()
    lower = torch.optim.AdamW([{"params": list(layer.parameters()), "peak": 1e-6}])
    restore_optimiser(lower, saved.state_dict())
    assert [group["peak"] for group in lower.param_groups] == [1e-6]
    moments = lower.state_dict()["state"][0]["exp_avg"]
    assert torch.equal(moments, saved.state_dict()["state"][0]["exp_avg"])
    assert moments.abs().sum() > 0


def test_the_backbone_learns_at_its_own_rate() -> None:
    with torch.device("meta"):
        model, backbone = SemanticHumanMatting(), MobileNetV2()
    phase = PHASES[0]
    optimiser = make_optimiser(model, phase)
    rates = [phase.learning_rate * phase.backbone_rate, phase.learning_rate]
    assert [group["peak"] for group in optimiser.param_groups] == rates
    found = [sum(p.numel() for p in group["params"]) for group in optimiser.param_groups]
    counts = [sum(p.numel() for p in module.parameters()) for module in (backbone, model)]
    assert found == [counts[0], counts[1] - counts[0]]
    rate = set_learning_rate(optimiser, 1, phase)
    assert rate == pytest.approx(rates[1] * learning_rate_factor(1, phase))
    assert [group["lr"] for group in optimiser.param_groups] == pytest.approx(
        [rate * phase.backbone_rate, rate]
    )


@pytest.mark.parametrize(
    ("device", "native", "expected"),
    [
        ("cpu", False, torch.bfloat16),
        ("cuda", True, torch.bfloat16),
        ("cuda", False, torch.float16),
    ],
)
def test_float16_is_used_only_on_cuda_without_bfloat16(
    monkeypatch: pytest.MonkeyPatch, device: str, native: bool, expected: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: native)
    assert training_precision(torch.device(device)) == expected
    assert make_scaler(torch.device("cpu"), expected).is_enabled() == (expected == torch.float16)


def test_a_step_is_clipped_and_one_that_overflowed_is_left_out() -> None:
    layer = torch.nn.Linear(3, 1, bias=False)
    before = layer.weight.detach().clone()
    optimiser = torch.optim.SGD(layer.parameters(), lr=1.0)
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    scaler.scale(layer(torch.full((1, 3), 1e6)).sum()).backward()
    update(layer, optimiser, scaler)
    assert (layer.weight.detach() - before).norm() == pytest.approx(5.0, rel=1e-4)
    moved = layer.weight.detach().clone()
    optimiser.zero_grad()
    scaler.scale(layer(torch.full((1, 3), torch.inf)).sum()).backward()
    update(layer, optimiser, scaler)
    assert torch.equal(layer.weight, moved)
    assert scaler.get_scale() == 4.0
