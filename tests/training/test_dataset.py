"""Training samples: pure functions of seed and index, with truth that fits the picture."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from shm_engine.compositing import over
from shm_engine.trimap import CERTAIN, Trimap
from tests.assertions import CODE_8_BIT, COMPOSITE_8_BIT, EXACT, assert_close
from tests.synthetic import ORANGE, TEAL
from tests.training.drawn import draw_training_data
from training.config import KINDS, Source
from training.data import dataset as module
from training.data.dataset import IGNORED, MattingDataset, Sample

PATHS = {"background": "scenes", "cutout": "cutouts"}


def samples(config, *, crop_pixels: int = 48, first: int = 0, count: int = 100) -> MattingDataset:
    return MattingDataset(config, crop_pixels=crop_pixels, first=first, count=count)


def of_kind(config_of, kind: str, **changes):
    return config_of(
        sources=(Source(path=PATHS.get(kind, "people"), kind=kind, weight=1.0),), **changes
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
        trust = {"mask": 0.25, "pasted_mask": 0.25, "solved": 0.5}.get(kind, 1.0)
        assert sample.outline_weight.item() == trust
        assert (sample.trimap == IGNORED).any() == (kind == "pseudo")
        if kind == "background":
            assert not sample.alpha.any()
            assert (sample.trimap == Trimap.BACKGROUND).all()
        else:
            assert sample.alpha.max() > 200
            assert (sample.trimap == Trimap.UNKNOWN).any()


def test_a_composite_is_the_over_of_its_parts(config_of, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "disturb", lambda image, _: image)
    monkeypatch.setattr(module, "tint", lambda person, _: person)
    data = samples(of_kind(config_of, "cutout", hair=0.0, litter=0.0))
    for index in range(30):  # every third shows a second person, of the same colour
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


def test_a_pseudo_picture_is_believed_where_its_trimap_is_sure(config_of) -> None:
    data = samples(of_kind(config_of, "pseudo"))
    for index in range(10):
        sample = data[index]
        known = sample.alpha[0][sample.trimap != IGNORED]
        assert ((known == 0) | (known == 255)).all(), "the drawn trimaps doubt every soft pixel"


def test_beyond_its_ceiling_the_cache_keeps_nothing_more(
    config_of, monkeypatch: pytest.MonkeyPatch
) -> None:
    unbounded = [samples(config_of())[index] for index in range(12)]
    monkeypatch.setattr(module, "_CACHE_BYTES", 100_000)
    data = samples(config_of())
    for index, expected in enumerate(unbounded):
        assert_same(data[index], expected)
    kept = sum(p.colours.nbytes + p.alpha.nbytes for p in data._cache.values())
    assert 0 < kept <= 100_000
