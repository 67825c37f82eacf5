"""Loaders: a picture that cannot be used, and a loader that dies, are one sentence each."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import torch
from torch.utils.data import Dataset

from shm_engine.errors import ImageFileError, MattingError
from training.data.dataset import Sample
from training.loop.distributed import ALONE, Share
from training.loop.loading import load_batches


class Numbers(Dataset[Sample]):
    """Sample i holds i; from `broken` on they cannot be made."""

    def __init__(self, broken: int = 99, *, by: type[Exception] = ImageFileError) -> None:
        self._broken = broken
        self._by = by

    def __getitem__(self, index: int) -> Sample:
        if index >= self._broken:
            raise self._by(f"number {index} cannot be read")
        return Sample(*(torch.tensor(index) for _ in Sample._fields))


class Killing(Dataset[Sample]):
    """Ends the process that asks for a sample."""

    def __getitem__(self, _: int) -> Sample:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError


def images(samples: Dataset[Sample], workers: int) -> list[list[int]]:
    share = Share(3, 2, ALONE)
    batches = load_batches(samples, share, workers=workers, pinned=False)
    return [batch.image.tolist() for batch in batches]


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_batches_come_in_their_order(workers: int) -> None:
    assert images(Numbers(), workers) == [[0, 1], [2, 3], [4, 5]]


@pytest.mark.parametrize("workers", [0, 1])
def test_a_picture_that_cannot_be_read_is_one_sentence(workers: int) -> None:
    with pytest.raises(ImageFileError) as caught:
        images(Numbers(3), workers)
    assert str(caught.value) == "number 3 cannot be read"


@pytest.mark.parametrize("workers", [0, 1])
def test_a_mistake_in_the_program_keeps_its_traceback(workers: int) -> None:
    with pytest.raises(RuntimeError, match="number 3 cannot be read"):
        images(Numbers(3, by=RuntimeError), workers)


@pytest.mark.long
def test_a_loader_that_is_killed_is_one_sentence() -> None:
    with pytest.raises(MattingError, match="use fewer --workers"):
        images(Killing(), 1)


def test_an_error_keeps_its_path_on_the_way_from_a_loader(tmp_path: Path) -> None:
    class Damaged(Numbers):
        def __getitem__(self, index: int) -> Sample:
            raise ImageFileError(f"{index} is damaged", path=tmp_path)

    with pytest.raises(ImageFileError) as caught:
        images(Damaged(), 1)
    assert caught.value.path == tmp_path
