"""Names that stand for numbered pictures to read."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.formats.sequences import as_pattern, expand, is_sequence
from shm_engine.errors import VideoError


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("in/%04d.exr", "in/%04d.exr"),
        ("in/####.png", "in/%04d.png"),
        ("shot_%05d.tif", "shot_%05d.tif"),
        ("%d.jpg", "%d.jpg"),
        ("take_##_#####.dpx", "take_##_%05d.dpx"),
        ("take #2 %03d.webp", "take #2 %03d.webp"),
        ("Über 林 ###.PNG", "Über 林 %03d.PNG"),
    ],
)
def test_percent_and_hash_marks_stand_for_numbers(text: str, pattern: str) -> None:
    assert is_sequence(text)
    assert is_sequence(Path(text))
    assert as_pattern(text) == Path(pattern)


@pytest.mark.parametrize(
    "text",
    ["a.png", "take #2.png", "%04d.mp4", "####", "##/a.png", "100%.png", "a%s.png", "clip.mov", ""],
)
def test_other_names_are_no_sequences(text: str) -> None:
    assert not is_sequence(text)


@pytest.mark.parametrize("name", ["odd%02d.png", "odd##.png"])
def test_a_file_of_that_very_name_is_itself(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    assert not is_sequence(tmp_path / name)


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).touch()


@pytest.mark.parametrize("name", ["f_%04d.png", "f_####.png"])
def test_files_come_in_order_from_the_smallest_number(tmp_path: Path, name: str) -> None:
    touch(tmp_path, "f_1002.png", "f_1001.png", "f_1000.png", "f_0999.png", "f_10003.png", "g.png")
    found = expand(str(tmp_path / name))
    assert [path.name for path in found.paths] == [
        "f_0999.png", "f_1000.png", "f_1001.png", "f_1002.png",
    ]  # fmt: skip
    assert found.missing == tmp_path / "f_1003.png"


def test_more_digits_than_places_go_on(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{number}.png" for number in (98, 99, 100, 101)))
    found = expand(tmp_path / "%02d.png")
    assert [path.stem for path in found.paths] == ["98", "99", "100", "101"]
    assert (found.missing, found.missing_number) == (None, "")


def test_a_gap_is_named(tmp_path: Path) -> None:
    touch(tmp_path, *(f"shot_{number:04d}.exr" for number in (135, 136, 138)))
    found = expand(tmp_path / "shot_%04d.exr")
    assert [path.stem for path in found.paths] == ["shot_0135", "shot_0136"]
    assert (found.missing, found.missing_number) == (tmp_path / "shot_0137.exr", "0137")


@pytest.mark.parametrize("folder", [".", "absent"])
def test_no_file_at_all_is_an_error(tmp_path: Path, folder: str) -> None:
    touch(tmp_path, "other_0001.png")
    with pytest.raises(VideoError, match=r"there is no file such as .*f_%04d\.png; check its name"):
        expand(tmp_path / folder / "f_%04d.png")
