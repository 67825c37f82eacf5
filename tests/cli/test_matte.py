"""shm-matte on whole files: what it writes, what it refuses, and what it leaves behind."""

from __future__ import annotations

import errno
import json
import os
import signal
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
import pytest
import torch
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from cli import main as door
from cli.jobs import pumping
from cli.options import PASS_NAMES
from shm_engine import Matter, MatterOptions, read_image, write_image
from shm_engine.passes import PASSES
from shm_engine.types import Frame, Matte
from tests.cli.clips import Clip, cut, decode

_FRAMES = 12


class Outcome(NamedTuple):
    code: int
    out: str
    errors: str


class HalfMatter:
    """Stands in for a Matter: the left half of every picture is the person."""

    def mattes(self, frames: Iterable[Frame]) -> Iterator[Matte]:
        for frame in frames:
            alpha = torch.zeros(1, *frame.size)
            alpha[..., : frame.size[1] // 2] = 1
            trimap = torch.cat([1 - alpha, torch.zeros_like(alpha), alpha])
            yield Matte(frame=frame, alpha=alpha, trimap=trimap)


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[MatterOptions]:
    """Replaces the network; holds the options of every load."""
    seen: list[MatterOptions] = []

    def load(_: Path | None, options: MatterOptions) -> HalfMatter:
        seen.append(options)
        return HalfMatter()

    monkeypatch.setattr(Matter, "load", load)
    return seen


@pytest.fixture
def shm_matte(
    loads: list[MatterOptions],  # noqa: ARG001 - for its effect
    capsys: pytest.CaptureFixture[str],
) -> Callable[..., Outcome]:
    """Runs the program in this process, without a network."""

    def run(*arguments: str | Path) -> Outcome:
        with pytest.raises(SystemExit) as ended:
            door.main([str(argument) for argument in arguments])
        shown = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        assert "Traceback" not in shown.err
        return Outcome(ended.value.code, shown.out, shown.err)

    return run


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """A short movie without sound."""
    return Clip(frames=_FRAMES).write(tmp_path / "clip.mp4")


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    write_image(path, torch.arange(3 * 8 * 10).reshape(3, 8, 10).to(torch.uint8))
    return path


def _audio_only(path: Path) -> None:
    with av.open(path, "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 2048), np.float32), "fltp", "mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _without_frames(path: Path) -> None:
    with av.open(path, "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        container.start_encoding()


def _cut_clip(folder: Path) -> Path:
    """A movie with its index in front whose last fifth is missing."""
    noise = np.random.default_rng(0).random((48, 64, 3))
    every_frame_large = {"qp": "0", "g": "1"}
    index_in_front = {"movflags": "faststart"}
    clip = Clip(
        frames=_FRAMES, rgb=noise, options=every_frame_large, container_options=index_in_front
    )
    return cut(clip.write(folder / "whole.mp4"), 0.8)


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_movie_becomes_prores_4444_with_alpha_and_as_many_frames(
    shm_matte: Callable[..., Outcome], clip: Path, tmp_path: Path
) -> None:
    outcome = shm_matte(clip, "-o", tmp_path / "out.mov")
    assert outcome.code == 0
    frames = decode(tmp_path / "out.mov")
    assert len(frames) == _FRAMES
    assert all(frame.format.name.startswith("yuva444p") for frame in frames)
    assert f"{_FRAMES} frames" in outcome.errors
    assert _names(tmp_path) == {"clip.mp4", "out.mov", "out.mov.json"}


def test_a_photo_becomes_a_png_with_straight_alpha(
    shm_matte: Callable[..., Outcome], photo: Path, tmp_path: Path
) -> None:
    import cv2

    assert shm_matte(photo, "-o", tmp_path / "out.png").code == 0
    rgba = cv2.imread(str(tmp_path / "out.png"), cv2.IMREAD_UNCHANGED)
    assert rgba is not None
    assert (rgba[:, :5, 3] == 255).all()
    assert (rgba[:, 5:, 3] == 0).all()
    colours = torch.from_numpy(rgba[..., 2::-1].copy()).permute(2, 0, 1)
    assert torch.equal(colours, read_image(photo).image)


def test_a_photo_of_16_bits_keeps_them(shm_matte: Callable[..., Outcome], tmp_path: Path) -> None:
    import cv2

    source = torch.arange(0, 3 * 8 * 10 * 256, 256).reshape(3, 8, 10).to(torch.uint16)
    write_image(tmp_path / "deep.png", source)
    assert shm_matte(tmp_path / "deep.png", "-o", tmp_path / "out.png").code == 0
    rgba = cv2.imread(str(tmp_path / "out.png"), cv2.IMREAD_UNCHANGED)
    assert rgba is not None
    assert rgba.dtype == np.uint16
    assert (rgba[:, :5, 3] == 65535).all()
    assert (rgba[..., 2::-1] == source.permute(1, 2, 0).numpy()).all()


@pytest.mark.parametrize("name", PASS_NAMES)
@pytest.mark.parametrize("kind", ["movie", "photo"])
def test_every_pass_can_be_written(
    shm_matte: Callable[..., Outcome],
    clip: Path,
    photo: Path,
    tmp_path: Path,
    name: str,
    kind: str,
) -> None:
    source, target = (clip, "out.mov") if kind == "movie" else (photo, "out.png")
    behind = ["--background", "green"] if name == "composite" else []
    outcome = shm_matte(source, "-o", tmp_path / target, "--pass", name, *behind)
    assert outcome.code == 0, outcome.errors
    assert (tmp_path / target).stat().st_size > 0


def test_the_names_of_passes_are_those_of_the_table() -> None:
    assert set(PASS_NAMES) == {*PASSES, "composite"}


def test_a_composite_shows_the_background_where_nobody_is(
    shm_matte: Callable[..., Outcome], photo: Path, tmp_path: Path
) -> None:
    target = tmp_path / "out.png"
    shm_matte(photo, "-o", target, "--pass", "composite", "--background", "#102030")
    composite = read_image(target).image
    expected = torch.tensor([0x10, 0x20, 0x30], dtype=torch.uint8).reshape(3, 1, 1)
    assert (composite[..., 5:] == expected).all()
    assert torch.equal(composite[..., :5], read_image(photo).image[..., :5])


def test_a_background_picture_fills_the_frame_from_its_middle(
    shm_matte: Callable[..., Outcome], photo: Path, tmp_path: Path
) -> None:
    behind = torch.zeros(3, 8, 40, dtype=torch.uint8)
    behind[..., 15:25] = 200  # the middle 10 columns are all that fits behind 8 x 10
    write_image(tmp_path / "behind.png", behind)
    target = tmp_path / "out.png"
    arguments = ("--pass", "composite", "--background", tmp_path / "behind.png")
    shm_matte(photo, "-o", target, *arguments)
    assert (read_image(target).image[..., 5:] == 200).all()


def test_options_reach_the_engine_and_unset_ones_keep_its_defaults(
    shm_matte: Callable[..., Outcome], loads: list[MatterOptions], photo: Path, tmp_path: Path
) -> None:
    shm_matte(photo, "-o", tmp_path / "a.png")
    chosen = ("--device", "cpu", "--size", "320", "--smooth", "strong", "--foreground", "source")
    shm_matte(photo, "-o", tmp_path / "b.png", *chosen)
    assert loads == [
        MatterOptions(),
        MatterOptions(device="cpu", long_side_pixels=320, smoothing="strong", foreground="source"),
    ]


def test_json_progress_is_nothing_but_json(
    shm_matte: Callable[..., Outcome], clip: Path, tmp_path: Path
) -> None:
    outcome = shm_matte(clip, "-o", tmp_path / "out.mov", "--progress", "json")
    events = [json.loads(line) for line in outcome.errors.splitlines()]
    kinds = [event["event"] for event in events if event["event"] != "log"]
    assert (kinds[0], kinds[-1]) == ("start", "done")
    done = next(event for event in events if event["event"] == "done")
    assert done["frame"] == done["total"] == _FRAMES


def test_quiet_says_nothing(shm_matte: Callable[..., Outcome], clip: Path, tmp_path: Path) -> None:
    assert shm_matte(clip, "-o", tmp_path / "out.mov", "-q") == Outcome(0, "", "")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda _: None, "does not exist"),
        (lambda path: path.write_text("Dear reader, this is a letter.\n" * 99), ""),
        (lambda path: path.write_bytes(b""), "empty"),
        (_audio_only, "sound"),
        (_without_frames, ""),
    ],
    ids=["missing", "text", "empty", "audio only", "zero frames"],
)
@pytest.mark.parametrize("extra", [[], ["--keep-partial"]])
def test_an_input_that_is_no_movie_is_refused_before_the_network_is_loaded(
    shm_matte: Callable[..., Outcome],
    loads: list[MatterOptions],
    tmp_path: Path,
    make: Callable[[Path], object],
    words: str,
    extra: list[str],
) -> None:
    bad = tmp_path / "bad.mp4"
    make(bad)
    outcome = shm_matte(bad, "-o", tmp_path / "out.mov", *extra)
    assert outcome.code == 1
    assert outcome.errors.count("\n") == 1
    assert "bad.mp4" in outcome.errors
    assert words in outcome.errors
    assert not loads
    assert _names(tmp_path) <= {"bad.mp4"}


