"""Frames from a source through the engine into a sink; knows no file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from shm_engine.options import MatterOptions

if TYPE_CHECKING:
    from shm_engine.stream import FrameSource, MatteSink
    from shm_engine.types import Frame, Matte


def pump(
    source: FrameSource,
    matte: Callable[[Iterator[Frame]], Iterator[Matte]],
    watch: Callable[[Iterator[Matte]], Iterator[Matte]],
    sink: MatteSink,
    frames_ahead: int = MatterOptions.frames_ahead,
) -> None:
    """Frames from the source through `matte` and `watch` into the sink; the three overlap in time,
    unless frames_ahead is 0.

    All threads have ended when this returns or raises: the source and the sink may be closed.
    """
    from shm_engine.stream import prefetch

    frames = prefetch(iter(source), frames_ahead)
    mattes = prefetch(matte(frames), frames_ahead)
    with _a_core_for_the_codec(), closing(frames), closing(mattes):
        for done in watch(mattes):
            sink.write(done)


@contextmanager
def _a_core_for_the_codec() -> Iterator[None]:
    """The network leaves one core to decoding and encoding.

    Its threads wait for one another after every layer, so that one that shares its core with the
    codec holds up all: PyTorch with two threads on two cores took an eighth longer than with one.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(max(1, min(before, (os.cpu_count() or 1) - 1)))
    try:
        yield
    finally:
        torch.set_num_threads(before)
