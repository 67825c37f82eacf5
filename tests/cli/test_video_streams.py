"""Sound that comes with a picture, in every container: in step, whole, and by its name."""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.packet import Packet
from av.stream import Disposition

from cli.formats.delivery import Delivery
from cli.jobs.time_range import TimeRange
from cli.video import VideoSource
from cli.video.assembly import Recipe, assemble
from cli.video.storage import Storage
from cli.video.streams import Window
from shm_engine.passes import PASSES
from tests.cli.claps import Clap, witness
from tests.cli.clips import sound_packets
from tests.cli.deliveries import deliver

CONTAINERS = ("mov", "mkv", "webm", "mp4")
# What nobody notices, and far less than a picture lasts.
IN_STEP = Fraction(5, 1000)
# Matroska rounds every time to a millisecond, at both ends.
ROUNDING = Fraction(2, 1000)
_LARGE, _BUFFER = 100_000, 1 << 20  # bytes of a picture, and what is kept of a file
FRAME_SAMPLES = {"aac": 1024, "opus": 960, "mp3": 1152, "mp3float": 1152, "ac3": 1536}

UNEVEN = [0, 1000, 5000, 5100, *(9000 + 4111 * index for index in range(21))]
SOURCES = {
    "aac.mp4": Clap(),
    "aac.mkv": Clap(),
    "aac_of_44100.mov": Clap(audio_rate=44100),
    "aac_of_32000.mov": Clap(audio_rate=32000),
    "mp3.mkv": Clap(audio="libmp3lame", audio_rate=44100),
    "pcm.mov": Clap(audio="pcm_s16le"),
    "opus.webm": Clap(audio="libopus", codec="libvpx"),
    "sound_is_late.mp4": Clap(audio_start=Fraction(1, 5)),
    "samples_are_late.mov": Clap(audio="pcm_s16le", audio_start=Fraction(1, 5)),
    "sound_is_early.mp4": Clap(picture_start=Fraction(1, 5)),
    "sound_is_before_zero.mp4": Clap(audio_start=Fraction(-1, 5)),
    "samples_are_before_zero.mov": Clap(audio="pcm_s16le", audio_start=Fraction(-1, 5)),
    "broadcast.ts": Clap(audio="ac3"),
    "aac_broadcast.ts": Clap(),
    "vfr.mp4": Clap(time_base=Fraction(1, 90000), pts=UNEVEN),
    "ntsc.mov": Clap(audio="pcm_s24le", rate=Fraction(30000, 1001)),
}


def within_a_frame(codec: str, rate: int) -> Fraction:
    return Fraction(FRAME_SAMPLES.get(codec, 0), rate) + ROUNDING


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("claps")
    for name, clap in SOURCES.items():
        clap.write(folder / name)
    return folder


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("name", SOURCES)
def test_click_and_picture_stay_together(
    tmp_path: Path, sources: Path, name: str, container: str
) -> None:
    before = witness(sources / name)
    after = witness(deliver(sources / name, tmp_path / f"out.{container}"))
    assert abs(before.offset) <= IN_STEP
    assert abs(after.offset) <= IN_STEP
    # A frame of a codec begins before the sound and ends after it.
    frame = within_a_frame(after.codec, after.rate)
    begins = (after.sound_start - after.picture_start) - (before.sound_start - before.picture_start)
    ends = (after.sound_end - after.picture_start) - (before.sound_end - before.picture_start)
    # In Matroska a hidden frame is heard, and the rest of the one before.
    hidden = 2 if "before_zero" in name and container == "mkv" else 1
    assert -hidden * max(frame, within_a_frame("aac", 48000)) <= begins <= ROUNDING
    assert -ROUNDING <= ends <= frame


