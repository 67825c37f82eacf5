"""Matter: a loaded network on a device; frames in, mattes out; knows no file format of pictures."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import groupby, islice
from pathlib import Path
from typing import NamedTuple

import torch

from shm_engine.backends import build_backend, choose_backend
from shm_engine.checkpoint import Checkpoint, load_checkpoint
from shm_engine.compositing import as_unit, display_referred
from shm_engine.detail import draw
from shm_engine.errors import DeviceError
from shm_engine.model.blocks import fold_batch_norm
from shm_engine.options import MatterOptions
from shm_engine.preprocess import normalise, shrink, working_size
from shm_engine.smoothing import STRENGTHS, smooth
from shm_engine.stream import prefetch
from shm_engine.types import Draft, Frame, Matte

_log = logging.getLogger(__name__)

# Softmax and sigmoid never reach 0 or 1. What is left is a veil over the background and a person
# who is not quite opaque: visible as soon as somebody grades the composite, and costly to store.
_VEIL = 0.04

# Enough to fill a GPU at the default working size; more only adds delay and memory.
_CUDA_BATCH = 8


class Batch(NamedTuple):
    """Frames of one size and encoding, and their images in it: [B, 3, h, w] float32 in [0, 1] on
    the Matter's device."""

    frames: Sequence[Frame]
    images: torch.Tensor


class Matter:
    """A network ready to work. One object serves any number of clips, one at a time."""

    def __init__(self, checkpoint: Checkpoint, options: MatterOptions | None = None) -> None:
        """Takes over the network of `checkpoint`; DeviceError if the device is not here."""
        self.options = options or MatterOptions()
        self.device = choose_device(self.options.device)
        self.dtype = choose_precision(self.device)
        self._preprocessing = checkpoint.preprocessing
        self._batch = self.options.batch or (_CUDA_BATCH if self.device.type == "cuda" else 1)
        model = checkpoint.model.eval()
        fold_batch_norm(model)
        backend = choose_backend(self.options.backend, self.device)
        self._run = build_backend(backend, model, self.device, self.dtype)
        self.description = (
            f"{checkpoint.architecture} {checkpoint.digest[:8]} on {self.device}, "
            f"{str(self.dtype).removeprefix('torch.')}, {backend}, "
            f"long side {self.options.long_side_pixels}"
        )
        _log.info("matting with %s", self.description)

    @classmethod
    def load(
        cls, weights: Path | str | None = None, options: MatterOptions | None = None
    ) -> Matter:
        """A Matter with the weights of a file, or the shipped ones.

        Raises CheckpointError for an unusable file and DeviceError for an absent device.
        """
        return cls(load_checkpoint(None if weights is None else Path(weights)), options)

    def mattes(self, frames: Iterable[Frame], since: Draft | None = None) -> Iterator[Matte]:
        """One matte per frame, in order, on the CPU, smoothed in time and drawn at full size.

        Frames are taken as they are needed, with a look-ahead of one frame unless smoothing is off;
        the network works in a thread ahead of the rest. The size may change on the way. Raises
        DeviceError if the device runs out of memory.

        since: the draft of the matte before these, to go on as if there had been no break.
        """
        with closing(prefetch(self.drafts(frames), self.options.frames_ahead)) as ahead:
            drafts: Iterator[Draft] = ahead
            if self.options.smoothing != "off":
                drafts = smooth(drafts, STRENGTHS[self.options.smoothing], since)
            mattes = draw(drafts, foreground=self.options.foreground)
            if self.options.source_alpha == "multiply":
                mattes = map(within_source, mattes)
            yield from mattes

    def drafts(self, frames: Iterable[Frame]) -> Iterator[Draft]:
        """What the network says of each frame, in order, on the CPU, at the working size."""
        return self.predict(self.prepare(frames))

    def prepare(self, frames: Iterable[Frame]) -> Iterator[Batch]:
        """Frames of one kind, as many at a time as the network takes, at the working size."""
        for _, alike in groupby(frames, key=_shape):
            while some := tuple(islice(alike, self._batch)):
                size = working_size(
                    *some[0].size, self.options.long_side_pixels, some[0].pixel_aspect
                )
                images = [shrink(frame.image[None].to(self.device), size) for frame in some]
                yield Batch(some, torch.cat(images))

    # Not inference_mode: its tensors could not be changed in place by the stages that follow.
    @torch.no_grad()
    def predict(self, batches: Iterable[Batch]) -> Iterator[Draft]:
        """The drafts of prepared frames, in order, on the CPU."""
        for batch in batches:
            seen = display_referred(batch.images, batch.frames[0].encoding)
            try:
                alphas, trimaps = self._run(normalise(seen, self._preprocessing))
            except torch.OutOfMemoryError as error:
                raise DeviceError(
                    f"{self.device} ran out of memory; use a smaller working size or batch, or the "
                    "cpu",
                    frame_index=batch.frames[0].index,
                ) from error
            # The rest is padding.
            height, width = batch.images.shape[2:]
            alphas = settle(alphas[..., :height, :width]).cpu()
            trimaps = trimaps[..., :height, :width].cpu()
            images = batch.images.cpu()
            for frame, image, alpha, trimap in zip(
                batch.frames, images, alphas, trimaps, strict=True
            ):
                yield Draft(frame=frame, image=image, alpha=alpha, trimap=trimap)


def settle(alpha: torch.Tensor) -> torch.Tensor:
    """Alpha with its ends stretched: within _VEIL of 0 or 1 it becomes exactly that."""
    return ((alpha - _VEIL) / (1 - 2 * _VEIL)).clamp(0, 1)


def within_source(matte: Matte) -> Matte:
    """The matte with its alpha times the coverage that the source itself has."""
    coverage = matte.frame.alpha
    return matte if coverage is None else replace(matte, alpha=matte.alpha * as_unit(coverage))


def choose_device(name: str) -> torch.device:
    """The device of that name; "auto" is cuda, then mps, then cpu. DeviceError if absent."""
    available = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        return torch.device(next(kind for kind, here in available.items() if here))
    kind, _, number = name.partition(":")
    missing = not available.get(kind, False)
    if number and not missing:
        missing = int(number) >= torch.cuda.device_count()
    if missing:
        here = ", ".join(kind for kind, is_here in available.items() if is_here)
        raise DeviceError(f"the device {name} is not available here; use auto or one of: {here}")
    return torch.device(name)


def choose_precision(device: torch.device) -> torch.dtype:
    """Half precision where the device computes it natively, else float32."""
    if device.type == "cuda":
        return torch.float16
    if device.type == "cpu":
        able = torch.cpu.get_capabilities()
        # Without these instructions bfloat16 is emulated: exact, but slower than float32.
        if able.get("avx512_bf16") or able.get("amx_bf16") or able.get("bf16"):
            return torch.bfloat16
    return torch.float32


def _shape(frame: Frame) -> tuple[object, ...]:
    return frame.size, frame.pixel_aspect, frame.image.dtype, frame.encoding
