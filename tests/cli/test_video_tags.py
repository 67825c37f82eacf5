"""What a written movie says of itself: tags, timecode, orientation, and how its alpha is stored."""

from __future__ import annotations

import logging
import struct
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from cli.formats.delivery import Delivery
from cli.formats.timecode import fitting
from cli.video import VideoInfo, VideoSink, VideoSource
from cli.video.metadata import container_tags, statement, stream_tags
from shm_engine import __version__
from shm_engine.compositing import as_unit
from shm_engine.errors import VideoError
from shm_engine.passes import PASSES
from tests.cli.claps import Clap
from tests.cli.clips import Clip
from tests.cli.deliveries import deliver

CONTAINERS = ("mov", "mkv", "webm", "mp4")
TAGS = {
    "title": "Grün 緑",
    "artist": "A. Ößel",
    "comment": "zweite Klappe",
    "creation_time": "2024-05-06T07:08:09.000000Z",
    "location": "+48.2082+016.3738/",
    "copyright": "(c) niemand",
}
MADE_BY = f"matted by Semantic Human Matting {__version__}"
NTSC, DOUBLE, PAL = Fraction(30000, 1001), Fraction(60000, 1001), Fraction(25)


def tags_of(path: Path) -> dict[str, str]:
    with av.open(str(path)) as container:
        return {key.lower(): value for key, value in container.metadata.items()}


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("name", ["in.mov", "in.mkv", "in.mp4"])
def test_tags_are_kept_and_those_of_the_muxer_are_not(
    tmp_path: Path, name: str, container: str
) -> None:
    source = Clip(frames=2, metadata={**TAGS, "encoder": "an old one"}).write(tmp_path / name)
    found = tags_of(deliver(source, tmp_path / f"out.{container}"))
    comment = found.pop("comment")
    assert comment.startswith(f"{TAGS['comment']}; ")
    assert {key: found.get(key) for key in TAGS if key != "comment"} == {
        key: value for key, value in TAGS.items() if key != "comment"
    }
    assert found["encoder"].startswith("Lavf")
    brands = {"mov": "qt  ", "mp4": "isom"}
    assert found.get("major_brand") == brands.get(container)


@pytest.mark.parametrize("container", CONTAINERS)
def test_language_and_title_of_the_picture_are_kept(tmp_path: Path, container: str) -> None:
    source = tmp_path / "in.mkv"
    clip = Clip(frames=2)
    with av.open(str(source), "w") as output:
        stream = clip._add_video(output)
        stream.metadata.update(language="deu", title="Bild", encoder="an old one")
        for index in range(2):
            output.mux(stream.encode(clip.picture(index)))
        output.mux(stream.encode(None))
    with av.open(str(deliver(source, tmp_path / f"out.{container}"))) as written:
        tags = written.streams.video[0].metadata
    assert tags["language"] == ("ger" if container == "mov" else "deu")
    assert tags.get("title", tags.get("name")) == "Bild"
    assert "an old one" not in tags.values()


@pytest.mark.parametrize("alpha", ["straight", "premultiplied"])
@pytest.mark.parametrize("container", ["mov", "mkv", "webm"])
def test_a_file_says_how_its_alpha_is_stored(tmp_path: Path, alpha: str, container: str) -> None:
    source = Clip(frames=2).write(tmp_path / "in.mp4")
    target = deliver(source, tmp_path / f"out.{container}", alpha=alpha)
    found = tags_of(target)
    assert found["comment"] == f"alpha: {alpha}; {MADE_BY}"
    if container != "mov":  # which has no place for a word of one's own
        assert found["alpha_storage"] == alpha
    with VideoSource(target) as again:
        assert again.info.has_alpha


def test_a_file_without_alpha_says_what_made_it(tmp_path: Path) -> None:
    source = Clip(frames=2).write(tmp_path / "in.mp4")
    assert tags_of(deliver(source, tmp_path / "out.mp4"))["comment"] == MADE_BY