def test_a_cut_movie_is_refused_and_an_older_output_stays(
    shm_matte: Callable[..., Outcome], tmp_path: Path
) -> None:
    target = tmp_path / "out.mov"
    target.write_text("older")
    outcome = shm_matte(_cut_clip(tmp_path), "-o", target, "-y")
    assert outcome.code == 1
    assert "--keep-partial" in outcome.errors
    assert target.read_text() == "older"
    assert _names(tmp_path) == {"whole.mp4", "cut_whole.mp4", "out.mov"}


def _gif(path: Path) -> Path:
    grey = np.random.default_rng(0).integers(0, 256, (_FRAMES, 48, 64), dtype=np.uint8)
    with av.open(str(path), "w") as movie:
        stream = movie.add_stream("gif", rate=10)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "gray"
        for picture in grey:
            movie.mux(stream.encode(VideoFrame.from_ndarray(picture, format="gray")))
        movie.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    "make",
    [lambda folder: Clip(codec="mpeg2video").write(folder / "a.ts"), lambda f: _gif(f / "a.gif")],
    ids=["transport stream", "gif"],
)
def test_other_kinds_that_are_cut_are_refused_too(
    shm_matte: Callable[..., Outcome], tmp_path: Path, make: Callable[[Path], Path]
) -> None:
    clip = make(tmp_path)
    assert shm_matte(clip, "-o", tmp_path / "whole.mov").code == 0
    outcome = shm_matte(cut(clip, 0.7), "-o", tmp_path / "cut.mov")
    assert outcome.code == 1
    assert "--keep-partial" in outcome.errors
    assert not (tmp_path / "cut.mov").exists()


