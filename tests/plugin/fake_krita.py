"""As much of Krita's and Qt's Python modules as the plug-in asks for.

Layers have bytes; nothing is converted but by turning them round, so that it can be told apart.
"""

# ruff: noqa: N802 (Krita's and Qt's names)

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import Any

SRGB, LINEAR = "sRGB-elle-V2-srgbtrc.icc", "sRGB-elle-V2-g10.icc"
Area = tuple[int, int, int, int]


class Selection:
    """A byte a pixel, for the area that it was set for."""

    def __init__(self, values: bytes = b"", area: Area | None = None) -> None:
        self.values, self.area = values, area

    def setPixelData(self, values: bytes, *area: int) -> None:
        self.values, self.area = bytes(values), area  # type: ignore[assignment]

    def pixelData(self, *area: int) -> bytes:
        assert self.area in (None, area)
        return self.values


@dataclass(eq=False)
class Node:
    """A layer or a mask. raw: what it shows."""

    label: str = "a layer"
    kind: str = "paintlayer"
    space: tuple[str, str, str] = ("RGBA", "U8", SRGB)
    area: Area = (0, 0, 4, 3)
    raw: bytes = b""
    children: list[Node] = field(default_factory=list)
    parent: Node | None = None
    selection: Selection | None = None

    def name(self) -> str:
        return self.label

    def type(self) -> str:
        return self.kind

    def parentNode(self) -> Node | None:
        return self.parent

    def childNodes(self) -> list[Node]:
        return list(self.children)

    def bounds(self) -> Any:
        names = ("x", "y", "width", "height")
        return SimpleNamespace(
            **{name: lambda n=n: n for name, n in zip(names, self.area, strict=True)}
        )

    def colorModel(self) -> str:
        return self.space[0]

    def colorDepth(self) -> str:
        return self.space[1]

    def colorProfile(self) -> str:
        return self.space[2]

    def pixelData(self, *area: int) -> bytes:
        if self.selection is not None:
            return self.selection.pixelData(*area)
        assert self.kind == "paintlayer"
        assert area[2:] == self.area[2:]
        return self.raw

    def projectionPixelData(self, *area: int) -> bytes:
        assert area == self.area
        return self.raw

    def setPixelData(self, raw: bytes, *area: int) -> None:
        self.raw, self.area = bytes(raw), area  # type: ignore[assignment]

    def addChildNode(self, child: Node, above: Node | None) -> None:
        assert above is None
        child.parent = self
        self.children.append(child)

    def remove(self) -> None:
        assert self.parent is not None
        self.parent.children.remove(self)

    def setSelection(self, selection: Selection) -> None:
        # Before, Krita would not know where the mask lies.
        assert self.parent is not None
        self.selection = selection


class Document:
    """An image of Krita."""

    def __init__(self, node: Node | None = None, selection: Selection | None = None) -> None:
        self.node, self.chosen = node, selection
        self.is_modified, self.is_closed = True, False

    def activeNode(self) -> Node | None:
        return self.node

    def selection(self) -> Selection | None:
        return self.chosen

    def topLevelNodes(self) -> list[Node]:
        assert self.node is not None
        return [self.node]

    def createTransparencyMask(self, name: str) -> Node:
        return Node(label=name, kind="transparencymask")

    def setColorSpace(self, *space: str) -> None:
        assert self.node is not None
        self.node.raw = self.node.raw[::-1]
        self.node.space = space  # type: ignore[assignment]

    def setModified(self, is_modified: bool) -> None:
        self.is_modified = is_modified

    def close(self) -> None:
        assert not self.is_modified
        self.is_closed = True

    def setBatchmode(self, _: bool) -> None: ...
    def refreshProjection(self) -> None: ...
    def waitForDone(self) -> None: ...


