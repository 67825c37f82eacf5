"""What tests of every package share."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def repository() -> Path:
    """The folder of pyproject.toml."""
    return ROOT


@pytest.fixture(scope="session")
def sample_clip() -> Path:
    """48 frames of 640 x 360, no sound; in the repository."""
    return ROOT / "samples" / "turn.mp4"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The data that may not be in the repository; skips where it is absent."""
    beside = os.environ.get("SHM_SHARED", str(ROOT.parent / "shared" / "data"))
    if not Path(beside).is_dir():
        pytest.skip("needs the shared data beside the checkout or in $SHM_SHARED")
    return Path(beside)


@pytest.fixture(scope="session")
def random_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weights file with a network that has learned nothing: for tests of everything around it."""
    import torch

    from shm_engine.checkpoint import save_checkpoint
    from shm_engine.model import DEFAULT_MODEL, MODELS
    from shm_engine.preprocess import Preprocessing

    path = tmp_path_factory.mktemp("weights") / "random.safetensors"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        save_checkpoint(path, MODELS[DEFAULT_MODEL](), DEFAULT_MODEL, Preprocessing())
    return path


@pytest.fixture(autouse=True)
def _no_error_is_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """The library raises what goes wrong; a logged error is one that nobody will handle."""
    yield
    errors = [r.getMessage() for r in caplog.get_records("call") if r.levelno >= logging.ERROR]
    assert not errors
