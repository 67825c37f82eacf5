"""Batches from loader processes, whose troubles arrive as one sentence; knows no network."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import torch
from torch.utils.data import DataLoader, Dataset, Sampler, default_collate

from shm_engine.errors import MattingError
from training.data.dataset import Sample

# How torch names a loader that was killed.
_LOST = "DataLoader worker (pid"


class _Careful(Dataset[Sample | MattingError]):
    """The samples of a dataset, and in place of one that cannot be made the reason: raised in a
    loader, it would arrive with the whole traceback as its message."""

    def __init__(self, samples: Dataset[Sample]) -> None:
        self._samples = samples

    def __getitem__(self, index: int) -> Sample | MattingError:
        try:
            return self._samples[index]
        except MattingError as error:
            return error


def load_batches(
    samples: Dataset[Sample], indices: Sampler[list[int]], *, workers: int, pinned: bool
) -> Iterator[Sample]:
    """The batches that `indices` names, in its order, whatever the number of loader processes.

    pinned: in memory from which a GPU copies while it computes. Raises MattingError for a picture
    that cannot be used, and if a loader was killed.
    """
    if workers:
        # A fork copies OpenCV's pool without its threads: a loader would wait for ever.
        cv2.setNumThreads(1)
    loader = DataLoader(
        _Careful(samples),
        batch_sampler=indices,
        num_workers=workers,
        prefetch_factor=4 if workers else None,
        pin_memory=pinned,
        worker_init_fn=_one_thread,
        collate_fn=_collate,
        # Its own: each start of a loader draws a seed, and a resumed run starts more of them.
        generator=torch.Generator(),
    )
    try:
        for batch in loader:
            if isinstance(batch, MattingError):
                raise batch
            yield batch
    except RuntimeError as error:
        if not str(error).startswith(_LOST):
            raise
        raise MattingError(
            "a loader ended before its work, perhaps for want of memory; use fewer --workers and "
            "give the same command again"
        ) from error


def _collate(samples: list[Sample | MattingError]) -> Sample | MattingError:
    refused = [sample for sample in samples if isinstance(sample, MattingError)]
    return refused[0] if refused else default_collate(samples)


def _one_thread(_: int) -> None:
    cv2.setNumThreads(1)
