"""Drafts drawn at full size: strands come back, what is sure stays, any size and sample type."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from shm_engine.compositing import from_unit, over
from shm_engine.detail import draw
from shm_engine.preprocess import enlarge, shrink, working_size
from shm_engine.types import Draft, Frame, Matte
from tests.assertions import DETAIL_FLOAT32, EXACT, FLOAT32, assert_close
from tests.synthetic import ORANGE, figure_alpha, texture
from training.evaluation.metrics import gradient_error_hr, mad

# Of the error of plain enlargement, this part may be left where there are strands.
_GRADIENT_ERROR_LEFT = 0.5

DARK_HAIR = torch.tensor([0.12, 0.08, 0.06]).view(3, 1, 1)
DTYPES = [torch.uint8, torch.uint16, torch.float32]


def draft_of(alpha: torch.Tensor, image: torch.Tensor, dtype: torch.dtype, side: int) -> Draft:
    """A right draft of long side `side` of an image [3, H, W] with this alpha [1, H, W]."""
    frame = Frame(image=from_unit(image, dtype))
    size = working_size(*frame.size, side)
    shrunken = cv2.resize(alpha[0].numpy(), size[::-1], interpolation=cv2.INTER_AREA)
    small = np.asarray(shrunken, np.float32)
    # What is covered all over is 1, to the bit.
    small[small > 1 - FLOAT32.largest] = 1
    return Draft(
        frame=frame,
        image=shrink(frame.image[None], size)[0],
        alpha=torch.from_numpy(small)[None],
        trimap=torch.full((3, *size), 1 / 3),
    )


def figure(
    height: int, width: int, dtype: torch.dtype = torch.float32, side: int = 128
) -> tuple[Draft, torch.Tensor]:
    """A draft of an orange figure over a texture, and its alpha at full size."""
    alpha = figure_alpha(height, width)
    return draft_of(alpha, over(ORANGE, alpha, texture(height, width)), dtype, side), alpha


def drawn(draft: Draft, foreground: str = "estimate") -> Matte:
    (matte,) = draw(iter([draft]), foreground=foreground)
    return matte


def strands(height: int, width: int) -> torch.Tensor:
    """Coverage [1, H, W] of a head with hair of 1 to 3 pixels that stands off it."""
    rng = np.random.default_rng(0)
    drawing: NDArray[np.uint8] = np.zeros((height, width), np.uint8)
    centre, radius = np.array([width / 2, height * 0.6]), height / 5
    cv2.circle(drawing, (width // 2, int(height * 0.6)), int(radius), 255, -1, cv2.LINE_AA)
    for angle in np.linspace(0.05, 0.95, 60) * -np.pi:
        along = np.linspace(0.8, rng.uniform(1.4, 2.2), 30)
        bent = angle + rng.uniform(-0.5, 0.5) * (along - 0.8) ** 2
        curve = centre + radius * along[:, None] * np.stack([np.cos(bent), np.sin(bent)], 1)
        points = np.rint(curve * 16).astype(np.int32)
        thickness = int(rng.integers(1, 4))
        cv2.polylines(drawing, [points], False, 255, thickness, cv2.LINE_AA, shift=4)
    return torch.from_numpy(drawing.astype(np.float32) / 255)[None]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "size", [(1, 1), (1, 300), (301, 1), (95, 97), (201, 333), (333, 201), (128, 128)]
)
def test_a_matte_has_the_size_of_its_frame_and_colours_like_it(
    size: tuple[int, int], dtype: torch.dtype
) -> None:
    draft, _ = figure(*size, dtype)
    matte = drawn(draft)
    assert matte.frame is draft.frame
    assert matte.trimap is not None
    assert draft.trimap is not None
    assert matte.trimap is not draft.trimap
    assert_close(matte.trimap, draft.trimap, EXACT)
    assert matte.alpha.shape == (1, *size)
    assert matte.alpha.min() >= 0
    assert matte.alpha.max() <= 1
    if matte.foreground is not None:
        assert matte.foreground.colours.dtype == dtype


def test_every_draft_becomes_a_matte_in_order() -> None:
    drafts = [figure(60 + index, 90)[0] for index in range(4)]
    mattes = list(draw(iter(drafts)))
    assert [matte.frame for matte in mattes] == [draft.frame for draft in drafts]
    assert list(draw(iter([]))) == []


def test_what_is_sure_far_from_the_outline_is_exactly_that() -> None:
    draft, alpha = figure(361, 541, torch.uint8)
    found = drawn(draft).alpha
    window = np.ones((21, 21), np.uint8)
    inside = torch.from_numpy(cv2.erode((alpha[0] == 1).numpy().astype(np.uint8), window) > 0)
    outside = torch.from_numpy(cv2.erode((alpha[0] == 0).numpy().astype(np.uint8), window) > 0)
    assert min(inside.sum(), outside.sum()) > 10000
    assert (found[0][inside] == 1).all()
    assert (found[0][outside] == 0).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_frame_of_the_working_size_keeps_the_alpha_of_the_draft(dtype: torch.dtype) -> None:
    draft, alpha = figure(96, 128, dtype)
    assert draft.alpha.shape == alpha.shape
    assert_close(drawn(draft).alpha, draft.alpha, DETAIL_FLOAT32)


def test_strands_come_back_at_full_size() -> None:
    alpha = strands(1080, 1920)
    y, x = torch.linspace(0, 1, 1080).view(-1, 1), torch.linspace(0, 1, 1920).view(1, -1)
    sky = torch.stack([0.7 + 0.2 * x * y, 0.8 - 0.1 * y + 0 * x, 0.95 - 0.2 * x + 0 * y])
    draft = draft_of(alpha, over(DARK_HAIR, alpha, sky), torch.uint8, 512)
    assert draft.alpha.shape == (1, 288, 512)
    truth = alpha[0].numpy()
    plain = enlarge(draft.alpha, (1080, 1920))[0].numpy()
    found = drawn(draft).alpha[0].numpy()
    error, plain_error = gradient_error_hr(found, truth), gradient_error_hr(plain, truth)
    assert error <= _GRADIENT_ERROR_LEFT * plain_error
    assert mad(found, truth) < mad(plain, truth)


@pytest.mark.parametrize("dtype", DTYPES)
def test_an_outline_is_sharper_than_enlarged(dtype: torch.dtype) -> None:
    draft, alpha = figure(540, 720, dtype)
    plain = enlarge(draft.alpha, (540, 720))
    truth = alpha[0].numpy()
    assert mad(drawn(draft).alpha[0].numpy(), truth) < mad(plain[0].numpy(), truth)


@pytest.mark.parametrize("foreground", ["estimate", "source"])
@pytest.mark.parametrize("size", [(96, 128), (201, 333)])
def test_the_draft_is_not_changed(size: tuple[int, int], foreground: str) -> None:
    draft, _ = figure(*size, torch.uint8)
    before = [tensor.clone() for tensor in (draft.image, draft.alpha, draft.frame.image)]
    matte = drawn(draft, foreground)
    matte.alpha.zero_()
    for tensor, copy in zip((draft.image, draft.alpha, draft.frame.image), before, strict=True):
        assert_close(tensor, copy, EXACT)


@pytest.mark.parametrize("level", [0.0, 1.0])
def test_a_matte_without_an_outline_has_the_colours_of_the_source(level: float) -> None:
    draft = draft_of(torch.full((1, 90, 120), level), texture(90, 120), torch.uint8, 64)
    matte = drawn(draft)
    assert matte.foreground is None
    assert (matte.alpha == level).all()


def test_the_source_s_colours_are_left_where_that_is_asked_for() -> None:
    draft, _ = figure(201, 333)
    estimated, as_filmed = drawn(draft), drawn(draft, "source")
    assert estimated.foreground is not None
    assert as_filmed.foreground is None
    assert as_filmed.colours is draft.frame.image
    assert_close(as_filmed.alpha, estimated.alpha, EXACT)


def test_where_people_and_scene_have_one_colour_the_draft_is_enlarged() -> None:
    alpha = figure_alpha(270, 360)
    draft = draft_of(alpha, torch.full((3, 270, 360), 0.4), torch.float32, 128)
    assert_close(drawn(draft).alpha, enlarge(draft.alpha, (270, 360)), DETAIL_FLOAT32)
