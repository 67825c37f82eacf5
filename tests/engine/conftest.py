"""A loaded network for the tests of the engine, made once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from unittest import mock

import pytest

from shm_engine.checkpoint import save_checkpoint
from shm_engine.matter import Matter
from shm_engine.model import DEFAULT_MODEL
from shm_engine.options import MatterOptions
from shm_engine.preprocess import Preprocessing
from tests.engine.networks import lively


@pytest.fixture(scope="session")
def lively_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weights file of `networks.lively`."""
    path = tmp_path_factory.mktemp("weights") / "lively.safetensors"
    save_checkpoint(path, lively(DEFAULT_MODEL), DEFAULT_MODEL, Preprocessing())
    return path


# PyTorch as it is, on the CPU: ready at once, whatever else is installed.
SMALL = MatterOptions(device="cpu", long_side_pixels=64, batch=1, backend="eager")


def exact_matter(weights: Path, options: MatterOptions) -> Matter:
    """A Matter in float32: half precision would hide small mistakes."""
    with mock.patch("torch.cpu.get_capabilities", return_value={}):
        return Matter.load(weights, options)


@pytest.fixture(scope="session")
def matter(lively_weights: Path) -> Matter:
    """One frame at a time, long side at most 96 pixels."""
    return exact_matter(lively_weights, replace(SMALL, long_side_pixels=96, batch=1))


@pytest.fixture(scope="session")
def matter_of_four(lively_weights: Path) -> Matter:
    """Four frames at a time, long side at most 96 pixels."""
    return exact_matter(lively_weights, replace(SMALL, long_side_pixels=96, batch=4))
