"""Pictures and their truth on disk: folders, manifests, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from shm_engine.errors import ImageFileError, MattingError, OptionsError
from tests.assertions import CODE_8_BIT, assert_close
from tests.training.drawn import ORANGE_CODE, draw_training_data, store
from training.config import Source
from training.data.sources import (
    Entry,
    backgrounds_of,
    groups_of,
    list_entries,
    list_pictures,
    read_picture,
    read_pixels,
)


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
        backgrounds_of(config_of(background="nowhere"), [])


def test_the_litter_of_other_systems_is_no_picture(tmp_path: Path) -> None:
    store(tmp_path / "a.png", np.zeros((4, 4, 3), np.uint8))
    (tmp_path / "._a.png").write_bytes(b"what macOS leaves beside a file")
    assert list_pictures(tmp_path) == [tmp_path / "a.png"]


def test_a_pattern_chooses_files_of_a_folder(drawn_data: Path, config_of) -> None:
    source = Source(path="scenes", kind="background", weight=2.0, pattern="[01].*")
    (group,) = groups_of(config_of(sources=(source,)))
    assert [entry.image.name for entry in group.entries] == ["0.png", "1.png"]
    assert (group.share, group.outline_weight, group.odds) == (2.0, 1.0, None)
    with pytest.raises(OptionsError, match=r"no pictures in .*gif"):
        list_pictures(drawn_data / "scenes", "*.gif")


def test_scenes_come_from_the_sources_if_no_folder_is_named(config_of) -> None:
    scenes = Source(path="scenes", kind="background", weight=1.0)
    cutouts = Source(path="cutouts", kind="cutout", weight=1.0)
    run = config_of(sources=(scenes, cutouts), background="")
    assert len(backgrounds_of(run, groups_of(run))) == 3
    alone = config_of(sources=(cutouts,), background="")
    with pytest.raises(OptionsError, match="name a folder of them as background"):
        backgrounds_of(alone, groups_of(alone))
