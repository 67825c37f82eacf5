"""shm-matte doctor: what it says of a healthy machine and of a broken one, and what it leaves."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from importlib.metadata import PackageNotFoundError
from itertools import islice, takewhile
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import click
import pytest
import torch

from cli import main as door
from cli.doctor import command, formats, machine, network, parts, sample
from cli.doctor.findings import Finding, Mark
from cli.formats.profiles import PROFILES
from cli.jobs.job import Job
from cli.jobs.performing import perform
from cli.progress import Display
from cli.video import VideoSource, abilities
from shm_engine import Matter, MatterOptions, checkpoint
from shm_engine.types import Draft, Frame, Matte
from tests.cli.clips import Clip

NAMES = [profile.name for profile in PROFILES]


class Outcome(NamedTuple):
    code: int
    out: str
    errors: str

    def line(self, name: str) -> str:
        """The line of this name, with what it goes on with, and one space between words."""
        lines = self.out.splitlines()
        first = next(i for i, line in enumerate(lines) if line[8:].split("  ")[0] == name)
        more = takewhile(lambda line: line.startswith(" " * 9), lines[first + 1 :])
        return " ".join(" ".join([lines[first], *more]).split())


class SureMatter:
    """Stands in for a Matter: knows the person who is drawn. `strength` spoils what it knows."""

    def __init__(self, strength: float = 1) -> None:
        self.strength = strength

    def drafts(self, frames: Iterable[Frame]) -> Iterator[Draft]:
        for frame in frames:
            alpha = sample.drawing(frame.index, *frame.size)[1] * self.strength
            image = frame.image / 255
            yield Draft(frame=frame, image=image, alpha=alpha, trimap=torch.cat([alpha] * 3))

    def mattes(self, frames: Iterable[Frame]) -> Iterator[Matte]:
        for draft in self.drafts(frames):
            yield Matte(frame=draft.frame, alpha=draft.alpha)


@pytest.fixture
def doctor(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Outcome]:
    """Runs the command in this process, in folders of its own, on small pictures and without a
    network; fails if anything is left behind."""
    here, temporary = tmp_path / "here", tmp_path / "temporary"
    for folder in (here, temporary):
        folder.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    monkeypatch.setattr(sample, "WIDTH", 64)
    monkeypatch.setattr(sample, "HEIGHT", 48)
    monkeypatch.setattr(network, "_TIMED_SIZE", (72, 128))
    monkeypatch.setattr(Matter, "load", lambda *_: SureMatter())

    def run(*arguments: str) -> Outcome:
        with pytest.raises(SystemExit) as ended:
            door.main(["doctor", *arguments])
        shown = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        assert "Traceback" not in shown.err
        assert not [*here.iterdir(), *temporary.iterdir()]
        return Outcome(ended.value.code, shown.out, shown.err)

    return run


def test_a_healthy_machine_gets_a_report_of_everything(
    doctor: Callable[..., Outcome], tmp_path: Path
) -> None:
    outcome = doctor("--quick")
    assert (outcome.code, outcome.errors) == (0, "")
    assert torch.__version__ in outcome.line("PyTorch")
    assert "with FFmpeg" in outcome.line("PyAV")
    assert f"{tmp_path / 'temporary'}: " in outcome.line("temporary")
    assert "undamaged, digest " in outcome.line("weights")
    assert outcome.line("network").startswith("ok network finds a drawn person; ")
    assert "ms a frame at 128 x 72" in outcome.line("network")
    assert outcome.line("pictures").endswith("VP9, AV1, DNxHD, MPEG-2")
    assert outcome.line("vp9") == "ok vp9 libvpx-vp9, .webm"
    assert "came back" not in outcome.out
    assert "\nAll is well" in outcome.out


def test_a_second_of_film_goes_through_every_format(doctor: Callable[..., Outcome]) -> None:
    outcome = doctor()
    assert (outcome.code, outcome.errors) == (0, "")
    for profile in PROFILES:
        line = outcome.line(profile.name)
        what = "alpha" if profile.has_alpha else "matte"
        also = "" if profile.is_sequence else " and sound"
        assert line.startswith(f"ok {profile.name} {profile.codec}, "), line
        assert f": {what}{also} came back, " in line


def test_json_says_the_same(doctor: Callable[..., Outcome]) -> None:
    told, lines = json.loads(doctor("--quick", "--json").out), doctor("--quick")
    assert (told["is_healthy"], told["broken"]) == (True, [])
    findings = [each for section in told["sections"].values() for each in section]
    assert [title for title in told["sections"] if f"{title}\n" not in lines.out] == []
    assert {"weights", "temporary", *NAMES} < {each["name"] for each in findings}
    for each in findings:
        assert lines.line(each["name"]).startswith(f"{each['mark']} {each['name']} ")
    facts = {each["name"]: each["facts"] for each in findings}
    assert len(facts["weights"]["digest"]) == 64
    assert facts["temporary"]["free_bytes"] > 0
    assert facts["prores4444"]["codec"] == "prores_ks"


def test_a_codec_that_is_not_there_is_named(
    doctor: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    without = [replace(each, codec="libx900") if each.name == "h265" else each for each in PROFILES]
    monkeypatch.setattr(formats, "PROFILES", tuple(without))
    outcome = doctor("--quick")
    assert outcome.code == 1
    assert "this FFmpeg was built without libx900" in outcome.line("h265")
    assert outcome.errors.startswith("shm-matte: broken here: h265; ")
    assert outcome.errors.count("\n") == 1
    assert "All is well" not in outcome.out
    in_json = doctor("--quick", "--json")
    told = json.loads(in_json.out)
    assert (told["is_healthy"], told["broken"]) == (False, ["h265"])
    assert (in_json.code, in_json.errors) == (1, outcome.errors)


class _Spoiled:
    """A Matter whose mattes pass through `change`."""

    def __init__(self, matter: Any, change: Callable[[Iterator[Matte]], Iterator[Matte]]) -> None:
        self._matter, self._change = matter, change

    def mattes(self, frames: Iterable[Frame]) -> Iterator[Matte]:
        return self._change(self._matter.mattes(frames))


def _faint(mattes: Iterator[Matte]) -> Iterator[Matte]:
    return (replace(matte, alpha=matte.alpha / 2) for matte in mattes)


def _short(mattes: Iterator[Matte]) -> Iterator[Matte]:
    return islice(mattes, 24)


@pytest.mark.parametrize(
    ("change", "words"),
    [(_faint, "another matte came back"), (_short, "24 of 25 frames came back")],
)
def test_a_format_that_loses_something_is_named_and_the_others_go_on(
    doctor: Callable[..., Outcome],
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Iterator[Matte]], Iterator[Matte]],
    words: str,
) -> None:
    def spoiling(job: Job, display: Display, load: Any) -> int:
        def spoiled(*wishes: Any) -> Any:
            return _Spoiled(load(*wishes), change)

        return perform(job, display, spoiled if job.delivery.codec == "animation" else load)

    monkeypatch.setattr(formats, "perform", spoiling)
    chosen = ("prores4444", "animation", "tiff-sequence")
    monkeypatch.setattr(formats, "PROFILES", [each for each in PROFILES if each.name in chosen])
    outcome = doctor()
    assert outcome.code == 1
    assert outcome.line("animation").startswith(f"broken animation {words}; ")
    assert outcome.line("prores4444").startswith("ok ")
    assert outcome.line("tiff-sequence").startswith("ok ")
    assert "broken here: animation;" in outcome.errors


def test_a_format_that_loses_the_sound_is_named(
    doctor: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    silent = Clip(frames=25).write(tmp_path / "silent.mp4")
    monkeypatch.setattr(
        formats, "perform", lambda job, *rest: perform(replace(job, source=silent), *rest)
    )
    monkeypatch.setattr(formats, "PROFILES", PROFILES[:1])
    outcome = doctor()
    assert outcome.line("prores4444").startswith("broken prores4444 its sound did not come back")


def test_damaged_weights_are_told_and_formats_looked_up(
    doctor: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    damaged = tmp_path / "weights.safetensors"
    damaged.write_bytes(b"no weights")
    monkeypatch.setattr(checkpoint, "shipped_weights", lambda: damaged)
    outcome = doctor()
    assert outcome.code == 1
    assert "is not a weights file or is damaged" in outcome.line("weights")
    assert outcome.line("network") == "note network not tried without weights"
    assert outcome.line("formats") == "note formats not tried without a network"
    assert outcome.line("h264") == "ok h264 libx264, .mp4"
    assert "broken here: weights;" in outcome.errors


@pytest.mark.parametrize("strength", [0.0, float("nan")])
def test_a_network_that_sees_nobody_is_broken(
    doctor: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch, strength: float
) -> None:
    monkeypatch.setattr(Matter, "load", lambda *_: SureMatter(strength))
    outcome = doctor()
    assert outcome.code == 1
    assert "does not see the person in a drawing" in outcome.line("network")
    assert outcome.line("formats") == "note formats not tried without a network"


def _read_only(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    make = tempfile.TemporaryFile

    def refuse(*, dir: Path) -> Any:  # noqa: A002 - the name it has there
        if dir == folder:
            raise OSError(errno.EROFS, "Read-only file system", str(dir))
        return make(dir=dir)

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)


def test_a_temporary_folder_that_is_read_only_is_broken(
    doctor: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(**_: Any) -> Any:
        raise OSError(errno.EROFS, "Read-only file system")

    _read_only(monkeypatch, tmp_path / "temporary")
    monkeypatch.setattr(tempfile, "TemporaryDirectory", refuse)
    outcome = doctor()
    assert outcome.code == 1
    assert "cannot be written to (read-only file system); make room, or set TMPDIR" in (
        outcome.line("temporary")
    )
    assert outcome.line("ffv1") == "ok ffv1 ffv1, .mkv"
    assert "broken here: temporary, sample;" in outcome.errors


def test_no_temporary_folder_at_all_is_broken(
    doctor: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> str:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", refuse)
    assert "set TMPDIR to one" in doctor("--quick").line("temporary")


def test_a_folder_of_one_s_own_may_be_read_only(
    doctor: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _read_only(monkeypatch, tmp_path / "here")
    outcome = doctor("--quick")
    assert outcome.code == 0
    assert outcome.line("this folder").startswith("note ")
    assert "give outputs in another folder" in outcome.line("this folder")


def test_little_room_is_a_note(
    doctor: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=2 * 10**9))
    line = doctor("--quick").line("this folder")
    assert line.startswith("note ")
    # 1920 x 1080 x 25 a second, 10 bits each, and the same once more while it is put together.
    assert line.endswith("2.0 GB free, about 0 minutes of 1080p in ProRes 4444")


def test_what_nobody_expected_is_a_broken_line_and_the_rest_goes_on(
    doctor: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> int:
        raise ValueError("no such knob")

    monkeypatch.setattr(machine, "memory_bytes", fail)
    outcome = doctor("--quick")
    assert outcome.code == 1
    assert outcome.line("memory").startswith("broken memory unexpected ValueError (no such knob)")
    assert outcome.line("weights").startswith("ok ")
    assert "broken here: memory;" in outcome.errors


def test_without_pyav_nothing_is_tried_with_it(
    doctor: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cli.video.abilities", None)
    outcome = doctor()
    assert outcome.code == 1
    assert "install the program again" in outcome.line("PyAV")
    assert outcome.out.count("not tried without PyAV") == 2
    assert "broken here: PyAV;" in outcome.errors


def test_a_decoder_that_is_not_there_is_a_note(
    doctor: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(abilities, "has_decoder", lambda name: name not in ("dnxhd", "libdav1d"))
    line = doctor("--quick").line("pictures")
    assert line.startswith("note pictures H.264, ")
    assert line.endswith("this FFmpeg was built without DNxHD")


def test_what_is_not_needed_comes_with_the_command_to_get_it(
    doctor: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = {"ray": "2.9", "opencv-python": "4.10"}

    def version(package: str) -> str:
        if package not in here:
            raise PackageNotFoundError(package)
        return here[package]

    monkeypatch.setattr(parts, "version", version)
    outcome = doctor("--quick")
    assert outcome.code == 0
    assert outcome.line("ray").startswith("ok ray 2.9, ")
    line = outcome.line("openvino")
    assert line.startswith("note openvino not installed")
    assert line.endswith('pip install "semantic-human-matting[openvino]"')
    # What is installed besides can be too much as well.
    assert outcome.line("OpenCV").startswith("note ")
    assert "opencv-python is installed too" in outcome.line("OpenCV")


def test_every_extra_that_is_offered_is_one(repository: Path) -> None:
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    for part in parts.OPTIONAL:
        wanted = project["optional-dependencies"][part.extra]
        assert any(line.startswith(part.package) for line in wanted)


def test_whether_other_programs_find_it_depends_on_path(
    doctor: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert doctor("--quick").line("on PATH").startswith("note ")
    program = tmp_path / ("shm-matte.exe" if os.name == "nt" else "shm-matte")
    program.touch(0o755)
    assert doctor("--quick").line("on PATH") == f"ok on PATH {program}"


def test_a_card_is_named_with_its_memory(
    doctor: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    card = SimpleNamespace(name="Big Card", total_memory=80 << 30)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: card)
    outcome = doctor("--quick")
    assert outcome.line("device").startswith("ok device cuda, chosen by auto; here: cuda:0 (Big")
    assert "80.0 GiB" in outcome.line("device")
    assert outcome.line("backend") == "ok backend eager, chosen by auto, in float16"


def test_a_card_that_pytorch_cannot_use_is_a_note(
    doctor: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    driver = tmp_path / "version"
    driver.touch()
    monkeypatch.setattr(network, "_DRIVER", driver)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    line = doctor("--quick").line("device")
    assert line.startswith("note device cpu, chosen by auto; an NVIDIA driver is here")


def test_memory_is_that_of_the_container(
    doctor: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(machine, "_MEMORY_LIMITS", (tmp_path / "no-such-file", limit))
    limit.write_text("max\n")
    whole = machine.memory_bytes()
    assert whole is None or whole > 1 << 30
    limit.write_text(f"{1 << 30}\n")
    assert doctor("--quick").line("memory").startswith("note memory 1.0 GiB: little ")


def test_lines_fit_the_terminal_and_only_marks_are_coloured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "70")
    finding = Finding(name="h265", mark=Mark.BROKEN, words="one word after the other " * 9)
    shown = command.in_text(finding)
    assert shown.startswith("\x1b[31mbroken")
    lines = click.unstyle(shown).splitlines()
    assert "".join(lines).split() == ["broken", "h265", *finding.words.split()]
    assert len(lines) > 2
    assert max(map(len, lines)) < 70
    assert {len(line) - len(line.lstrip()) for line in lines[1:]} == {lines[0].index("one")}


def test_the_sample_is_a_second_of_film_with_sound(tmp_path: Path) -> None:
    with VideoSource(sample.write_sample(tmp_path)) as source:
        frames = list(source)
        assert source.info.has_audio
    assert len(frames) == 25
    assert frames[-1].pts * frames[-1].time_base == pytest.approx(0.96)
    # Somebody walks: the last picture is not the first.
    assert (frames[0].image.float() - frames[-1].image.float()).abs().mean() > 20


@pytest.mark.long
def test_the_shipped_network_sees_the_person_in_the_drawing() -> None:
    """Another drawing is needed if other weights do not; see `cli.doctor.network`."""
    matter = Matter.load(None, MatterOptions(device="cpu", backend="eager"))
    assert network._contrast(matter) > 0.8
