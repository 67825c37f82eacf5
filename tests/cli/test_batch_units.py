"""What is found in a folder, and what the results are called."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cli.batch.units import MOVIE_SUFFIXES, PICTURE_SUFFIXES, Findings, find_units
from cli.formats.delivery import Delivery
from shm_engine import images
from shm_engine.errors import MattingError


def _folder(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return root


def _find(folder: Path, output: Path | None = None, delivery: Delivery | None = None) -> Findings:
    return find_units(folder, output or folder.parent / "out", delivery or Delivery())


def _targets(folder: Path, delivery: Delivery | None = None) -> dict[str, str]:
    output = folder.parent / "out"
    units = _find(folder, output, delivery).units
    return {unit.name: unit.target.relative_to(output).as_posix() for unit in units}


def test_the_suffixes_of_pictures_are_those_of_the_engine() -> None:
    assert PICTURE_SUFFIXES == images.PICTURE_SUFFIXES
    assert not PICTURE_SUFFIXES & MOVIE_SUFFIXES


def test_movies_and_pictures_are_found_in_all_folders_and_keep_their_places(
    tmp_path: Path,
) -> None:
    folder = _folder(tmp_path / "in", "b.MP4", "a.mkv", "day 1/x.jpg", "day 1/late/ü.webm")
    assert _targets(folder) == {
        "a.mkv": "a.mov",
        "b.MP4": "b.mov",
        "day 1/x.jpg": "day 1/x.png",
        "day 1/late/ü.webm": "day 1/late/ü.mov",
    }
    assert [unit.is_picture for unit in _find(folder).units] == [False, False, True, False]


def test_the_order_is_that_of_the_names_whatever_the_disk_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["c.mp4", "a.mp4", "b/d.mp4", "b.mp4"]
    folder = _folder(tmp_path / "in", *names)
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: reversed(list(scandir(path))))
    assert [unit.name for unit in _find(folder).units] == ["a.mp4", "b.mp4", "c.mp4", "b/d.mp4"]


def test_what_is_hidden_or_half_written_is_left_out(tmp_path: Path) -> None:
    names = (".x.mp4", ".x.mov.7.partial", ".x.mov.journal/0.mov", ".git/y.png", "z.mp4")
    assert list(_targets(_folder(tmp_path / "in", *names))) == ["z.mp4"]


def test_the_results_are_no_input_though_they_lie_in_the_folder(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "in", "a.mp4", "out/a.mov", "out/deep/b.png", "other/c.mp4")
    found = _find(folder, folder / "out")
    assert [unit.name for unit in found.units] == ["a.mp4", "other/c.mp4"]


def test_other_files_are_told_and_records_are_not(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "in", "a.mov", "a.mov.json", "notes.txt", "other.json", "noname")
    ignored = [path.name for path in _find(folder).ignored]
    assert ignored == ["noname", "notes.txt", "other.json"]


def test_two_sources_of_one_name_keep_their_suffixes_and_others_do_not(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "in", "a.mp4", "a.mkv", "b.mp4", "sub/a.mp4", "a.png", "a.jpg")
    assert _targets(folder) == {
        "a.jpg": "a.jpg.png",
        "a.mkv": "a.mkv.mov",
        "a.mp4": "a.mp4.mov",
        "a.png": "a.png.png",
        "b.mp4": "b.mov",
        "sub/a.mp4": "sub/a.mov",
    }


def test_a_name_that_a_longer_one_takes_is_made_longer_too(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "in", "a.mp4", "a.mkv", "a.mp4.webm")
    assert _targets(folder) == {
        "a.mkv": "a.mkv.mov",
        "a.mp4": "a.mp4.mov",
        "a.mp4.webm": "a.mp4.webm.mov",
    }


def test_a_name_with_dots_loses_only_its_suffix(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "in", "take.1.v2.mp4", "..odd.mp4".lstrip("."))
    assert _targets(folder) == {"odd.mp4": "odd.mov", "take.1.v2.mp4": "take.1.v2.mov"}


@pytest.mark.parametrize(
    ("delivery", "target"),
    [
        (Delivery(codec="vp9"), "a.webm"),
        (Delivery(codec="ffv1"), "a.mkv"),
        (Delivery(codec="png-sequence"), "a/%05d.png"),
    ],
    ids=str,
)
def test_movies_get_the_suffix_of_the_format_that_was_asked_for(
    tmp_path: Path, delivery: Delivery, target: str
) -> None:
    folder = _folder(tmp_path / "in", "a.mp4", "b.jpg")
    assert _targets(folder, delivery) == {"a.mp4": target, "b.jpg": "b.png"}


def test_a_percent_sign_in_a_name_makes_no_numbered_pictures(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "in", "50%d.mp4", "100%.mp4", "x%03d.png")
    assert _targets(folder) == {
        "100%.mp4": "100%.mov",
        "50%d.mp4": "50_d.mov",
        "x%03d.png": "x_03d.png",
    }


def test_names_that_cannot_be_told_apart_are_refused(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "in", "a%d.mp4", "a_d.mp4")
    with pytest.raises(MattingError, match=r"a%d\.mp4 and a_d\.mp4 would get the same name"):
        _find(folder)


def test_links_that_go_round_in_a_circle_are_followed_once(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "in", "a.mp4", "sub/b.mp4")
    (folder / "sub" / "up").symlink_to(folder)
    (folder / "again").symlink_to(folder / "sub")
    (folder / "itself.mp4").symlink_to("itself.mp4")
    (folder / "nowhere.mp4").symlink_to("absent.mp4")
    names = [unit.name for unit in _find(folder).units]
    assert names == ["a.mp4", "itself.mp4", "nowhere.mp4", "sub/b.mp4"]


def test_a_folder_that_cannot_be_read_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = _folder(tmp_path / "in", "a.mp4", "locked/b.mp4")
    scandir = os.scandir

    def refusing(path: Path) -> object:
        if path.name == "locked":
            raise PermissionError(path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)  # root may read everything
    found = _find(folder)
    assert [unit.name for unit in found.units] == ["a.mp4"]
    assert found.unreadable == (folder / "locked",)
