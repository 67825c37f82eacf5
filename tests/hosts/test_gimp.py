"""The plug-in in the real GIMP 3 with the real weights: masks and layers against the engine's own.

What is undone, cancelled and seen is tested in a window, see test_gimp_window.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from cli.video.source import VideoSource
from shm_engine.detail import draw
from shm_engine.matter import Matter
from shm_engine.options import MatterOptions
from shm_engine.types import Frame, Matte
from tests.conftest import ROOT
from tests.hosts.gimp import (
    Case,
    Gimp,
    Layer,
    Outcome,
    engine_to_start,
    new_gimp,
    run_cases,
    worker,
)
from tests.hosts.installed import debian

pytestmark = pytest.mark.host

Picture = NDArray[np.uint8]
Plane = NDArray[np.float32]

# What GIMP rounds to 8 bits may be half a step off; a whole one is what we promise.
TOLERANCE = 1 / 255

# GIMP converts profiles in one of several ways, whichever it found faster in that process; the
# network (bfloat16) makes up to 1.7 steps of their differences.
PROFILE_TOLERANCE = 4 / 255

# With how far off an image of that precision can be from the picture that it was given.
PRECISIONS = {
    "U8_NON_LINEAR": 0.0,
    "U8_LINEAR": 7 / 255,
    "U16_NON_LINEAR": 0.0,
    "U16_LINEAR": 0.1 / 255,
    "U32_LINEAR": 0.0,
    "HALF_LINEAR": 0.1 / 255,
    "FLOAT_LINEAR": 0.0,
    "FLOAT_NON_LINEAR": 0.0,
    # A float image, but for its colours.
    "adobe": 2 / 255,
}


@cache
def frame() -> Picture:
    """[360, 640, 3]: a person, and a room behind her."""
    with VideoSource(ROOT / "samples" / "turn.mp4") as source:
        image = next(iter(source)).image
    return np.ascontiguousarray(image.numpy().transpose(1, 2, 0))


@cache
def photograph() -> Picture:
    """[180, 320, 3]: the same, smaller."""
    return np.ascontiguousarray(frame()[::2, ::2])


@cache
def grey() -> Picture:
    """The photograph without colours."""
    plane = photograph().mean(2).astype(np.uint8)
    return np.ascontiguousarray(np.repeat(plane[..., None], 3, 2))


@cache
def with_alpha() -> Picture:
    """The photograph, fading out to the right."""
    height, width, _ = photograph().shape
    fade = np.broadcast_to(np.linspace(255, 0, width).astype(np.uint8)[:, None], (height, width, 1))
    return np.ascontiguousarray(np.concatenate([photograph(), fade], 2))


@cache
def matter(size: int) -> Matter:
    """The engine in this process."""
    return Matter.load(None, MatterOptions(device="cpu", long_side_pixels=size))


def matte_of(picture: NDArray[np.generic], *, size: int = 512, foreground: str = "source") -> Matte:
    """What the engine itself makes of a picture's colours."""
    planes = torch.from_numpy(picture[..., :3].transpose(2, 0, 1).copy())
    draft = next(matter(size).drafts([Frame(image=planes)]))
    return next(draw(iter([draft]), foreground=foreground))


def alpha_of(picture: NDArray[np.generic], *, size: int = 512) -> Plane:
    """[H, W]: the engine's own alpha."""
    return np.asarray(matte_of(picture, size=size).alpha[0].numpy())


CPU = {"device": "cpu"}
SELECTION = (60, 20, 150, 120)


