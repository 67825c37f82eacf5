"""As much of GIMP's Python modules as the plug-in asks for, with a log of what was done to whom.

Pixels are bytes: what is set in a format is there in that format, and nothing is converted.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from enum import Enum, IntFlag
from types import ModuleType, SimpleNamespace
from typing import Any

Names = SimpleNamespace
log: list[str] = []


class Buffer:
    """Pixels of a drawable by their format."""

    def __init__(self, pixels: bytes) -> None:
        self.pixels = pixels
        self.written: dict[str, bytes] = {}

    def get(self, rect: Any, scale: float, format_name: str, policy: str) -> bytes:
        log.append(f"read {format_name}")
        assert (scale, policy) == (1.0, "none")
        assert rect[:2] == (0, 0)
        return self.pixels

    def set(self, rect: Any, format_name: str, pixels: bytes) -> None:
        assert rect[:2] == (0, 0)
        self.written[format_name] = pixels

    def flush(self) -> None:
        log.append("flush")


@dataclass(eq=False)
class Drawable:
    """What has pixels."""

    name: str = "a layer"
    width: int = 4
    height: int = 3
    buffer: Buffer = field(default_factory=lambda: Buffer(b""))
    shadow: Buffer = field(default_factory=lambda: Buffer(b""))

    def get_name(self) -> str:
        return self.name

    def get_width(self) -> int:
        return self.width

    def get_height(self) -> int:
        return self.height

    def get_buffer(self) -> Buffer:
        return self.buffer

    def get_shadow_buffer(self) -> Buffer:
        return self.shadow

    def merge_shadow(self, is_undoable: bool) -> None:
        assert is_undoable
        log.append(f"paint {self.name}")

    def update(self, *rect: int) -> None:
        assert rect == (0, 0, self.width, self.height)


@dataclass(eq=False)
class LayerMask(Drawable):
    """A mask."""

    name: str = "a mask"
    layer: Layer | None = None


@dataclass(eq=False)
class Layer(Drawable):
    """A layer without a parent."""

    mask: LayerMask | None = None
    applies: bool = True
    parent: Layer | None = None
    is_group_of_layers: bool = False
    is_floating: bool = False
    is_locked: bool = False
    is_selected: bool = True
    is_there: bool = True

    def is_valid(self) -> bool:
        return self.is_there

    @staticmethod
    def from_mask(mask: LayerMask) -> Layer | None:
        return mask.layer

    def is_group(self) -> bool:
        return self.is_group_of_layers

    def is_floating_sel(self) -> bool:
        return self.is_floating

    def get_lock_content(self) -> bool:
        return self.is_locked

    def get_parent(self) -> Layer | None:
        return self.parent

    def mask_intersect(self) -> tuple[bool, int, int, int, int]:
        return self.is_selected, 0, 0, 1, 1

    def get_mask(self) -> LayerMask | None:
        return self.mask

    def create_mask(self, kind: str) -> LayerMask:
        return LayerMask(name=f"a {kind} mask", width=self.width, height=self.height, layer=self)

    def add_mask(self, mask: LayerMask) -> None:
        log.append(f"add {mask.name}")
        self.mask = mask

    def get_apply_mask(self) -> bool:
        return self.applies

    def set_apply_mask(self, applies: bool) -> None:
        self.applies = applies


@dataclass(eq=False)
class Image:
    """An image, with what is selected in it."""

    precision: str = "u8-non-linear"
    profile: str | None = None
    base: str = "rgb"
    has_selection: bool = False

    def is_valid(self) -> bool:
        return True

    def get_precision(self) -> Any:
        return Names(value_nick=self.precision)

    def get_color_profile(self) -> str | None:
        return self.profile

    def get_base_type(self) -> str:
        return self.base

    def undo_group_start(self) -> None:
        log.append("begin")

    def undo_group_end(self) -> None:
        log.append("end")


class Procedure:
    """What the plug-in says of itself, and what it returns."""

    def __init__(self, name: str, run: Any) -> None:
        self.name = name
        self.run = run
        self.menus: list[str] = []
        self.arguments: dict[str, Any] = {}

    def add_menu_path(self, path: str) -> None:
        self.menus.append(path)

    def add_choice_argument(self, name: str, *rest: Any) -> None:
        self.arguments[name] = rest[3]

    def add_file_argument(self, name: str, *rest: Any) -> None:
        self.arguments[name] = rest[4]

    def new_return_values(self, status: Any, error: str) -> tuple[str, str]:
        return status.name, error

    def __getattr__(self, name: str) -> Any:
        assert name.startswith("set_"), name
        return lambda *_: None


class Status(Enum):
    """How a call went."""

    SUCCESS = 1
    CANCEL = 2
    EXECUTION_ERROR = 3


class Sensitivity(IntFlag):
    """When the menu entry can be chosen."""

    DRAWABLE = 1
    DRAWABLES = 2


def modules() -> dict[str, ModuleType]:
    """The modules, by their names."""
    log.clear()
    gimp = Names(
        PlugIn=object,
        Layer=Layer,
        LayerMask=LayerMask,
        Choice=Names(new=lambda: Names(add=lambda *_: None)),
        FileChooserAction=Names(OPEN="open"),
        PDBProcType=Names(PLUGIN="plug-in"),
        PDBStatusType=Status,
        ProcedureSensitivityMask=Sensitivity,
        RunMode=Names(INTERACTIVE="interactive", NONINTERACTIVE="noninteractive"),
        AddMaskType=Names(WHITE="white"),
        ImageBaseType=Names(INDEXED="indexed", GRAY="grey"),
        ImageProcedure=Names(new=lambda _, name, __, run, ___: Procedure(name, run)),
        Selection=Names(is_empty=lambda image: not image.has_selection),
        displays_flush=lambda: log.append("show"),
        progress_init=lambda text: log.append(f"progress {text}"),
        progress_set_text=lambda text: log.append(f"progress {text}"),
        progress_update=lambda share: log.append(f"progress {share:.2f}"),
        progress_pulse=lambda: None,
        progress_end=lambda: log.append("progress ended"),
    )
    gegl = Names(
        init=lambda _: None,
        Rectangle=Names(new=lambda *sides: sides),
        AbyssPolicy=Names(NONE="none"),
    )
    repository: Any = ModuleType("gi.repository")
    repository.Gimp, repository.Gegl = gimp, gegl
    repository.GLib = Names(Error=lambda sentence="": sentence)
    repository.GObject = Names(ParamFlags=Names(READWRITE=3))
    gi: Any = ModuleType("gi")
    gi.require_version = lambda *_: None
    gi.repository = repository
    return {"gi": gi, "gi.repository": repository}


def forget() -> list[str]:
    """The modules of the plug-in that were imported so far."""
    return [name for name in sys.modules if name.startswith("shm_plugin.gimp.")]
