"""The commands and the program of README.md, run as they stand there."""

from __future__ import annotations

import re
import shlex
from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest

from cli import main as door
from cli.formats.numbering import numbered_files
from cli.video import VideoSource
from shm_engine import read_image, write_image
from tests.cli.pictures import exr

_FEW_FRAMES = 4


def _blocks(readme: Path, language: str) -> list[str]:
    text = readme.read_text(encoding="utf-8")
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```", text)


@pytest.fixture
def workplace(tmp_path: Path, sample_clip: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that README speaks of, as the current one."""
    (tmp_path / "samples").mkdir()
    for folder in ("in", "footage"):
        (tmp_path / folder).mkdir()
    for name in ("clip.mp4", "samples/turn.mp4", "beach.mp4", "footage/clip.mp4"):
        _shorten(sample_clip, tmp_path / name)
    for number in (1, 2):
        light = exr(np.full((4, 48, 64), 0.5, np.float32), {"format": "half"})
        (tmp_path / f"in/{number:04d}.exr").write_bytes(light)
    with VideoSource(sample_clip) as movie:
        picture = next(iter(movie)).image
    for name in ("photo.jpg", "portrait.jpg"):
        write_image(tmp_path / name, picture)
    monkeypatch.setenv("GIMP3_DIRECTORY", str(tmp_path / "gimp"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _shorten(clip: Path, target: Path) -> None:
    with av.open(str(clip)) as movie, av.open(str(target), "w") as short:
        stream = short.add_stream_from_template(movie.streams.video[0])
        for packet in islice(movie.demux(video=0), _FEW_FRAMES):
            packet.stream = stream
            short.mux(packet)


def test_the_commands_of_the_readme_work(repository: Path, workplace: Path) -> None:
    lines = "".join(_blocks(repository / "README.md", "sh")).splitlines()
    commands = [shlex.split(line, comments=True) for line in lines if "scripts/matte" in line]
    commands = [words[words.index("scripts/matte") + 1 :] for words in commands]
    for arguments in commands:
        with pytest.raises(SystemExit) as ended:
            door.main(arguments)
        assert ended.value.code == 0, arguments
        if arguments[0] == "plugin":
            assert (workplace / "gimp" / "plug-ins" / "human-matte" / "human-matte.py").is_file()
            continue
        target = workplace / arguments[arguments.index("-o") + 1]
        assert numbered_files(target) or target.stat().st_size > 0
    assert len(commands) >= 9


def test_the_program_of_the_readme_works(repository: Path, workplace: Path) -> None:
    (program,) = _blocks(repository / "README.md", "python")
    exec(compile(program, "README.md", "exec"), {})
    assert read_image(workplace / "portrait.png").size == (360, 640)
