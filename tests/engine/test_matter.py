"""Frames in, mattes out: order, sizes, sample types, devices and precision."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
import torch

from shm_engine.checkpoint import load_checkpoint
from shm_engine.compositing import as_unit, from_unit
from shm_engine.errors import CheckpointError, DeviceError
from shm_engine.matter import Matter, choose_device, choose_precision, settle
from shm_engine.options import MatterOptions
from shm_engine.preprocess import normalise, shrink, working_size
from shm_engine.types import Draft, Frame, Matte
from tests.assertions import (
    EXACT,
    FLOAT32,
    NETWORK_8_BIT_MEAN,
    NETWORK_BFLOAT16_MEAN,
    NETWORK_FLOAT32,
    NETWORK_OF_HDR,
    assert_close,
    assert_mean_close,
)
from tests.encodings import encoded_as
from tests.engine.conftest import SMALL
from tests.synthetic import moving_disc, noise_frame, texture


def matte_of(matter: Matter, frame: Frame) -> Matte:
    (matte,) = matter.mattes([frame])
    return matte


def draft_of(matter: Matter, frame: Frame) -> Draft:
    (draft,) = matter.drafts([frame])
    return draft


def clip(*sizes: tuple[int, int]) -> list[Frame]:
    return [noise_frame(*size, seed=index, index=index) for index, size in enumerate(sizes)]


@pytest.mark.parametrize(
    "size", [(1, 1), (7, 5), (33, 1000), (1000, 33), (1, 400), (400, 1), (95, 97), (192, 128)]
)
@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16, torch.float32])
def test_a_matte_has_the_size_of_its_frame_whatever_that_is(
    matter: Matter, size: tuple[int, int], dtype: torch.dtype
) -> None:
    frame = noise_frame(*size, dtype)
    matte = matte_of(matter, frame)
    assert matte.frame is frame
    assert matte.colours.shape == frame.image.shape
    assert matte.alpha.shape == (1, *size)
    assert matte.alpha.dtype == torch.float32
    assert matte.alpha.device.type == "cpu"
    assert matte.alpha.min() >= 0
    assert matte.alpha.max() <= 1
    assert matte.trimap is not None
    assert matte.trimap.shape[1:] == working_size(*size, 96)
    assert_close(matte.trimap.sum(dim=0), torch.ones(matte.trimap.shape[1:]), NETWORK_FLOAT32)


@torch.no_grad()
def test_a_draft_is_what_the_network_says_of_the_shrunken_picture(
    matter: Matter, lively_weights: Path
) -> None:
    frame = noise_frame(150, 201, torch.float32)
    loaded = load_checkpoint(lively_weights)
    small = shrink(frame.image[None], (72, 96))
    prediction = loaded.model(normalise(small, loaded.preprocessing))
    expected = settle(prediction.alpha[0, :, :72, :96])
    found = draft_of(matter, frame)
    assert found.frame is frame
    assert found.trimap is not None
    assert_close(found.image, small[0], EXACT)
    assert_close(found.alpha, expected, NETWORK_FLOAT32)
    assert_close(found.trimap, prediction.trimap[0, :, :72, :96], NETWORK_FLOAT32)
    assert expected.std() > 0.02


def test_settling_makes_the_nearly_certain_certain_and_keeps_order_and_middle() -> None:
    alpha = torch.linspace(0, 1, 1001)
    found = settle(alpha)
    assert (found[alpha < 0.03] == 0).all()
    assert (found[alpha > 0.97] == 1).all()
    assert ((found > 0) & (found < 1))[(alpha > 0.05) & (alpha < 0.95)].all()
    assert (found.diff() >= 0).all()
    assert_close(found[500], torch.tensor(0.5), FLOAT32)
    assert_close(found + found.flip(0), torch.ones(1001), FLOAT32)
    assert (found - alpha).abs().max() < 0.05


def test_frames_pass_through_in_order_and_number(matter_of_four: Matter) -> None:
    frames = [drawing.frame for drawing in moving_disc(10, 48, 64)]
    assert [matte.frame for matte in matter_of_four.mattes(frames)] == frames
    drafts = list(matter_of_four.drafts(frames))
    assert [draft.frame for draft in drafts] == frames
    assert_close(drafts[7].alpha, draft_of(matter_of_four, frames[7]).alpha, NETWORK_FLOAT32)


def test_no_frames_are_no_mattes(matter: Matter) -> None:
    assert list(matter.mattes([])) == []
    assert list(matter.drafts([])) == []


def test_the_size_may_change_in_the_middle_of_a_clip(
    matter: Matter, matter_of_four: Matter
) -> None:
    frames = clip((40, 60), (40, 60), (60, 40), (60, 40), (60, 40), (40, 60), (9, 9))
    mattes = list(matter_of_four.mattes(frames))
    assert [matte.frame for matte in mattes] == frames
    assert [matte.alpha.shape[1:] for matte in mattes] == [frame.size for frame in frames]
    for draft, frame in zip(matter_of_four.drafts(frames), frames, strict=True):
        assert_close(draft.alpha, draft_of(matter, frame).alpha, NETWORK_FLOAT32)


def test_the_sample_type_and_pixel_aspect_may_change_in_the_middle(matter_of_four: Matter) -> None:
    image = texture(40, 60)
    frames = [
        Frame(image=from_unit(image, torch.uint8)),
        Frame(image=from_unit(image, torch.uint16)),
        Frame(image=from_unit(image, torch.uint16), pixel_aspect=Fraction(2)),
    ]
    shapes = [m.trimap.shape[1:] for m in matter_of_four.mattes(frames) if m.trimap is not None]
    assert shapes == [(40, 60), (40, 60), (20, 60)]


def test_a_batch_of_four_gives_what_one_at_a_time_gives(
    matter: Matter, matter_of_four: Matter
) -> None:
    frames = clip(*[(60, 96)] * 6)
    alone, together = list(matter.drafts(frames)), list(matter_of_four.drafts(frames))
    assert (alone[0].alpha - alone[1].alpha).abs().max() > 0.05, "the frames are told apart"
    for one, other in zip(alone, together, strict=True):
        assert_close(one.alpha, other.alpha, NETWORK_FLOAT32)


def test_8_bit_16_bit_and_float_give_the_same_matte(matter: Matter) -> None:
    for size, tolerance in (((72, 96), NETWORK_FLOAT32), ((150, 201), NETWORK_8_BIT_MEAN)):
        codes = from_unit(texture(*size), torch.uint8)
        deep = (codes.to(torch.int32) * 257).to(torch.uint16)
        exact = draft_of(matter, Frame(image=codes.to(torch.float32) / 255)).alpha
        assert_close(draft_of(matter, Frame(image=deep)).alpha, exact, NETWORK_FLOAT32)
        assert_mean_close(draft_of(matter, Frame(image=codes)).alpha, exact, tolerance)


@pytest.mark.parametrize("batch", [1, 2, 3])
def test_no_more_frames_are_taken_than_one_batch(lively_weights: Path, batch: int) -> None:
    taken = 0

    def source() -> Iterator[Frame]:
        nonlocal taken
        for frame in clip(*[(32, 32)] * 9):
            taken += 1
            yield frame

    options = replace(SMALL, batch=batch)
    drafts = Matter.load(lively_weights, options).drafts(source())
    assert taken == 0
    for index, _ in enumerate(drafts):
        assert taken == min(9, (index // batch + 1) * batch)


def test_mattes_may_be_changed_in_place_without_changing_one_another(
    matter_of_four: Matter,
) -> None:
    mattes = list(matter_of_four.mattes(clip(*[(64, 64)] * 4)))
    before = mattes[1].alpha.clone()
    mattes[0].alpha.zero_()
    assert_close(mattes[1].alpha, before, EXACT)


def test_small_options_change_the_working_size(lively_weights: Path) -> None:
    matter = Matter.load(lively_weights, SMALL)
    trimap = matte_of(matter, noise_frame(100, 50)).trimap
    assert trimap is not None
    assert trimap.shape == (3, 64, 32)


def test_half_precision_stays_close_to_float32(
    matter: Matter, lively_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    half = Matter.load(lively_weights, replace(SMALL, long_side_pixels=96))
    assert half.dtype == torch.bfloat16
    for drawing in moving_disc(2, 96, 96):
        found, exact = draft_of(half, drawing.frame), draft_of(matter, drawing.frame)
        assert found.alpha.dtype == torch.float32
        assert_mean_close(found.alpha, exact.alpha, NETWORK_BFLOAT16_MEAN)
    assert len(found.alpha.unique()) > 256, "the edge is not banded to 8 bits of mantissa"


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ({}, torch.float32),
        ({"avx2": True, "avx512_bf16": False}, torch.float32),
        ({"avx512_bf16": True}, torch.bfloat16),
        ({"amx_bf16": True}, torch.bfloat16),
        ({"bf16": True}, torch.bfloat16),
    ],
)
def test_the_precision_follows_what_the_processor_can_do(
    monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, bool], expected: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert choose_precision(torch.device("cpu")) == expected
    assert choose_precision(torch.device("cuda")) == torch.float16
    assert choose_precision(torch.device("mps")) == torch.float32


def pretend(monkeypatch: pytest.MonkeyPatch, *, cuda: int, mps: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"), [(2, True, "cuda"), (0, True, "mps"), (0, False, "cpu")]
)
def test_auto_takes_the_best_device_there_is(
    monkeypatch: pytest.MonkeyPatch, cuda: int, *, mps: bool, expected: str
) -> None:
    pretend(monkeypatch, cuda=cuda, mps=mps)
    assert choose_device("auto").type == expected


@pytest.mark.parametrize(
    ("cuda", "name", "sentence"),
    [
        (0, "cuda", "the device cuda is not available here; use auto or one of: cpu"),
        (0, "cuda:0", "the device cuda:0 is not available"),
        (1, "cuda:1", "the device cuda:1 is not available"),
        (2, "cuda:99", "the device cuda:99 is not available here; use auto or one of: cuda, cpu"),
        (0, "mps", "the device mps is not available"),
    ],
)
def test_an_absent_device_is_an_error_and_never_replaced(
    monkeypatch: pytest.MonkeyPatch, lively_weights: Path, cuda: int, name: str, sentence: str
) -> None:
    pretend(monkeypatch, cuda=cuda, mps=False)
    with pytest.raises(DeviceError, match=sentence):
        Matter.load(lively_weights, MatterOptions(device=name))


def test_a_device_with_a_number_is_taken_by_it(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, cuda=2, mps=False)
    assert choose_device("cuda:1") == torch.device("cuda", 1)


def test_running_out_of_memory_names_the_frame_and_a_way_out(
    lively_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    matter = Matter.load(lively_weights, SMALL)

    def full(_: torch.Tensor) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(matter, "_run", full)
    with pytest.raises(DeviceError, match="use a smaller working size or batch") as caught:
        list(matter.mattes([noise_frame(32, 32, index=5)]))
    assert caught.value.frame_index == 5


def test_missing_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"nowhere\.safetensors"):
        Matter.load(str(tmp_path / "nowhere.safetensors"))


def test_the_description_is_logged_once_and_names_what_matters(
    lively_weights: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="shm_engine"):
        matter = Matter.load(lively_weights, SMALL)
        list(matter.mattes(clip((32, 32), (32, 32))))
    assert caplog.messages == [f"matting with {matter.description}"]
    digest = load_checkpoint(lively_weights).digest
    for part in ("shm_mobilenetv2", digest[:8], "on cpu", "long side 64"):
        assert part in matter.description


@pytest.mark.parametrize("encoding", ["pq", "hlg"])
def test_the_network_sees_a_picture_in_high_dynamic_range_as_a_display_shows_it(
    matter: Matter, encoding: str
) -> None:
    image = texture(72, 96).clamp_max(0.9)
    encoded = torch.from_numpy(encoded_as(encoding, image.permute(1, 2, 0).numpy()))
    values = encoded.float().permute(2, 0, 1).contiguous()
    plain = draft_of(matter, Frame(image=image))
    found = draft_of(matter, Frame(image=values, encoding=encoding))
    assert_close(found.image, values, EXACT)
    assert_close(found.alpha, plain.alpha, NETWORK_OF_HDR)
    blind = draft_of(matter, Frame(image=values))
    assert (blind.alpha - plain.alpha).abs().max() > 10 * NETWORK_OF_HDR.largest


def test_the_encoding_may_change_in_the_middle_of_a_clip(
    matter: Matter, matter_of_four: Matter
) -> None:
    frames = [
        replace(f, encoding=e)
        for f, e in zip(clip(*[(40, 60)] * 4), ("pq", "srgb", "srgb", "hlg"), strict=True)
    ]
    for draft, frame in zip(matter_of_four.drafts(frames), frames, strict=True):
        assert_close(draft.alpha, draft_of(matter, frame).alpha, NETWORK_FLOAT32)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16, torch.float32])
def test_what_was_transparent_in_the_source_stays_so(matter: Matter, dtype: torch.dtype) -> None:
    frame = noise_frame(50, 70, dtype)
    plain = matte_of(matter, frame)
    coverage = torch.zeros(1, 50, 70)
    coverage[:, :, 20:] = torch.linspace(0, 1, 50)
    coverage[:, 25:] = 1
    covered = replace(frame, alpha=from_unit(coverage, dtype))
    assert covered.alpha is not None
    found = matte_of(matter, covered)
    assert found.frame is covered
    assert_close(found.alpha, plain.alpha * as_unit(covered.alpha), EXACT)
    assert torch.equal(found.alpha[:, 25:], plain.alpha[:, 25:])
    assert plain.alpha[:, :25, :20].max() > 0
    assert found.alpha[:, :25, :20].max() == 0


def test_the_source_s_alpha_may_be_replaced(lively_weights: Path) -> None:
    matter = Matter.load(lively_weights, replace(SMALL, source_alpha="replace"))
    frame = noise_frame(50, 70)
    hidden = replace(frame, alpha=torch.zeros(1, 50, 70, dtype=torch.uint8))
    assert_close(matte_of(matter, hidden).alpha, matte_of(matter, frame).alpha, EXACT)


def test_using_a_matter_twice_gives_the_same(matter: Matter) -> None:
    frame = noise_frame(50, 70)
    assert_close(matte_of(matter, frame).alpha, matte_of(matter, frame).alpha, EXACT)