class Application:
    """Krita itself. aside: the documents that were made."""

    def __init__(self) -> None:
        self.extensions: list[Any] = []
        self.settings: dict[tuple[str, str], str] = {}
        self.document: Document | None = None
        self.aside: list[Document] = []

    def addExtension(self, extension: Any) -> None:
        self.extensions.append(extension)

    def readSetting(self, group: str, name: str, default: str) -> str:
        return self.settings.get((group, name), default)

    def writeSetting(self, group: str, name: str, value: str) -> None:
        self.settings[group, name] = value

    def activeDocument(self) -> Document | None:
        return self.document

    def activeWindow(self) -> Any:
        return SimpleNamespace(qwindow=lambda: None)

    def createDocument(self, width: int, height: int, _: str, *space: Any) -> Document:
        assert space[-1] == 72.0
        made = Document(Node(space=space[:3], area=(0, 0, width, height)))
        self.aside.append(made)
        return made


class Signal:
    """What others listen to."""

    def __init__(self) -> None:
        self.heard: list[Callable[..., object]] = []

    def connect(self, action: Callable[..., object]) -> None:
        self.heard.append(action)

    def emit(self) -> None:
        for action in self.heard:
            action()


class Widget:
    """Anything of Qt: it remembers what was set, and everything else is done at once."""

    def __init__(self, *given: Any) -> None:
        self.said: dict[str, Any] = {"Text": given[0] if given else ""}
        self.clicked, self.rejected, self.timeout = Signal(), Signal(), Signal()
        self.finished = Signal()
        self.is_open = False
        self.options: list[tuple[str, str]] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("set"):
            return lambda *values: self.said.__setitem__(name[3:], values[0] if values else None)
        return lambda *_: None

    def text(self) -> Any:
        return self.said["Text"]

    def addItem(self, label: str, data: str) -> None:
        self.options.append((label, data))

    def findData(self, data: str) -> int:
        return [name for _, name in self.options].index(data)

    def currentData(self) -> str:
        return self.options[self.said["CurrentIndex"]][1]

    def addButton(self, label: str, _: Any) -> Widget:
        return Widget(label)

    def show(self) -> None:
        self.is_open = True

    def accept(self) -> None:
        self.is_open = False
        self.finished.emit()

    def reject(self) -> None:
        self.is_open = False
        self.finished.emit()
        self.rejected.emit()

    @staticmethod
    def singleShot(_: int, action: Callable[[], object]) -> None:
        action()


class Names:
    """Enums of Qt: any name below any name."""

    def __getattr__(self, name: str) -> Any:
        return Names()


class Buttons(Widget):
    """A row of buttons."""

    StandardButton = ButtonRole = Names()


_WIDGETS = (
    "QComboBox",
    "QDialog",
    "QFileDialog",
    "QFormLayout",
    "QHBoxLayout",
    "QLabel",
    "QLineEdit",
    "QProgressBar",
    "QPushButton",
    "QVBoxLayout",
    "QWidget",
)


def modules(said: list[str], binding: str = "PyQt5") -> tuple[dict[str, ModuleType], Application]:
    """The modules by their names, and the application. said: gets what message boxes say."""
    application = Application()

    class Extension:
        def __init__(self, parent: Any = None) -> None:
            assert parent is application

    krita: Any = ModuleType("krita")
    krita.Krita = SimpleNamespace(instance=lambda: application)
    krita.Extension, krita.Selection = Extension, Selection
    core: Any = ModuleType(f"{binding}.QtCore")
    core.QByteArray, core.QTimer, core.Qt = bytes, Widget, Names()
    widgets: Any = ModuleType(f"{binding}.QtWidgets")
    for name in _WIDGETS:
        setattr(widgets, name, Widget)
    widgets.QDialogButtonBox = Buttons
    widgets.QMessageBox = SimpleNamespace(warning=lambda *shown: said.append(shown[-1]))
    made = {"krita": krita, binding: ModuleType(binding)}
    return made | {core.__name__: core, widgets.__name__: widgets}, application


def forget() -> list[str]:
    """The modules of the plug-in that are imported; they were made with other modules."""
    return [name for name in sys.modules if name.startswith("shm_plugin.krita")]
