"""shm-matte camera: options into a session and a server, and their end; knows no picture."""

from __future__ import annotations

import logging
import os
import sys
import threading
import webbrowser
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.options import FILE, matter_options, verbosity_options
from shm_engine.errors import OptionsError
from shm_engine.options import MatterOptions

if TYPE_CHECKING:
    from cli.camera.screen import Screen
    from cli.camera.session import Session
    from cli.camera.virtual import VirtualCamera
    from cli.video.live import LiveSource

_log = logging.getLogger(__name__)

# So often it is seen on every system that Ctrl-C was pressed.
_TICK_SECONDS = 0.5


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What the command line asks for; OptionsError where it contradicts itself."""

    clip: Path | None
    camera: str | None
    port: int
    opens_browser: bool
    background: str | None
    record: Path | None
    to_virtual_camera: bool
    model: Path | None
    options: MatterOptions

    def __post_init__(self) -> None:
        if self.clip is not None and self.camera is not None:
            raise OptionsError("give a CLIP or a --camera, not both")

    def open_source(self) -> LiveSource:
        """The clip, else the camera; VideoError if it cannot be opened."""
        from cli.video.camera import Camera, find_camera
        from cli.video.live import LoopedClip

        if self.clip is not None:
            return LoopedClip(self.clip)
        return Camera(find_camera(self.camera))


@click.command(short_help="A live matte of a webcam, in a page of the browser.")
@click.argument("clip", metavar="[CLIP]", required=False, type=FILE)
@click.option(
    "--camera",
    metavar="NAME|NUMBER",
    help="Another camera than the first: a part of its name, or its number from 0.",
)
@click.option(
    "--background",
    metavar="COLOUR|PICTURE",
    help="What stands behind people at first: #rrggbb, a name such as green, or a picture.",
)
@click.option(
    "--record",
    metavar="OUTPUT",
    type=FILE,
    help="Record from the start, with alpha: .mov. The page can do so at any time.",
)
@click.option(
    "--virtual-camera",
    "to_virtual_camera",
    is_flag=True,
    help="Be a camera for other programs too, which shows what the page shows (an extra).",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    show_default=True,
    help="Where the page is on this computer; 0 takes a port that is free.",
)
@click.option("--no-browser", is_flag=True, help="Print the page's address, open nothing.")
@matter_options
@verbosity_options
def command(  # noqa: PLR0913 - a parameter an option
    clip: Path | None,
    camera: str | None,
    background: str | None,
    record: Path | None,
    to_virtual_camera: bool,
    port: int,
    no_browser: bool,
    model: Path | None,
    options: MatterOptions,
) -> None:
    """Show people without their background, live: from a webcam, or from CLIP in its place, which
    plays over and over. The page opens in the browser, is seen by this computer alone, and records
    movies with alpha. Ctrl-C ends it."""
    run(
        Wishes(
            clip=clip,
            camera=camera,
            port=port,
            opens_browser=not no_browser,
            background=background,
            record=record,
            to_virtual_camera=to_virtual_camera,
            model=model,
            # One frame at a time: each that is under way besides is a frame of delay.
            options=replace(options, frames_ahead=0, batch=1),
        )
    )


def run(wishes: Wishes) -> None:
    """Show and record until Ctrl-C, which is the usual end; MattingError if something prevents it.

    All threads have ended, and what was recorded is complete, when this returns.
    """
    from cli.camera.look import Look
    from cli.camera.recording import Recorder, profile_for

    look = Look.starting_with(wishes.background)
    if wishes.record is not None:
        profile_for(wishes.record)  # refuses what cannot be, before any work
    with ExitStack() as stack:
        source = wishes.open_source()
        stack.callback(source.close)
        virtual = _virtual_camera(source, stack) if wishes.to_virtual_camera else None

        from cli.camera.screen import Screen
        from cli.camera.server import PageServer
        from cli.camera.session import Session
        from shm_engine import Matter

        recorder = Recorder(Path())
        screen = Screen(look, virtual)
        matter = Matter.load(wishes.model, wishes.options)
        session = Session(source, wishes.open_source, matter, recorder, screen)
        server = stack.enter_context(PageServer(session, wishes.port))
        stack.callback(recorder.stop)
        if wishes.record is not None:
            session.start_recording(wishes.record)
        alarm = stack.enter_context(_working(session, screen))
        with suppress(KeyboardInterrupt):
            _tell(server.address)
            if wishes.opens_browser and _has_desktop():
                webbrowser.open(server.address_for_once())
            while not alarm.wait(_TICK_SECONDS):
                pass


@contextmanager
def _working(session: Session, screen: Screen) -> Iterator[threading.Event]:
    """Both at work until the end of the block; the event is set if one of them fails before."""
    from cli.camera.newest import Task

    alarm = threading.Event()
    tasks = (
        Task("shm-camera-matting", session.run, alarm),
        Task("shm-camera-screen", screen.run, alarm),
    )
    try:
        for task in tasks:
            task.start()
        yield alarm
    finally:
        session.stop()
        screen.close()
        for task in tasks:
            task.join()
    for task in tasks:
        task.check()


def _virtual_camera(source: LiveSource, stack: ExitStack) -> VirtualCamera:
    from cli.camera.drawing import screen_size
    from cli.camera.virtual import VirtualCamera

    info = source.info
    size = screen_size(info.display_width, info.display_height, info.display_pixel_aspect)
    camera = VirtualCamera(size, float(info.frame_rate))
    stack.callback(camera.close)
    _log.info("other programs find the virtual camera as %s", camera.name)
    return camera


def _tell(address: str) -> None:
    click.echo(address)
    _log.info("the page is at the address above; Ctrl-C ends it")


def _has_desktop() -> bool:
    """Elsewhere a browser would take over the terminal."""
    if sys.platform != "linux":
        return True
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
