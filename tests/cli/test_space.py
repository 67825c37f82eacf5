"""The disk is looked at before the work."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from cli.formats.profiles import PROFILES
from cli.jobs.space import check_space, in_words
from cli.video import VideoInfo
from shm_engine.errors import MattingError

PRORES = PROFILES[0]
SEQUENCE = next(profile for profile in PROFILES if profile.is_sequence)
INFO = VideoInfo(width=1920, height=1080)


class Usage(NamedTuple):
    free: int


def on_disk(monkeypatch: pytest.MonkeyPatch, free: float) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(int(free)))


def test_what_does_not_fit_is_refused_with_both_sizes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = 1920 * 1080 * 1000 * PRORES.bits_per_pixel / 8
    on_disk(monkeypatch, 1.99 * size)
    with pytest.raises(MattingError, match=r"needs about .* GB while .* --no-disk-check"):
        check_space(tmp_path / "out.mov", PRORES, INFO, 1000)
    on_disk(monkeypatch, 2.01 * size)
    check_space(tmp_path / "out.mov", PRORES, INFO, 1000)


def test_what_lies_there_already_need_not_fit_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = 1920 * 1080 * 1000 * PRORES.bits_per_pixel / 8
    on_disk(monkeypatch, 1.3 * size)
    with pytest.raises(MattingError, match="free some space"):
        check_space(tmp_path / "out.mov", PRORES, INFO, 1000)
    check_space(tmp_path / "out.mov", PRORES, INFO, 1000, done_bytes=int(0.8 * size))


def test_numbered_pictures_need_their_size_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "new folder" / "%d.png"
    on_disk(monkeypatch, 0.99 * 1920 * 1080 * 10 * SEQUENCE.bits_per_pixel / 8)
    with pytest.raises(MattingError, match="free some space"):
        check_space(target, SEQUENCE, INFO, 10)
    on_disk(monkeypatch, 1.01 * 1920 * 1080 * 10 * SEQUENCE.bits_per_pixel / 8)
    check_space(target, SEQUENCE, INFO, 10)


def test_the_estimate_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="cli.jobs.space")
    check_space(tmp_path / "out.mov", PRORES, INFO, 10)
    assert "MB will be written" in caplog.text


def test_a_movie_of_unknown_length_is_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_disk(monkeypatch, 0)
    with pytest.raises(MattingError, match="free some space"):
        check_space(tmp_path / "out.mov", PRORES, INFO, 1)
    check_space(tmp_path / "out.mov", PRORES, INFO, None)


@pytest.mark.parametrize(
    ("size", "words"),
    [(0, "1 kB"), (2_400, "2 kB"), (3.1e6, "3.1 MB"), (4.26e9, "4.3 GB"), (1e12, "1.0 TB")],
)
def test_sizes_are_read_by_people(size: float, words: str) -> None:
    assert in_words(int(size)) == words
