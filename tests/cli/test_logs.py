"""What reaches stderr, although C libraries write to descriptor 2 past Python."""

from __future__ import annotations

import json
import logging
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
import torch

from cli.logs import logging_to_stderr, noting_warnings, show_everything
from shm_engine import write_image

_RUN = "from cli.main import main; main()"


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    write_image(path, torch.arange(3 * 40 * 50).reshape(3, 40, 50).to(torch.uint8))
    return path


@pytest.fixture
def odd_photo(photo: Path) -> Path:
    """A good picture with a colour profile that is none: libpng warns."""
    body = b"iCCP" + b"profile\0\0" + zlib.compress(b"no profile" * 20)
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    data, behind_header = photo.read_bytes(), 33
    path = photo.with_name("odd.png")
    path.write_bytes(data[:behind_header] + chunk + data[behind_header:])
    return path


@pytest.fixture
def cut_photo(photo: Path) -> Path:
    """Half a picture: the decoder complains."""
    path = photo.with_name("cut.png")
    path.write_bytes(photo.read_bytes()[: photo.stat().st_size // 2])
    return path


def _matte(picture: Path, weights: Path, *options: str) -> tuple[int, list[str]]:
    """Exit code and stderr of the program in a process of its own."""
    arguments = [picture, "-y", "-o", picture.with_name("out.png"), "--model", weights]
    ended = subprocess.run(
        [sys.executable, "-c", _RUN, *map(str, arguments), "--size", "64", *options],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.stdout == ""
    return ended.returncode, ended.stderr.splitlines()


def test_libraries_do_warn_of_these_pictures(odd_photo: Path, cut_photo: Path) -> None:
    """Otherwise the tests below would show nothing."""
    script = "import cv2, numpy, sys; cv2.imdecode(numpy.fromfile(sys.argv[1], 'u1'), 1)"
    for picture in (odd_photo, cut_photo):
        ended = subprocess.run(
            [sys.executable, "-c", script, str(picture)], capture_output=True, check=True
        )
        assert ended.stderr


def test_json_lines_are_only_json(odd_photo: Path, cut_photo: Path, random_weights: Path) -> None:
    code, lines = _matte(odd_photo, random_weights, "--progress", "json")
    assert code == 0
    events = [json.loads(line)["event"] for line in lines]
    assert {"start", "progress", "done"} <= set(events)
    code, lines = _matte(cut_photo, random_weights, "--progress", "json")
    assert code == 1
    assert [json.loads(line)["event"] for line in lines] == ["error"]


def test_people_read_sentences_of_this_program_only(
    odd_photo: Path, cut_photo: Path, random_weights: Path
) -> None:
    code, lines = _matte(odd_photo, random_weights)
    assert code == 0
    assert all(line.startswith("shm-matte: ") for line in lines)
    assert _matte(odd_photo, random_weights, "--quiet") == (0, [])
    code, lines = _matte(cut_photo, random_weights)
    assert (code, len(lines)) == (1, 1)
    assert lines[0].startswith("shm-matte: ")


def test_verbose_lets_libraries_speak(cut_photo: Path, random_weights: Path) -> None:
    _, lines = _matte(cut_photo, random_weights, "--verbose")
    assert [line for line in lines if not line.startswith("shm-matte: ")]


def test_descriptor_2_is_given_back(capfd: pytest.CaptureFixture[str]) -> None:
    script = (
        "import os, sys\n"
        "from cli.logs import logging_to_stderr, show_everything\n"
        "before = sys.stderr\n"
        "with logging_to_stderr():\n"
        "    os.write(2, b'dropped ')\n"
        "    print('ours', file=sys.stderr)\n"
        "assert sys.stderr is before\n"
        "os.write(2, b'back\\n')\n"
        "with logging_to_stderr():\n"
        "    show_everything()\n"
        "    os.write(2, b'verbose\\n')\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
    assert capfd.readouterr().err == "ours\nback\nverbose\n"


def test_the_stream_of_a_test_or_a_host_is_left_as_it_is(
    capfd: pytest.CaptureFixture[str],
) -> None:
    stream = sys.stderr
    with logging_to_stderr():
        assert sys.stderr is stream
        os.write(2, b"heard")
        show_everything()
    assert capfd.readouterr().err == "heard"


@pytest.mark.skipif(sys.platform == "win32", reason="needs a shell that closes descriptors")
@pytest.mark.parametrize("options", [[], ["-v"], ["-q"], ["--progress", "json"]])
def test_a_closed_stderr_is_no_error_and_not_the_movie_s(
    tmp_path: Path, options: list[str]
) -> None:
    script = (
        "import os\n"
        "from cli import main, matte\n"
        "from cli.progress import Progress\n"
        "def run(job, display):\n"
        "    with open(job.target, 'w') as file, Progress(display, 1) as all:\n"
        "        assert file.fileno() != 2\n"
        "        return len(list(all.track(range(1))))\n"
        "matte.perform = run\n"
        "main.main()\n"
    )
    arguments = ["clip.mp4", "-o", str(tmp_path / "out.mov"), *options]
    ended = subprocess.run(
        ["sh", "-c", 'exec "$@" 2>&-', "sh", sys.executable, "-c", script, *arguments],
        capture_output=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (0, b"")


def test_warnings_of_this_program_are_noted_once_and_no_others() -> None:
    with noting_warnings() as noted:
        for name in ("cli.video", "shm_engine.matter", "cli.video"):
            logging.getLogger(name).warning("%s is damaged.", "a.mp4")
        logging.getLogger("cli.video").info("a fact")
        logging.getLogger("somebody").warning("else")
    logging.getLogger("cli.video").warning("too late")
    assert noted == ["a.mp4 is damaged."]
