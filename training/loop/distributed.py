"""Processes that train one network together, as torchrun starts them; knows no loss and no file.

Each process holds the whole network, takes its share of every batch and ends every step with the
same values as the others: gradients and figures are averaged in one exchange. There is no wrapper
round the network (as torch's DDP is): a phase may use a part of it, and 4 million gradients travel
in one piece faster than a step computes.

Batch norm normalises each share by the share's own mean and variance, on CUDA as on CPU, and its
running statistics are averaged with the gradients. That differs from one process with the whole
batch, the more the smaller the shares are; 4 pictures and more per process are enough.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
from torch import distributed, nn
from torch.utils.data import Sampler

from shm_engine.errors import OptionsError
from shm_engine.matter import choose_device
from training.config import Phase

Value = TypeVar("Value")

# The others wait while the first one validates.
_PATIENCE = timedelta(hours=2)

_BACKENDS = {"cuda": "nccl", "cpu": "gloo"}


@dataclass(frozen=True, kw_only=True)
class Team:
    """The place of this process: `rank` of `size`, and the `local_rank` on its machine."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def leads(self) -> bool:
        """Whether this process is the one that writes, validates and reports."""
        return self.rank == 0

    def choose_device(self, name: str) -> torch.device:
        """The device of that name; on several GPUs of a machine each process gets its own."""
        device = choose_device(name)
        if self.size == 1 or device.type != "cuda":
            return device
        return choose_device(f"cuda:{self.local_rank}")

    def average_(self, tensors: Sequence[torch.Tensor]) -> None:
        """Replace float tensors on one device by their means over the processes, in place."""
        if self.size == 1:
            return
        together = torch.cat([tensor.reshape(-1).float() for tensor in tensors])
        distributed.all_reduce(together)
        together /= self.size
        parts = together.split([tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view_as(tensor))

    def share(self, value: Value) -> Value:
        """The leader's value, in every process."""
        if self.size == 1:
            return value
        values = [value]
        distributed.broadcast_object_list(values, src=0)
        return values[0]

    def gather(self, value: Value) -> list[Value]:
        """The values of all processes, by rank, in every process."""
        if self.size == 1:
            return [value]
        values: list[Value | None] = [None] * self.size
        distributed.all_gather_object(values, value)
        return values  # type: ignore[return-value]


ALONE = Team()


@contextmanager
def joined_team(device: str) -> Iterator[Team]:
    """The team that torchrun's environment describes, on devices of that name; else ALONE."""
    if not (distributed.is_available() and distributed.is_torchelastic_launched()):
        yield ALONE
        return
    team = Team(
        rank=int(os.environ["RANK"]),
        size=int(os.environ["WORLD_SIZE"]),
        local_rank=int(os.environ["LOCAL_RANK"]),
    )
    chosen = team.choose_device(device)
    if chosen.type not in _BACKENDS:
        raise OptionsError(
            f"several processes cannot train on {chosen.type}; use --device "
            f"{' or '.join(_BACKENDS)}, or start without torchrun"
        )
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    distributed.init_process_group(_BACKENDS[chosen.type], timeout=_PATIENCE)
    yield team
    # Not after an error: it would wait for processes that wait for this one.
    distributed.destroy_process_group()


def check_shares(phases: Sequence[Phase], team: Team) -> None:
    """OptionsError if a phase's batch cannot be shared evenly, or a share is too little."""
    for phase in phases:
        if phase.batch % team.size:
            raise OptionsError(
                f"a batch of {phase.batch} ({phase.train}) cannot be shared by {team.size} "
                f"processes; use a multiple of {team.size}"
            )
        if phase.crop_pixels < 64 and phase.batch == team.size:
            raise OptionsError(
                f"one picture of {phase.crop_pixels} pixels a step ({phase.train}) is a single "
                "value to the deepest batch norm; use a larger crop_pixels or batch"
            )


class Share(Sampler[list[int]]):
    """Which samples of `steps` batches are this process's: of each, its part in the order."""

    def __init__(self, steps: int, batch: int, team: Team) -> None:
        self._steps = steps
        self._batch = batch
        self._team = team

    def __len__(self) -> int:
        return self._steps

    def __iter__(self) -> Iterator[list[int]]:
        count = self._batch // self._team.size
        for step in range(self._steps):
            first = step * self._batch + self._team.rank * count
            yield list(range(first, first + count))


def gradients(model: nn.Module) -> list[torch.Tensor]:
    """The gradients there are; those of parts that a phase does not use are None everywhere."""
    return [parameter.grad for parameter in model.parameters() if parameter.grad is not None]


def running_statistics(model: nn.Module) -> list[torch.Tensor]:
    """Means and variances that the batch norms have just updated."""
    return [
        buffer
        for layer in model.modules()
        if isinstance(layer, nn.BatchNorm2d) and layer.training
        for buffer in (layer.running_mean, layer.running_var)
        if buffer is not None
    ]