@pytest.mark.parametrize("container", ["webm", "mp4"])
@pytest.mark.parametrize(
    ("name", "clap", "layout"),
    [
        ("in.mov", Clap(audio="pcm_s16le", layout="5.1"), "5.1"),
        ("in.mov", Clap(audio="pcm_s16le", layout="7.1"), "7.1"),
        ("in.mov", Clap(audio="pcm_s16le", layout="mono"), "mono"),
        # Matroska does not say which channel is which.
        ("in.mkv", Clap(audio="pcm_s16le", layout="5.1"), "5.1"),
        ("in.mkv", Clap(audio="pcm_s16le", layout="mono"), "mono"),
        ("in.mov", Clap(audio="pcm_s16le", layout="quad"), "5.0"),
        ("in.mov", Clap(audio="pcm_s16le", layout="2.1"), "5.1"),
        ("in.mov", Clap(audio="pcm_s24le", audio_rate=96000), "stereo"),
        ("in.mov", Clap(audio="pcm_s24le", audio_rate=192000), "stereo"),
        ("in.mov", Clap(audio="pcm_s16le", audio_rate=8000, layout="mono"), "mono"),
    ],
)
def test_every_layout_and_rate_is_encoded(
    tmp_path: Path, name: str, clap: Clap, layout: str, container: str
) -> None:
    target = deliver(clap.write(tmp_path / name), tmp_path / f"out.{container}")
    after = witness(target)
    assert after.codec == {"webm": "opus", "mp4": "aac"}[container]
    assert after.layout == layout
    assert abs(after.offset) <= IN_STEP


@pytest.mark.parametrize("container", ["webm", "mkv", "mov"])
def test_surround_of_a_broadcast_is_kept(tmp_path: Path, container: str) -> None:
    """AC-3 has its rear speakers at the side, where Opus has none."""
    source = Clap(audio="ac3", layout="5.1(side)").write(tmp_path / "in.mkv")
    after = witness(deliver(source, tmp_path / f"out.{container}"))
    assert after.layout == ("5.1" if container == "webm" else "5.1(side)")
    assert abs(after.offset) <= IN_STEP


@pytest.mark.parametrize("container", CONTAINERS)
def test_tracks_keep_language_title_and_role(tmp_path: Path, container: str) -> None:
    source = tmp_path / "in.mkv"
    roles = {
        "deu": ("Ton auf Deutsch", Disposition.default),
        "eng": ("Commentary", Disposition.comment),
        "fre": ("", Disposition.forced),
    }
    single = Clap(frames=4, clap=2).write(tmp_path / "single.mp4")
    with av.open(str(single)) as given, av.open(str(source), "w") as output:
        picture = output.add_stream_from_template(given.streams.video[0])
        tracks = []
        for language, (title, role) in roles.items():
            track = output.add_stream_from_template(given.streams.audio[0])
            track.metadata["language"] = language
            if title:
                track.metadata["title"] = title
            track.disposition = role
            tracks.append(track)
        for packet in given.demux():
            for stream in [picture] if packet.stream.type == "video" else tracks:
                if packet.dts is not None:
                    packet.stream = stream
                    output.mux(packet)
    target = deliver(source, tmp_path / f"out.{container}")
    with av.open(str(target)) as found:
        tags = [track.metadata for track in found.streams.audio]
        languages = [str(tag["language"]) for tag in tags]
        titles = [tag.get("title", tag.get("name", "")) for tag in tags]
        kept = [track.disposition for track in found.streams.audio]
        assert all("DURATION" not in tag or container in ("mkv", "webm") for tag in tags)
        assert not any("ENCODER" in {key.upper() for key in tag} for tag in tags)
    # QuickTime has one name of two for a language.
    expected = ["ger", "eng", "fra"] if container == "mov" else list(roles)
    assert languages == expected
    assert titles == [title for title, _ in roles.values()]
    assert kept[0] & Disposition.default
    # QuickTime has no roles, WebM not that of a comment.
    others = [role & ~Disposition.default for role in kept[1:]]
    has_comments = container in ("mkv", "mp4")
    assert others[0] == (Disposition.comment if has_comments else Disposition(0))
    assert others[1] == (Disposition.forced if container != "mov" else Disposition(0))


@pytest.mark.parametrize("container", ["webm", "mp4"])
@pytest.mark.parametrize("audio", ["pcm_s16le", "vorbis"])
def test_a_gap_in_the_sound_becomes_silence(tmp_path: Path, audio: str, container: str) -> None:
    """Without it all that follows would be heard too early."""
    gap = (Fraction(1, 5), Fraction(2, 5))
    source = Clap(audio=audio, pauses=[gap]).write(tmp_path / "in.mkv")
    after = witness(deliver(source, tmp_path / f"out.{container}"))
    assert abs(after.offset) <= IN_STEP


