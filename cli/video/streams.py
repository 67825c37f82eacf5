"""Sound, subtitles and the rest from one movie into another, in step with the picture."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Discard, Disposition, Stream
from av.subtitles.stream import SubtitleStream

from cli.formats.addresses import address_of
from cli.video.files import decoder_name, open_address, open_movie
from cli.video.sound import EncodedSound
from cli.video.tracks import ConvertedText, CopiedTrack, Track, codec_of, is_held

log = logging.getLogger(__name__)

# Uncompressed sound in mp4 is allowed, and next to nothing plays it.
_IN_MP4 = ("aac", "mp3", "ac3", "eac3", "alac", "flac", "opus")
# What a container has for subtitles that are text, and what is text.
_TEXT_OF = {"mov": "mov_text", "mp4": "mov_text", "matroska": "subrip", "webm": "webvtt"}
_TEXTS = ("ass", "mov_text", "ssa", "subrip", "text", "webvtt")
# FFmpeg's name for what GoPro cameras measure, of all data in QuickTime the one kind that it writes
# as it should; from elsewhere it may be anything.
_MEASUREMENTS, _QUICKTIME = "bin_data", "mov,mp4"
# How much later than its end a window is looked for in a file whose streams are not in step.
_OUT_OF_STEP_SECONDS = 10


@dataclass(frozen=True, kw_only=True)
class Window:
    """Which part of a source is written, and when: source seconds plus `delay`.

    begin, end: source seconds; None is where the source begins and ends.
    """

    begin: Fraction | None = None
    end: Fraction | None = None
    delay: Fraction = Fraction(0)

    def shows(self, seconds: Fraction) -> bool:
        """Whether a moment of the source is part of it."""
        return (self.begin is None or seconds >= self.begin) and (
            self.end is None or seconds < self.end
        )


class StreamCopy:
    """All streams of `path` but its picture, for `output`; opens the file a second time and keeps
    one packet.

    remarks: what becomes of streams that the container cannot hold as they are, for the log; with
        the level.
    """

    def __init__(self, path: Path, output: OutputContainer, window: Window) -> None:
        self._path = path
        self._window = window
        self._output = output
        self.remarks: list[tuple[int, str]] = []
        self._is_damaged = False
        address = address_of(path)
        self._container = open_movie(path) if address is None else open_address(address)
        self._tracks: dict[int, Track] = {}
        for stream in self._container.streams:
            track = self._track_for(stream)
            if track is not None:
                self._tracks[stream.index] = track
        self._packets = self._read()
        self._next = next(self._packets, None)

    @property
    def chapters(self) -> list[Any]:
        """As PyAV gives them."""
        return list(self._container.chapters())

    @property
    def end(self) -> Fraction | None:
        """When the source ends, in its seconds; None if it does not say."""
        if self._container.duration is None:
            return None
        start = self._container.start_time or 0
        return Fraction(start + self._container.duration, av.time_base)

    def write_until(self, seconds: Fraction | None) -> None:
        """Write what comes before `seconds` and was not written yet; None: all the rest."""
        while self._next is not None and (
            seconds is None or _time(self._next) + self._window.delay <= seconds
        ):
            packet = self._next
            if packet.stream.type == "subtitle":
                _cut(packet, self._window)
            if self._is_shown(packet):
                self._mux(self._tracks[packet.stream.index].packets(packet))
            self._next = next(self._packets, None)
        if seconds is None:
            for track in self._tracks.values():
                self._mux(track.rest())

    def tell_of_damage(self) -> None:
        """Log, once, that some of it cannot be used."""
        if not self._is_damaged:
            self._is_damaged = True
            log.warning("A part of the sound of %s is damaged.", self._path.name)

    def close(self) -> None:
        """Close the file that was opened for reading."""
        self._packets.close()
        self._container.close()

    def _track_for(self, stream: Stream) -> Track | None:
        try:
            if isinstance(stream, AudioStream):
                return self._sound(stream)
            if isinstance(stream, SubtitleStream):
                return self._subtitles(stream)
            return self._other(stream)
        except (ValueError, av.FFmpegError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            self._leave_out(f"A {stream.type} stream", reason)
            return None

    def _sound(self, stream: AudioStream) -> Track | None:
        if decoder_name(stream) is None:
            self._leave_out("A sound track", "there is no decoder for it here")
            return None
        container = self._output.format.name
        is_played = container != "mp4" or codec_of(stream) in _IN_MP4
        if is_played and is_held(stream, self._output):
            return CopiedTrack(stream, self._output, self._window.delay)
        track = EncodedSound(stream, self._output, self._window.delay)
        self._say(
            f"The sound is stored as {track.codec}: {container} cannot hold {codec_of(stream)}."
        )
        return track

    def _subtitles(self, stream: SubtitleStream) -> Track | None:
        container, codec = self._output.format.name, codec_of(stream)
        if is_held(stream, self._output):
            return CopiedTrack(stream, self._output, self._window.delay)
        if codec in _TEXTS:
            text = _TEXT_OF[container]
            self._say(f"Subtitles are stored as {text}: {container} cannot hold {codec}.")
            return ConvertedText(stream, self._output, text, self._window.delay)
        self._leave_out("A track of subtitles", f"{container} cannot hold {codec}")
        return None

    def _other(self, stream: Stream) -> Track | None:
        """What is neither picture nor sound nor text."""
        container = self._output.format.name
        if stream.disposition & Disposition.attached_pic:
            return self._cover(stream)
        if stream.type == "attachment":
            if container == "matroska":
                self._output.add_stream_from_template(stream)
            else:
                name = stream.metadata.get("filename", "without a name")
                self._leave_out(f"The attachment {name}", f"{container} has no attachments")
        elif stream.type == "data" and not _is_made_anew(stream):
            is_known = stream.name == _MEASUREMENTS and _QUICKTIME in self._container.format.name
            if is_known and is_held(stream, self._output):
                return CopiedTrack(stream, self._output, self._window.delay)
            kind = stream.metadata.get("handler_name", "").strip() or stream.name or "unknown"
            self._leave_out(f"A data stream ({kind})", f"it cannot be copied to {container}")
        return None

    def _cover(self, stream: Stream) -> Track | None:
        """A picture for the shelf, which nobody misses."""
        if self._output.format.name == "mp4" and is_held(stream, self._output):
            return CopiedTrack(stream, self._output, self._window.delay)
        if self._output.format.name == "matroska" and address_of(self._path) is None:
            kind = "png" if codec_of(stream) == "png" else "jpeg"
            name = stream.metadata.get("filename", f"cover.{kind.replace('e', '')}")
            with open_movie(self._path) as again:
                picture = next(again.demux(again.streams[stream.index]))
                self._output.add_attachment(name, f"image/{kind}", bytes(cast("Any", picture)))
        return None

    def _say(self, sentence: str) -> None:
        self.remarks.append((logging.INFO, sentence))

    def _leave_out(self, what: str, reason: str) -> None:
        sentence = f"{what} of {self._path.name} is left out: {reason}."
        self.remarks.append((logging.WARNING, sentence))

    def _mux(self, packets: Iterable[Packet[Any]]) -> None:
        for packet in packets:
            try:
                self._output.mux(packet)
            except av.FFmpegError:  # which a full disk is not, see OutputFile
                self.tell_of_damage()

    def _is_shown(self, packet: Packet[Any]) -> bool:
        is_cover = packet.stream.disposition & Disposition.attached_pic
        return bool(is_cover) or self._window.shows(_time(packet))

    def _read(self) -> Generator[Packet[Any], None, None]:
        streams = tuple(s for s in self._container.streams if s.index in self._tracks)
        for stream in self._container.streams:
            if stream.index not in self._tracks:
                stream.discard = Discard.all  # a whole picture need not be read to be left out
        if not streams:
            return
        end = self._window.end
        try:
            for packet in self._container.demux(streams):
                if end is not None and _time(packet) > end + _OUT_OF_STEP_SECONDS:
                    return
                if packet.is_corrupt:
                    self.tell_of_damage()
                elif packet.size:
                    yield packet
        except av.FFmpegError:
            log.warning("The sound of %s is damaged; it ends early.", self._path.name)


def _time(packet: Packet[Any]) -> Fraction:
    """When a packet is due in its source; before everything if it does not say."""
    stamp = packet.dts if packet.dts is not None else packet.pts
    return Fraction(-1) if stamp is None else stamp * packet.time_base


def _cut(packet: Packet[Any], window: Window) -> None:
    """Have a text that is shown for a while keep to the window; one outside of it stays there."""
    if packet.pts is None or not packet.duration:
        return
    unit = packet.time_base
    first, last = packet.pts * unit, (packet.pts + packet.duration) * unit
    if window.begin is not None and first < window.begin < last:
        first = window.begin
    if window.end is not None and first < window.end:
        last = min(last, window.end)
    packet.pts = packet.dts = round(first / unit)
    packet.duration = round((last - first) / unit)


def _is_made_anew(stream: Stream) -> bool:
    """Whether this is a track of timecode, or of chapters, which come out of metadata."""
    if stream.discard == Discard.all:  # a text for every chapter, which players do not show
        return True
    is_timecode = "timecode" in stream.metadata or "TimeCode" in stream.metadata.get(
        "handler_name", ""
    )
    return is_timecode and stream.name != _MEASUREMENTS
