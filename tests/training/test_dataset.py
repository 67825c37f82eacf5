"""Training samples: pure functions of seed and index, with truth that fits the picture."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from shm_engine.compositing import over
from shm_engine.errors import ImageFileError, MattingError, OptionsError
from shm_engine.trimap import CERTAIN, Trimap
from tests.assertions import CODE_8_BIT, COMPOSITE_8_BIT, EXACT, assert_close
from tests.synthetic import ORANGE, TEAL
from tests.training.drawn import ORANGE_CODE, draw_training_data, store
from training import dataset as module
from training.config import KINDS, Source
from training.dataset import (
    Entry,
    MattingDataset,
    Sample,
    list_entries,
    list_pictures,
    read_picture,
    read_pixels,
)

PATHS = {"mask": "people", "alpha": "people", "pasted_mask": "people", "cutout": "cutouts"}


def samples(config, *, crop_pixels: int = 48, first: int = 0, count: int = 100) -> MattingDataset:
    return MattingDataset(config, crop_pixels=crop_pixels, first=first, count=count)


def of_kind(config_of, kind: str, **changes):
    return config_of(
        sources=(Source(path=PATHS.get(kind, "scenes"), kind=kind, weight=1.0),), **changes
    )


def assert_same(one: Sample, other: Sample) -> None:
    for found, expected in zip(one, other, strict=True):
        assert_close(found, expected, EXACT)


def test_a_sample_depends_on_seed_and_index_alone(config_of) -> None:
    forwards = [samples(config_of())[index] for index in range(6)]
    backwards = samples(config_of())
    for index in reversed(range(6)):
        assert_same(backwards[index], forwards[index])
    assert_same(samples(config_of(), first=4)[1], forwards[5])
    assert not torch.equal(forwards[0].image, forwards[1].image)
    assert not torch.equal(samples(config_of(seed=8))[0].image, forwards[0].image)


def test_a_dataset_has_as_many_samples_as_asked_for(config_of) -> None:
    assert len(samples(config_of(), count=17)) == 17


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_gives_samples_whose_trimap_fits_the_alpha(config_of, kind: str) -> None:
    data = samples(of_kind(config_of, kind))
    for index in range(8):
        sample = data[index]
        assert sample.image.shape == (3, 48, 48)
        assert sample.alpha.shape == (1, 48, 48)
        assert sample.trimap.shape == (48, 48)
        assert {t.dtype for t in sample[:3]} == {torch.uint8}
        alpha = sample.alpha[0] / 255
        assert (alpha[sample.trimap == Trimap.FOREGROUND] >= 1 - CERTAIN).all()
        assert (alpha[sample.trimap == Trimap.BACKGROUND] <= CERTAIN).all()
        assert sample.exact.item() == (kind in ("alpha", "cutout", "background"))
        if kind == "background":
            assert not sample.alpha.any()
            assert (sample.trimap == Trimap.BACKGROUND).all()
        else:
            assert sample.alpha.max() > 200
            assert (sample.trimap == Trimap.UNKNOWN).any()


def test_a_composite_is_the_over_of_its_parts(config_of, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "disturb", lambda image, _: image)
    monkeypatch.setattr(module, "tint", lambda person, _: person)
    data = samples(of_kind(config_of, "cutout"))
    for index in range(30):  # every seventh shows a second person, of the same colour
        sample = data[index]
        expected = over(ORANGE, sample.alpha / 255, TEAL)
        assert_close(sample.image / 255, expected, COMPOSITE_8_BIT)


def test_a_photograph_keeps_its_colours_under_its_mask(
    config_of, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "disturb", lambda image, _: image)
    data = samples(of_kind(config_of, "mask"))
    for index in range(10):
        sample = data[index]
        inside = sample.image[:, sample.trimap == Trimap.FOREGROUND] / 255
        assert_close(inside.median(dim=1).values, ORANGE.flatten(), CODE_8_BIT)


def test_sources_are_drawn_by_their_weights(config_of) -> None:
    sources = (
        Source(path="people", kind="mask", weight=3.0),
        Source(path="scenes", kind="background", weight=1.0),
    )
    data = samples(config_of(sources=sources), crop_pixels=32, count=200)
    empty = sum(not data[index].alpha.any() for index in range(200))
    assert 30 <= empty <= 70, "50 are expected, 6 is one standard deviation"


def test_the_radii_of_the_trimap_stay_within_the_configured_range(config_of) -> None:
    narrow = samples(config_of(trimap_radius_pixels=(0, 0)))[0].trimap
    wide = samples(config_of(trimap_radius_pixels=(9, 9)))[0].trimap
    assert (narrow == Trimap.UNKNOWN).sum() < (wide == Trimap.UNKNOWN).sum()


def test_pictures_are_read_once(tmp_path: Path, config_of) -> None:
    root = draw_training_data(tmp_path)
    data = samples(config_of(data=str(root)))
    seen = [data[index] for index in range(40)]
    for path in root.rglob("*.png"):
        path.unlink()
    assert_same(data[3], seen[3])


def test_a_pasted_mask_loses_its_outline_and_what_lay_around_it(drawn_data: Path) -> None:
    (entry, *_) = list_entries(drawn_data / "people", "pasted_mask")
    person = read_picture(entry, "pasted_mask")
    mask = read_picture(entry, "mask").alpha
    assert (person.alpha <= cv2.dilate(mask, np.ones((3, 3), np.uint8))).all()
    assert 0 < person.alpha.astype(int).sum() < mask.astype(int).sum()
    assert (person.colours <= person.alpha[..., None]).all(), "premultiplied"


def test_a_cutout_is_read_premultiplied_in_the_order_of_rgb(drawn_data: Path) -> None:
    (entry, *_) = list_entries(drawn_data / "cutouts", "cutout")
    cutout = read_picture(entry, "cutout")
    expected = ORANGE_CODE / 255 * (cutout.alpha[..., None] / 255)
    assert_close(cutout.colours / 255, expected, CODE_8_BIT)


def test_a_16_bit_cutout_is_read_as_8_bit(tmp_path: Path) -> None:
    path = tmp_path / "deep.png"
    # 100 more than a whole 8-bit value: the lower byte alone would be another colour.
    blue, green, red = (value * 257 + 100 for value in (10, 20, 30))
    store(path, np.full((4, 4, 4), (blue, green, red, 65535), np.uint16))
    cutout = read_picture(Entry(path, None), "cutout")
    assert cutout.alpha.tolist() == [[255] * 4] * 4
    assert cutout.colours[0, 0].tolist() == [30, 20, 10]


def test_cutouts_may_lie_in_the_folder_itself(drawn_data: Path) -> None:
    inner = list_entries(drawn_data / "cutouts" / "rgba", "cutout")
    assert inner == list_entries(drawn_data / "cutouts", "cutout")
    assert len(inner) == 3


def test_a_picture_without_its_mask_is_named(tmp_path: Path) -> None:
    root = draw_training_data(tmp_path)
    (root / "people" / "mask" / "1.png").unlink()
    with pytest.raises(OptionsError, match=r"people: 1\.png .*no mask") as caught:
        list_entries(root / "people", "mask")
    assert caught.value.path == root / "people"


def test_a_mask_of_another_size_is_named(tmp_path: Path) -> None:
    root = draw_training_data(tmp_path)
    mask = root / "people" / "mask" / "2.png"
    store(mask, np.zeros((5, 5), np.uint8))
    with pytest.raises(ImageFileError, match=r"2\.png and 2\.png differ in size") as caught:
        read_picture(list_entries(root / "people", "mask")[2], "mask")
    assert caught.value.path == mask


def test_a_cutout_without_alpha_is_named(drawn_data: Path) -> None:
    scene = drawn_data / "scenes" / "0.png"
    with pytest.raises(ImageFileError, match=r"0\.png has no alpha channel"):
        read_picture(Entry(scene, None), "cutout")


@pytest.mark.parametrize("content", [None, b"", b"hello"])
def test_a_file_that_is_no_picture_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "broken.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ImageFileError, match=r"broken\.png cannot be read") as caught:
        read_pixels(path, cv2.IMREAD_COLOR)
    assert caught.value.path == path


def test_a_folder_without_pictures_is_named(tmp_path: Path, config_of) -> None:
    (tmp_path / "notes.txt").write_text("no picture")
    with pytest.raises(OptionsError, match="there are no pictures in"):
        list_pictures(tmp_path)
    with pytest.raises(MattingError, match="nowhere"):
        samples(config_of(background="nowhere"))
