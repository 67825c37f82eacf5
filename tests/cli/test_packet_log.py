"""Packets in a plain file: what is appended comes back, and only up to what was synced."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import pytest
from av.packet import Packet

from cli.formats.profiles import PROFILES
from cli.video.encoding import Encoder
from cli.video.info import VideoInfo
from cli.video.packet_log import PacketLog
from cli.video.storage import Storage
from shm_engine.passes import PASSES

BASE = Fraction(1, 90000)


def packet(number: int, data: bytes) -> Packet[Any]:
    made: Packet[Any] = Packet(data)
    made.pts, made.dts, made.duration, made.time_base = number * 3600, number * 3600, 3600, BASE
    made.is_keyframe = number % 2 == 0
    return made


def seen(packets: PacketLog) -> list[tuple[Any, ...]]:
    return [
        (p.pts, p.dts, p.duration, p.time_base, p.is_keyframe, bytes(cast("Any", p)))
        for p in packets
    ]


def test_packets_come_back_as_they_were(tmp_path: Path) -> None:
    log = PacketLog(tmp_path / "packets", BASE)
    for number, data in enumerate((b"first", b"\0" * 70000, b"x")):
        log.append(packet(number, data))
    log.sync()
    expected = [
        (0, 0, 3600, BASE, True, b"first"),
        (3600, 3600, 3600, BASE, False, b"\0" * 70000),
        (7200, 7200, 3600, BASE, True, b"x"),
    ]
    assert seen(log) == expected
    assert seen(log) == expected
    log.close()


def test_what_came_after_the_last_sync_is_cut_off(tmp_path: Path) -> None:
    log = PacketLog(tmp_path / "packets", BASE)
    log.append(packet(0, b"kept"))
    size = log.sync()
    log.append(packet(1, b"lost"))
    log.close()
    log = PacketLog(tmp_path / "packets", BASE, keep_bytes=size)
    log.append(packet(2, b"new"))
    assert [p[-1] for p in seen(log)] == [b"kept", b"new"]
    log.close()


def test_the_alpha_of_vp9_is_kept_beside_its_packet(tmp_path: Path) -> None:
    (profile,) = (profile for profile in PROFILES if profile.name == "vp9")
    info = VideoInfo(width=64, height=48)
    storage = Storage.of(profile, info, PASSES["rgba"])
    encoder = Encoder(profile, info, storage, threads=1)
    picture = av.VideoFrame(64, 48, storage.pixel_format)
    picture.pts, picture.time_base, picture.duration = 0, info.time_base, 1
    (made,) = [*encoder.encode(picture), *encoder.encode(None)]
    alpha = bytes(cast("Any", made.get_sidedata("matroska_block_additional")))
    assert len(alpha) > 8
    log = PacketLog(tmp_path / "packets", info.time_base)
    log.append(made)
    (read,) = log
    assert bytes(cast("Any", read.get_sidedata("matroska_block_additional"))) == alpha
    log.close()


def test_a_full_disk_is_an_error_at_once(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full, a disk that is always full")
    log = PacketLog(tmp_path / "packets", BASE)
    log._file.close()
    with (
        Path("/dev/full").open("wb", buffering=0) as log._file,
        pytest.raises(OSError, match="No space"),
    ):
        log.append(packet(0, b"data"))
