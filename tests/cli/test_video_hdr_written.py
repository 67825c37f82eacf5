"""High dynamic range that was read comes out again: tags, and what is said of display and light."""

from __future__ import annotations

import struct
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import pytest

from cli.formats.delivery import CODECS, Delivery
from cli.formats.profiles import PROFILES
from cli.video import ColourTags, VideoInfo, VideoSource
from cli.video.hdr import ContentLight, MasteringDisplay, as_numbers
from cli.video.hdr_header import template, x265_parameters
from cli.video.storage import Storage
from shm_engine.passes import PASSES
from tests.cli.clips import Clip
from tests.cli.deliveries import deliver

MOVIES = [profile.name for profile in PROFILES if not profile.is_sequence]
# FFmpeg's muxer leaves it out beside this codec.
CANNOT_SAY = ("animation",)
RGB = ("animation", "png", "cineform")
TRANSFERS = {"pq": 16, "hlg": 18}
DISPLAY = MasteringDisplay(
    primaries=tuple(
        (Fraction(x, 50000), Fraction(y, 50000))
        for x, y in ((34000, 16000), (13250, 34500), (7500, 3000), (15635, 16450))
    ),
    luminance=(Fraction(50, 10000), Fraction(1000)),
)
LIGHT = ContentLight(most=1000, most_of_a_mean=400)
IS_SAID_BY_PYAV = int(av.__version__.split(".")[0]) >= 18


