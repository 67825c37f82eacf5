"""The plug-in with stand-ins for Krita and Qt, and a real worker around a stand-in engine."""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from shm_plugin import asking
from shm_plugin.client import Cancelled
from tests.plugin import fake_krita
from tests.plugin.fake_krita import Application, Document, Node, Selection, Signal
from tests.plugin.workers import RedEngine, living, wait_until

SHARED = "shm_plugin.krita."
# Blue, green, red, alpha of 4 x 3 pixels; the engine gives the red.
RAW = bytes(range(100, 148))
RED = RAW[2::4]


class Krita:
    """Krita with the plug-in switched on. said: what message boxes said."""

    def __init__(self, application: Application, said: list[str]) -> None:
        self.application, self.said = application, said
        self.menu: dict[str, Signal] = {}
        importlib.import_module("shm_plugin.krita").register()
        (self.extension,) = application.extensions
        self.extension.setup()
        self.extension.createActions(self)

    def createAction(self, name: str, label: str, menu: str) -> Any:  # noqa: N802 (Krita's)
        assert name == "human_matte"
        self.menu[f"{menu}/{label}"] = Signal()
        return SimpleNamespace(triggered=self.menu[f"{menu}/{label}"])

    def click(self, document: Document | None) -> Any:
        """The dialog that opens, or None."""
        self.application.document = document
        self.menu["tools/scripts/Human Matte..."].emit()
        return self.extension._dialog

    def finish(self, dialog: Any) -> None:
        """Has the dialog work to its end."""
        dialog.go.clicked.emit()
        work = dialog._work
        wait_until(lambda: work.is_done)
        dialog._timer.timeout.emit()


@pytest.fixture
def krita(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Krita]:
    """For a user without an engine."""
    for name in fake_krita.forget():
        monkeypatch.delitem(sys.modules, name)
    said: list[str] = []
    modules, application = fake_krita.modules(said)
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.delitem(sys.modules, "PyQt6.QtCore", raising=False)
    monkeypatch.setenv("SHM_MATTE_RUNTIME", str(tmp_path / "run"))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("SHM_MATTE", raising=False)
    yield Krita(application, said)
    for name in fake_krita.forget():
        del sys.modules[name]


@pytest.fixture
def engine(krita: Krita, tmp_path: Path) -> Iterator[RedEngine]:
    """One that the plug-in finds; its alpha is the red channel."""
    del krita
    made = RedEngine()
    with living(tmp_path / "run", lambda: made):
        yield made
        made.gate.set()


def _document(selection: Selection | None = None, **layer: Any) -> tuple[Document, Node]:
    node = Node(**({"raw": RAW} | layer))
    return Document(node, selection), node


def test_at_the_start_of_krita_nothing_is_imported_that_may_be_missing(krita: Krita) -> None:
    imported = {name.removeprefix(SHARED) for name in fake_krita.forget()}
    assert imported == {"shm_plugin.krita", "extension", "qt"}
    assert list(krita.menu) == ["tools/scripts/Human Matte..."]


@pytest.mark.usefixtures("engine")
def test_the_active_layer_gets_a_mask_where_it_lies(krita: Krita) -> None:
    document, layer = _document(area=(-7, 30, 4, 3))
    dialog = krita.click(document)
    assert dialog.window.is_open
    assert not layer.children
    krita.finish(dialog)
    (mask,) = layer.children
    assert (mask.name(), mask.type()) == ("Human Matte", "transparencymask")
    assert mask.selection is not None
    assert mask.selection.values == RED
    assert mask.selection.area == (-7, 30, 4, 3)
    assert layer.raw == RAW
    assert not dialog.window.is_open
    assert not krita.said


@pytest.mark.usefixtures("engine")
def test_an_older_mask_of_ours_makes_way_and_others_stay(krita: Krita) -> None:
    document, layer = _document()
    mine = Node(label="mine", kind="transparencymask")
    layer.addChildNode(mine, None)
    old = Node(label="Human Matte", kind="transparencymask")
    layer.addChildNode(old, None)
    old.setSelection(Selection(bytes(range(12))))
    document.node = mine
    document.chosen = Selection(bytes([255] * 4 + [0] * 8))
    krita.finish(krita.click(document))
    assert layer.children[0] is mine
    (new,) = layer.children[1:]
    assert new is not old
    assert new.selection is not None
    assert new.selection.values == RED[:4] + bytes(range(4, 12))


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("kind", ["paintlayer", "grouplayer"])
def test_other_colours_are_converted_in_a_document_that_is_gone_again(
    krita: Krita, kind: str
) -> None:
    document, layer = _document(space=("GRAYA", "U8", "grey"), kind=kind)
    krita.finish(krita.click(document))
    (aside,) = krita.application.aside
    assert aside.is_closed
    assert aside.topLevelNodes()[0].space == ("RGBA", "U8", fake_krita.SRGB)
    # The stand-in turns the bytes round.
    assert layer.children[0].pixelData(*layer.area) == RAW[::-1][2::4]