def _cases() -> Iterator[Case]:
    picture = photograph()
    for name in PRECISIONS:
        is_adobe = name == "adobe"
        precision = "U8_NON_LINEAR" if is_adobe else name
        yield Case(
            name=name, picture=picture, precision=precision, is_adobe=is_adobe, arguments=CPU
        )
    yield Case(name="grey", picture=grey(), base="GRAY", arguments=CPU)
    yield Case(name="alpha", picture=with_alpha(), arguments=CPU)
    yield Case(name="indexed", picture=grey(), base="INDEXED", arguments=CPU)
    yield Case(name="offset", picture=picture, canvas=(300, 400), offset=(-50, 37), arguments=CPU)
    yield Case(name="fine", picture=picture, arguments=CPU | {"quality": "fine"})
    yield Case(name="draft", picture=picture, arguments=CPU | {"quality": "draft"})
    yield Case(name="selection", picture=picture, selection=(*SELECTION, 0), arguments=CPU)
    yield Case(name="feather", picture=picture, selection=(*SELECTION, 30), arguments=CPU)
    yield Case(
        name="moved selection",
        picture=picture,
        canvas=(300, 200),
        offset=(-50, 37),
        selection=(*SELECTION, 0),
        arguments=CPU,
    )
    yield Case(name="masked", picture=picture, mask="BLACK", arguments=CPU)
    yield Case(
        name="disabled mask", picture=picture, mask="BLACK", mask_applies=False, arguments=CPU
    )
    yield Case(name="mask picked", picture=picture, mask="BLACK", pick="mask", arguments=CPU)
    yield Case(
        name="mask and selection",
        picture=picture,
        mask="BLACK",
        selection=(*SELECTION, 0),
        arguments=CPU,
    )
    yield Case(name="two", picture=picture, layers=2, arguments=CPU)
    yield Case(name="in group", picture=picture, pick="in group", arguments=CPU)
    yield Case(name="locked", picture=picture, pick="locked", arguments=CPU)
    cut = CPU | {"output": "layer"}
    yield Case(name="cut", picture=picture, offset=(9, -7), layers=2, arguments=cut)
    yield Case(name="cut alpha", picture=with_alpha(), arguments=cut)
    yield Case(name="cut masked", picture=picture, mask="BLACK", arguments=cut)
    yield Case(name="cut selection", picture=picture, selection=(*SELECTION, 30), arguments=cut)
    yield Case(name="cut in group", picture=picture, pick="in group", arguments=cut)
    yield Case(name="cut locked", picture=picture, pick="locked", arguments=cut)
    clean = CPU | {"output": "clean-layer"}
    for precision in ("U8_NON_LINEAR", "U16_NON_LINEAR", "FLOAT_LINEAR"):
        yield Case(
            name=f"clean {precision}", picture=with_alpha(), precision=precision, arguments=clean
        )
    yield Case(name="clean masked", picture=picture, mask="BLACK", arguments=clean)
    yield Case(name="clean selection", picture=picture, selection=(*SELECTION, 0), arguments=clean)
    trimap = CPU | {"output": "trimap"}
    yield Case(name="trimap", picture=picture, offset=(-3, 5), arguments=trimap)
    yield Case(name="trimap linear", picture=picture, precision="FLOAT_LINEAR", arguments=trimap)
    yield Case(
        name="trimap grey", picture=grey(), base="GRAY", selection=(*SELECTION, 0), arguments=trimap
    )
    yield Case(name="group", picture=picture, pick="group", arguments=CPU)
    yield Case(name="channel", picture=picture, pick="channel", arguments=CPU)
    yield Case(name="elsewhere", picture=picture, canvas=(700, 200), selection=(500, 5, 9, 9, 0))
    yield Case(name="indexed cut", picture=picture, base="INDEXED", arguments=cut)


@pytest.fixture(scope="module")
def gimp() -> Iterator[Gimp]:
    """A new GIMP with the plug-in."""
    with new_gimp(debian()) as new:
        yield new


@pytest.fixture(scope="module")
def outcomes(gimp: Gimp) -> dict[str, Outcome]:
    """Of all cases, with the engine outside."""
    with worker(gimp.root) as runtime:
        return run_cases(gimp, runtime, list(_cases()))


