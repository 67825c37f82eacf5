"""Foreground colours over a movie's own samples: at their pixels, upright or turned."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cli.video import VideoSource
from cli.video.storage import Storage
from cli.video.writing import YCbCrWriter
from shm_engine.compositing import as_unit, from_unit
from shm_engine.passes import PASSES
from shm_engine.types import Foreground, Frame, Matte
from tests.cli.clips import RGB8, TEN_BIT_ROUNDING, Clip, plane_view, ycbcr
from tests.cli.mattes import convert, slope

COLOUR = np.array([200, 40, 90]) / 255


@pytest.mark.parametrize(
    "rotation",
    [None, (90, False, False), (180, False, False), (270, True, False), (0, True, False)],
)
@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16, torch.float32])
def test_foreground_colours_lie_at_their_pixels_and_nowhere_else(
    tmp_path: Path, rotation: tuple[float, bool, bool] | None, dtype: torch.dtype
) -> None:
    rng = np.random.default_rng(3)
    clip = Clip(frames=1, rgb=rng.random((48, 64, 3)), rotation=rotation)
    with VideoSource(clip.write(tmp_path / "in.mp4")) as source:
        info, frame = source.info, next(iter(source))
    frame = Frame(image=from_unit(as_unit(frame.image), dtype), native=frame.native)
    pixels = np.sort(rng.choice(48 * 64, 40, replace=False))
    colours = from_unit(torch.from_numpy(rng.random((3, 40), np.float32)), dtype)
    foreground = Foreground(pixels=torch.from_numpy(pixels), colours=colours)
    storage = Storage(pixel_format="yuva444p10le", tags=replace(info.tags, range=1))
    writer = YCbCrWriter(info, storage, PASSES["rgba"])
    plain = writer.frame(Matte(frame=frame, alpha=slope(frame).alpha))
    found = writer.frame(Matte(frame=frame, alpha=slope(frame).alpha, foreground=foreground))
    exact = ycbcr(as_unit(colours).numpy().T[None], 6, 10, full_range=False)[:, 0]
    for index in range(4):
        before, after = (
            info.orientation.upright(plane_view(picture, index)).flatten()
            for picture in (plain, found)
        )
        if index < 3:
            np.testing.assert_allclose(after[pixels], exact[index], atol=TEN_BIT_ROUNDING * 1023)
            after[pixels] = before[pixels]
        np.testing.assert_array_equal(after, before)


def test_foreground_colours_reach_the_movie_in_the_upright_place(tmp_path: Path) -> None:
    def corner(frame: Frame) -> Matte:  # a whole block of the codec, which keeps it flat
        pixels = torch.arange(64 * 48).view(64, 48)[:16, 32:].flatten()
        colours = torch.tensor([255, 0, 0], dtype=torch.uint8).view(3, 1).repeat(1, len(pixels))
        foreground = Foreground(pixels=pixels, colours=colours)
        return Matte(frame=frame, alpha=torch.ones(1, 64, 48), foreground=foreground)

    clip = Clip(frames=1, rgb=COLOUR, rotation=(90, False, False))
    with VideoSource(convert(clip, tmp_path, matte_of=corner)) as source:
        image = as_unit(next(iter(source)).image)
    assert image.shape == (3, 64, 48)
    assert image[:, 8, 40].tolist() == pytest.approx([1, 0, 0], abs=RGB8)
    for y, x in ((8, 24), (24, 40), (56, 40), (8, 8)):
        assert image[:, y, x].tolist() == pytest.approx(COLOUR, abs=2 * RGB8)


@pytest.mark.parametrize("rotation", [None, (90, False, False), (180, True, False)])
@pytest.mark.parametrize("pixel_format", ["yuva420p", "yuva422p", "yuva420p10le"])
def test_chroma_of_fewer_samples_is_the_mean_of_its_pixels(
    tmp_path: Path, rotation: tuple[float, bool, bool] | None, pixel_format: str
) -> None:
    rng = np.random.default_rng(4)
    plain_format = pixel_format.replace("yuva", "yuv")
    clip = Clip(
        frames=1,
        width=63,
        height=47,
        rgb=rng.random((47, 63, 3)),
        rotation=rotation,
        codec="ffv1",
        options={},
        pixel_format=plain_format,
    )
    with VideoSource(clip.write(tmp_path / "in.mkv")) as source:
        info, frame = source.info, next(iter(source))
    pixels = np.sort(rng.choice(47 * 63, 400, replace=False))
    colours = torch.from_numpy(rng.random((3, 400), np.float32))
    writer = YCbCrWriter(
        info, Storage(pixel_format=pixel_format, tags=info.tags), PASSES["foreground"]
    )
    frame = Frame(image=as_unit(frame.image), native=frame.native)
    foreground = Foreground(pixels=torch.from_numpy(pixels), colours=colours)
    found = writer.frame(Matte(frame=frame, alpha=slope(frame).alpha, foreground=foreground))

    bits = found.format.components[0].bits
    exact = ycbcr(colours.numpy().T[None], 6, bits, full_range=False)[:, 0]
    is_new = np.zeros(frame.size, bool)
    is_new.flat[pixels] = True
    for index in range(3):
        native = plane_view(frame.native, index)
        written = plane_view(found, index)
        tall, wide = (-(-a // b) for a, b in zip((47, 63), native.shape, strict=True))
        values = np.zeros(frame.size)
        values.flat[pixels] = exact[index]
        stored_new = info.orientation.stored(is_new)
        stored_values = info.orientation.stored(values)
        for y in range(native.shape[0]):
            for x in range(native.shape[1]):
                cell = slice(y * tall, (y + 1) * tall), slice(x * wide, (x + 1) * wide)
                mean = np.where(stored_new[cell], stored_values[cell], native[y, x]).mean()
                # One rounding to a whole level.
                assert abs(written[y, x] - mean) <= 0.51, (index, y, x)
