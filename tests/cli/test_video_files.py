"""The written file as a file: whole or not there, and a sentence for whatever prevents it."""

from __future__ import annotations

import errno
import gc
import io
import os
import subprocess
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from cli.video import VideoInfo, VideoSource
from shm_engine.errors import VideoError
from shm_engine.types import Frame
from tests.cli.clips import Clip, decode
from tests.cli.mattes import convert, sink_for, slope


def test_an_error_half_way_keeps_the_old_file_and_leaves_no_other(tmp_path: Path) -> None:
    target = convert(Clip(frames=2), tmp_path)
    old = target.read_bytes()

    def fail_with(error: type[BaseException]) -> None:
        with (
            VideoSource(tmp_path / "in.mp4") as source,
            sink_for(target, source.info) as sink,
        ):
            sink.write(slope(next(iter(source))))
            raise error

    for error in (RuntimeError, KeyboardInterrupt):
        with pytest.raises(error):
            fail_with(error)
        assert target.read_bytes() == old
        assert sorted(p.name for p in tmp_path.iterdir()) == ["in.mp4", "out.mov"]


def test_the_new_file_replaces_the_old_one_only_at_the_end(tmp_path: Path) -> None:
    target = convert(Clip(frames=2), tmp_path)
    old = target.read_bytes()
    with VideoSource(tmp_path / "in.mp4") as source, sink_for(target, source.info) as sink:
        sink.write(slope(next(iter(source))))
        assert target.read_bytes() == old
    assert len(decode(target)) == 1


def test_no_frames_make_no_file(tmp_path: Path) -> None:
    target = tmp_path / "out.mov"
    with (
        pytest.raises(VideoError, match="no frame came"),
        sink_for(target, VideoInfo(width=64, height=48)),
    ):
        pass
    assert not list(tmp_path.iterdir())


def test_the_movie_that_is_read_is_not_overwritten(tmp_path: Path) -> None:
    path = Clip(frames=2, codec="prores_ks", pixel_format="yuv422p10le", options={}).write(
        tmp_path / "clip.mov"
    )
    link = tmp_path / "link.mov"
    link.symlink_to(path)
    with VideoSource(path) as source:
        for target in (path, link):
            with (
                pytest.raises(VideoError, match="give another name"),
                sink_for(target, source.info),
            ):
                pass
    assert len(decode(path)) == 2


def test_a_matte_of_another_size_is_a_programming_error(tmp_path: Path) -> None:
    frame = Frame(image=torch.zeros(3, 10, 10, dtype=torch.uint8))
    with (
        pytest.raises(ValueError, match="the matte is"),
        sink_for(tmp_path / "out.mov", VideoInfo(width=64, height=48)) as sink,
    ):
        sink.write(slope(frame))


def test_a_missing_folder_or_a_folder_as_target_gets_a_sentence(tmp_path: Path) -> None:
    info = VideoInfo(width=64, height=48)
    with (
        pytest.raises(VideoError, match="create it first"),
        sink_for(tmp_path / "no" / "out.mov", info),
    ):
        pass
    (tmp_path / "out.mov").mkdir()
    with pytest.raises(VideoError, match="is a folder"), sink_for(tmp_path / "out.mov", info):
        pass


def test_a_folder_without_permission_gets_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:  # root may write everywhere, so it is injected
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.mkdtemp", refuse)
    with (
        pytest.raises(VideoError, match="may not be written") as caught,
        sink_for(tmp_path / "out.mov", VideoInfo(width=64, height=48)),
    ):
        pass
    assert isinstance(caught.value.__cause__, PermissionError)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path | None]:
    """A disk of 128 KiB, or None where none can be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(folder)]
    if (
        not hasattr(os, "geteuid")
        or os.geteuid() != 0
        or subprocess.run(mount, check=False).returncode
    ):
        yield None
        return
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_gets_a_sentence_and_leaves_nothing(
    tmp_path: Path, small_disk: Path | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = (small_disk or tmp_path) / "out.mov"
    if small_disk is None:

        class FullDisk(io.FileIO):
            def write(self, _: Any) -> int:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr("io.FileIO", FullDisk)
    generator = torch.Generator().manual_seed(0)
    noise = torch.randint(0, 256, (3, 48, 64), dtype=torch.uint8, generator=generator)
    info = VideoInfo(width=64, height=48)
    with pytest.raises(VideoError, match="the disk is full"), sink_for(target, info) as sink:  # noqa: PT012
        for index in range(60):
            sink.write(slope(Frame(image=noise, index=index, pts=index)))
    assert not list(target.parent.glob("*.*"))


def test_a_disk_that_fills_at_the_very_end_is_noticed(
    tmp_path: Path, small_disk: Path | None
) -> None:
    if small_disk is None:
        pytest.skip("needs the right to mount a small disk")
    info = VideoInfo(width=64, height=48)
    frame = Frame(image=torch.zeros(3, 48, 64, dtype=torch.uint8))
    with sink_for(tmp_path / "out.mov", info) as sink:
        sink.write(slope(frame))
    whole = (tmp_path / "out.mov").stat().st_size
    filler = small_disk / "filler"
    filler.write_bytes(bytes(128 * 1024 - 4096 * (whole // 4096)))
    with (
        pytest.raises(VideoError, match="the disk is full"),
        sink_for(small_disk / "out.mov", info) as sink,
    ):
        sink.write(slope(frame))
    assert list(small_disk.iterdir()) == [filler]


@pytest.mark.long
def test_memory_does_not_grow_with_the_movie(tmp_path: Path) -> None:
    info = VideoInfo(width=64, height=48)
    alive: weakref.WeakSet[torch.Tensor] = weakref.WeakSet()
    with sink_for(tmp_path / "out.mov", info) as sink:
        for index in range(12):
            matte = slope(
                Frame(image=torch.zeros(3, 48, 64, dtype=torch.uint8), index=index, pts=index)
            )
            alive.add(matte.alpha)
            sink.write(matte)
            del matte
            gc.collect()
            assert not alive
