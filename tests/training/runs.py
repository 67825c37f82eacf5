"""Short runs and what they leave on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from training.config import TrainingConfig
from training.loop.trainer import Trainer


def train(config: TrainingConfig, folder: Path, *, steps: int | None = None) -> dict[str, Any]:
    """Train in-process; the state on disk afterwards."""
    Trainer(config, folder, workers=0).run(stop_after_steps=steps)
    return state_of(folder)


def state_of(folder: Path) -> dict[str, Any]:
    return torch.load(folder / "state.pt", weights_only=True)


def leaves(value: Any, name: str = "") -> dict[str, Any]:
    """Every tensor and number of a nested state, by its path."""
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    else:
        return {name: value}
    found: dict[str, Any] = {}
    for key, inner in items:
        found |= leaves(inner, f"{name}/{key}")
    return found


def assert_same_state(found: dict[str, Any], expected: dict[str, Any]) -> None:
    one, other = leaves(found), leaves(expected)
    assert one.keys() == other.keys()
    different = [
        name
        for name, value in other.items()
        if not (
            torch.equal(one[name], value) if isinstance(value, torch.Tensor) else one[name] == value
        )
    ]
    assert different == []
