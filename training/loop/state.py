"""The file that a run goes on from, whole or not at all; knows no network and no loop."""

from __future__ import annotations

import dataclasses
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
from training.config import TrainingConfig
from training.disk import writing_to
from training.stored import checksum

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


# Phases can be added to a run, data be moved, and what is told be told otherwise.
_MAY_CHANGE = {
    "phases",
    "data",
    "save_every",
    "log_every",
    "validation",
    "validate_every",
    "validation_pictures",
    "charts",
    "strips_every",
}


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


def identity_of(config: TrainingConfig) -> dict[str, str]:
    """Every key that decides what a run becomes, in words; a manifest by what it holds."""
    identity = {
        name: repr(value)
        for name, value in dataclasses.asdict(config).items()
        if name not in _MAY_CHANGE
    }
    return identity | {name: checksum(Path(name)) for name in config.manifests}


def check_identity(known: dict[str, str], config: TrainingConfig, path: Path) -> None:
    """CheckpointError naming the first key in which `config` differs from the state in `path`."""
    # A key that is newer than the state had its default's effect.
    defaults = {key.name: repr(key.default) for key in dataclasses.fields(config)}
    for name, value in identity_of(config).items():
        if known.get(name, defaults.get(name)) != value:
            raise CheckpointError(
                f"{path} was made with another {name}; take that back, or train into another "
                "folder",
                path=path,
            )


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
