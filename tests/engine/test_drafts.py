"""Drafts as bytes: exact to the bit, the same for the same draft, and nothing else is one."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
import torch
from safetensors.torch import save

from shm_engine.drafts import draft_from_bytes, draft_to_bytes
from shm_engine.types import Draft, Frame

_TENSORS = ("image", "alpha", "trimap", "unsmoothed")


def draft() -> Draft:
    """A draft whose tensors lie in one another's memory, as those of a batch do."""
    values = torch.rand(8, 7, 5, generator=torch.Generator().manual_seed(0))
    return Draft(
        frame=Frame(
            image=torch.zeros(3, 70, 50, dtype=torch.uint16),
            index=12,
            pts=-(2**40),
            time_base=Fraction(1001, 30000),
        ),
        image=values[:3],
        alpha=values[3:4],
        trimap=values[4:7].flip(2),
        unsmoothed=values[7:],
    )


@pytest.mark.parametrize("absent", [(), ("trimap",), ("unsmoothed",), ("trimap", "unsmoothed")])
def test_a_draft_comes_back_to_the_bit(absent: tuple[str, ...]) -> None:
    changes: dict[str, Any] = dict.fromkeys(absent)
    saved = replace(draft(), **changes)
    found = draft_from_bytes(draft_to_bytes(saved))
    for name in _TENSORS:
        one, other = getattr(found, name), getattr(saved, name)
        assert (one is None) == (other is None) == (name in absent)
        assert one is None or torch.equal(one, other)
    for name in ("index", "pts", "time_base", "size"):
        assert getattr(found.frame, name) == getattr(saved.frame, name)


def test_equal_drafts_are_equal_bytes_and_others_are_not() -> None:
    assert draft_to_bytes(draft()) == draft_to_bytes(draft())
    assert draft_to_bytes(draft_from_bytes(draft_to_bytes(draft()))) == draft_to_bytes(draft())
    assert draft_to_bytes(replace(draft(), unsmoothed=None)) != draft_to_bytes(draft())


def test_the_picture_of_the_frame_takes_no_memory() -> None:
    large = replace(draft(), frame=Frame(image=torch.zeros(1).expand(3, 40000, 60000)))
    data = draft_to_bytes(large)
    assert len(data) < 5000
    image = draft_from_bytes(data).frame.image
    assert image.shape == (3, 40000, 60000)
    assert image.untyped_storage().nbytes() == 3


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"a text",
        save({}),
        save({"frame": torch.zeros(6, dtype=torch.int64)}),
        save({"frame": torch.tensor([0, 0, 1, 25, 4, 4])}),
        save({"frame": torch.tensor([0, 0, 1, 25, 4, 4]), "alpha": torch.zeros(1, 4, 4)}),
        draft_to_bytes(draft())[:-1],
    ],
)
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="these bytes are no draft"):
        draft_from_bytes(data)
