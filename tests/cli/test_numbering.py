"""Names that stand for numbered pictures."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.formats.numbering import is_pattern, numbered, numbered_files


@pytest.mark.parametrize(
    ("name", "expected"),
    [("%05d.png", True), ("a_%d.exr", True), ("a.png", False), ("100%.mov", False)],
)
def test_a_pattern_is_told_from_a_name(name: str, expected: bool) -> None:
    assert is_pattern(Path(name)) is expected


def test_the_files_of_a_pattern_are_found_in_order_and_no_others(tmp_path: Path) -> None:
    names = ["f_0010.png", "f_0002.png", "f_12345.png", "f_1.png", "f_00003.png", "g_0001.png"]
    for name in [*names, "f_0004.png.json", "f_0005.tif"]:
        (tmp_path / name).touch()
    found = numbered_files(tmp_path / "f_%04d.png")
    assert {n: p.name for n, p in found.items()} == {
        2: "f_0002.png",
        10: "f_0010.png",
        12345: "f_12345.png",
    }
    assert list(found) == sorted(found)


def test_another_percent_sign_means_nothing(tmp_path: Path) -> None:
    pattern = tmp_path / "100%_%04d.png"
    assert numbered(pattern, 7).name == "100%_0007.png"
    numbered(pattern, 7).touch()
    assert list(numbered_files(pattern)) == [7]


def test_a_folder_that_is_not_there_holds_no_pictures(tmp_path: Path) -> None:
    assert numbered_files(tmp_path / "absent" / "%d.png") == {}
