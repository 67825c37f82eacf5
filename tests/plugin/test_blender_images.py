"""What the add-on makes of images, in a stand-in for Blender and with one for the engine."""

from __future__ import annotations

import ast
import sys
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from shm_engine import __version__
from shm_plugin.client import WorkerError
from shm_plugin.messages import MatteReply, MatteRequest
from tests.plugin import fake_bpy
from tests.plugin.fake_bpy import Image
from tests.plugin.workers import living


@dataclass
class HalfEngine:
    """Half of everything is a person; of an rgba all samples are 0.25."""

    description: str = "a stand-in"
    asked: list[MatteRequest] = field(default_factory=list)

    def matte(self, request: MatteRequest, tell: Any) -> MatteReply:
        self.asked.append(request)
        tell(0.5, "half")
        count = request.width * request.height
        return MatteReply(
            id=request.id,
            width=request.width,
            height=request.height,
            alpha=array("f", [0.5] * count).tobytes() if "alpha" in request.wants else b"",
            foreground=b"",
            trimap=b"",
            rgba=array("f", [0.25] * 4 * count).tobytes() if "rgba" in request.wants else b"",
        )


@pytest.fixture
def bpy() -> Iterator[Any]:
    with fake_bpy.installed() as bpy:
        yield bpy


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HalfEngine]:
    """A living worker that the add-on finds."""
    monkeypatch.setenv("SHM_MATTE_RUNTIME", str(tmp_path / "run"))
    (tmp_path / "run").mkdir(mode=0o700)
    engine = HalfEngine()
    with living(tmp_path / "run", lambda: engine):
        yield engine


def _image(name: str = "woman.png", *, channels: int = 4, is_float: bool = False) -> Image:
    """3 x 2 pixels whose samples are 0, 1/32, 2/32, ..."""
    image = Image(name, 3, 2, channels=channels)
    image.pixels.samples[:] = array("f", [n / 32 for n in range(6 * channels)])
    image.is_float = is_float
    return image


def _matted(bpy: Any, image: Image, **options: str) -> tuple[Any, Any]:
    """The operator after its work, and its context."""
    from shm_plugin.blender.image import IMAGE_OT_human_matte

    bpy.data.images[image.name] = image
    context = fake_bpy.make_context(bpy, image)
    operator = IMAGE_OT_human_matte()
    operator.source = ""
    operator.output, operator.colours = "IMAGE", "SOURCE"
    operator.__dict__.update(options)
    assert operator.poll(context)
    assert operator.execute(context) == {"FINISHED"}
    return operator, context


def test_an_8_bit_image_keeps_its_samples_and_gets_alpha(bpy: Any, engine: HalfEngine) -> None:
    image = _image()
    before = array("f", image.pixels.samples)
    operator, context = _matted(bpy, image)
    result = bpy.data.images["woman matte"]
    assert list(result.pixels.samples[3::4]) == [0.5] * 6
    for channel in range(3):
        assert result.pixels.samples[channel::4] == before[channel::4]
    assert image.pixels.samples == before
    assert result.is_packed
    assert result.use_fake_user
    assert not result.is_float
    assert result.alpha_mode == "STRAIGHT"
    assert context.space_data.image is result
    assert operator.reports == [
        ("INFO", "woman matte is packed into this file; save it with Image > Save As.")
    ]
    (request,) = engine.asked
    assert (request.dtype, request.channels, request.colour) == ("f32", 4, "srgb")
    assert request.bottom_up
    assert not request.premultiplied
    assert request.pixels == before.tobytes()
    assert (request.device, request.size, request.wants) == ("auto", 512, ("alpha",))


def test_a_float_image_is_premultiplied_light(bpy: Any, engine: HalfEngine) -> None:
    image = _image("scan.tif", is_float=True)
    operator, _ = _matted(bpy, image, colours="CLEAN")
    result = bpy.data.images["scan matte"]
    assert list(result.pixels.samples) == [0.25] * 24
    assert result.is_float
    assert (result.alpha_mode, result.colorspace_settings.name) == ("PREMUL", "Linear Rec.709")
    assert "save it as OpenEXR, or with Save as PNG" in operator.reports[0][1]
    (request,) = engine.asked
    assert (request.colour, request.premultiplied) == ("linear", True)
    assert (request.foreground, request.wants) == ("estimate", ("rgba",))