@pytest.mark.usefixtures("engine")
def test_floats_are_sent_as_light(krita: Krita) -> None:
    space = ("RGBA", "F32", fake_krita.LINEAR)
    document, _ = _document(space=space, raw=bytes(4 * 48))
    picture = krita.click(document)._picture
    assert (picture.form.dtype, picture.form.colour) == ("f32", "linear")
    assert not krita.application.aside


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        ({"kind": "filterlayer"}, "a layer holds no picture"),
        ({"area": (0, 0, 0, 0)}, "a layer is empty"),
        ({"area": (0, 0, 70000, 1)}, "too large for the engine"),
        ({"area": (0, 0, 30000, 30000)}, "too large for the engine"),
    ],
)
def test_a_layer_that_shows_nothing_is_refused_in_a_sentence(
    krita: Krita, layer: dict[str, Any], said: str
) -> None:
    assert krita.click(_document(**layer)[0]) is None
    (sentence,) = krita.said
    assert said in sentence


def test_without_a_picture_or_a_selection_on_it_there_is_nothing_to_do(krita: Krita) -> None:
    assert krita.click(None) is None
    assert krita.click(Document()) is None
    assert krita.click(_document(Selection(bytes(12)))[0]) is None
    assert krita.said[:2] == ["Open a picture first."] * 2
    assert "Select > Deselect" in krita.said[2]


def test_an_older_krita_is_told_so(krita: Krita) -> None:
    older = SimpleNamespace(activeNode=Node)
    assert krita.click(older) is None  # type: ignore[arg-type]
    assert krita.said == ["Human Matte needs Krita 5.2 or newer."]


def test_without_an_engine_the_dialog_says_so_and_stays(krita: Krita) -> None:
    document, layer = _document()
    dialog = krita.click(document)
    krita.finish(dialog)
    (sentence,) = krita.said
    assert "engine is not installed" in sentence
    assert dialog.window.is_open
    assert dialog.go.said["Enabled"]
    assert not layer.children


def test_cancel_leaves_the_layer_and_the_engine_as_they_are(
    krita: Krita, engine: RedEngine
) -> None:
    document, layer = _document(raw=bytes([66]) * 48)
    dialog = krita.click(document)
    dialog.go.clicked.emit()
    work = dialog._work
    wait_until(engine.begun.is_set)
    assert not dialog.form.said["Enabled"]
    dialog.window.reject()
    dialog._timer.timeout.emit()
    assert not work.is_done
    engine.gate.set()
    with pytest.raises(Cancelled):
        work.result()
    assert not layer.children
    assert not krita.said
    document, layer = _document()
    krita.finish(krita.click(document))
    assert layer.children


def test_cancel_is_heard_while_the_engine_starts(
    krita: Krita, monkeypatch: pytest.MonkeyPatch
) -> None:
    dialog = krita.click(_document()[0])

    def connect(_: object, *, told: Callable[[str], None]) -> None:
        while True:
            told("starting the engine")
            time.sleep(0.01)

    monkeypatch.setattr(asking, "connect", connect)
    dialog.go.clicked.emit()
    work = dialog._work
    wait_until(lambda: work.tell.text == "starting the engine")
    dialog.window.reject()
    wait_until(lambda: work.is_done)
    assert not krita.said


@pytest.mark.usefixtures("engine")
def test_of_a_window_that_was_left_no_picture_is_kept(krita: Krita) -> None:
    krita.finish(krita.click(_document()[0]))
    assert krita.extension._dialog is None
    krita.click(_document()[0]).window.reject()
    assert krita.extension._dialog is None


@pytest.mark.usefixtures("engine")
def test_what_was_chosen_is_remembered_and_sent(krita: Krita) -> None:
    dialog = krita.click(_document()[0])
    assert dialog.quality.currentData() == "standard"
    assert [label for label, _ in dialog.quality.options] == ["Draft", "Standard", "Fine"]
    dialog.quality.setCurrentIndex(2)
    dialog.device.setCurrentIndex(dialog.device.findData("cpu"))
    dialog.engine.setText(" /opt/shm-matte ")
    krita.finish(dialog)
    request = _request_of(krita)
    assert (request.size, request.device) == (1024, "cpu")
    again = krita.click(_document()[0])
    assert (again.quality.currentData(), again.engine.text()) == ("fine", "/opt/shm-matte")
    krita.application.settings["human_matte", "quality"] = "of another version"
    again = krita.click(_document()[0])
    assert (again.quality.currentData(), again.engine.text()) == ("standard", "/opt/shm-matte")


def _request_of(krita: Krita) -> Any:
    """What would be sent for the remembered wishes."""
    choices = importlib.import_module(f"{SHARED}choices")
    asking = importlib.import_module(f"{SHARED}asking")
    wishes = choices.remembered(krita.application.readSetting)
    return asking.request_of(krita.click(_document()[0])._picture, wishes)


def test_a_damaged_plug_in_says_so(krita: Krita, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = ModuleType(f"{SHARED}run")
    monkeypatch.setitem(sys.modules, f"{SHARED}run", broken)
    krita.menu["tools/scripts/Human Matte..."].emit()
    (sentence,) = krita.said
    assert "install it anew" in sentence


def test_qt_is_the_one_that_krita_has_loaded(krita: Krita, monkeypatch: pytest.MonkeyPatch) -> None:
    assert sys.modules[f"{SHARED}qt"].QtCore.__name__ == "PyQt5.QtCore"
    del krita
    for name, module in fake_krita.modules([], "PyQt6")[0].items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.delitem(sys.modules, f"{SHARED}qt")
    assert importlib.import_module(f"{SHARED}qt").QtCore.__name__ == "PyQt6.QtCore"
