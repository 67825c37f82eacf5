"""TensorBoard files of a run: scalars and picture strips over the steps done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from training.disk import writing_to
from training.loop.log import Row

# Where a row stands: no figures of the training.
_PLACE = {"phase", "step", "of", "steps_done"}
_NOT_A_LOSS = {"learning_rate", "seconds_per_step", "waiting"}


class Board:
    """Writes to a folder that `tensorboard --logdir` shows."""

    def __init__(self, writer: Any, folder: Path) -> None:
        self._writer = writer
        self._folder = folder

    def write(self, row: Row) -> None:
        """The figures of a row of the log."""
        with writing_to(self._folder):
            for name, value in figures(row).items():
                self._writer.add_scalar(name, value, row["steps_done"])
            self._writer.flush()

    def show(self, strips: torch.Tensor, steps_done: int) -> None:
        """A picture, uint8 [3, H, W]."""
        with writing_to(self._folder):
            self._writer.add_image("strips", strips, steps_done)


@contextmanager
def open_board(folder: Path, steps_done: int) -> Iterator[Board]:
    """A board that goes on after so many steps; what an earlier call wrote of later ones is hidden.

    Needs the package tensorboard.
    """
    from torch.utils.tensorboard import SummaryWriter

    with writing_to(folder):
        writer = SummaryWriter(str(folder), purge_step=steps_done + 1)
    try:
        yield Board(writer, folder)
    finally:
        writer.close()


def figures(row: Row) -> dict[str, float]:
    """The scalars of a row by their name on the board; a slash groups them."""
    if "validation" in row:
        named = {"validation/score": row["validation"]}
        for chosen, means in row["sets"].items():
            named |= {f"validation/{chosen}/{name}": value for name, value in means.items()}
        return named
    return {
        name if name in _NOT_A_LOSS else f"loss/{name}": value
        for name, value in row.items()
        if name not in _PLACE
    }