@pytest.mark.parametrize("name", ["pipe", "-"])
def test_a_pipe_is_refused_instead_of_waited_for(
    shm_matte: Callable[..., Outcome],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    outcome = shm_matte(name, "-o", "out.mov")
    assert outcome.code == 1
    assert "save it as a file first" in outcome.errors


def test_an_animated_picture_is_refused_instead_of_cut_to_one_frame(
    shm_matte: Callable[..., Outcome], photo: Path
) -> None:
    whole = photo.read_bytes()
    at = whole.index(b"IDAT") - 4
    chunk = b"acTL" + struct.pack(">II", 2, 0)
    control = struct.pack(">I", 8) + chunk + struct.pack(">I", zlib.crc32(chunk))
    photo.write_bytes(whole[:at] + control + whole[at:])
    outcome = shm_matte(photo, "-o", photo.with_name("out.png"))
    assert outcome.code == 1
    assert "animation" in outcome.errors


def test_a_photo_of_a_phone_is_told_to_be_a_picture(
    shm_matte: Callable[..., Outcome], tmp_path: Path
) -> None:
    photo = tmp_path / "photo.heic"
    photo.write_bytes(b"\0\0\0\x18ftypheic" + bytes(99))
    outcome = shm_matte(photo, "-o", tmp_path / "out.png")
    assert outcome.code == 1
    assert "PNG or JPEG" in outcome.errors


def test_an_output_that_is_a_link_stays_one(
    shm_matte: Callable[..., Outcome], clip: Path, tmp_path: Path
) -> None:
    (tmp_path / "disk").mkdir()
    link = tmp_path / "link.mov"
    link.symlink_to(tmp_path / "disk" / "real.mov")
    assert shm_matte(clip, "-o", link).code == 0
    assert link.is_symlink()
    assert len(decode(tmp_path / "disk" / "real.mov")) == _FRAMES


def test_a_file_that_is_read_is_never_overwritten(
    shm_matte: Callable[..., Outcome], clip: Path, tmp_path: Path
) -> None:
    weights = tmp_path / "weights.mov"
    weights.write_text("weights")
    assert shm_matte(clip, "-o", weights, "--model", weights, "-y").code == 1
    assert weights.read_text() == "weights"


def test_what_is_there_of_a_cut_movie_can_be_kept(
    shm_matte: Callable[..., Outcome], tmp_path: Path
) -> None:
    outcome = shm_matte(_cut_clip(tmp_path), "-o", tmp_path / "out.mov", "--keep-partial")
    frames = len(decode(tmp_path / "out.mov"))
    assert outcome.code == 0
    assert 0 < frames < _FRAMES
    assert f"{frames} frames" in outcome.errors
    assert "warning" in outcome.errors


@pytest.mark.parametrize(
    ("source", "target", "advice"),
    [
        ("clip.mp4", "out.mp4", ".mov"),
        ("clip.mp4", "out.png", ".mov"),
        ("clip.mp4", "out", ".mov"),
        ("clip.mp4", "out.xyz", ".mov"),
        ("photo.png", "out.mov", ".png"),
        ("photo.png", "out.jpg", ".png"),
        ("photo.png", "out", ".png"),
    ],
)
def test_an_output_that_cannot_hold_the_result_is_refused_with_one_that_can(
    shm_matte: Callable[..., Outcome],
    loads: list[MatterOptions],
    clip: Path,
    photo: Path,
    source: str,
    target: str,
    advice: str,
) -> None:
    folder = clip.parent
    assert photo.parent == folder
    outcome = shm_matte(folder / source, "-o", folder / target)
    assert outcome.code == 1
    assert advice in outcome.errors
    assert not loads
    assert _names(folder) == {"clip.mp4", "photo.png"}


def test_an_existing_output_is_kept_unless_overwrite_is_given(
    shm_matte: Callable[..., Outcome], clip: Path, tmp_path: Path
) -> None:
    target = tmp_path / "out.mov"
    target.write_text("older")
    outcome = shm_matte(clip, "-o", target)
    assert outcome.code == 1
    assert "--overwrite" in outcome.errors
    assert target.read_text() == "older"
    assert shm_matte(clip, "-o", target, "-y").code == 0
    assert len(decode(target)) == _FRAMES


@pytest.mark.parametrize("link", [None, Path.symlink_to, Path.hardlink_to])
def test_the_input_is_never_the_output(
    shm_matte: Callable[..., Outcome],
    clip: Path,
    tmp_path: Path,
    link: Callable[[Path, Path], None] | None,
) -> None:
    before = clip.read_bytes()
    target = clip if link is None else tmp_path / "other.mov"
    if link is not None:
        link(target, clip)
    outcome = shm_matte(clip, "-o", target, "-y")
    assert outcome.code == 1
    assert "same file" in outcome.errors
    assert clip.read_bytes() == before


def test_a_folder_that_is_missing_or_no_folder_is_refused_before_work(
    shm_matte: Callable[..., Outcome], loads: list[MatterOptions], clip: Path, tmp_path: Path
) -> None:
    # Below a regular file nobody can write, not even root.
    for folder in (tmp_path / "missing", clip):
        outcome = shm_matte(clip, "-o", folder / "out.mov")
        assert outcome.code == 1
        assert "folder" in outcome.errors
    assert shm_matte(clip, "-o", tmp_path, "-y").code == 1
    assert not loads


def test_a_folder_without_permission_is_refused_before_work(
    monkeypatch: pytest.MonkeyPatch,
    shm_matte: Callable[..., Outcome],
    loads: list[MatterOptions],
    clip: Path,
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)  # root has every permission
    outcome = shm_matte(clip, "-o", clip.parent / "out.mov")
    assert outcome.code == 1
    assert "cannot be written to" in outcome.errors
    assert not loads


def test_a_disk_that_fills_up_leaves_the_older_output_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, shm_matte: Callable[..., Outcome], clip: Path, tmp_path: Path
) -> None:
    from cli.video import VideoSink

    target = tmp_path / "out.mov"
    target.write_text("older")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(target))

    monkeypatch.setattr(VideoSink, "write", full)
    outcome = shm_matte(clip, "-o", target, "-y")
    assert outcome.code == 1
    assert "disk is full" in outcome.errors
    assert target.read_text() == "older"
    assert _names(tmp_path) == {"clip.mp4", "out.mov"}


