"""Tiny training data drawn by the tests, and runs over it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.drawn import draw_training_data
from training.config import Phase, Source, TrainingConfig

# [t_net x 2, end_to_end x 3] is the shortest run with a phase boundary and a step on each side.
PHASES = (
    Phase(train="t_net", steps=2, batch=2, crop_pixels=64, learning_rate=1e-3, warmup_steps=2),
    Phase(train="end_to_end", steps=3, batch=2, crop_pixels=64, learning_rate=1e-3),
)


@pytest.fixture(scope="session")
def drawn_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """people/image, mask and alpha, cutouts/rgba and scenes, three pictures each; do not change."""
    return draw_training_data(tmp_path_factory.mktemp("drawn"))


def drawn_config(root: Path, **changes: Any) -> TrainingConfig:
    """A run over what `draw_training_data` drew; keywords replace its options."""
    options: dict[str, Any] = {
        "data": str(root),
        "background": "scenes",
        "sources": (
            Source(path="people", kind="mask", weight=1.0),
            Source(path="cutouts", kind="cutout", weight=1.0),
        ),
        "phases": PHASES,
        "seed": 7,
        "charts": False,
    }
    return TrainingConfig(**(options | changes))


@pytest.fixture(scope="session")
def config_of(drawn_data: Path) -> Callable[..., TrainingConfig]:
    """`drawn_config` over the drawn data."""
    return partial(drawn_config, drawn_data)


@pytest.fixture(scope="module")
def _one_thread() -> Iterator[None]:
    """Sums over several threads are added in the order in which they finish."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