def test_a_matte_is_grey_data(bpy: Any, engine: HalfEngine) -> None:
    _matted(bpy, _image(), output="MATTE", colours="CLEAN")
    result = bpy.data.images["woman matte"]
    assert result.use_fake_user
    assert list(result.pixels.samples) == [0.5, 0.5, 0.5, 1.0] * 6
    assert result.colorspace_settings.name == "Non-Color"
    assert engine.asked[0].wants == ("alpha",)


def test_preferences_choose_device_and_size(bpy: Any, engine: HalfEngine) -> None:
    from shm_plugin.blender.preferences import ADDON, Settings

    own = Settings(engine="/engine", device="cuda", quality="fine")
    bpy.context.preferences.addons[ADDON] = SimpleNamespace(preferences=own)
    _matted(bpy, _image())
    (request,) = engine.asked
    assert (request.device, request.size) == ("cuda", 1024)


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_images_of_few_channels_become_rgba(bpy: Any, channels: int) -> None:
    from shm_plugin.blender.pixels import read

    assert bpy.data.images == {}
    picture = read(_image(channels=channels), None)
    pixels = [[n / 32 for n in range(p * channels, (p + 1) * channels)] for p in range(6)]
    expected = {1: lambda p: [*p * 3, 1], 2: lambda p: [*p[:1] * 3, p[1]], 3: lambda p: [*p, 1]}
    assert list(picture.rgba) == [value for p in pixels for value in expected[channels](p)]


@pytest.mark.parametrize("mode", ["NONE", "CHANNEL_PACKED"])
def test_a_fourth_channel_that_is_no_alpha_hides_nothing(bpy: Any, mode: str) -> None:
    from shm_plugin.blender.pixels import read

    assert bpy.data.images == {}
    image = _image()
    image.alpha_mode = mode
    assert list(read(image, None).rgba[3::4]) == [1.0] * 6


@pytest.mark.parametrize(
    ("space", "is_float", "file_format", "colour", "kept"),
    [
        ("sRGB", False, "PNG", "srgb", "sRGB"),
        ("Linear Rec.709", False, "PNG", "linear", "Linear Rec.709"),
        ("ACEScg", False, "TIFF", "linear", "ACEScg"),
        ("Non-Color", False, "PNG", "srgb", "Non-Color"),
        ("sRGB", True, "PNG", "linear", ""),
        ("Non-Color", True, "PNG", "srgb", "Non-Color"),
        ("Non-Color", True, "OPEN_EXR", "linear", "Non-Color"),
    ],
)
def test_the_samples_are_taken_for_what_they_are(
    bpy: Any, space: str, is_float: bool, file_format: str, colour: str, kept: str
) -> None:
    from shm_plugin.blender.pixels import read

    assert bpy.data.images == {}
    image = _image(is_float=is_float)
    image.file_format = file_format
    image.colorspace_settings = SimpleNamespace(name=space, is_data=space == "Non-Color")
    picture = read(image, None)
    assert (picture.colour, picture.space) == (colour, kept)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"source": "TILED"}, "several tiles"),
        ({"type": "MULTILAYER"}, "several layers"),
        (
            {"size": (0, 0), "filepath": "/gone.png"},
            r"no pixels .* /gone\.png there, and whole\?",
        ),
        ({"size": (0, 0)}, r"no pixels that can be read\.$"),
        ({"size": (9000, 9000)}, "too large: 9000 x 9000 pixels"),
        ({"source": "MOVIE"}, "reads no frame of a movie but the first"),
    ],
)
def test_what_cannot_be_matted_is_one_sentence(
    bpy: Any, change: dict[str, Any], sentence: str
) -> None:
    from shm_plugin.blender.pixels import read

    bpy.app.background = True
    image = _image()
    vars(image).update(change)
    with pytest.raises(WorkerError, match=sentence):
        read(image, SimpleNamespace(frame_current=2))


@pytest.mark.parametrize(
    ("name", "result"),
    [
        ("woman.png", "woman matte"),
        ("woman.png.001", "woman matte"),
        ("Untitled", "Untitled matte"),
        ("v1.2 final.tiff", "v1.2 final matte"),
        (".png", ".png matte"),
    ],
)
def test_a_result_has_the_name_of_its_source(
    bpy: Any, engine: HalfEngine, name: str, result: str
) -> None:
    _matted(bpy, _image(name))
    assert list(bpy.data.images) == [name, result]
    assert len(engine.asked) == 1


