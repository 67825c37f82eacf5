"""Pictures to network tensors and back."""

from __future__ import annotations

import json
from fractions import Fraction

import pytest
import torch
import torch.nn.functional as F

from shm_engine.compositing import as_unit, from_unit
from shm_engine.preprocess import Preprocessing, enlarge, normalise, shrink, working_size
from tests.assertions import (
    CODE_8_BIT,
    EXACT,
    FLOAT32,
    INTERPOLATION,
    RESIZE_8_BIT,
    assert_close,
)
from tests.synthetic import disc_alpha, texture


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((1080, 1920), (288, 512)),
        ((1920, 1080), (512, 288)),
        ((512, 512), (512, 512)),
        ((513, 100), (512, 100)),
        ((100, 80), (100, 80)),  # never enlarged
        ((1, 1), (1, 1)),
        ((1, 4000), (1, 512)),
        ((4000, 1), (512, 1)),
    ],
)
def test_the_working_size_of_square_pixels(
    size: tuple[int, int], expected: tuple[int, int]
) -> None:
    assert working_size(*size, 512) == expected


@pytest.mark.parametrize(
    ("size", "pixel_aspect", "expected"),
    [
        ((576, 720), Fraction(16, 11), (282, 512)),  # PAL 16:9: 720 x 396 square pixels
        ((480, 720), Fraction(8, 9), (384, 512)),  # NTSC 4:3: 640 x 480 square pixels
        ((100, 80), Fraction(2), (50, 80)),  # small: the side with more samples is narrowed
        ((100, 80), Fraction(1, 2), (100, 40)),
    ],
)
def test_anamorphic_pictures_are_looked_at_in_square_pixels(
    size: tuple[int, int], pixel_aspect: Fraction, expected: tuple[int, int]
) -> None:
    assert working_size(*size, 512, pixel_aspect) == expected


def test_the_working_size_keeps_the_aspect_within_half_a_pixel_and_never_enlarges() -> None:
    for height in range(1, 1500, 37):
        for width in range(1, 1500, 41):
            tall, wide = working_size(height, width, 512)
            factor = min(1.0, 512 / max(height, width))
            assert abs(tall - height * factor) <= 0.5 or tall == 1
            assert abs(wide - width * factor) <= 0.5 or wide == 1
            assert tall <= height
            assert wide <= width
            assert max(tall, wide) <= 512


SIZES = [(20, 30), (41, 15), (7, 61), (1, 30), (41, 1), (1, 1), (41, 61)]


@pytest.mark.parametrize("size", SIZES)
def test_all_sample_types_shrink_to_the_same_picture(size: tuple[int, int]) -> None:
    codes = from_unit(texture(41, 61), torch.uint8)[None]
    exact = shrink(codes.to(torch.float32) / 255, size)
    deep = shrink((codes.to(torch.int32) * 257).to(torch.uint16), size)
    assert exact.shape == deep.shape == (1, 3, *size)
    assert exact.dtype == deep.dtype == torch.float32
    assert_close(deep, exact, FLOAT32)
    assert_close(shrink(codes, size), exact, RESIZE_8_BIT)


def test_both_memory_layouts_shrink_to_the_same_picture() -> None:
    codes = from_unit(texture(41, 61), torch.uint8)[None]
    interleaved = codes.contiguous(memory_format=torch.channels_last)
    for size in SIZES:
        assert_close(shrink(interleaved, size), shrink(codes, size), CODE_8_BIT)


def test_thin_lines_keep_their_share_of_light_when_they_shrink() -> None:
    """Without a filter every fourth column would vanish or fill the picture."""
    lines = torch.zeros(1, 3, 64, 64)
    lines[..., ::4] = 1
    small = shrink(lines, (16, 16))[..., 1:-1]
    assert (small - 0.25).abs().max() < 0.05


def test_a_picture_of_the_working_size_is_left_alone() -> None:
    image = texture(9, 11)[None]
    assert_close(shrink(image, (9, 11)), image, EXACT)


def test_normalise_subtracts_the_mean_divides_by_std_and_repeats_the_last_row_and_column() -> None:
    preprocessing = Preprocessing(mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 0.2), multiple=32)
    image = texture(33, 31)[None]
    found = normalise(image, preprocessing)
    assert found.shape == (1, 3, 64, 32)
    by_hand = (image[0, :, 5, 7] - torch.tensor([0.1, 0.2, 0.3])) / torch.tensor([0.5, 0.25, 0.2])
    assert_close(found[0, :, 5, 7], by_hand, FLOAT32)
    assert_close(found[..., 33:, :31], found[..., 32:33, :31].expand(1, 3, 31, 31), EXACT)
    assert_close(found[..., 31:], found[..., 30:31], EXACT)


@pytest.mark.parametrize("size", [(1, 1), (32, 64), (1, 512)])
def test_normalise_gives_multiples_and_keeps_them(size: tuple[int, int]) -> None:
    found = normalise(texture(*size)[None], Preprocessing())
    assert found.shape[-2:] == tuple(-(-side // 32) * 32 for side in size)


@pytest.mark.parametrize("size", [(1, 1), (7, 9), (32, 48), (300, 500), (64, 33), (1, 700)])
@pytest.mark.parametrize("small", [(32, 48), (1, 1), (1, 7), (9, 1)])
def test_enlarge_is_the_bilinear_of_torch(size: tuple[int, int], small: tuple[int, int]) -> None:
    maps = texture(*small)
    expected = F.interpolate(maps[None], size=size, mode="bilinear", align_corners=False)[0]
    assert_close(enlarge(maps, size), expected, INTERPOLATION)


def test_enlarging_a_hard_edge_never_leaves_0_to_1() -> None:
    mask = (disc_alpha(24, 24, centre=(12, 12), radius=7) > 0.5).float()
    large = enlarge(mask, (191, 193))
    assert (large.min().item(), large.max().item()) == (0, 1)
    assert large.shape == (1, 191, 193)


def test_enlarge_takes_a_part_of_a_larger_map() -> None:
    padded = texture(32, 64)
    part = padded[:, :21, :43]
    assert not part.is_contiguous()
    assert_close(enlarge(part, (50, 99)), enlarge(part.clone(), (50, 99)), EXACT)


def test_preprocessing_survives_json() -> None:
    there = Preprocessing(mean=(0.1, 0.2, 0.3), std=(1.0, 2.0, 3.0), multiple=16)
    values = json.loads(json.dumps(there.as_dict()))
    assert Preprocessing.from_dict(values) == there
    assert Preprocessing.from_dict(values) == there, "reading does not change what is read"


@pytest.mark.parametrize(
    "change",
    [
        {"mean": (0.5, 0.5)},
        {"std": (1.0, 1.0, 0.0)},
        {"std": (1.0, 1.0)},
        {"multiple": 0},
    ],
)
def test_impossible_constants_are_refused(change: dict[str, tuple[float, ...]]) -> None:
    with pytest.raises(ValueError, match=next(iter(change))):
        Preprocessing(**change)  # type: ignore[arg-type]


def test_samples_become_unit_values() -> None:
    assert as_unit(torch.tensor([0, 51, 255], dtype=torch.uint8)).tolist() == pytest.approx(
        [0, 0.2, 1]
    )
