"""Samples of Krita's layers and masks, without Krita."""

from __future__ import annotations

import numpy as np
import pytest

from shm_plugin.krita.pixels import FORMS, Picture, form_of, mask, rgb

# More than a block of those that are looked at as one, and no multiple of it.
WIDTH, HEIGHT = 61, 17


def _picture(raw: bytes = b"", depth: str = "U8", **more: bytes | None) -> Picture:
    return Picture(width=WIDTH, height=HEIGHT, form=FORMS[depth], raw=raw, **more)


@pytest.mark.parametrize(
    ("depth", "dtype", "order"),
    [("U8", "u1", [2, 1, 0]), ("U16", "<u2", [2, 1, 0]), ("F32", "<f4", [0, 1, 2])],
)
def test_colours_come_out_in_their_order_and_as_they_are(
    depth: str, dtype: str, order: list[int]
) -> None:
    samples = np.random.default_rng(1).integers(0, 250, (HEIGHT, WIDTH, 4)).astype(dtype)
    found = np.frombuffer(rgb(_picture(samples.tobytes(), depth)), dtype)
    assert np.array_equal(found.reshape(HEIGHT, WIDTH, 3), samples[..., order])


def test_half_floats_become_floats() -> None:
    samples = np.random.default_rng(1).normal(0, 9, (HEIGHT, WIDTH, 4)).astype("<f2")
    samples[0, 0, :2] = np.inf, np.nan
    found = np.frombuffer(rgb(_picture(samples.tobytes(), "F16")), "<f4")
    expected = samples[..., :3].astype("<f4").ravel()
    assert np.array_equal(found, expected, equal_nan=True)
    assert FORMS["F16"].dtype == "f32"


def test_what_is_unknown_is_taken_as_floats() -> None:
    assert form_of("U16").dtype == "u16"
    assert form_of("whatever comes") == FORMS["F32"]


def _alpha() -> np.ndarray:
    """All, nothing, and soft values between."""
    alpha = np.zeros(WIDTH * HEIGHT, np.float32)
    alpha[300:] = 1
    alpha[280:320] = np.linspace(0, 1, 40)
    alpha[-5:] = [0.001, 0.002, 0.5, 0.9979, 0.999]
    return alpha


def test_a_mask_is_alpha_to_half_a_step() -> None:
    found = np.frombuffer(mask(_picture(), _alpha().tobytes()), np.uint8)
    assert np.abs(found - 255 * _alpha()).max() <= 0.5001


def test_a_mask_changes_as_much_as_is_selected() -> None:
    alpha = _alpha()
    selection = np.full(alpha.size, 255, np.uint8)
    selection[:270] = 0
    selection[290:310] = 100
    selection[600:] = 0
    before = np.random.default_rng(2).integers(0, 256, alpha.size).astype(np.uint8)
    for shown, older in ((np.full_like(before, 255), None), (before, before.tobytes())):
        picture = _picture(selection=selection.tobytes(), before=older)
        found = np.frombuffer(mask(picture, alpha.tobytes()), np.uint8)
        much = selection / 255
        assert np.abs(found - (shown * (1 - much) + 255 * alpha * much)).max() <= 1
        assert np.array_equal(found[selection == 0], shown[selection == 0])