@pytest.mark.parametrize("name", ["woman matte", "woman matte.001"])
def test_the_result_of_a_result_is_numbered(bpy: Any, engine: HalfEngine, name: str) -> None:
    for each in ("woman matte", "woman matte.001"):
        bpy.data.images[each] = _image(each)
    _matted(bpy, bpy.data.images[name])
    assert list(bpy.data.images) == ["woman matte", "woman matte.001", "woman matte.002"]
    assert len(engine.asked) == 1


def test_a_script_without_an_editor_names_the_image(bpy: Any, engine: HalfEngine) -> None:
    from shm_plugin.blender.image import IMAGE_OT_human_matte

    operator = IMAGE_OT_human_matte()
    operator.output, operator.colours = "IMAGE", "SOURCE"
    context = fake_bpy.make_context(bpy)
    context.space_data = context.area = None
    assert not operator.poll(context)
    assert operator.poll_message == "There is no image in this file"
    bpy.data.images["woman.png"] = _image()
    assert operator.poll(context)
    for source, sentence in (
        ("", 'No Image Editor is here; name an image, as source="woman.png".'),
        ("man.png", "There is no image named man.png in this file; open it first."),
    ):
        operator.source = source
        assert operator.execute(context) == {"CANCELLED"}
        assert operator.reports.pop() == ("ERROR", sentence)
    operator.source = "woman.png"
    assert operator.execute(context) == {"FINISHED"}
    assert list(bpy.data.images["woman matte"].pixels.samples[3::4]) == [0.5] * 6
    assert len(engine.asked) == 1


def test_a_script_may_name_another_image_than_the_one_that_is_shown(
    bpy: Any, engine: HalfEngine
) -> None:
    shown = bpy.data.images["shown.png"] = _image("shown.png")
    bpy.data.images["woman.png"] = _image()
    _, context = _matted(bpy, shown, source="woman.png")
    assert list(bpy.data.images) == ["shown.png", "woman.png", "woman matte"]
    assert context.space_data.image is shown
    assert len(engine.asked) == 1


def test_an_empty_editor_says_what_it_wants(bpy: Any) -> None:
    from shm_plugin.blender.image import IMAGE_OT_human_matte

    bpy.data.images["woman.png"] = _image()
    assert not IMAGE_OT_human_matte.poll(fake_bpy.make_context(bpy))
    assert IMAGE_OT_human_matte.poll_message == "Open an image in this editor first"


def test_an_editor_that_shows_something_else_by_now_is_left_alone(bpy: Any) -> None:
    from shm_plugin.blender.showing import show

    other, result = _image("other"), _image("result")
    context = fake_bpy.make_context(bpy, other)
    show(context, "woman.png", result)
    assert context.space_data.image is other
    context.space_data.type = "VIEW_3D"
    context.space_data.image = None
    show(context, "woman.png", result)
    assert context.space_data.image is None


def test_after_undo_the_source_is_shown_and_after_redo_the_result(bpy: Any) -> None:
    from shm_plugin.blender.showing import after_redo, after_undo, show

    source, result = _image("woman.png"), _image("woman matte")
    bpy.data.images |= {image.name: image for image in (source, result)}
    context = fake_bpy.make_context(bpy, source)
    editor = context.space_data
    show(context, "woman.png", result)
    after_undo()
    assert editor.image is result
    del bpy.data.images["woman matte"]
    editor.image = None
    after_undo()
    assert editor.image is source
    after_redo()
    assert editor.image is source
    bpy.data.images["woman matte"] = result
    after_redo()
    assert editor.image is result
    context.area.type = "VIEW_3D"
    editor.image = None
    after_undo()
    assert editor.image is None


def test_the_add_on_imports_nothing_that_blender_may_lack(repository: Path) -> None:
    allowed = sys.stdlib_module_names | {"bpy"}
    modules = sorted((repository / "shm_plugin" / "blender").glob("*.py"))
    assert modules
    for path in modules:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module or ""]
            else:
                continue
            assert {name.split(".")[0] for name in names} <= allowed, path.name


def test_the_manifest_says_the_version_of_the_program(repository: Path) -> None:
    manifest = (repository / "shm_plugin" / "blender" / "blender_manifest.toml").read_text()
    assert f'\nversion = "{__version__}"\n' in manifest
