"""Weights files: safetensors with the architecture, constants and a digest in the header.

Nothing in a weights file can run code. A file that was changed, cut or made for another network is
refused with a sentence.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from shm_engine.errors import CheckpointError
from shm_engine.files import replacing
from shm_engine.model import MODELS
from shm_engine.preprocess import Preprocessing

# Raised when a reader of an older version could no longer understand the file.
FORMAT_VERSION = 1

SHIPPED_WEIGHTS = "shm_mobilenetv2.safetensors"


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A network in eval mode (float32, on the CPU) and what belongs to it."""

    model: nn.Module
    architecture: str
    preprocessing: Preprocessing
    digest: str


def save_checkpoint(
    path: Path, model: nn.Module, architecture: str, preprocessing: Preprocessing
) -> str:
    """Write the weights in half precision, whole or not at all; returns their digest.

    Raises CheckpointError if the folder cannot be written.
    """
    if architecture not in MODELS:
        raise CheckpointError(_unknown_architecture(architecture), path=path)
    tensors = {
        name: (tensor.half() if tensor.is_floating_point() else tensor).detach().cpu().contiguous()
        for name, tensor in model.state_dict().items()
    }
    header = {
        "format": "semantic-human-matting",
        "format_version": str(FORMAT_VERSION),
        "architecture": architecture,
        "preprocessing": json.dumps(preprocessing.as_dict()),
    }
    header["digest"] = digest = _digest(header, tensors)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            # Not save_file: its errors are no OSError, and only the owner could read its files.
            temporary.write_bytes(save(tensors, metadata=header))
    except OSError as error:
        raise CheckpointError(f"{path} cannot be written: {error.strerror}", path=path) from error
    return digest


def load_checkpoint(path: Path | None = None) -> Checkpoint:
    """The network in a weights file; the shipped one if `path` is None.

    Raises CheckpointError if the file is missing, is no weights file of this project, was made by a
    newer version, or does not match its digest.
    """
    path = shipped_weights() if path is None else path
    if not path.is_file():
        raise CheckpointError(f"there is no weights file at {path}; check the path", path=path)
    try:
        with safe_open(path, framework="pt") as file:
            header: dict[str, str] = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path} is not a weights file or is damaged; fetch or train it again", path=path
        ) from error
    architecture = _checked_architecture(path, header)
    digest = header.pop("digest", "")
    if digest != _digest(header, tensors):
        raise CheckpointError(
            f"{path} was changed: it does not match its digest; fetch or train it again", path=path
        )
    model = MODELS[architecture]()
    try:
        model.load_state_dict(tensors)
        preprocessing = Preprocessing.from_dict(json.loads(header["preprocessing"]))
    except (RuntimeError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{path} was made for another version of {architecture}; use weights of this version",
            path=path,
        ) from error
    return Checkpoint(
        model=model.eval(),
        architecture=architecture,
        preprocessing=preprocessing,
        digest=digest,
    )


def shipped_weights() -> Path:
    """Where the weights that come with the package lie."""
    return Path(str(files("shm_engine").joinpath("weights", SHIPPED_WEIGHTS)))


def _checked_architecture(path: Path, header: dict[str, str]) -> str:
    if header.get("format") != "semantic-human-matting":
        raise CheckpointError(
            f"{path} holds weights of another program; use weights made by this one", path=path
        )
    if header.get("format_version") != str(FORMAT_VERSION):
        raise CheckpointError(
            f"{path} has format version {header.get('format_version')}, this program reads "
            f"{FORMAT_VERSION}; update the program or use other weights",
            path=path,
        )
    architecture = header.get("architecture", "")
    if architecture not in MODELS:
        raise CheckpointError(_unknown_architecture(architecture), path=path)
    return architecture


def _unknown_architecture(name: str) -> str:
    return f"there is no network called {name!r}; use one of {', '.join(MODELS)}"


def _digest(header: dict[str, str], tensors: dict[str, torch.Tensor]) -> str:
    """SHA-256 over the header without the digest, then names, dtypes, shapes and bytes by name."""
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
