"""The plug-in in the real Krita with the real weights: masks against the engine's own alpha.

What is undone, cancelled and seen is looked at by hand.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from cli.video.source import VideoSource
from shm_engine.compositing import linear_to_srgb
from shm_engine.detail import draw
from shm_engine.matter import Matter
from shm_engine.options import MatterOptions
from shm_engine.types import Frame
from tests.conftest import ROOT
from tests.hosts import gimp, krita
from tests.hosts.krita import LINEAR, SRGB, Case, Outcome

# Not with the other hosts: Krita is large.
pytestmark = pytest.mark.window

Bytes = NDArray[np.uint8]
Plane = NDArray[np.float32]

TOLERANCE = 1 / 255

# Their samples are given to the engine as they are, so that the result has to be the same.
OWN = {
    "8 bits": ("RGBA", "U8", SRGB),
    "16 bits": ("RGBA", "U16", SRGB),
    "half": ("RGBA", "F16", LINEAR),
    "float": ("RGBA", "F32", LINEAR),
}
# Krita converts these first, which may round.
OTHERS = {
    "encoded half": ("RGBA", "F16", SRGB),
    "encoded float": ("RGBA", "F32", SRGB),
    "wide": ("RGBA", "U8", "ClayRGB-elle-V2-g22.icc"),
    "ink": ("CMYKA", "U16", "Chemical proof"),
    "lab": ("LABA", "U16", "Lab identity built-in"),
}
GREY = ("GRAYA", "U8", "Gray-D50-elle-V2-srgbtrc.icc")
SELECTION = (60, 20, 150, 120)


@cache
def photograph() -> Bytes:
    """[180, 320, 4]: a person, and a room behind her; blue first, opaque."""
    with VideoSource(ROOT / "samples" / "turn.mp4") as source:
        image = next(iter(source)).image.numpy()
    picture = np.full((180, 320, 4), 255, np.uint8)
    picture[..., :3] = image.transpose(1, 2, 0)[::2, ::2, ::-1]
    return picture


@cache
def fading() -> Bytes:
    """The photograph, fading out to the right."""
    picture = photograph().copy()
    picture[..., 3] = np.linspace(255, 1, picture.shape[1]).astype(np.uint8)
    return picture


@cache
def matter(size: int) -> Matter:
    """The engine in this process."""
    return Matter.load(None, MatterOptions(device="cpu", long_side_pixels=size))


def alpha_of(planes: torch.Tensor, *, size: int = 384) -> Plane:
    """[H, W]: the engine's own alpha of red, green and blue."""
    draft = next(matter(size).drafts([Frame(image=planes)]))
    return np.asarray(next(draw(iter([draft]))).alpha[0].numpy())


def planes_of(picture: Bytes) -> torch.Tensor:
    """[3, H, W] of a picture with blue first."""
    return torch.from_numpy(picture[..., 2::-1].transpose(2, 0, 1).copy())


def samples_of(outcome: Outcome, depth: str) -> torch.Tensor:
    """[3, H, W] of the layer's own bytes, as the engine takes them."""
    _, _, width, height = outcome.area
    dtype = {"U8": np.uint8, "U16": np.uint16, "F16": np.float16, "F32": np.float32}[depth]
    samples = np.frombuffer(outcome.raw, dtype).reshape(height, width, 4)[..., :3]
    if depth.startswith("F"):
        light = samples.astype(np.float32).transpose(2, 0, 1).clip(0, 1)
        return linear_to_srgb(torch.from_numpy(light))
    return torch.from_numpy(samples[..., ::-1].transpose(2, 0, 1).copy())


def _cases() -> Iterator[Case]:
    picture = photograph()
    for name, space in (OWN | OTHERS).items():
        yield Case(name=name, picture=picture, space=space)
    yield Case(name="grey", picture=picture, space=GREY)
    yield Case(name="fine", picture=picture, quality="fine")
    yield Case(name="alpha", picture=fading())
    yield Case(name="offset", picture=picture, canvas=(300, 400), offset=(-50, 37))
    yield Case(name="selection", picture=picture, selection=(*SELECTION, 255))
    yield Case(name="soft selection", picture=picture, selection=(*SELECTION, 100))
    yield Case(name="elsewhere", picture=picture, canvas=(700, 200), selection=(500, 5, 9, 9, 255))
    yield Case(name="mask", picture=picture, pick="mask")
    yield Case(name="group", picture=picture, canvas=(400, 300), offset=(11, 7), pick="group")
    yield Case(name="twice", picture=picture, times=2)
    yield Case(name="empty", picture=picture, pick="empty")
    yield Case(name="filter", picture=picture, pick="filter")
    yield Case(name="no engine", picture=picture, engine="/nothing/here")


@pytest.fixture(scope="module")
def outcomes() -> dict[str, Outcome]:
    """Of all cases, with the engine outside."""
    root = krita.root()
    with gimp.worker(root) as runtime:
        return krita.run_cases(root, runtime, list(_cases()))