def _mask(layer: Layer) -> Plane:
    assert layer.mask is not None
    return layer.mask


def _only(outcome: Outcome) -> Layer:
    assert outcome.status == "success", outcome.sentence
    (layer,) = outcome.after
    return layer


def _close(found: Plane, expected: NDArray[np.floating], tolerance: float = TOLERANCE) -> bool:
    return bool(np.abs(found - expected).max() <= tolerance)


def _selected(outcome: Outcome, layer: Layer) -> Plane:
    """[H, W]: the selection where the layer is."""
    height, width = layer.rgba.shape[:2]
    x, y = layer.offset
    there = np.zeros((height, width), np.float32)
    rows, columns = outcome.selection.shape
    top, left = max(y, 0), max(x, 0)
    bottom, right = min(y + height, rows), min(x + width, columns)
    there[top - y : bottom - y, left - x : right - x] = outcome.selection[top:bottom, left:right]
    return there


@pytest.mark.parametrize("name", PRECISIONS)
def test_the_mask_is_the_engines_own_alpha_in_every_precision(
    outcomes: dict[str, Outcome], name: str
) -> None:
    layer = _only(outcomes[name])
    # The network notices what an image loses by its precision.
    held = outcomes[name].before[0].rgba[..., :3]
    assert np.abs(held - photograph() / 255).max() <= PRECISIONS[name] + 1e-6
    is_exact = PRECISIONS[name] == 0
    expected = alpha_of(photograph() if is_exact else np.clip(held, 0, 1))
    assert 0.05 < expected.mean() < 0.95
    assert _close(_mask(layer), expected, PROFILE_TOLERANCE if name == "adobe" else TOLERANCE)
    assert np.array_equal(layer.rgba, outcomes[name].before[0].rgba)


@pytest.mark.parametrize("name", ["grey", "indexed"])
def test_a_picture_without_colours_gets_the_mask_that_the_engine_gives_it(
    outcomes: dict[str, Outcome], name: str
) -> None:
    layer = _only(outcomes[name])
    assert _close(_mask(layer), alpha_of(grey()))
    assert np.array_equal(layer.rgba, outcomes[name].before[0].rgba)


def test_the_mask_of_a_layer_with_alpha_does_not_contain_that_alpha_once_more(
    outcomes: dict[str, Outcome],
) -> None:
    layer = _only(outcomes["alpha"])
    assert _close(_mask(layer), alpha_of(photograph()))
    assert np.array_equal(layer.rgba, outcomes["alpha"].before[0].rgba)


def test_the_mask_lies_where_a_smaller_layer_lies(outcomes: dict[str, Outcome]) -> None:
    layer = _only(outcomes["offset"])
    assert layer.offset == (-50, 37)
    assert _close(_mask(layer), alpha_of(photograph()))


@pytest.mark.parametrize(("name", "size"), [("draft", 384), ("fine", 1024)])
def test_quality_is_how_closely_the_engine_looks(
    outcomes: dict[str, Outcome], name: str, size: int
) -> None:
    assert _close(_mask(_only(outcomes[name])), alpha_of(photograph(), size=size))


@pytest.mark.parametrize("name", ["selection", "feather", "moved selection"])
def test_outside_of_the_selection_the_mask_stays_white(
    outcomes: dict[str, Outcome], name: str
) -> None:
    layer = _only(outcomes[name])
    selected = _selected(outcomes[name], layer)
    assert selected.max() == 1
    assert selected.min() == 0
    expected = 1 - selected * (1 - alpha_of(photograph()))
    assert _close(_mask(layer), expected)
    assert np.all(_mask(layer)[selected == 0] == 1)


@pytest.mark.parametrize("name", ["masked", "disabled mask", "mask picked"])
def test_a_mask_that_is_there_is_replaced_and_seen(outcomes: dict[str, Outcome], name: str) -> None:
    layer = _only(outcomes[name])
    assert _close(_mask(layer), alpha_of(photograph()))
    assert layer.mask_applies
    assert layer.mask_is_edited == outcomes[name].before[0].mask_is_edited


