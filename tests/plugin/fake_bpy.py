"""A stand-in for Blender's `bpy`, as far as the add-on's modules ask for it; draws nothing.

Knows nothing of the add-on. What it claims about Blender, tests/hosts proves in real ones.
"""

from __future__ import annotations

import itertools
import sys
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any


class Thing:
    """What Blender's own classes are to their subclasses."""

    reports: list[tuple[str, str]]
    poll_message = ""

    @classmethod
    def poll_message_set(cls, message: str) -> None:
        cls.poll_message = message

    def report(self, kinds: set[str], sentence: str) -> None:
        (kind,) = kinds
        self.__dict__.setdefault("reports", []).append((kind, sentence))


class Pixels:
    """`Image.pixels`."""

    def __init__(self, samples: array) -> None:
        self.samples = samples

    def __len__(self) -> int:
        return len(self.samples)

    def foreach_get(self, target: array) -> None:
        assert len(target) == len(self.samples)
        target[:] = self.samples

    def foreach_set(self, source: Any) -> None:
        assert memoryview(source).format == "f"
        assert len(source) == len(self.samples)
        self.samples[:] = array("f", source)


class Image:
    """`bpy.types.Image`; a new one is of 8 bits, black and opaque."""

    def __init__(self, name: str, width: int, height: int, *, channels: int = 4) -> None:
        self.name, self.size, self.channels = name, (width, height), channels
        self.pixels = Pixels(array("f", [0]) * (width * height * channels))
        self.is_float = False
        self.is_packed = False
        self.use_fake_user = False
        self.source, self.type, self.file_format = "FILE", "IMAGE", "PNG"
        self.alpha_mode, self.filepath = "STRAIGHT", ""
        self.colorspace_settings = SimpleNamespace(name="sRGB", is_data=False)

    def update(self) -> None:
        pass

    def pack(self) -> None:
        self.is_packed = True


class Images(dict[str, Image]):
    """`bpy.data.images`."""

    def new(self, name: str, width: int, height: int, *, alpha: bool, float_buffer: bool) -> Image:
        assert alpha in (True, False)
        name = next(each for each in _names(name) if each not in self)
        image = Image(name, width, height)
        image.is_float = float_buffer
        if float_buffer:
            image.colorspace_settings.name = "Linear Rec.709"
        self[name] = image
        return image

    def remove(self, image: Image) -> None:
        del self[image.name]


def _names(name: str) -> Iterator[str]:
    """The name, and what Blender makes of it where it is taken."""
    yield name
    for number in itertools.count(1):
        yield f"{name}.{number:03}"


class Area:
    """`bpy.types.Area`, an Image Editor."""

    def __init__(self, image: Image | None = None) -> None:
        self.type = "IMAGE_EDITOR"
        user = SimpleNamespace(frame_current=1)
        self.space = SimpleNamespace(type=self.type, image=image, image_user=user)
        self.spaces = SimpleNamespace(active=self.space)
        self.header: str | None = None
        self.headers: list[str | None] = []

    def as_pointer(self) -> int:
        return id(self)

    def header_text_set(self, text: str | None) -> None:
        self.header = text
        self.headers.append(text)

    def tag_redraw(self) -> None:
        pass


class WindowManager:
    """`bpy.types.WindowManager`; remembers what it was told."""

    def __init__(self) -> None:
        self.timers: list[object] = []
        self.handlers: list[object] = []
        self.progress: list[float] | None = None
        self.all_progress: list[float] = []

    def progress_begin(self, first: float, last: float) -> None:
        assert (first, last) == (0, 100)
        self.progress = []

    def progress_update(self, value: float) -> None:
        assert self.progress is not None
        self.progress.append(value)
        self.all_progress.append(value)

    def progress_end(self) -> None:
        self.progress = None

    def event_timer_add(self, seconds: float, *, window: object) -> object:
        assert seconds > 0
        assert window is not None
        timer = object()
        self.timers.append(timer)
        return timer

    def event_timer_remove(self, timer: object) -> None:
        self.timers.remove(timer)

    def modal_handler_add(self, operator: object) -> None:
        self.handlers.append(operator)


def make_screen(area: Area) -> Any:
    """`bpy.types.Screen`, with one area; nothing is played."""
    return SimpleNamespace(areas=[area], is_animation_playing=False)


def make_context(bpy: Any, image: Image | None = None) -> Any:
    """A context whose area is an Image Editor with that image."""
    area = Area(image)
    bpy.data.screens = [make_screen(area)]
    return SimpleNamespace(
        window=object(),
        window_manager=WindowManager(),
        area=area,
        space_data=area.space,
        preferences=bpy.context.preferences,
    )


def make_bpy() -> Any:
    """The module, with no image and an add-on that has no preferences yet."""
    bpy: Any = ModuleType("bpy")
    names = ("AddonPreferences", "Operator", "Panel")
    bpy.types = SimpleNamespace(**{name: type(name, (Thing,), {}) for name in names})
    kinds = ("BoolProperty", "EnumProperty", "StringProperty")
    bpy.props = SimpleNamespace(**{kind: lambda **options: options for kind in kinds})
    handlers = SimpleNamespace(persistent=lambda handler: handler, undo_post=[], redo_post=[])
    bpy.app = SimpleNamespace(background=False, version=(4, 2, 0), handlers=handlers)
    bpy.path = SimpleNamespace(abspath=lambda path: path)
    bpy.data = SimpleNamespace(images=Images(), screens=[], filepath="")
    preferences = SimpleNamespace(addons={})
    bpy.context = SimpleNamespace(preferences=preferences)
    return bpy


@contextmanager
def installed() -> Iterator[Any]:
    """Within the block `import bpy` gives a stand-in, and the add-on's modules are new."""
    _forget()
    bpy = make_bpy()
    sys.modules["bpy"] = bpy
    try:
        yield bpy
    finally:
        _forget()


def _forget() -> None:
    for name in list(sys.modules):
        if name == "bpy" or name.startswith("shm_plugin.blender"):
            del sys.modules[name]
