"""What a user sets in Blender's preferences, and whether the engine answers.

Knows no picture, strip or node; how the engine is found is finding.py's business.
"""

from __future__ import annotations

import textwrap
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import bpy

from ..client import Client, Preferences, WorkerError, connect
from ..messages import MatteRequest, Progress
from .modal import Tell, WorkOperator, last_sentence, under_way

# Blender knows an add-on by the name of its outermost package.
ADDON = (__package__ or "").rpartition(".shm_plugin.")[0] or __package__

SIZES = {"DRAFT": 384, "STANDARD": 512, "FINE": 1024}

DEVICES = (
    ("auto", "Automatic", "The fastest device that works here"),
    ("cpu", "CPU", "The processor"),
    ("cuda", "CUDA", "A graphics card of NVIDIA"),
    ("mps", "Metal", "The graphics of an Apple computer"),
)
QUALITIES = (
    ("DRAFT", "Draft", "Fastest, for a first look"),
    ("STANDARD", "Standard", "For most pictures"),
    ("FINE", "Fine", "Looks more closely: for large pictures with small people; slow"),
)
SMOOTHINGS = (
    ("light", "Light", "Movies hold still without losing motion"),
    ("strong", "Strong", "For calm movies that still flicker"),
    ("off", "Off", "Every frame by itself"),
)

_TEST_SIDE = 64

# More than most letters take, at the usual scale.
_LETTER_PIXELS = 8


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the preferences say. device, smoothing: as the engine calls them."""

    engine: str = ""
    device: str = "auto"
    quality: str = "STANDARD"
    smoothing: str = "light"

    @property
    def size(self) -> int:
        """The longer side, in pixels, at which the engine looks at a picture."""
        return SIZES[self.quality]


class HumanMattePreferences(bpy.types.AddonPreferences):
    bl_idname = ADDON

    # Not as annotations: those of strings would be read as names of types.
    __annotations__ = {
        "engine": bpy.props.StringProperty(
            name="Engine",
            description="The program shm-matte, or the folder it was installed from; empty: "
            "looked for",
            subtype="FILE_PATH",
        ),
        "device": bpy.props.EnumProperty(name="Device", items=DEVICES, default="auto"),
        "quality": bpy.props.EnumProperty(name="Quality", items=QUALITIES, default="STANDARD"),
        "smoothing": bpy.props.EnumProperty(
            name="Smoothing", description="For movies", items=SMOOTHINGS, default="light"
        ),
    }

    def draw(self, context: Any) -> None:  # noqa: ARG002 (Blender's)
        layout = self.layout
        layout.use_property_split = True
        for name in HumanMattePreferences.__annotations__:
            layout.prop(self, name)
        draw_connection(layout)


def settings(context: Any) -> Settings:
    """What the user set; the defaults where the add-on has no preferences (yet)."""
    addon = context.preferences.addons.get(ADDON)
    own = None if addon is None else addon.preferences
    if own is None:
        return Settings()
    engine = bpy.path.abspath(own.engine) if own.engine else ""
    return Settings(engine=engine, device=own.device, quality=own.quality, smoothing=own.smoothing)


def client_preferences(settings: Settings) -> Preferences:
    """The part of the settings that finds and starts the engine."""
    # A new one loads what the first request will ask for; else it would load twice.
    arguments = ("--device", settings.device, "--size", str(settings.size))
    return Preferences(engine=settings.engine, arguments=arguments)


def draw_connection(layout: Any) -> None:
    """The button that tests the connection, and below it what goes on or was last said."""
    layout.operator(WM_OT_human_matte_test.bl_idname, icon="LINKED")
    # A label of Blender does not wrap.
    width = int(bpy.context.region.width / bpy.context.preferences.system.ui_scale)
    column = layout.column(align=True)
    for line in textwrap.wrap(under_way() or last_sentence(), max(20, width // _LETTER_PIXELS)):
        column.label(text=line)


class WM_OT_human_matte_test(WorkOperator[str], bpy.types.Operator):  # noqa: N801 (Blender's)
    """Starts the engine if need be, and has it matte a small picture"""

    bl_idname = "wm.human_matte_test"
    bl_label = "Test Connection"
    bl_options = {"INTERNAL"}  # noqa: RUF012 (Blender's)

    def start(self, context: Any) -> Callable[[Tell], str]:
        wanted = settings(context)
        return lambda tell: test_connection(wanted, tell)

    def finish(self, context: Any, result: str) -> str:  # noqa: ARG002 (of WorkOperator)
        return result


def test_connection(wanted: Settings, tell: Tell) -> str:
    """The engine in one sentence: what works on which device, and how quickly it answers."""
    preferences = client_preferences(wanted)
    with closing(connect(preferences, told=lambda words: tell(0, words))) as client:
        tell.when_stopped(client.cancel)
        request = MatteRequest(
            width=_TEST_SIDE,
            height=_TEST_SIDE,
            pixels=bytes([128]) * (3 * _TEST_SIDE**2),
            device=wanted.device,
            size=wanted.size,
        )
        # The first one may have to wait for the network to be loaded.
        _send(client, request, tell)
        before = time.perf_counter()
        _send(client, request, tell)
        milliseconds = 1000 * (time.perf_counter() - before)
        status = client.status()
        if status.state == "failed":
            raise WorkerError(status.text)
        return (
            f"Human Matte works: {status.text}, protocol {client.welcome.version}; "
            f"a small picture took {milliseconds:.0f} ms."
        )


def _send(client: Client, request: MatteRequest, tell: Tell) -> None:
    for item in client.matte(request):
        if isinstance(item, Progress):
            tell(item.share, item.text)