@pytest.fixture(scope="module", params=list(TRANSFERS))
def source(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three frames in 10 bits of BT.2020, graded on a display of 1000 cd/m2."""
    info = VideoInfo(width=64, height=48, mastering=DISPLAY, content_light=LIGHT)
    clip = Clip(
        frames=3,
        codec="libx265",
        pixel_format="yuv420p10le",
        matrix=9,
        tags=(9, TRANSFERS[request.param], 9, 1),
        options={
            "x265-params": f"log-level=none:{x265_parameters(info)}",
            "preset": "ultrafast",
        },
        timecode="01:02:03:04",
    )
    return clip.write(tmp_path_factory.mktemp("hdr") / "in.mp4")


@pytest.mark.parametrize("codec", MOVIES)
def test_display_light_and_tags_arrive(tmp_path: Path, source: Path, codec: str) -> None:
    target = Delivery(codec=codec).named(tmp_path / "out")
    deliver(source, target, codec=codec)
    with VideoSource(source) as before, VideoSource(target) as after:
        given, found = before.info, after.info
        frames = list(after)
    assert (given.mastering, given.content_light) == (DISPLAY, LIGHT)
    if codec in CANNOT_SAY or (codec != "h265" and not IS_SAID_BY_PYAV):
        assert (found.mastering, found.content_light) == (None, None)
    else:
        assert (found.mastering, found.content_light) == (DISPLAY, LIGHT)
    assert (found.tags.primaries, found.tags.transfer) == (9, given.tags.transfer)
    assert found.encoding == given.encoding
    if codec not in RGB:
        assert found.tags.matrix == 9
    # Whichever way the stream was described, it is described in full.
    assert len(frames) == 3
    assert found.frame_rate == given.frame_rate
    assert found.timecode == given.timecode
    with av.open(str(target)) as container:
        tags = {"prores4444": "ap4h", "prores4444xq": "ap4x", "h265": "hvc1", "h264": "avc1"}
        context = container.streams.video[0].codec_context
        assert context.codec_tag == tags.get(codec, context.codec_tag)


@pytest.mark.skipif(not IS_SAID_BY_PYAV, reason="PyAV 17 has no way to say it")
@pytest.mark.parametrize("codec", ["prores4444", "h264", "h265", "png"])
def test_the_rest_of_the_header_is_the_same_with_and_without(
    tmp_path: Path, source: Path, codec: str
) -> None:
    """Editors look for alpha in the depth that stands beside the codec's name."""
    with VideoSource(source) as frames:
        info = frames.info
    entries = []
    for number, given in enumerate((info, replace(info, mastering=None, content_light=None))):
        target = Delivery(codec=codec).named(tmp_path / f"{number}")
        _write(source, given, target, codec)
        entries.append(_sample_entry(target.read_bytes()))
    assert entries[0][:_ENTRY_BYTES] == entries[1][:_ENTRY_BYTES]
    assert b"mdcv" in entries[0]
    assert b"clli" in entries[0]
    assert b"mdcv" not in entries[1]


# Size, format, version, sizes, compressor, depth: of a picture's sample entry in QuickTime.
_ENTRY_BYTES = 86 - 4


def _sample_entry(contents: bytes) -> bytes:
    place = contents.index(b"stsd") + 12
    (size,) = struct.unpack_from(">I", contents, place)
    return contents[place + 4 : place + size]


def _write(source: Path, info: VideoInfo, target: Path, codec: str) -> None:
    import torch

    from cli.video import VideoSink
    from shm_engine.passes import PASSES
    from shm_engine.types import Matte

    profile = Delivery(codec=codec).profile_for(target, needs_alpha=False)
    output_pass = PASSES["rgba" if profile.has_alpha else "foreground"]
    with (
        VideoSource(source) as frames,
        VideoSink(target, info, profile, output_pass=output_pass) as sink,
    ):
        for frame in frames:
            sink.write(Matte(frame=frame, alpha=torch.ones(1, *frame.size)))


@pytest.mark.skipif(not IS_SAID_BY_PYAV, reason="PyAV 17 has no way to say it")
@pytest.mark.parametrize("mastering", [None, DISPLAY, replace(DISPLAY, luminance=None)])
@pytest.mark.parametrize("light", [None, LIGHT])
def test_what_is_not_known_is_not_said(
    tmp_path: Path, mastering: MasteringDisplay | None, light: ContentLight | None
) -> None:
    source = Clip(frames=1).write(tmp_path / "in.mp4")
    with VideoSource(source) as frames:
        info = replace(frames.info, mastering=mastering, content_light=light)
    for codec in ("prores4444", "ffv1", "vp9"):
        target = Delivery(codec=codec).named(tmp_path / "out")
        _write(source, info, target, codec)
        with VideoSource(target) as written:
            found = written.info
        # mov has no box for half of a display.
        is_whole = mastering is None or mastering.luminance is not None or codec != "prores4444"
        assert found.mastering == (mastering if is_whole else None)
        assert found.content_light == light


def test_x265_is_told_in_its_own_units() -> None:
    info = VideoInfo(width=64, height=48, mastering=DISPLAY, content_light=LIGHT)
    assert x265_parameters(info) == (
        "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)"
        ":max-cll=1000,400"
    )
    assert x265_parameters(replace(info, mastering=None)) == "max-cll=1000,400"
    assert x265_parameters(replace(info, mastering=None, content_light=None)) == ""


def test_there_is_no_template_where_there_is_nothing_to_say() -> None:
    plain = VideoInfo(width=64, height=48)
    assert template("prores_ks", plain) is None
    assert template("qtrle", replace(plain, mastering=DISPLAY)) is None


def test_every_movie_codec_was_looked_at() -> None:
    assert set(MOVIES) <= set(CODECS)


def test_a_record_has_it_in_numbers() -> None:
    assert as_numbers(None, None) == {}
    assert as_numbers(DISPLAY, LIGHT) == {
        "primaries": {
            "red": [0.68, 0.32],
            "green": [0.265, 0.69],
            "blue": [0.15, 0.06],
            "white": [0.3127, 0.329],
        },
        "luminance": [0.005, 1000.0],
        "content_light": [1000, 400],
    }


def test_a_matte_of_hdr_is_no_hdr() -> None:
    info = VideoInfo(width=64, height=48, tags_read=ColourTags(primaries=9, transfer=16, matrix=9))
    for profile in PROFILES:
        storage = Storage.of(profile, info, PASSES["alpha"])
        assert storage.tags.transfer == (8 if profile.is_linear else 1)
        if profile.has_alpha and not profile.is_linear:
            assert Storage.of(profile, info, PASSES["rgba"]).tags.transfer == 16
