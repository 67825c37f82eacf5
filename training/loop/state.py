"""The file that a run goes on from, whole or not at all; knows no network and no loop."""

from __future__ import annotations

import io
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from shm_engine.errors import CheckpointError
from shm_engine.files import replacing
from training.disk import writing_to

# What loading raises for a file that is of another kind, cut, or of another run.
_NOT_A_STATE = (
    pickle.UnpicklingError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)


@dataclass
class Progress:
    """Where a run stands: the phase, the steps done in it, the samples drawn in all."""

    phase: int = 0
    step: int = 0
    samples: int = 0


def write_state(path: Path, state: dict[str, Any]) -> None:
    """Tensors and plain values as a file; MattingError if it cannot be written."""
    # Not into the file itself: of a full disk torch only tells which position it reached.
    content = io.BytesIO()
    torch.save(state, content)
    with writing_to(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            temporary.write_bytes(content.getbuffer())


def read_state(path: Path) -> Any:
    """What the file holds, on the CPU, or None if there is no file."""
    if not path.exists():
        return None
    with belonging_to_the_run(path):
        return torch.load(path, map_location="cpu", weights_only=True)


@contextmanager
def belonging_to_the_run(path: Path) -> Iterator[None]:
    """CheckpointError with `path` for whatever goes wrong with a state that does not fit."""
    try:
        yield
    except _NOT_A_STATE as error:
        raise CheckpointError(
            f"{path} does not belong to this run; train into another folder", path=path
        ) from error


def random_state(device: torch.device) -> dict[str, torch.Tensor]:
    """Torch's generators, which networks may draw from; samples follow from their index."""
    state = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def restore_random_state(state: dict[str, torch.Tensor], device: torch.device) -> None:
    """The inverse of `random_state`; a generator that was not there before keeps its seed."""
    torch.set_rng_state(state["cpu"])
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)