def test_a_new_mask_is_what_the_user_paints_on_next(outcomes: dict[str, Outcome]) -> None:
    assert _only(outcomes["U8_NON_LINEAR"]).mask_is_edited


def test_outside_of_the_selection_a_mask_that_is_there_stays(
    outcomes: dict[str, Outcome],
) -> None:
    layer = _only(outcomes["mask and selection"])
    selected = _selected(outcomes["mask and selection"], layer)
    assert _close(_mask(layer), selected * alpha_of(photograph()))


def test_several_layers_get_a_mask_each(outcomes: dict[str, Outcome]) -> None:
    assert outcomes["two"].status == "success"
    assert len(outcomes["two"].after) == 2
    for layer in outcomes["two"].after:
        assert _close(_mask(layer), alpha_of(photograph()))


def test_a_layer_in_a_group_gets_a_mask(outcomes: dict[str, Outcome]) -> None:
    layer = _only(outcomes["in group"])
    assert layer.parent == "a group"
    assert _close(_mask(layer), alpha_of(photograph()))


def test_a_locked_layer_can_be_cut_out_but_not_masked(outcomes: dict[str, Outcome]) -> None:
    copy, layer = outcomes["cut locked"].after
    assert _close(copy.rgba[..., 3], alpha_of(photograph()))
    assert np.array_equal(layer.rgba, outcomes["cut locked"].before[0].rgba)


def test_a_new_layer_is_a_copy_above_with_the_matte_as_its_alpha(
    outcomes: dict[str, Outcome],
) -> None:
    outcome = outcomes["cut"]
    names = ["layer 1 cut out", "layer 1", "layer 0 cut out", "layer 0"]
    assert [layer.name for layer in outcome.after] == names
    assert sorted(outcome.selected) == ["layer 0 cut out", "layer 1 cut out"]
    for copy, layer in zip(outcome.after[::2], outcome.after[1::2], strict=True):
        assert copy.mask is None
        assert copy.offset == (9, -7)
        assert _close(copy.rgba[..., 3], alpha_of(photograph()))
        assert np.array_equal(copy.rgba[..., :3], layer.rgba[..., :3])
        assert layer.mask is None
        assert np.all(layer.rgba[..., 3] == 1)


@pytest.mark.parametrize("name", ["cut", "clean"])
def test_a_new_layer_keeps_what_its_layer_hides_hidden(
    outcomes: dict[str, Outcome], name: str
) -> None:
    copy, layer = outcomes[f"{name} masked"].after
    assert copy.mask is None
    assert np.all(copy.rgba[..., 3] == 0)
    assert np.all(_mask(layer) == 0)
    assert (copy.is_visible, layer.is_visible) == (True, False)


def test_a_new_layer_is_no_more_opaque_than_its_layer(outcomes: dict[str, Outcome]) -> None:
    expected = alpha_of(photograph()) * with_alpha()[..., 3] / np.float32(255)
    assert _close(outcomes["cut alpha"].after[0].rgba[..., 3], expected)


@pytest.mark.parametrize("name", ["cut selection", "clean selection"])
def test_a_new_layer_shows_nothing_that_is_not_selected(
    outcomes: dict[str, Outcome], name: str
) -> None:
    copy, layer = outcomes[name].after
    expected = alpha_of(photograph()) * _selected(outcomes[name], layer)
    assert _close(copy.rgba[..., 3], expected)


def test_a_new_layer_stays_in_the_group(outcomes: dict[str, Outcome]) -> None:
    assert [layer.parent for layer in outcomes["cut in group"].after] == ["a group", "a group"]