def _mask(outcome: Outcome) -> Plane:
    assert not outcome.sentences
    # Its colours are what they were, and of the documents made aside none is left.
    assert outcome.is_unchanged
    assert outcome.documents == 1
    return outcome.masks["Human Matte"].astype(np.float32) / np.float32(255)


def _difference(found: Plane, expected: Plane) -> float:
    return float(np.abs(found - expected).max())


@pytest.mark.parametrize("name", OWN)
def test_the_mask_is_the_engines_own_alpha(outcomes: dict[str, Outcome], name: str) -> None:
    outcome = outcomes[name]
    expected = alpha_of(samples_of(outcome, OWN[name][1]))
    assert 0.05 < expected.mean() < 0.95
    assert _difference(_mask(outcome), expected) <= TOLERANCE
    assert list(outcome.masks) == ["Human Matte"]


@pytest.mark.parametrize("name", ["8 bits", "alpha"])
def test_krita_shows_what_is_behind_the_background(outcomes: dict[str, Outcome], name: str) -> None:
    picture = fading() if name == "alpha" else photograph()
    alpha = torch.from_numpy(_mask(outcomes[name]) * (picture[..., 3] / np.float32(255)))
    expected = 255 + alpha * (planes_of(picture).float() - 255)
    assert (outcomes[name].shown.float() - expected).abs().max() <= 2


def test_the_dialog_tells_how_far_it_is(outcomes: dict[str, Outcome]) -> None:
    texts = {text for outcome in outcomes.values() for text in outcome.texts}
    assert {"looking at the picture", "drawing the outline"} & texts


@pytest.mark.parametrize("name", OTHERS)
def test_other_colours_are_converted_for_the_engine_alone(
    outcomes: dict[str, Outcome], name: str
) -> None:
    difference = np.abs(_mask(outcomes[name]) - alpha_of(planes_of(photograph())))
    assert difference.mean() < 0.004
    assert (difference > 0.1).mean() < 0.01


def test_a_grey_layer_gets_a_mask(outcomes: dict[str, Outcome]) -> None:
    outcome = outcomes["grey"]
    grey = np.frombuffer(outcome.raw, np.uint8).reshape(180, 320, 2)[..., 0]
    expected = alpha_of(torch.from_numpy(np.repeat(grey[None], 3, 0)))
    assert np.abs(_mask(outcome) - expected).mean() < 0.004


def test_quality_is_how_closely_the_engine_looks(outcomes: dict[str, Outcome]) -> None:
    expected = alpha_of(planes_of(photograph()), size=1024)
    assert _difference(_mask(outcomes["fine"]), expected) <= TOLERANCE


def test_the_mask_of_a_layer_with_alpha_does_not_contain_that_alpha_once_more(
    outcomes: dict[str, Outcome],
) -> None:
    expected = alpha_of(planes_of(photograph()))
    assert _difference(_mask(outcomes["alpha"]), expected) <= TOLERANCE


@pytest.mark.parametrize(("name", "place"), [("offset", (-50, 37)), ("group", (11, 7))])
def test_the_mask_lies_where_a_smaller_layer_lies(
    outcomes: dict[str, Outcome], name: str, place: tuple[int, int]
) -> None:
    assert outcomes[name].area == (*place, 320, 180)
    expected = alpha_of(planes_of(photograph()))
    assert _difference(_mask(outcomes[name]), expected) <= TOLERANCE


@pytest.mark.parametrize(("name", "much"), [("selection", 1.0), ("soft selection", 100 / 255)])
def test_outside_of_the_selection_all_is_shown(
    outcomes: dict[str, Outcome], name: str, much: float
) -> None:
    left, top, width, height = SELECTION
    selected = np.zeros((180, 320), np.float32)
    selected[top : top + height, left : left + width] = much
    expected = 1 - selected * (1 - alpha_of(planes_of(photograph())))
    assert _difference(_mask(outcomes[name]), expected) <= TOLERANCE


def test_a_mask_of_ones_own_stays_and_one_of_ours_makes_way(outcomes: dict[str, Outcome]) -> None:
    expected = alpha_of(planes_of(photograph()))
    assert sorted(outcomes["mask"].masks) == ["Human Matte", "another"]
    assert list(outcomes["twice"].masks) == ["Human Matte"]
    for name in ("mask", "twice"):
        assert _difference(_mask(outcomes[name]), expected) <= TOLERANCE


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("empty", "nothing is empty"),
        ("filter", "shade holds no picture"),
        ("elsewhere", "Nothing of picture is selected"),
        ("no engine", "which is no engine of Human Matte"),
    ],
)
def test_what_cannot_be_done_is_said_and_nothing_is_changed(
    outcomes: dict[str, Outcome], name: str, said: str
) -> None:
    (sentence,) = outcomes[name].sentences
    assert said in sentence
    assert not outcomes[name].masks
    assert outcomes[name].is_unchanged