def test_what_was_matted_twice_says_so_once(tmp_path: Path) -> None:
    source = Clip(frames=2, metadata=TAGS).write(tmp_path / "in.mp4")
    once = deliver(source, tmp_path / "once.mkv", alpha="premultiplied")
    twice = deliver(once, tmp_path / "twice.mkv", alpha="straight")
    assert tags_of(twice)["comment"] == f"{TAGS['comment']}; alpha: straight; {MADE_BY}"
    assert tags_of(twice)["alpha_storage"] == "straight"


def test_tags_of_a_camera_get_the_place_that_mov_has() -> None:
    found = {
        "com.apple.quicktime.make": "Apple",
        "com.apple.quicktime.location.ISO6709": "+48.2+016.3/",
        "com.apple.quicktime.software": "17.1",
        "location-eng": "+48.2+016.3/",
        "title": "one",
        "com.apple.quicktime.title": "another",
        "material_package_umid": "0x06",
        "product_name": "OP1a Muxer",
    }
    tags = container_tags(found, {}, "mov")
    assert (tags["make"], tags["location"], tags["title"]) == ("Apple", "+48.2+016.3/", "one")
    assert not {"material_package_umid", "product_name", "software"} & set(tags)
    assert "make" not in container_tags(found, {}, "matroska")
    twice = {"location": "+48.2+016.3/", "location-eng": "+48.2+016.3/", "x-eng": "y"}
    assert set(container_tags(twice, {}, "matroska")) == {"location", "x-eng"}


def test_comments_of_others_are_left_alone() -> None:
    added = statement("straight")
    assert container_tags({"COMMENT": "a; b"}, added, "matroska") == {
        "comment": f"a; b; alpha: straight; {MADE_BY}",
        "alpha_storage": "straight",
    }


def test_tags_of_a_stream_that_tell_of_its_file_are_dropped() -> None:
    found = {"BPS-eng": "1", "NUMBER_OF_BYTES": "2", "DURATION": "3", "language": "sve", "x": "y"}
    assert stream_tags({**found, "handler_name": "h"}, "webm") == {"language": "swe", "x": "y"}
    assert stream_tags({"name": "n", "handler_name": "h"}, "mp4") == {
        "title": "n",
        "handler_name": "h",
    }


@pytest.mark.parametrize(
    ("timecode", "rate", "expected"),
    [
        ("01:02:03:04", PAL, "01:02:03:04"),
        ("01:02:03;04", NTSC, "01:02:03;04"),
        ("01:02:03;56", DOUBLE, "01:02:03;56"),
        ("01:02:03;04", PAL, "01:02:03:04"),
        ("01:02:03:104", Fraction(120), "01:02:03:104"),
        (" 01:02:03:04", PAL, "01:02:03:04"),
        ("one o'clock", PAL, None),
    ],
)
def test_a_timecode_fits_its_frame_rate(timecode: str, rate: Fraction, expected: str) -> None:
    assert fitting(timecode, rate) == expected


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize(
    ("timecode", "rate"),
    [("01:02:03:04", PAL), ("01:02:03;04", NTSC), ("01:02:03;56", DOUBLE), ("10:00:00:00", NTSC)],
)
@pytest.mark.parametrize("name", ["in.mov", "in.mkv", "in.mxf"])
def test_timecode_arrives_wherever_it_was_kept(
    tmp_path: Path, name: str, timecode: str, rate: Fraction, container: str
) -> None:
    clip = Clip(frames=4, rate=rate, timecode=timecode)
    if name == "in.mxf":
        clip = Clip(frames=4, rate=rate, timecode=timecode, codec="mpeg2video", options={})
    source = clip.write(tmp_path / name)
    with VideoSource(source) as frames:
        assert frames.info.timecode == timecode
    with VideoSource(deliver(source, tmp_path / f"out.{container}")) as frames:
        assert frames.info.timecode == timecode


