"""A Draft <-> bytes, so that smoothing can go on in another process; knows no file and no network.

Of the draft's frame its place in time and its size are kept, not its picture.
"""

from __future__ import annotations

from fractions import Fraction

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from shm_engine.types import Draft, Frame

_TENSORS = ("image", "alpha", "trimap", "unsmoothed")


def draft_to_bytes(draft: Draft) -> bytes:
    """A draft as bytes; the same for an equal draft, and exact to the bit."""
    frame = draft.frame
    step = frame.time_base
    numbers = (frame.index, frame.pts, step.numerator, step.denominator, *frame.size)
    # Clones, for safetensors refuses views that share their memory.
    tensors = {
        name: values.clone(memory_format=torch.contiguous_format)
        for name in _TENSORS
        if (values := getattr(draft, name)) is not None
    }
    return save({**tensors, "frame": torch.tensor(numbers, dtype=torch.int64)})


def draft_from_bytes(data: bytes) -> Draft:
    """The draft that `draft_to_bytes` was given, its frame black, of the same size and time.

    Raises ValueError for any other bytes.
    """
    try:
        tensors = load(data)
        index, pts, numerator, denominator, height, width = tensors.pop("frame").tolist()
        # One pixel that stands for all of them: no memory is taken.
        image = torch.zeros(3, 1, 1, dtype=torch.uint8).expand(3, height, width)
        time_base = Fraction(numerator, denominator)
        frame = Frame(image=image, index=index, pts=pts, time_base=time_base)
        return Draft(frame=frame, **tensors)
    except (SafetensorError, KeyError, TypeError, ValueError, ArithmeticError, RuntimeError) as e:
        raise ValueError(f"these bytes are no draft: {e}") from e
