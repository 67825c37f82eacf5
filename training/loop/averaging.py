"""Weights between others: the mean of several stages of one run is often steadier than each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from shm_engine.checkpoint import load_checkpoint, save_checkpoint
from shm_engine.errors import OptionsError


def average_weights(parts: Sequence[tuple[Path, float]], out: Path) -> None:
    """Write the mean of weights files, each counting by its share ("model soup", Wortsman 2022).

    They must be stages of one run: in between unrelated networks nothing works. Raises OptionsError
    for shares that are not positive or architectures that differ, CheckpointError for bad files.
    """
    if not parts or min(share for _, share in parts) <= 0:
        raise OptionsError("give at least one weights file, each with a share above 0")
    checkpoints = [load_checkpoint(path) for path, _ in parts]
    first = checkpoints[0]
    if any(one.architecture != first.architecture for one in checkpoints):
        raise OptionsError("the weights are of different networks, which have no mean")
    total = sum(share for _, share in parts)
    states = [checkpoint.model.state_dict() for checkpoint in checkpoints]
    mean = states[0]
    for name, values in mean.items():
        if values.is_floating_point():
            weighted = [
                state[name].float() * (share / total)
                for state, (_, share) in zip(states, parts, strict=True)
            ]
            mean[name] = torch.stack(weighted).sum(dim=0)
    first.model.load_state_dict(mean)
    save_checkpoint(out, first.model, first.architecture, first.preprocessing)
