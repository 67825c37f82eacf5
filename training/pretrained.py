"""ImageNet features for the backbone, from an .npz of a torchvision-style MobileNetV2."""

from __future__ import annotations

from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from torch import nn

from shm_engine.errors import CheckpointError
from shm_engine.model.backbone import MobileNetV2


def load_backbone(backbone: MobileNetV2, path: Path) -> None:
    """Copy the features of `path` into `backbone`; the layers we do not use are left aside."""
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


def freeze_batch_norm(module: nn.Module) -> None:
    """Use the stored statistics also while training.

    The published features come with batch norm folded into the convolutions: their statistics say
    mean 0, variance 1, and normalising by those of a batch would destroy the features.
    """
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.eval()