def _start(arguments: Sequence[str | Path], before: str = "") -> subprocess.Popen[str]:
    """The program in a process of its own, after the statements `before`."""
    script = f"{before}\nfrom cli.main import main\nmain()"
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_write_that_the_system_refuses_leaves_nothing(
    random_weights: Path, sample_clip: Path, tmp_path: Path
) -> None:
    small_files = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))"
    target = tmp_path / "out.mov"
    arguments: list[str | Path] = [
        sample_clip,
        "-o",
        target,
        "--model",
        random_weights,
        "--size",
        "64",
    ]
    with _start(arguments, small_files) as process:
        out, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert out == ""
    assert "Traceback" not in errors
    assert "out.mov cannot be written" in errors
    assert not _names(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_half_way_it_cleans_up_and_exits_with_130(
    random_weights: Path, sample_clip: Path, tmp_path: Path, number: signal.Signals
) -> None:
    # A shell that starts this test in the background has turned Ctrl-C off.
    listen = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    target = tmp_path / "out.mov"
    arguments: list[str | Path] = [
        sample_clip,
        "-o",
        target,
        "--model",
        random_weights,
        "--progress",
        "json",
    ]
    with _start(arguments, listen) as process:
        assert process.stderr is not None
        # Frames are flowing through all three threads.
        events = (json.loads(line) for line in process.stderr)
        next(event for event in events if event["event"] == "progress" and event["frame"] > 1)
        assert _names(tmp_path)
        process.send_signal(number)
        rest = process.stderr.read()
    assert process.returncode == 130
    last = json.loads(rest.splitlines()[-1])
    assert (last["event"], last["message"]) == ("error", "interrupted")
    assert "Traceback" not in rest
    assert not _names(tmp_path)


def test_a_real_network_runs_from_end_to_end(
    random_weights: Path, clip: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    arguments = [clip, "-o", tmp_path / "out.mov", "--model", random_weights, "--size", "64"]
    with pytest.raises(SystemExit) as ended:
        door.main([*map(str, arguments), "--device", "cpu"])
    assert ended.value.code == 0
    assert len(decode(tmp_path / "out.mov")) == _FRAMES
    assert "on cpu" in capsys.readouterr().err


def test_weights_that_are_none_are_refused_in_a_sentence(
    clip: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with pytest.raises(SystemExit) as ended:
        door.main([str(clip), "-o", str(tmp_path / "out.mov"), "--model", str(clip)])
    assert ended.value.code == 1
    assert "weights" in capsys.readouterr().err
    assert _names(tmp_path) == {"clip.mp4"}


def test_the_network_leaves_a_core_to_the_codec(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        with pumping._a_core_for_the_codec():
            assert torch.get_num_threads() == 3
        assert torch.get_num_threads() == 4
    finally:
        torch.set_num_threads(before)


def test_numbered_pictures_are_not_written_over_themselves(
    shm_matte: Callable[..., Outcome], tmp_path: Path
) -> None:
    for number in (1, 2, 3):
        write_image(tmp_path / f"{number:03d}.png", torch.zeros(3, 8, 8, dtype=torch.uint8))
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    outcome = shm_matte(tmp_path / "###.png", "-o", tmp_path / "%03d.png", "-y")
    assert outcome.code == 1
    assert "which is read" in outcome.errors
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    ("report", "words"),
    [("clip.mp4", "ends in .html"), ("no/page.html", "create it first"), ("out.html", "already")],
)
def test_a_report_replaces_nothing_else(
    shm_matte: Callable[..., Outcome], clip: Path, tmp_path: Path, report: str, words: str
) -> None:
    before = clip.read_bytes()
    (tmp_path / "out.html").hardlink_to(clip)
    outcome = shm_matte(clip, "-o", tmp_path / "out.mov", "--report", tmp_path / report)
    assert outcome.code == 1
    assert words in outcome.errors
    assert clip.read_bytes() == before


def test_a_name_with_an_encoded_space_is_a_name(
    shm_matte: Callable[..., Outcome], clip: Path, tmp_path: Path
) -> None:
    assert shm_matte(clip, "-o", tmp_path / "my%20day.mov").code == 0
    assert len(decode(tmp_path / "my%20day.mov")) == _FRAMES


def test_weights_that_are_not_there_are_named(
    shm_matte: Callable[..., Outcome], clip: Path, tmp_path: Path
) -> None:
    outcome = shm_matte(clip, "-o", tmp_path / "out.mov", "--model", tmp_path / "no.safetensors")
    assert outcome.code == 1
    assert "no.safetensors do not exist" in outcome.errors


@pytest.mark.parametrize(
    ("source", "target", "more", "words"),
    [
        ("", "out.mov", [], "the name is empty"),
        ("photo.png", "%05d.png", [], "still picture"),
        ("photo.png", "out.png", ["--fail-on", "flicker>1"], "are for movies"),
        ("clip.mp4", "out.png", [], "holds one picture; write out/%05d.png"),
        ("clip.mp4", "%05d.mov", [], "write a name without a number"),
        ("clip.mp4", "out.mp4", [], "or --pass composite"),
        ("clip.mp4", "out.mov", ["--range", "100s-200s"], "12 frames and ends before"),
        ("folder", "out.mov", [], "give a folder"),
    ],
)
def test_mistakes_are_named_before_the_network_is_loaded(
    shm_matte: Callable[..., Outcome],
    loads: list[MatterOptions],
    clip: Path,
    photo: Path,
    monkeypatch: pytest.MonkeyPatch,
    source: str,
    target: str,
    more: list[str],
    words: str,
) -> None:
    assert photo.parent == clip.parent
    monkeypatch.chdir(clip.parent)
    Path("folder").mkdir()
    outcome = shm_matte(source, "-o", target, *more)
    assert outcome.code in (1, 2)
    assert words in outcome.errors
    assert not loads
    assert _names(clip.parent) == {"clip.mp4", "photo.png", "folder"}


def test_a_photo_for_a_program_is_a_png(
    shm_matte: Callable[..., Outcome], photo: Path, tmp_path: Path
) -> None:
    assert shm_matte(photo, "-o", tmp_path / "cutout", "--for", "nuke").code == 0
    assert (tmp_path / "cutout.png").is_file()
