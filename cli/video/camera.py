"""Cameras: which there are, and one of them as pictures that do not wait."""

from __future__ import annotations

import errno
import sys
import threading
import time
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from cli.video.describing import describe
from cli.video.live import TIME_BASE, live_info, stamp
from cli.video.reading import RgbReader
from shm_engine.errors import VideoError
from shm_engine.types import Frame

# FFmpeg's name for what cameras are on a system, and what to ask of them, the best first: without
# being asked some give their largest picture at 5 a second, and others refuse what they cannot do.
_FORMATS = {"linux": "v4l2", "darwin": "avfoundation", "win32": "dshow"}
_WISHES: Mapping[str, tuple[dict[str, str], ...]] = {
    "v4l2": ({"video_size": "1280x720", "framerate": "30", "input_format": "mjpeg"}, {}),
    "avfoundation": ({"video_size": "1280x720", "framerate": "30"}, {"framerate": "30"}, {}),
    "dshow": ({"video_size": "1280x720", "framerate": "30"}, {}),
}
_SENTENCES = {
    errno.ENOENT: "there is no camera at {name}; plug one in, or give a clip instead",
    errno.ENODEV: "there is no camera at {name}; plug one in, or give a clip instead",
    errno.EBUSY: "the camera {name} is in use; close the program that uses it",
    errno.EACCES: "the camera {name} may not be used; allow it (on Linux: join the group video)",
    errno.EPERM: "the camera {name} may not be used; allow it (on Linux: join the group video)",
}
# How long to wait for a camera's next picture, for a device that has none ready yet, and for a
# thread that is inside the device's driver.
_PATIENCE_SECONDS = 5.0
_PAUSE_SECONDS = 0.005
_CLOSING_SECONDS = 2.0


@dataclass(frozen=True, kw_only=True)
class CameraAddress:
    """Where FFmpeg finds a camera: its input format and the file, and a name for people."""

    name: str
    format: str
    file: str


def find_camera(wanted: str | None = None) -> CameraAddress:
    """The camera of a number (from 0), a part of a name, or on Linux a path; None: the first one.

    Asks the system for names only where they are needed. VideoError if there is none like it.
    """
    kind = _FORMATS.get(sys.platform)
    if kind is None:
        raise VideoError("cameras cannot be read on this system; give a clip instead")
    if kind == "v4l2" and wanted is not None and (wanted.isdecimal() or wanted.startswith("/")):
        path = f"/dev/video{wanted}" if wanted.isdecimal() else wanted
        return CameraAddress(name=path, format=kind, file=path)
    here = _cameras(kind)
    if wanted is None:
        found = here[:1]
    elif wanted.isdecimal():
        found = here[int(wanted) : int(wanted) + 1]
    else:
        found = [camera for camera in here if wanted.lower() in camera.name.lower()]
    if found:
        return found[0]
    if wanted is None and kind == "v4l2":
        # What opening it says is more than that nothing was listed: it may not be allowed.
        return find_camera("0")
    if not here:
        raise VideoError("no camera was found; plug one in, or give a clip instead")
    names = ", ".join(camera.name for camera in here)
    raise VideoError(f"there is no camera {wanted}; use one of these: {names}")


def _cameras(kind: str) -> list[CameraAddress]:
    try:
        listed = av.enumerate_input_devices(kind)
    except (av.FFmpegError, OSError, ValueError):
        return []
    prefix = "video=" if kind == "dshow" else ""
    return [
        CameraAddress(
            name=device.description or device.name, format=kind, file=prefix + device.name
        )
        for device in listed
        if "video" in device.media_types
    ]


class Camera:
    """A LiveSource. VideoError if it cannot be opened, and from iterating when it goes away."""

    patience_seconds: float | None = _PATIENCE_SECONDS

    def __init__(self, address: CameraAddress) -> None:
        self.name = address.name
        self._container = _open(address)
        # FFmpeg crashes the process if a container is closed under whoever reads it.
        self._reading = threading.Lock()
        self._is_stopped = False
        self._natives = self._read()
        try:
            first = next(self._natives)
            stream = self._container.streams.video[0]
            self.info = live_info(describe(None, self._container, stream, first, first))
        except BaseException:
            self._container.close()
            raise
        self._reader = RgbReader(self.info)
        self._first: VideoFrame | None = first

    def __iter__(self) -> Iterator[Frame]:
        begin, last = None, -1
        index = 0
        while (native := self._next()) is not None:
            now = Fraction(time.monotonic())
            if native.pts is not None and native.time_base is not None:
                now = native.pts * native.time_base
            begin = now if begin is None else begin
            last = max(round((now - begin) / TIME_BASE), last + 1)
            stamp(native, self.info, last)
            yield Frame(
                image=self._reader.image(native),
                index=index,
                pts=last,
                time_base=TIME_BASE,
                pixel_aspect=self.info.display_pixel_aspect,
                native=native,
            )
            index += 1

    def stop(self) -> None:
        self._is_stopped = True

    def close(self) -> None:
        self.stop()
        # A driver may hang, and nothing wakes it: what is left is closed by the end of the process.
        if self._reading.acquire(timeout=_CLOSING_SECONDS):
            try:
                self._natives.close()
                self._container.close()
            finally:
                self._reading.release()

    def _next(self) -> VideoFrame | None:
        with self._reading:
            if self._is_stopped:
                return None
            if self._first is not None:
                first, self._first = self._first, None
                return first
            return next(self._natives)

    def _read(self) -> Generator[VideoFrame, None, None]:
        stream = self._container.streams.video[0]
        gone = f"the camera {self.name} sends no picture any more; check that it is plugged in"
        try:
            while True:
                try:
                    for packet in self._container.demux(stream):
                        yield from _decoded(stream, packet)
                    raise VideoError(gone)
                except av.BlockingIOError:  # nothing is ready yet
                    time.sleep(_PAUSE_SECONDS)
        except (av.FFmpegError, OSError) as error:
            raise VideoError(gone) from error


def _decoded(stream: VideoStream, packet: Packet[VideoStream]) -> list[VideoFrame]:
    """Nothing where a picture arrived damaged: cameras do that, and the next one is fine."""
    try:
        return stream.decode(packet)
    except av.InvalidDataError:
        return []


def _open(address: CameraAddress) -> InputContainer:
    problem: Exception | None = None
    for options in _WISHES.get(address.format, ({},)):
        try:
            container = av.open(address.file, format=address.format, options=options)
        except (av.FFmpegError, OSError) as error:
            problem = error
            continue
        if container.streams.video:
            # Threads would hold pictures back, one each.
            container.streams.video[0].codec_context.thread_count = 1
            return container
        container.close()
    sentence = _SENTENCES.get(
        getattr(problem, "errno", None) or 0,
        "the camera {name} cannot be used ({reason}); unplug it and plug it in again",
    )
    reason = getattr(problem, "strerror", None) or "it sends no pictures"
    raise VideoError(sentence.format(name=address.name, reason=reason)) from problem
