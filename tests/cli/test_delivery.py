"""Every profile with every kind of source: it comes back, or is refused with what would do."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
import pytest
import torch

from cli.formats.delivery import CODECS, Delivery
from cli.formats.editors import EDITORS
from cli.formats.numbering import numbered_files
from cli.formats.profiles import PROFILES, OutputProfile
from cli.video import SequenceSink, SinkOptions, VideoSink, VideoSource
from shm_engine.compositing import as_unit, srgb_to_linear
from shm_engine.errors import OptionsError, VideoError
from shm_engine.passes import PASSES
from shm_engine.types import Frame
from tests.cli.clips import ALPHA, Clip, shade, sound_packets
from tests.cli.mattes import slope

FRAMES = 5
RATE = Fraction(25)
NAMES = {".png": "f_%03d.png", ".tif": "f_%03d.tif", ".exr": "f_%03d.exr"}
BY_NAME = {profile.name: profile for profile in PROFILES}

# Largest error of alpha: half a step of what stores it, and what the codec loses.
_BYTE, _WORD = 0.51 / 255, 0.51 / 65535
ALPHA_ERROR = {
    "prores4444": {8: ALPHA, 10: ALPHA},
    "prores4444xq": {8: ALPHA, 10: ALPHA},
    "animation": {8: _BYTE, 10: _BYTE},
    "png": {8: _BYTE, 10: _WORD},
    "cineform": {8: 1.5 / 255, 10: 1.5 / 255},  # its wavelets are rounded
    "vp9": {8: 6 / 255, 10: 6 / 255},  # a lossy codec
    "ffv1": {8: _BYTE, 10: 0.51 / 1023},
    "h264": {8: 5 / 255, 10: 5 / 255},
    "h265": {8: 5 / 255, 10: 5 / 255},
    "png-sequence": {8: _BYTE, 10: _WORD},
    "tiff-sequence": {8: _BYTE, 10: _WORD},
    "exr-sequence": {8: 1 / 2048, 10: 1 / 2048},  # 11 bits of a half float
}
# A colour through 8 bits of Y'CbCr and back, and what the codec loses.
COLOUR_ERROR = 4 / 255
MILLISECOND = Fraction(1, 1000)


class Case(NamedTuple):
    """A source."""

    bits: int
    audio: str | None
    twist: str


CASES = [
    Case(bits, audio, twist)
    for bits in (8, 10)
    for audio in (None, "aac")
    for twist in ("odd size", "vfr", "rotated", "timecode")
]


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[Case, Path]:
    folder = tmp_path_factory.mktemp("sources")
    return {case: _write(case, folder / f"{number}") for number, case in enumerate(CASES)}


def _write(case: Case, path: Path) -> Path:
    clip = Clip(
        frames=FRAMES,
        pixel_format="yuv420p" if case.bits == 8 else "yuv420p10le",
        audio=case.audio,
        tags=(1, 1, 1, 1),
        matrix=1,
    )
    suffix = ".mp4"
    match case.twist:
        case "odd size":
            clip = replace(clip, width=63, height=47, codec="ffv1", options={})
            suffix = ".mkv"
        case "vfr":
            stamps = [0, 1000, 5000, 5100, 9000]
            clip = replace(clip, time_base=Fraction(1, 90000), pts=stamps)
        case "rotated":
            clip = replace(clip, rotation=(90, False, False))
        case "timecode":
            clip = replace(clip, timecode="01:02:03:04")
            suffix = ".mov"
    return clip.write(path.with_suffix(suffix))


def _target(profile: OutputProfile, folder: Path) -> Path:
    suffix = profile.suffixes[0]
    return folder / (NAMES[suffix] if profile.is_sequence else f"out{suffix}")


def _convert(
    source: Path,
    target: Path,
    profile: OutputProfile,
    alpha: str | None = None,
    pass_name: str | None = None,
) -> None:
    kind = SequenceSink if profile.is_sequence else VideoSink
    output_pass = PASSES[pass_name or ("rgba" if profile.has_alpha else "alpha")]
    options = SinkOptions(alpha=alpha, streams_from=source)
    with (
        VideoSource(source) as frames,
        kind(target, frames.info, profile, output_pass=output_pass, options=options) as sink,
    ):
        for frame in frames:
            sink.write(slope(frame))


def _read(target: Path, profile: OutputProfile) -> list[Frame]:
    frames = []
    for path in numbered_files(target).values() if profile.is_sequence else [target]:
        with VideoSource(path) as source:
            frames += list(source)
    return frames


def _relative(frames: list[Frame]) -> list[Fraction]:
    times = [frame.pts * frame.time_base for frame in frames]
    return [time - times[0] for time in times]


@pytest.mark.parametrize("name", CODECS)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_what_is_promised_comes_back(
    tmp_path: Path, sources: dict[Case, Path], case: Case, name: str
) -> None:
    profile, source = BY_NAME[name], sources[case]
    target = _target(profile, tmp_path)
    if not profile.has_alpha:
        with pytest.raises(VideoError, match=r"cannot hold an alpha channel; use"):
            Delivery(codec=None).profile_for(target, needs_alpha=True)
    if case.twist == "odd size" and profile.multiples != (1, 1):
        with pytest.raises(VideoError, match="use prores4444, which takes every size"):
            _convert(source, target, profile)
        assert list(tmp_path.iterdir()) == []
        return
    _convert(source, target, profile)
    with VideoSource(source) as before:
        given, info = list(before), before.info
    found = _read(target, profile)
    assert len(found) == FRAMES
    for index, (frame, origin) in enumerate(zip(found, given, strict=True)):
        wanted = slope(origin).alpha.numpy()
        if profile.has_alpha:
            assert frame.alpha is not None
            alpha = as_unit(frame.alpha).numpy()
            # Where people are opaque; elsewhere premultiplied colours have nothing to say.
            colours = as_unit(frame.image)[:, -3:, -3:].mean()
            assert colours == pytest.approx(shade(index), abs=COLOUR_ERROR)
        else:
            alpha = as_unit(frame.image).mean(0, keepdim=True).numpy()
        np.testing.assert_allclose(alpha, wanted, atol=ALPHA_ERROR[name][case.bits])
    if not profile.is_sequence:
        _check_movie(target, profile, source)
        with VideoSource(target) as after:
            assert after.info.orientation == info.orientation
            assert after.info.timecode == info.timecode
        rounding = 0 if profile.container in ("mov", "mp4") else MILLISECOND
        for time, wanted_time in zip(_relative(found), _relative(given), strict=True):
            assert abs(time - wanted_time) <= rounding


def _check_movie(target: Path, profile: OutputProfile, source: Path) -> None:
    """Tags and sound."""
    with av.open(str(target)) as container:
        context = container.streams.video[0].codec_context
        frame = next(container.decode(video=0))
        assert (int(frame.color_primaries), int(frame.color_trc)) == (1, 1)
        if profile.name not in ("animation", "png", "cineform"):  # RGB
            assert (int(context.colorspace), int(frame.color_range)) == (1, 1)
        has_sound = bool(container.streams.audio)
    with av.open(str(source)) as container:
        assert has_sound == bool(container.streams.audio)
    if not has_sound:
        return
    before, after = sound_packets(source), sound_packets(target)
    if profile.container != "webm":
        assert b"".join(data for _, data in after) == b"".join(data for _, data in before)
    lead_before, lead_after = (
        packets[0][0] - _start(path) for packets, path in ((before, source), (after, target))
    )
    if profile.container != "webm":  # whose sound is encoded anew, with a lead of its own
        assert abs(lead_after - lead_before) <= MILLISECOND


def _start(path: Path) -> Fraction:
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
    assert frame.pts is not None
    assert frame.time_base is not None
    return frame.pts * frame.time_base


@pytest.mark.parametrize("name", CODECS)
def test_the_smallest_picture_is_written_or_refused(tmp_path: Path, name: str) -> None:
    profile = BY_NAME[name]
    source = Clip(frames=2, width=1, height=1, codec="ffv1", options={}).write(tmp_path / "in.mkv")
    if profile.multiples != (1, 1):
        with pytest.raises(VideoError, match="use prores4444"):
            _convert(source, _target(profile, tmp_path), profile)
        return
    _convert(source, _target(profile, tmp_path), profile)
    assert [frame.size for frame in _read(_target(profile, tmp_path), profile)] == [(1, 1)] * 2


def test_every_codec_has_its_tolerance() -> None:
    assert set(ALPHA_ERROR) == set(CODECS)


@pytest.mark.parametrize("name", CODECS)
def test_a_matte_alone_is_grey_from_black_to_white(tmp_path: Path, name: str) -> None:
    profile = BY_NAME[name]
    source = Clip(frames=2).write(tmp_path / "in.mp4")
    _convert(source, _target(profile, tmp_path), profile, pass_name="alpha")
    coverage = slope(Frame(image=torch.zeros(3, 48, 64, dtype=torch.uint8))).alpha
    for frame in _read(_target(profile, tmp_path), profile):
        grey = as_unit(frame.image)
        if profile.is_linear:  # a matte is no light: its values are stored as they are
            grey = srgb_to_linear(grey)
        # ProRes has no grey of its own, and quantises the ramp.
        np.testing.assert_allclose(grey.mean(0), coverage[0], atol=5 / 255)
        assert (grey.amax(0) - grey.amin(0)).max() < 0.01


@pytest.mark.parametrize("name", ["ffv1"])
@pytest.mark.parametrize(
    "pixel_format",
    ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p12le", "yuvj420p"],
)
def test_samples_of_the_source_are_stored_bit_for_bit(
    tmp_path: Path, name: str, pixel_format: str
) -> None:
    rng = np.random.default_rng(5)
    full = pixel_format.startswith("yuvj")
    clip = Clip(
        frames=2,
        width=63,
        height=47,
        rgb=rng.random((47, 63, 3)),
        pixel_format=pixel_format.replace("yuvj", "yuv"),
        codec="ffv1",
        options={},
        tags=(1, 1, 1, 2 if full else 1),
        full_range=full,
    )
    source = clip.write(tmp_path / "in.mkv")
    _convert(source, tmp_path / "out.mkv", BY_NAME[name])
    with av.open(str(source)) as before, av.open(str(tmp_path / "out.mkv")) as after:
        pairs = zip(before.decode(video=0), after.decode(video=0), strict=True)
        for given, found in pairs:
            assert found.format.name.replace("yuva", "yuv") == given.format.name
            assert int(found.color_range) == int(given.color_range)
            for plane in range(3):
                assert bytes(given.planes[plane]) == bytes(found.planes[plane])


@pytest.mark.parametrize("name", [n for n in CODECS if BY_NAME[n].has_alpha and n != "vp9"])
def test_premultiplied_colours_are_colours_times_alpha(tmp_path: Path, name: str) -> None:
    profile = BY_NAME[name]
    source = Clip(frames=1, rgb=np.array([0.8, 0.4, 0.2])).write(tmp_path / "in.mp4")
    for alpha in ("straight", "premultiplied"):
        folder = tmp_path / alpha
        folder.mkdir()
        _convert(source, _target(profile, folder), profile, alpha)
    (straight,), (premultiplied,) = (
        _stored(_target(profile, tmp_path / alpha), profile)
        for alpha in ("straight", "premultiplied")
    )
    coverage = slope(Frame(image=torch.zeros(3, 48, 64, dtype=torch.uint8))).alpha
    wanted = straight * coverage
    # Chroma of 4:2:0 knows one alpha for four pixels.
    np.testing.assert_allclose(premultiplied.numpy(), wanted.numpy(), atol=5 / 255)
    assert straight[0].min() > 0.5


def _stored(target: Path, profile: OutputProfile) -> list[torch.Tensor]:
    """Colours as they are stored, float32 in [0, 1], without their alpha."""
    pictures = []
    for path in numbered_files(target).values() if profile.is_sequence else [target]:
        with av.open(str(path)) as container:
            for frame in container.decode(video=0):
                if "f16" in frame.format.name:
                    pixels = np.float32(frame.to_ndarray(format="gbrapf32le")[..., :3])
                else:
                    plain = frame.reformat(format="rgb48le", src_colorspace=5)
                    pixels = np.float32(plain.to_ndarray()) / np.float32(0xFF00)
                pictures.append(torch.from_numpy(pixels.copy()).permute(2, 0, 1))
    return pictures


@pytest.mark.parametrize("name", ["out.mov", "OUT.MOV", "a.b.mov"])
def test_mov_holds_alpha_and_does_without(name: str) -> None:
    for needs_alpha in (True, False):
        profile = Delivery().profile_for(Path(name), needs_alpha=needs_alpha)
        assert profile.name == "prores4444"


@pytest.mark.parametrize("name", ["out.mp4", "out.M4V", "out.ts"])
def test_a_name_that_cannot_hold_alpha_says_what_can(name: str) -> None:
    with pytest.raises(VideoError, match=r"cannot hold an alpha channel; use \.mov"):
        Delivery().profile_for(Path(name), needs_alpha=True)


@pytest.mark.parametrize("name", ["out", "out.xyz", "out.png"])
def test_an_unknown_name_says_what_is_known(name: str) -> None:
    with pytest.raises(VideoError, match=r"use \.mov"):
        Delivery().profile_for(Path(name), needs_alpha=False)


@pytest.mark.parametrize("editor", EDITORS)
def test_every_editor_gets_a_format_with_alpha(tmp_path: Path, editor: str) -> None:
    delivery = Delivery(editor=editor)
    target = delivery.named(tmp_path / "out")
    assert delivery.profile_for(target, needs_alpha=True).has_alpha


def test_an_editor_refuses_what_it_cannot_read() -> None:
    with pytest.raises(VideoError, match=r"Final Cut Pro takes no alpha from \.webm; use \.mov"):
        Delivery(editor="finalcut").profile_for(Path("out.webm"), needs_alpha=True)


def test_a_codec_belongs_to_its_container() -> None:
    assert Delivery(codec="png").profile_for(Path("a.mov"), needs_alpha=True).codec == "png"
    with pytest.raises(VideoError, match=r"vp9 is not written to \.mov; use \.webm"):
        Delivery(codec="vp9").profile_for(Path("out.mov"), needs_alpha=True)
    with pytest.raises(VideoError, match="cannot hold an alpha channel; use prores4444 or vp9"):
        Delivery(codec="h264").profile_for(Path("out.mp4"), needs_alpha=True)


@pytest.mark.parametrize(
    "wishes",
    [
        {"codec": "mpeg9"},
        {"editor": "paint"},
        {"alpha": "crooked"},
        {"codec": "vp9", "editor": "web"},
    ],
)
def test_wishes_that_contradict_are_refused(wishes: dict[str, str]) -> None:
    with pytest.raises(OptionsError):
        Delivery(**wishes)