def test_times_that_a_container_rounded_are_made_exact(tmp_path: Path) -> None:
    source = Clap().write(tmp_path / "in.mkv")
    target = deliver(source, tmp_path / "out.mov")
    times = [time for time, _ in sound_packets(target)]
    steps = {after - before for before, after in pairwise(times)}
    assert steps == {Fraction(1024, 48000)}
    assert abs(times[0] - sound_packets(source)[0][0]) <= Fraction(1, 1000)


def test_sound_that_goes_back_in_time_does_not_end_the_work(tmp_path: Path) -> None:
    good = Clap(audio="ac3").write(tmp_path / "good.mkv")
    contents = bytearray(good.read_bytes())
    packets = sound_packets(good)
    with av.open(str(good)) as movie:
        places = [p.pos or 0 for p in movie.demux(audio=0) if p.size]
    for place, (_, data) in list(zip(places, packets, strict=True))[8:12]:
        stamp = contents.index(data, place) - 3  # of Matroska's block, before a byte of flags
        (time,) = struct.unpack_from(">h", contents, stamp)
        struct.pack_into(">h", contents, stamp, time - 100)
    source = tmp_path / "in.mkv"
    source.write_bytes(contents)
    assert any(after < before for (before, _), (after, _) in pairwise(sound_packets(source)))
    for container in ("mov", "mp4", "mkv"):
        target = deliver(source, tmp_path / f"out.{container}")
        assert [data for _, data in sound_packets(target)] == [data for _, data in packets]
        times = [time for time, _ in sound_packets(target)]
        assert times == sorted(times)
    after = witness(deliver(source, tmp_path / "out.webm"))
    assert abs(after.offset) <= IN_STEP


@pytest.mark.parametrize("container", CONTAINERS)
def test_damaged_sound_does_not_end_the_work(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, container: str
) -> None:
    good = Clap(audio="ac3").write(tmp_path / "good.mkv")
    source = tmp_path / "in.mkv"
    with av.open(str(good)) as given, av.open(str(source), "w") as output:
        streams = {
            stream.index: output.add_stream_from_template(stream) for stream in given.streams
        }
        for number, packet in enumerate(given.demux()):
            if packet.dts is None:
                continue
            made = packet
            if packet.stream.type == "audio" and number in (8, 9):
                made = Packet(bytes(64))
                made.pts, made.dts, made.time_base = packet.pts, packet.dts, packet.time_base
                made.duration = packet.duration
            made.stream = streams[packet.stream.index]
            output.mux(made)
    target = deliver(source, tmp_path / f"out.{container}")
    said = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    if container == "mkv":  # which looks at no sound, and takes it all
        assert sound_packets(target) == sound_packets(source)
        return
    assert abs(witness(target).offset) <= IN_STEP
    if container == "webm":
        assert said == ["The sound of in.mkv is damaged; silence stands for what cannot be read."]
    else:
        assert said == ["A part of the sound of in.mkv is damaged."]


@pytest.mark.parametrize(
    ("container", "audio", "layouts"),
    [
        ("webm", "ac3", ("stereo", "5.1(side)")),
        ("webm", "ac3", ("5.1(side)", "stereo")),
        ("mp4", "mp2", ("mono", "stereo")),
    ],
)
def test_sound_that_changes_its_layout_on_the_way_stays_in_step(
    tmp_path: Path, container: str, audio: str, layouts: tuple[str, str]
) -> None:
    """Broadcasts do so."""
    halves = [
        Clap(audio=audio, layout=layout).write(tmp_path / f"{number}.mkv")
        for number, layout in enumerate(layouts)
    ]
    source = tmp_path / "in.mkv"
    with (
        av.open(str(halves[0])) as first,
        av.open(str(halves[1])) as second,
        av.open(str(source), "w") as output,
    ):
        picture, sound = (output.add_stream_from_template(stream) for stream in first.streams)
        begun = [packet for packet in first.demux() if packet.size]
        packets: list[Packet[Any]] = [
            p for p in begun if p.stream.type == "video" or _seconds(p) < 0.4
        ]
        packets += [p for p in second.demux(audio=0) if p.size and _seconds(p) >= 0.4]
        for packet in sorted(packets, key=_seconds):
            packet.stream = picture if packet.stream.type == "video" else sound
            output.mux(packet)
    after = witness(deliver(source, tmp_path / f"out.{container}"))
    # Of the two FFmpeg takes one for the layout of the whole.
    assert after.layout in [layout.removesuffix("(side)") for layout in layouts]
    assert abs(after.offset) <= IN_STEP
    assert float(after.sound_end) == pytest.approx(1, abs=0.04)


