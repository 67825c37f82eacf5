"""The plug-in with a stand-in for GIMP's modules and a real worker around a stand-in engine."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from shm_plugin.choices import SIZES
from tests.plugin import fake_gimp
from tests.plugin.fake_gimp import Buffer, Image, Layer, LayerMask, Procedure, log
from tests.plugin.workers import living

PIXELS = bytes(range(1, 37))
SHARED = "shm_plugin.gimp."


@pytest.fixture
def plug_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ModuleType]:
    """The module, freshly imported, for a user without an engine."""
    for name in fake_gimp.forget():
        monkeypatch.delitem(sys.modules, name)
    for name, module in fake_gimp.modules().items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setenv("SHM_MATTE_RUNTIME", str(tmp_path / "run"))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("SHM_MATTE", raising=False)
    yield importlib.import_module(f"{SHARED}plug_in")
    for name in fake_gimp.forget():
        del sys.modules[name]


@pytest.fixture
def engine(plug_in: ModuleType, tmp_path: Path) -> Iterator[None]:
    """A worker that the plug-in finds; an alpha is the red channel."""
    del plug_in
    with living(tmp_path / "run"):
        yield


def _layer(pixels: bytes = PIXELS, **more: Any) -> Layer:
    return Layer(buffer=Buffer(pixels), **more)


def _call(
    plug_in: ModuleType, drawables: Sequence[Any], image: Image | None = None, **said: Any
) -> tuple[str, str]:
    """How a call ended, and the sentence."""
    procedure = plug_in.HumanMatte().do_create_procedure("plug-in-human-matte")
    config = {**procedure.arguments, **said}
    arguments = SimpleNamespace(get_property=config.__getitem__)
    how = said.get("how", "noninteractive")
    ended: tuple[str, str] = procedure.run(
        procedure, how, image or Image(), list(drawables), arguments, None
    )
    return ended


def test_at_the_start_of_gimp_nothing_is_imported_that_may_be_missing(plug_in: ModuleType) -> None:
    imported = {name.removeprefix(SHARED) for name in fake_gimp.forget()}
    assert imported == {"plug_in", "choices"}
    assert plug_in.HumanMatte().do_query_procedures() == ["plug-in-human-matte"]
    procedure = plug_in.HumanMatte().do_create_procedure("plug-in-human-matte")
    assert isinstance(procedure, Procedure)
    assert procedure.menus == ["<Image>/Layer/Transparency"]
    expected = {"output": "mask", "quality": "standard", "device": "auto", "engine": None}
    assert procedure.arguments == expected


@pytest.mark.usefixtures("engine")
def test_a_layer_gets_the_engines_alpha_as_its_mask_in_one_undo_step(plug_in: ModuleType) -> None:
    layer = _layer()
    assert _call(plug_in, [layer]) == ("SUCCESS", "")
    assert layer.mask is not None
    red = np.frombuffer(PIXELS, np.uint8)[::3] / np.float32(255)
    assert layer.mask.shadow.written == {"Y float": red.astype("<f4").tobytes()}
    assert layer.buffer.written == {}
    steps = [entry for entry in log if not entry.startswith("progress")]
    expected = ["read R'G'B' u8", "begin", "add a white mask", "flush", "paint a white mask"]
    assert steps == [*expected, "end", "show"]


@pytest.mark.usefixtures("engine")
def test_a_mask_that_is_there_is_painted_over_and_seen_again(plug_in: ModuleType) -> None:
    layer = _layer(applies=False)
    layer.mask = LayerMask(layer=layer)
    assert _call(plug_in, [layer.mask, layer]) == ("SUCCESS", "")
    assert layer.mask.name == "a mask"
    assert layer.applies
    assert log.count("paint a mask") == 1


@pytest.mark.usefixtures("engine")
def test_progress_goes_on_from_layer_to_layer(plug_in: ModuleType) -> None:
    assert _call(plug_in, [_layer(), _layer(), _layer(), _layer()])[0] == "SUCCESS"
    shares = [float(e.split()[1]) for e in log if e.startswith("progress 0.")]
    assert shares == sorted(shares)
    assert {0.12, 0.38, 0.62, 0.88} <= set(shares)
    assert log.index("begin") > log.index("progress ended")
    assert log.count("begin") == 1


@pytest.mark.usefixtures("engine")
def test_when_the_engine_fails_its_sentence_is_told_and_no_undo_step_begun(
    plug_in: ModuleType,
) -> None:
    layers = [_layer(), _layer(bytes([13]) * 36)]
    assert _call(plug_in, layers) == ("EXECUTION_ERROR", "This picture is unlucky.")
    assert "begin" not in log
    assert layers[0].mask is None


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize(
    ("output", "change", "sentence"),
    [
        ("mask", {"is_there": False}, "removed while"),
        ("mask", {"width": 3, "height": 4}, "a layer was changed while"),
        ("trimap", {"width": 1}, "a layer was changed while"),
    ],
)
def test_a_layer_that_is_another_by_the_time_of_the_reply_is_left_alone(
    plug_in: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    output: str,
    change: dict[str, Any],
    sentence: str,
) -> None:
    layer = _layer()
    asking = importlib.import_module(f"{SHARED}asking")
    ask_all = asking.ask_all

    def ask_and_change(*given: Any) -> Any:
        replies = ask_all(*given)
        for name, value in change.items():
            setattr(layer, name, value)
        return replies

    monkeypatch.setattr(asking, "ask_all", ask_and_change)
    how, said = _call(plug_in, [layer], output=output)
    assert how == "EXECUTION_ERROR"
    assert sentence in said
    assert "begin" not in log
    assert layer.mask is None


@pytest.mark.usefixtures("engine")
def test_an_undo_step_ends_even_where_gimp_refuses_it(
    plug_in: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr(LayerMask, "merge_shadow", refuse)
    with pytest.raises(RuntimeError):
        _call(plug_in, [_layer()])
    assert log[-1] == "end"


def test_without_an_engine_the_sentence_says_what_to_install(plug_in: ModuleType) -> None:
    status, sentence = _call(plug_in, [_layer()])
    assert status == "EXECUTION_ERROR"
    assert "engine is not installed" in sentence
    assert "begin" not in log


def test_an_engine_that_was_chosen_is_the_one_that_is_looked_for(
    plug_in: ModuleType, tmp_path: Path
) -> None:
    chosen = tmp_path / "no-engine"
    chosen.touch()
    engine = SimpleNamespace(get_path=lambda: str(chosen))
    assert f"names {chosen}" in _call(plug_in, [_layer()], engine=engine)[1]


@pytest.mark.parametrize("lost", ["messages", "client", "gimp.dialog"])
def test_where_a_file_is_missing_the_sentence_says_to_install_anew(
    plug_in: ModuleType, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    monkeypatch.setitem(sys.modules, f"shm_plugin.{lost}", None)
    how = "interactive" if lost.endswith("dialog") else "noninteractive"
    status, sentence = _call(plug_in, [_layer()], how=how)
    assert status == "EXECUTION_ERROR"
    assert "install it anew" in sentence


def test_a_dialog_that_is_left_ends_the_call_with_nothing_done(
    plug_in: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    dialog: Any = ModuleType("dialog")
    dialog.agree = lambda *_: False
    monkeypatch.setitem(sys.modules, f"{SHARED}dialog", dialog)
    assert _call(plug_in, [_layer()], how="interactive") == ("CANCEL", "")
    assert log == []


@pytest.mark.parametrize(
    ("drawables", "image", "said", "words"),
    [
        ([], Image(), {}, "Select a layer"),
        ([LayerMask()], Image(), {}, "not at channels"),
        ([_layer(is_group_of_layers=True)], Image(), {}, "is a group"),
        ([_layer(is_floating=True)], Image(), {}, "anchor it"),
        ([_layer(is_locked=True)], Image(), {}, "unlock them"),
        ([_layer(parent=_layer(is_locked=True))], Image(), {"output": "layer"}, "unlock them"),
        ([_layer(is_selected=False)], Image(has_selection=True), {}, "Select > None"),
        ([_layer()], Image(base="indexed"), {"output": "trimap"}, "Image > Mode > RGB"),
        ([_layer(width=1 << 15, height=1 << 15)], Image(), {}, "too large"),
    ],
)
@pytest.mark.usefixtures("engine")
def test_what_cannot_be_done_is_said_before_anything_is(
    plug_in: ModuleType, drawables: list[Any], image: Image, said: dict[str, str], words: str
) -> None:
    status, sentence = _call(plug_in, drawables, image, **said)
    assert status == "EXECUTION_ERROR"
    assert words in sentence
    assert not any(entry.startswith(("read", "begin")) for entry in log)


@pytest.mark.usefixtures("plug_in")
@pytest.mark.parametrize(
    ("output", "wanted", "channels", "foreground"),
    [
        ("mask", "alpha", 3, "source"),
        ("layer", "alpha", 3, "source"),
        ("clean-layer", "rgba", 4, "estimate"),
        ("trimap", "trimap", 3, "source"),
    ],
)
def test_a_request_is_what_was_chosen(
    output: str, wanted: str, channels: int, foreground: str
) -> None:
    asking = importlib.import_module(f"{SHARED}asking")
    choices = importlib.import_module(f"{SHARED}choices")
    wishes = choices.Wishes(output=output, quality="fine", device="cuda")
    layer = _layer(os.urandom(4 * 3 * channels * 2))
    request = asking.request_of(layer, "u16", wishes)
    assert request.wants == (wanted,)
    assert (request.channels, request.foreground, request.dtype) == (channels, foreground, "u16")
    assert (request.size, request.device) == (1024, "cuda")
    assert request.pixels == layer.buffer.pixels
    assert log[-1] == f"read R'G'B'{'A' * (channels - 3)} u16"


@pytest.mark.usefixtures("plug_in")
@pytest.mark.parametrize(
    ("precision", "profile", "dtype"),
    [
        ("u8-non-linear", None, "u8"),
        ("u8-perceptual", None, "u8"),
        ("u8-linear", None, "f32"),
        ("u8-non-linear", "Adobe RGB", "f32"),
        ("u16-non-linear", None, "u16"),
        ("u32-non-linear", None, "f32"),
        ("half-linear", None, "f32"),
        ("double-non-linear", None, "f32"),
    ],
)
def test_samples_hold_what_those_of_the_image_do(
    precision: str, profile: str | None, dtype: str
) -> None:
    pixels = importlib.import_module(f"{SHARED}pixels")
    assert pixels.dtype_of(Image(precision=precision, profile=profile)) == dtype


@pytest.mark.usefixtures("plug_in")
@pytest.mark.parametrize("length", [0, 47, 49])
def test_pixels_of_another_length_are_never_given_to_gegl(length: int) -> None:
    pixels = importlib.import_module(f"{SHARED}pixels")
    layer = _layer()
    for write, buffer in ((pixels.fill, layer.buffer), (pixels.paint, layer.shadow)):
        with pytest.raises(ValueError, match="48"):
            write(layer, pixels.MASK, bytes(length))
        assert buffer.written == {}
    pixels.fill(layer, pixels.MASK, bytes(48))
    assert layer.buffer.written == {"Y float": bytes(48)}


@pytest.mark.usefixtures("plug_in")
def test_every_choice_can_be_asked_for() -> None:
    choices = importlib.import_module(f"{SHARED}choices")
    asking = importlib.import_module(f"{SHARED}asking")
    results = importlib.import_module(f"{SHARED}results")
    named = {choice.name: {o.name for o in choice.options} for choice in choices.CHOICES}
    assert named["quality"] == set(SIZES)
    assert named["output"] == set(asking._WANTS) == set(results._PLACES)
    assert set(choices.NAMES) == {*named, "engine"}
    assert SIZES["standard"] == 512
