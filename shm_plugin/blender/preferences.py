"""What a user sets in Blender's preferences, and whether the engine answers.

Knows no picture, strip or node; how the engine is found is finding.py's business.
"""

from __future__ import annotations

import textwrap
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import bpy

from ..asking import reaching, reply
from ..choices import (
    DEFAULT_DEVICE,
    DEFAULT_QUALITY,
    DEVICE_HELP,
    DEVICES,
    QUALITIES,
    QUALITY_HELP,
    SIZES,
)
from ..client import WorkerError
from ..finding import find_python
from ..jobs import Job, Tell
from ..messages import MatteRequest
from .modal import WorkOperator, last_sentence, under_way

# Blender knows an add-on by the name of its outermost package.
ADDON = (__package__ or "").rpartition(".shm_plugin.")[0] or __package__

_QUALITIES = [(each.name, each.label, each.help) for each in QUALITIES]
_DEVICES = [(each.name, each.label, each.help) for each in DEVICES]
_SMOOTHINGS = (
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
    device: str = DEFAULT_DEVICE
    quality: str = DEFAULT_QUALITY
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
        "device": bpy.props.EnumProperty(
            name="Device", description=DEVICE_HELP, items=_DEVICES, default=DEFAULT_DEVICE
        ),
        "quality": bpy.props.EnumProperty(
            name="Quality", description=QUALITY_HELP, items=_QUALITIES, default=DEFAULT_QUALITY
        ),
        "smoothing": bpy.props.EnumProperty(
            name="Smoothing", description="For movies", items=_SMOOTHINGS, default="light"
        ),
    }

    def draw(self, context: Any) -> None:  # noqa: ARG002 (Blender's)
        layout = self.layout
        layout.use_property_split = True
        for name in HumanMattePreferences.__annotations__:
            layout.prop(self, name)
        _draw_connection(layout)


def _preferences(context: Any) -> Any:
    """Those of the add-on; None where it has none (yet)."""
    addon = context.preferences.addons.get(ADDON)
    return None if addon is None else addon.preferences


def settings(context: Any) -> Settings:
    """What the user set; the defaults where the add-on has no preferences (yet)."""
    own = _preferences(context)
    if own is None:
        return Settings()
    engine = bpy.path.abspath(own.engine) if own.engine else ""
    return Settings(engine=engine, device=own.device, quality=own.quality, smoothing=own.smoothing)


def draw_options(layout: Any, context: Any, names: Sequence[str]) -> None:
    """Some of the preferences, to be changed in a panel, and the test of the connection."""
    own = _preferences(context)
    if own is not None:
        options = layout.column()
        options.use_property_split = True
        for name in names:
            options.prop(own, name)
    _draw_connection(layout)


def _draw_connection(layout: Any) -> None:
    """The button that tests the connection, and below it what goes on or was last said."""
    layout.operator(WM_OT_human_matte_test.bl_idname, icon="LINKED")
    # A label of Blender does not wrap. Without a window the scale is 0.
    scale = bpy.context.preferences.system.ui_scale or 1
    width = int(bpy.context.region.width / scale)
    column = layout.column(align=True)
    for line in textwrap.wrap(under_way() or last_sentence(), max(20, width // _LETTER_PIXELS)):
        column.label(text=line)


class WM_OT_human_matte_test(WorkOperator[str], bpy.types.Operator):  # noqa: N801 (Blender's)
    """Starts the engine if need be, and has it matte a small picture"""

    bl_idname = "wm.human_matte_test"
    bl_label = "Test Connection"
    bl_options = {"INTERNAL"}  # noqa: RUF012 (Blender's)

    def start(self, context: Any) -> Job[str]:
        wanted = settings(context)
        return lambda tell: test_connection(wanted, tell)

    def finish(self, context: Any, result: str) -> str:  # noqa: ARG002 (of WorkOperator)
        return result


def test_connection(wanted: Settings, tell: Tell) -> str:
    """The engine in one sentence: what works on which device, and how quickly it answers."""
    # A living engine answers whatever the setting says, which strips and nodes start theirs by.
    if wanted.engine:
        find_python(wanted.engine)
    request = MatteRequest(
        width=_TEST_SIDE,
        height=_TEST_SIDE,
        pixels=bytes([128]) * (3 * _TEST_SIDE**2),
        device=wanted.device,
        size=wanted.size,
    )
    with reaching(wanted.engine, request, tell) as client:
        # The first one may have to wait for the network to be loaded.
        reply(client, request, tell)
        before = time.perf_counter()
        reply(client, request, tell)
        milliseconds = 1000 * (time.perf_counter() - before)
        status = client.status()
        if status.state == "failed":
            raise WorkerError(status.text)
        return (
            f"Human Matte works: {status.text}, protocol {client.welcome.version}; "
            f"a small picture took {milliseconds:.0f} ms."
        )