def _seconds(packet: Packet[Any]) -> float:
    return float((packet.dts or 0) * packet.time_base)


def test_what_an_edit_list_hides_is_not_heard(tmp_path: Path) -> None:
    source = Clap(audio="pcm_s16le", audio_start=Fraction(-2, 5)).write(tmp_path / "in.mov")
    after = witness(deliver(source, tmp_path / "out.mkv"))
    assert after.picture_start - after.sound_start <= within_a_frame("aac", 48000)


def test_pictures_are_written_as_they_come_however_rare_the_rest(tmp_path: Path) -> None:
    """FFmpeg would hold pictures back until every other track has something to say, for up to ten
    seconds; of large pictures that is gigabytes."""
    source = Clap(frames=100, audio_start=Fraction(7, 2), clap=95).write(tmp_path / "in.mov")
    target = tmp_path / "out.mov"
    profile = Delivery().profile_for(target, needs_alpha=True)
    with VideoSource(source) as frames:
        info = frames.info
    recipe = Recipe(
        info=info,
        profile=profile,
        storage=Storage.of(profile, info, PASSES["rgba"]),
        window=Window(),
        streams_from=source,
    )
    held = []

    def packets() -> Iterator[Packet[Any]]:
        for index in range(100):
            held.append(index * _LARGE - (target.stat().st_size if index else 0))
            packet: Packet[Any] = Packet(bytes(_LARGE))
            packet.pts = packet.dts = index
            packet.duration, packet.time_base, packet.is_keyframe = 1, Fraction(1, 25), True
            yield packet

    assemble(packets(), target, recipe)
    assert max(held) <= _BUFFER + 3 * _LARGE
    with av.open(str(target)) as container:
        found = sorted((p.pos or 0, p.stream.type) for p in container.demux() if p.size)
    kinds = [kind for _, kind in found]
    assert 80 <= kinds.index("audio") <= 90  # where it is due, and not at the end


def test_a_part_has_the_sound_and_the_clap_of_its_part(tmp_path: Path) -> None:
    from cli.jobs.job import Job
    from cli.jobs.performing import perform
    from cli.progress import Silence
    from tests.cli.test_ranges import Flat

    source = Clap(frames=50, clap=30).write(tmp_path / "in.mp4")
    for container in ("mov", "mkv", "webm"):
        target = tmp_path / f"part.{container}"
        job = Job(source=source, target=target, time_range=TimeRange.parse("0.8s-1.6s"))
        assert perform(job, Silence(), lambda *_: Flat(1)) == 20  # type: ignore[arg-type]
        after = witness(target)
        assert abs(after.offset) <= IN_STEP
        assert float(after.white - after.picture_start) == pytest.approx(0.4, abs=0.002)
        length = after.sound_end - after.sound_start
        assert abs(length - Fraction(4, 5)) <= within_a_frame("aac", 48000)


def test_what_becomes_of_sound_is_said_before_the_work_begins(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="cli.video")
    source = Clap(frames=4, clap=2).write(tmp_path / "in.mp4")
    deliver(source, tmp_path / "out.webm")
    said = [r.getMessage() for r in caplog.records if "sound" in r.getMessage()]
    assert said == ["The sound is stored as opus: webm cannot hold aac."]


def test_quiet_stays_quiet(tmp_path: Path) -> None:
    """Memory that is not cleared would be noise in a gap."""
    gap = (Fraction(1, 5), Fraction(2, 5))
    source = Clap(audio="pcm_s16le", layout="7.1", pauses=[gap]).write(tmp_path / "in.mkv")
    target = deliver(source, tmp_path / "out.webm")
    with av.open(str(target)) as container:
        for frame in container.decode(audio=0):
            assert frame.pts is not None
            assert frame.time_base is not None
            now = frame.pts * frame.time_base
            if gap[0] + Fraction(3, 100) < now < gap[1] - Fraction(3, 100):
                samples = np.frombuffer(bytes(frame.planes[0]), np.float32)[: frame.samples]
                assert np.abs(samples).max() < 1e-3