@pytest.mark.parametrize("precision", ["U8_NON_LINEAR", "U16_NON_LINEAR", "FLOAT_LINEAR"])
def test_a_new_layer_can_be_without_the_old_background(
    outcomes: dict[str, Outcome], precision: str
) -> None:
    copy, layer = outcomes[f"clean {precision}"].after
    matte = matte_of(photograph(), foreground="estimate")
    alpha = matte.alpha[0].numpy() * with_alpha()[..., 3] / np.float32(255)
    assert _close(copy.rgba[..., 3], alpha)
    colours = matte.colours.numpy().transpose(1, 2, 0) / np.float32(255)
    seen = alpha > 0
    assert np.abs(copy.rgba[..., :3] - colours)[seen].max() <= 2 * TOLERANCE
    assert np.abs(copy.rgba[..., :3] - layer.rgba[..., :3])[seen].max() > 0.05


@pytest.mark.parametrize("name", ["trimap", "trimap linear"])
def test_a_trimap_layer_shows_the_three_classes(outcomes: dict[str, Outcome], name: str) -> None:
    made, layer = outcomes[name].after
    assert made.offset == layer.offset
    assert made.name == "layer 0 trimap"
    values = np.round(made.rgba[..., 0] * 255)
    assert set(np.unique(values)) == {0, 128, 255}
    assert np.all(made.rgba[..., 3] == 1)
    alpha = alpha_of(photograph())
    assert alpha[values == 255].mean() > 0.97
    assert alpha[values == 0].mean() < 0.03


def test_a_trimap_layer_shows_no_more_than_is_selected(outcomes: dict[str, Outcome]) -> None:
    outcome = outcomes["trimap grey"]
    made, layer = outcome.after
    assert _close(made.rgba[..., 3], _selected(outcome, layer))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("group", "is a group"),
        ("locked", "unlock them"),
        ("channel", "not at channels"),
        ("elsewhere", "Nothing of layer 0 is selected"),
        ("indexed cut", "Image > Mode > RGB"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence_and_changes_nothing(
    outcomes: dict[str, Outcome], name: str, words: str
) -> None:
    outcome = outcomes[name]
    assert outcome.status == "execution-error"
    assert words in outcome.sentence
    assert [layer.name for layer in outcome.after] == ["layer 0"]
    assert outcome.after[0].mask is None
    assert np.array_equal(outcome.after[0].rgba, outcome.before[0].rgba)


def test_gimp_starts_the_engine_and_finds_it_the_next_time(gimp: Gimp) -> None:
    with engine_to_start(gimp.root) as (program, runtime):
        case = Case(name="first", picture=photograph(), arguments=CPU | {"engine": program})
        # Another process of GIMP, which is not told where the engine is.
        again = Case(name="again", picture=photograph(), arguments=CPU)
        for each in (case, again):
            outcome = run_cases(gimp, runtime, [each])[each.name]
            assert _close(_mask(_only(outcome)), alpha_of(photograph()))


def test_without_an_engine_the_menu_entry_is_there_and_says_what_to_do(gimp: Gimp) -> None:
    missing = Case(name="missing", picture=photograph())
    named = Case(name="named", picture=photograph(), arguments={"engine": "/bin/sh"})
    outcomes = run_cases(gimp, "/nowhere/run", [missing, named])
    assert {each.status for each in outcomes.values()} == {"execution-error"}
    assert "engine is not installed" in outcomes["missing"].sentence
    assert "/bin/sh, which is no engine" in outcomes["named"].sentence
    assert outcomes["missing"].after[0].mask is None


def test_a_plug_in_that_lost_a_file_still_has_its_menu_entry_and_says_so(gimp: Gimp) -> None:
    (gimp.plug_in / "shm_plugin" / "messages.py").unlink()
    try:
        case = Case(name="damaged", picture=photograph())
        outcome = run_cases(gimp, "/nowhere/run", [case])["damaged"]
    finally:
        gimp.install()
    assert "install it anew" in outcome.sentence