@pytest.mark.parametrize(
    ("timecode", "sentence"),
    [
        (
            "01:02:03;04",
            "The timecode 01:02:03;04 cannot be at this frame rate; 01:02:03:04 is written.",
        ),
        ("soon", "The timecode soon cannot be read; it is left out."),
    ],
)
def test_a_timecode_that_cannot_be_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, timecode: str, sentence: str
) -> None:
    source = Clip(frames=2, timecode=timecode).write(tmp_path / "in.mkv")
    target = deliver(source, tmp_path / "out.mov")
    assert [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING] == [sentence]
    with VideoSource(target) as frames:
        assert frames.info.timecode == ("01:02:03:04" if ";" in timecode else None)


def test_the_reel_is_kept(tmp_path: Path) -> None:
    """mov keeps it in the track of the timecode."""
    source, clip = tmp_path / "in.mov", Clip(frames=2, timecode="01:00:00:00")
    with av.open(str(source), "w") as output:
        stream = clip._add_video(output)
        stream.metadata["reel_name"] = "A001"
        for index in range(2):
            output.mux(stream.encode(clip.picture(index)))
        output.mux(stream.encode(None))
    with av.open(str(deliver(source, tmp_path / "out.mov"))) as written:
        assert [stream.metadata["reel_name"] for stream in written.streams.data] == ["A001"]
    with av.open(str(deliver(source, tmp_path / "out.mkv"))) as written:
        assert written.streams.video[0].metadata["REEL_NAME"] == "A001"


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
@pytest.mark.parametrize("flips", [(False, False), (True, False), (False, True)])
def test_pictures_stand_as_they_stood(
    tmp_path: Path, degrees: int, flips: tuple[bool, bool], container: str
) -> None:
    corner = np.full((48, 64, 3), 0.2)
    corner[:16, :16] = 0.8
    clip = Clip(frames=1, rgb=corner, rotation=(degrees, *flips))
    source = clip.write(tmp_path / "in.mov")
    target = deliver(source, tmp_path / f"out.{container}")
    with VideoSource(source) as before, VideoSource(target) as after:
        assert after.info.orientation == before.info.orientation
        given, found = (next(iter(frames)).image for frames in (before, after))
    assert found.shape == given.shape
    bright = [as_unit(image).mean(0) > 0.5 for image in (given, found)]
    assert (bright[0] == bright[1]).double().mean() > 0.98


@pytest.mark.parametrize("codec", ["h264", "h265"])
def test_mp4_can_be_played_while_it_loads(tmp_path: Path, codec: str) -> None:
    source = Clap(frames=25).write(tmp_path / "in.mp4")
    target = deliver(source, tmp_path / "out.mp4", codec=codec)
    boxes = _boxes(target.read_bytes())
    assert boxes.index("moov") < boxes.index("mdat")
    with av.open(str(target)) as container:
        frames = list(container.decode(video=0))
    # Found where the index says, after all was moved.
    shades = [float(np.frombuffer(bytes(f.planes[0]), np.uint8).mean()) for f in frames]
    assert int(np.argmax(shades)) == 15


def _boxes(contents: bytes) -> list[str]:
    names, place = [], 0
    while place < len(contents):
        size, name = struct.unpack_from(">I4s", contents, place)
        if size == 1:
            (size,) = struct.unpack_from(">Q", contents, place + 8)
        names.append(name.decode())
        place += size
    return names


def test_a_header_that_cannot_be_written_is_told_before_the_work(tmp_path: Path) -> None:
    """And not after hours, when all frames are there."""
    profile = Delivery(codec="ffv1").profile_for(Path("a.mkv"), needs_alpha=True)
    wrong = replace(profile, container="webm")
    info = VideoInfo(width=64, height=48)
    sink = VideoSink(tmp_path / "out.mkv", info, wrong, output_pass=PASSES["rgba"])
    with pytest.raises(VideoError, match="refuses this movie"):
        sink.__enter__()
    assert list(tmp_path.iterdir()) == []
