"""What comes with a picture beside sound: subtitles, chapters, data, fonts and covers."""

from __future__ import annotations

import logging
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import pytest
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Disposition
from av.subtitles.stream import SubtitleStream
from av.subtitles.subtitle import SubtitleSet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from cli.jobs.job import Job
from cli.jobs.performing import perform
from cli.jobs.time_range import TimeRange
from cli.progress import Silence
from cli.video.chapters import in_window
from cli.video.streams import Window
from tests.cli.clips import Clip
from tests.cli.deliveries import deliver
from tests.cli.test_ranges import Flat

FRAMES = 50
RATE = 25
CONTAINERS = ("mov", "mkv", "webm", "mp4")
MILLISECOND = Fraction(1, 1000)
ASS_HEADER = b"""[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, \
Bold, Italic, Underline, StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, \
Shadow, Alignment, MarginL, MarginR, MarginV, Encoding
Style: Default,Arial,16,&Hffffff,&Hffffff,&H0,&H0,0,0,0,0,100,100,0,0,1,1,0,2,10,10,10,0

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""
#: begin and end in milliseconds, and what is said
TEXTS = ((200, 600, "Grüß Gott"), (1000, 1400, "zweite\\NZeile"), (1500, 1900, "緑"))
CHAPTERS = ((0, 600, "Erstes Kapitel ü"), (600, 1300, "Zwei"), (1300, 2000, "緑"))


def write(path: Path, add: Callable[[OutputContainer], list[Packet[Any]]], codec: str) -> Path:
    """A movie of two seconds, and what `add` adds."""
    with av.open(str(path), "w") as output:
        picture = cast("VideoStream", output.add_stream(codec, rate=RATE))
        picture.width, picture.height, picture.pix_fmt = 32, 32, "yuv420p"
        packets = add(output)
        for index in range(FRAMES):
            frame = VideoFrame(32, 32, "yuv420p")
            for plane in frame.planes:
                plane.update(bytes([100]) * plane.buffer_size)
            frame.pts, frame.time_base = index, Fraction(1, RATE)
            output.mux(picture.encode(frame))
            while packets and (packets[0].pts or 0) * packets[0].time_base <= index / RATE:
                output.mux(packets.pop(0))
        output.mux(picture.encode(None))
    return path


def with_subtitles(path: Path, codec: str) -> Path:
    def add(output: OutputContainer) -> list[Packet[Any]]:
        stream = cast("SubtitleStream", output.add_stream(codec))
        context = stream.codec_context
        context.subtitle_header = ASS_HEADER
        context.time_base = stream.time_base = MILLISECOND
        stream.metadata.update(language="ger", title="Für alle")
        stream.disposition = Disposition.forced
        packets = []
        for begin, end, text in TEXTS:
            event = b"0,0,Default,,0,0,0,," + text.encode()
            packet = context.encode_subtitle(SubtitleSet.create(event, 0, end - begin))
            packet.stream = stream
            packet.pts = packet.dts = begin
            packet.duration, packet.time_base = end - begin, MILLISECOND
            packets.append(packet)
        return packets

    return write(path, add, "libvpx" if path.suffix == ".webm" else "libx264")


def texts_of(path: Path) -> list[tuple[int, int, str]]:
    """As TEXTS."""
    found = []
    with av.open(str(path)) as container:
        stream = container.streams.subtitles[0]
        for packet in container.demux(stream):
            shown = stream.codec_context.decode2(packet) if packet.size else None
            for rect in shown or ():
                begin = (packet.pts or 0) * packet.time_base
                end = begin + (packet.duration or 0) * packet.time_base
                text = cast("Any", rect).ass.split(b",", 8)[-1].decode()
                found.append((round(begin * 1000), round(end * 1000), text))
    return found


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("in.mov", "mov_text"),
        ("in.mp4", "mov_text"),
        ("in.mkv", "subrip"),
        ("in.mkv", "ass"),
        ("in.mkv", "webvtt"),
        ("in.webm", "webvtt"),
    ],
)
def test_subtitles_keep_their_words_times_and_name(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, codec: str, container: str
) -> None:
    source = with_subtitles(tmp_path / name, codec)
    target = deliver(source, tmp_path / f"out.{container}")
    assert texts_of(target) == list(TEXTS)
    with av.open(str(target)) as found:
        (stream,) = found.streams.subtitles
        assert stream.metadata["language"] == "ger"
        assert stream.metadata.get("title", stream.metadata.get("name")) == "Für alle"
        if "mov" not in (container, source.suffix[1:]):  # which has no roles
            assert stream.disposition & Disposition.forced
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize("container", CONTAINERS)
def test_subtitles_that_are_pictures_are_copied_or_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, container: str
) -> None:
    def add(output: OutputContainer) -> list[Packet[Any]]:
        stream = output.add_stream("dvdsub")
        stream.codec_context.time_base = stream.time_base = MILLISECOND
        packet: Packet[Any] = Packet(bytes(range(50)))
        packet.stream, packet.time_base = stream, MILLISECOND
        packet.pts = packet.dts = 400
        packet.duration = 500
        return [packet]

    source = write(tmp_path / "in.mkv", add, "libx264")
    target = deliver(source, tmp_path / f"out.{container}")
    warnings = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    if container in ("mkv", "mp4"):
        assert [data for _, _, data in _packets(target)] == [bytes(range(50))]
        assert warnings == []
    else:
        reason = f"{container} cannot hold dvd_subtitle"
        assert warnings == [f"A track of subtitles of in.mkv is left out: {reason}."]


def test_subtitles_are_copied_where_they_can_be(tmp_path: Path) -> None:
    for name, codec in (("in.mov", "mov_text"), ("in.mkv", "ass")):
        source = with_subtitles(tmp_path / name, codec)
        target = deliver(source, tmp_path / f"out{source.suffix}")
        assert _packets(target) == _packets(source)


def _packets(path: Path) -> list[tuple[int | None, int | None, bytes]]:
    with av.open(str(path)) as container:
        return [
            (packet.pts, packet.duration, bytes(cast("Any", packet)))
            for packet in container.demux(container.streams.subtitles[0])
            if packet.size
        ]


def test_a_part_shows_the_subtitles_and_chapters_of_its_part(tmp_path: Path) -> None:
    source = tmp_path / "in.mkv"

    def add(output: OutputContainer) -> list[Packet[Any]]:
        set_chapters(output)
        return []

    write(source, add, "libx264")
    spoken = with_subtitles(tmp_path / "spoken.mkv", "subrip")
    part = TimeRange.parse("0.4s-1.6s")
    for container in CONTAINERS:
        for path in (source, spoken):
            job = Job(
                source=path,
                target=tmp_path / f"{path.stem}.part.{container}",
                pass_name="alpha",
                time_range=part,
            )
            perform(job, Silence(), lambda *_: Flat(1))  # type: ignore[arg-type]
        words = texts_of(tmp_path / f"spoken.part.{container}")
        assert words == [(0, 200, TEXTS[0][2]), (600, 1000, TEXTS[1][2]), (1100, 1200, "緑")]
        assert chapters_of(tmp_path / f"in.part.{container}") == [
            (0, 200, "Erstes Kapitel ü"),
            (200, 900, "Zwei"),
            (900, 1200, "緑"),
        ]


def set_chapters(output: OutputContainer) -> None:
    output.set_chapters(
        [
            {
                "id": number,
                "start": start,
                "end": end,
                "time_base": MILLISECOND,
                "metadata": {"title": title},
            }
            for number, (start, end, title) in enumerate(CHAPTERS, 1)
        ]
    )


def chapters_of(path: Path) -> list[tuple[int, int, str]]:
    """As CHAPTERS."""
    with av.open(str(path)) as container:
        return [
            (
                round(chapter["start"] * Fraction(chapter["time_base"] or 1) * 1000),
                round(chapter["end"] * Fraction(chapter["time_base"] or 1) * 1000),
                chapter["metadata"]["title"],
            )
            for chapter in container.chapters()
        ]


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("name", ["in.mkv", "in.mov", "in.mp4", "in.webm"])
def test_chapters_keep_their_titles_and_times(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, container: str
) -> None:
    def add(output: OutputContainer) -> list[Packet[Any]]:
        set_chapters(output)
        return []

    source = write(tmp_path / name, add, "libvpx" if name == "in.webm" else "libx264")
    target = deliver(source, tmp_path / f"out.{container}")
    assert chapters_of(target) == list(CHAPTERS)
    # In mov they are a track, which is no stream that is lost.
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def _chapter(start: int, end: int) -> dict[str, Any]:
    return {"id": 7, "start": start, "end": end, "time_base": MILLISECOND, "metadata": {}}


@pytest.mark.parametrize(
    ("chapters", "window", "expected"),
    [
        # FFmpeg gives a chapter whose end it does not know the end of its beginning.
        ([(0, 0), (600, 600)], Window(), [(0, 600), (600, 2000)]),
        ([(0, 0), (600, 600)], Window(end=Fraction(1)), [(0, 600), (600, 1000)]),
        ([(0, 900)], Window(delay=Fraction(1, 2)), [(500, 1400)]),
        (
            [(0, 600), (600, 2000)],
            Window(begin=Fraction(1), end=Fraction(3, 2), delay=Fraction(-1)),
            [(0, 500)],
        ),
        ([(1999, 1999), (2000, 2000)], Window(), [(1999, 2000), (2000, 2001)]),
    ],
)
def test_chapters_are_cut_and_moved_with_the_picture(
    chapters: list[tuple[int, int]], window: Window, expected: list[tuple[int, int]]
) -> None:
    found = in_window([_chapter(*pair) for pair in chapters], window, Fraction(2))
    assert [(chapter["start"], chapter["end"]) for chapter in found] == expected
    assert [chapter["id"] for chapter in found] == list(range(1, len(expected) + 1))


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("codec", ["klv", "bin_data"])
def test_data_that_cannot_be_copied_is_told_once_a_stream(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, codec: str, container: str
) -> None:
    def add(output: OutputContainer) -> list[Packet[Any]]:
        packets: list[Packet[Any]] = []
        for _ in range(2):
            stream = output.add_data_stream(codec)
            packet: Packet[Any] = Packet(b"\x06\x0e+4\x02\x0b\x01\x01" + bytes(20))
            packet.stream, packet.time_base = stream, Fraction(1, 90000)
            packet.pts = packet.dts = 0
            packets.append(packet)
        return packets

    source = write(tmp_path / "in.ts", add, "libx264")
    target = deliver(source, tmp_path / f"out.{container}")
    kind = "matroska" if container == "mkv" else container
    sentence = f"A data stream ({codec}) of in.ts is left out: it cannot be copied to {kind}."
    assert [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING] == [
        sentence
    ] * 2
    with av.open(str(target)) as found:
        assert not found.streams.data


@pytest.mark.parametrize("container", CONTAINERS)
def test_what_a_camera_measures_stays_in_mov_and_mp4(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, container: str
) -> None:
    source = with_subtitles(tmp_path / "in.mov", "mov_text")
    # FFmpeg writes no such track but by copying one: a track of text is made one.
    contents = source.read_bytes().replace(b"SubtitleHandler", b"GoPro MET\0\0\0\0\0\0")
    source.write_bytes(contents.replace(b"text", b"gpmd"))
    with av.open(str(source)) as given:
        assert [stream.name for stream in given.streams.data] == ["bin_data"]
        sent = [bytes(cast("Any", packet)) for packet in given.demux(given.streams.data[0])]
    target = deliver(source, tmp_path / f"out.{container}")
    warnings = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    with av.open(str(target)) as found:
        if container in ("mov", "mp4"):
            (stream,) = found.streams.data
            assert stream.metadata["handler_name"] == "GoPro MET"
            assert [bytes(cast("Any", packet)) for packet in found.demux(stream)] == sent
            assert warnings == []
        else:
            assert not found.streams.data
            assert len(warnings) == 1
            assert "A data stream (GoPro MET) of in.mov is left out" in warnings[0]


@pytest.mark.parametrize("container", CONTAINERS)
def test_fonts_and_covers_are_kept_where_there_is_a_place(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, container: str
) -> None:
    font, cover = b"\0\1\0\0" + bytes(200), _picture()

    def add(output: OutputContainer) -> list[Packet[Any]]:
        output.add_attachment("Schrift.ttf", "application/x-truetype-font", font)
        output.add_attachment("cover.jpg", "image/jpeg", cover)
        return []

    source = write(tmp_path / "in.mkv", add, "libx264")
    target = deliver(source, tmp_path / f"out.{container}")
    warnings = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    with av.open(str(target)) as found:
        attached = {
            stream.metadata["filename"]: stream.data for stream in found.streams.attachments
        }
        covers = [
            stream for stream in found.streams if stream.disposition & Disposition.attached_pic
        ]
        if container == "mkv":
            assert attached == {"Schrift.ttf": font}
            assert warnings == []
        else:
            assert attached == {}
            kind = f"{container} has no attachments"
            assert warnings == [f"The attachment Schrift.ttf of in.mkv is left out: {kind}."]
        assert len(covers) == (1 if container in ("mkv", "mp4") else 0)
        for stream in covers:
            assert bytes(cast("Any", next(found.demux(stream)))) == cover
        assert len(list(found.decode(video=0))) == FRAMES


def _picture() -> bytes:
    encoder = cast("Any", av.CodecContext.create("mjpeg", "w"))
    encoder.width, encoder.height, encoder.pix_fmt = 16, 16, "yuvj420p"
    encoder.time_base = Fraction(1, RATE)
    frame = VideoFrame(16, 16, "yuvj420p")
    for plane in frame.planes:
        plane.update(bytes([90]) * plane.buffer_size)
    frame.pts = 0
    return b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])


def test_a_cover_of_mp4_stays_beside_a_part(tmp_path: Path) -> None:
    def add(output: OutputContainer) -> list[Packet[Any]]:
        output.add_attachment("cover.jpg", "image/jpeg", _picture())
        return []

    source = deliver(write(tmp_path / "in.mkv", add, "libx264"), tmp_path / "in.mp4")
    target = tmp_path / "part.mp4"
    part = TimeRange.parse("1s-2s")
    job = Job(source=source, target=target, pass_name="alpha", time_range=part)
    perform(job, Silence(), lambda *_: Flat(1))  # type: ignore[arg-type]
    with av.open(str(target)) as found:
        assert [bool(s.disposition & Disposition.attached_pic) for s in found.streams.video] == [
            False,
            True,
        ]


def test_a_track_of_timecode_is_not_there_twice(tmp_path: Path) -> None:
    clip = Clip(frames=4, timecode="01:02:03:04")
    for suffix in ("mov", "mp4"):
        source = clip.write(tmp_path / f"in.{suffix}")
        target = deliver(source, tmp_path / f"out.{suffix}")
        with av.open(str(target)) as found:
            assert [stream.metadata["timecode"] for stream in found.streams.data] == ["01:02:03:04"]
