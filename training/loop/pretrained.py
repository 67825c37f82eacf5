"""What a network knows before a run: features of ImageNet, or the weights of an earlier run."""

from __future__ import annotations

from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from torch import nn

from shm_engine.checkpoint import load_checkpoint
from shm_engine.errors import CheckpointError
from shm_engine.model.backbone import MobileNetV2


def load_weights(model: nn.Module, architecture: str, path: Path) -> None:
    """Copy the values of a weights file into `model`, which must be of the same architecture."""
    checkpoint = load_checkpoint(path)
    if checkpoint.architecture != architecture:
        raise CheckpointError(
            f"{path} holds {checkpoint.architecture}, the run trains {architecture}", path=path
        )
    model.load_state_dict(checkpoint.model.state_dict())


def load_backbone(backbone: MobileNetV2, path: Path) -> None:
    """Copy the features of a torchvision-style .npz into `backbone`; layers that we do not use are
    left aside."""
    if not path.is_file():
        raise CheckpointError(f"there are no backbone weights at {path}", path=path)
    try:
        with path.open("rb") as file, np.load(file) as arrays:
            values = {name: torch.from_numpy(arrays[name]) for name in arrays.files}
    except (OSError, EOFError, ValueError, TypeError, BadZipFile) as error:
        raise CheckpointError(f"{path} holds no backbone weights", path=path) from error
    ours = backbone.state_dict()
    missing = [name for name in ours if name not in values]
    if missing:
        raise CheckpointError(f"{path} lacks {missing[0]} and {len(missing) - 1} more", path=path)
    backbone.load_state_dict({name: values[name] for name in ours})


def freeze_layers(backbone: MobileNetV2, count: int) -> None:
    """Let all layers learn but the first `count`; steps get shorter, for no gradient runs there."""
    for index, layer in enumerate(backbone.features):
        layer.requires_grad_(index >= count)


def freeze_batch_norm(module: nn.Module) -> None:
    """Use the stored statistics also while training.

    The published features come with batch norm folded into the convolutions: their statistics say
    mean 0, variance 1, and normalising by those of a batch would destroy the features.
    """
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.eval()
