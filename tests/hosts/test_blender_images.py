"""Human Matte in the Image Editor of real Blenders, with the shipped weights.

What Blender shows and saves is compared with the engine in this process.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from cli.video import VideoSource
from shm_engine.compositing import linear_to_srgb, srgb_to_linear
from shm_engine.matter import Matter
from shm_engine.types import Frame
from tests.hosts.blender import run_inside, tool, write_archive
from tests.hosts.installed import blenders

pytestmark = pytest.mark.host

WIDTH, HEIGHT = 301, 255

# One step of 8 bits: Blender rounds, the engine does not.
STEP = 1 / 255 + 1e-6

CASES: list[dict[str, Any]] = [
    {"name": "byte", "file": "byte.png", "saved": True},
    {"name": "clean", "file": "byte.png", "options": {"colours": "CLEAN"}},
    {"name": "matte", "file": "byte.png", "options": {"output": "MATTE"}},
    {"name": "sixteen", "file": "sixteen.png", "saved": True},
    {"name": "exr", "file": "bright.exr", "saved": True},
    {"name": "exr clean", "file": "bright.exr", "options": {"colours": "CLEAN"}},
    {"name": "exr matte", "file": "bright.exr", "options": {"output": "MATTE"}},
    {"name": "cut", "file": "cut.png", "saved": True},
    {"name": "cut16", "file": "cut16.png", "saved": True},
    {"name": "channels", "file": "cut.png", "alpha_mode": "CHANNEL_PACKED"},
    {"name": "linear", "file": "byte.png", "space": "Linear Rec.709"},
    {"name": "data", "file": "byte.png", "space": "Non-Color"},
    {"name": "data16", "file": "sixteen.png", "space": "Non-Color"},
    {"name": "grey", "file": "grey.png"},
    {"name": "sequence", "file": "frame_001.png", "sequence": 3},
    {"name": "gap", "file": "frame_001.png", "sequence": 9},
    {"name": "drawn", "generated": [1, 1]},
    {"name": "lost", "file": "byte.png", "vanishes": True},
    {"name": "torn", "file": "torn.png"},
    {"name": "empty", "file": None},
]


@dataclass(frozen=True, kw_only=True)
class Run:
    """What one Blender told, and the pictures that it was given, by name: RGB or RGBA."""

    told: dict[str, Any]
    folder: Path
    pictures: dict[str, np.ndarray]
    matter: Matter

    def samples(self, facts: dict[str, Any]) -> np.ndarray:
        """[H, W, 4], rows top-down."""
        width, height = facts["size"]
        flat = np.frombuffer((self.folder / facts["file"]).read_bytes(), np.float32)
        return flat.reshape(height, width, facts["channels"])[::-1]

    def case(self, name: str, part: str = "result") -> np.ndarray:
        return self.samples(self.told["cases"][name][part])

    def alpha_of(self, rgb: np.ndarray) -> np.ndarray:
        """[H, W]: the engine's own, of sRGB-encoded values."""
        image = torch.from_numpy(np.ascontiguousarray(rgb.transpose(2, 0, 1)))
        (matte,) = self.matter.mattes([Frame(image=image)])
        return matte.alpha[0].numpy()


@pytest.fixture(scope="module")
def matter() -> Matter:
    return Matter.load()


@pytest.fixture(scope="module", params=(0, -1), ids=("oldest", "newest"))
def python(request: pytest.FixtureRequest) -> Path:
    return blenders()[request.param]


@pytest.fixture(scope="module")
def run(
    python: Path,
    tmp_path_factory: pytest.TempPathFactory,
    sample_clip: Path,
    matter: Matter,
) -> Run:
    folder = tmp_path_factory.mktemp("blender")
    pictures = _draw(sample_clip, folder)
    job = {
        "cases": CASES,
        "undo": {"file": "byte.png"},
        "render": {"file": "byte.png", "size": [WIDTH, HEIGHT]},
        "script": {"file": "byte.png"},
    }
    told = run_inside(python, "blender_images_inside.py", job, folder)
    return Run(told=told, folder=folder, pictures=pictures, matter=matter)


def _draw(clip: Path, folder: Path) -> dict[str, np.ndarray]:
    """Pictures of a frame in the forms that Blender treats differently."""
    with VideoSource(clip) as movie:
        frames = [
            frame.image.numpy().transpose(1, 2, 0)
            for frame, _ in zip(movie, range(4), strict=False)
        ]
    crops = [frame[3 : 3 + HEIGHT, 50 : 50 + WIDTH] for frame in frames]
    noise = np.random.default_rng(1).integers(0, 257, crops[0].shape)
    sixteen = np.minimum(crops[0].astype(np.int64) * 257 + noise, 65535).astype(np.uint16)
    ramp = np.broadcast_to(np.linspace(0, 1, WIDTH), (HEIGHT, WIDTH))[..., None]
    pictures = {
        "byte": crops[0],
        "sixteen": sixteen,
        "cut": np.dstack([crops[0], (ramp * 255).round().astype(np.uint8)]),
        "cut16": np.dstack([sixteen, (ramp * 65535).round().astype(np.uint16)]),
        "grey": crops[0][..., 1:2],
    }
    pictures |= {f"frame_00{n}": crop for n, crop in enumerate(crops[:3], 1)}
    for name, picture in pictures.items():
        order = [2, 1, 0, 3][: picture.shape[2]] if picture.shape[2] > 1 else [0]
        assert cv2.imwrite(str(folder / f"{name}.png"), picture[..., order])
    (folder / "torn.png").write_bytes(b"torn")
    return pictures


def _unit(picture: np.ndarray) -> np.ndarray:
    return picture.astype(np.float32) / np.float32(np.iinfo(picture.dtype).max)


def _light(encoded: np.ndarray) -> np.ndarray:
    return srgb_to_linear(torch.from_numpy(encoded)).numpy()


def _display(light: np.ndarray) -> np.ndarray:
    return linear_to_srgb(torch.from_numpy(np.clip(light, 0, 1))).numpy()


def _straight(samples: np.ndarray) -> np.ndarray:
    return samples[..., :3] / np.maximum(samples[..., 3:], 1e-6)


def _saved(run: Run, name: str, how: str = "saved") -> np.ndarray:
    """RGBA of the file that Image > Save As wrote, or what `how` says."""
    picture = cv2.imread(str(run.folder / f"{name}-{how}.png"), cv2.IMREAD_UNCHANGED)
    assert picture is not None
    return picture[..., [2, 1, 0, 3]]


def test_blender_validates_the_archive(python: Path, tmp_path: Path) -> None:
    archive = write_archive(tmp_path)
    command = [str(python), str(tool(python)), "validate", str(archive)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_test_of_the_connection_succeeds(run: Run) -> None:
    assert run.told["connection"] == ["FINISHED"]


def test_a_new_image_has_the_colours_of_the_old_one_and_the_alpha_of_the_engine(run: Run) -> None:
    told = run.told["cases"]["byte"]
    assert told["returned"] == ["FINISHED"]
    assert told["new"] == ["byte matte"]
    assert told["shown"]
    facts = told["result"]
    assert (facts["size"], facts["channels"]) == ([WIDTH, HEIGHT], 4)
    assert not facts["is_float"]
    assert facts["packed"]
    assert (facts["space"], facts["alpha_mode"]) == ("sRGB", "STRAIGHT")
    result, picture = run.case("byte"), run.pictures["byte"]
    assert np.array_equal(np.rint(result[..., :3] * 255), picture)
    assert np.abs(result[..., 3] - run.alpha_of(picture)).max() <= STEP
    assert 0.05 < result[..., 3].mean() < 0.95


@pytest.mark.parametrize("name", ["byte", "sixteen", "exr", "cut", "data16", "linear"])
def test_the_image_itself_stays_as_it_was(run: Run, name: str) -> None:
    told = run.told["cases"][name]
    assert np.array_equal(run.case(name, "before"), run.case(name, "after"))
    ignored = {"file"}
    before, after = told["before"], told["after"]
    assert {k: v for k, v in before.items() if k not in ignored} == {
        k: v for k, v in after.items() if k not in ignored
    }


def test_a_saved_png_of_an_8_bit_image_is_the_picture_and_its_alpha_also_where_it_is_clear(
    run: Run,
) -> None:
    for name in ("byte", "cut"):
        saved = _saved(run, name)
        assert saved.dtype == np.uint8
        assert np.array_equal(saved[..., :3], run.pictures["byte"])
        assert np.array_equal(saved[..., 3], np.rint(run.case(name)[..., 3] * 255))


def test_a_16_bit_image_becomes_premultiplied_light_with_the_same_colours(run: Run) -> None:
    facts, result = run.told["cases"]["sixteen"]["result"], run.case("sixteen")
    assert facts["is_float"]
    assert (facts["space"], facts["alpha_mode"]) == ("Linear Rec.709", "PREMUL")
    # As Blender read it: the network computes in 16 bits, and sees more than a rounding error.
    light = run.case("sixteen", "before")[..., :3]
    assert np.abs(result[..., 3] - run.alpha_of(_display(light))).max() <= STEP
    expected = _light(_unit(run.pictures["sixteen"])) * result[..., 3:]
    # Two steps of 16 bits: Blender reads the curve of sRGB from a table.
    assert np.abs(result[..., :3] - expected).max() < 2 / 65535


def test_light_beyond_white_stays_in_an_exr(run: Run) -> None:
    before, result = run.case("exr", "before"), run.case("exr")
    assert before[..., :3].max() > 1.5
    assert np.abs(result[..., 3] - run.alpha_of(_display(before[..., :3]))).max() <= STEP
    assert np.allclose(result[..., :3], before[..., :3] * result[..., 3:], rtol=1e-5, atol=1e-6)
    assert (result[..., :3] > 1.2).any()


@pytest.mark.parametrize("name", ["byte", "sixteen", "exr", "cut", "cut16", "matte", "data16"])
def test_what_is_packed_is_the_same_when_the_file_is_opened_again(run: Run, name: str) -> None:
    assert run.told["cases"][name]["result"]["packed"]
    assert np.allclose(run.case(name), run.case(name, "reloaded"), atol=1e-6)


@pytest.mark.parametrize("name", ["sixteen", "exr"])
def test_a_saved_exr_of_a_float_image_is_what_blender_shows(run: Run, name: str) -> None:
    saved = run.case(name, "exr")
    assert np.allclose(saved, run.case(name), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("name", "source"), [("sixteen", "sixteen"), ("cut16", "sixteen")])
def test_our_own_save_writes_16_bits_with_straight_colours(
    run: Run, name: str, source: str
) -> None:
    saved = _saved(run, name, "sixteen")
    assert saved.dtype == np.uint16
    shown = run.case(name)[..., 3]
    assert np.abs(_unit(saved)[..., 3] - shown).max() <= 1 / 65535
    solid = shown > 0.05
    difference = np.abs(_unit(saved)[..., :3] - _unit(run.pictures[source]))
    assert difference[solid].max() < 1e-3


def test_blender_itself_still_writes_soft_edges_of_16_bits_too_bright(run: Run) -> None:
    # When this fails our own save can go.
    saved, shown = _unit(_saved(run, "sixteen")), run.case("sixteen")[..., 3]
    soft = (shown > 0.2) & (shown < 0.8)
    assert np.abs(saved[..., :3] - _unit(run.pictures["sixteen"]))[soft].max() > 0.05


def test_the_alpha_of_the_image_hides_what_it_hid(run: Run) -> None:
    alpha = run.alpha_of(run.pictures["byte"]) * _unit(run.pictures["cut"])[..., 3]
    assert np.abs(run.case("cut")[..., 3] - alpha).max() <= STEP
    picture = _unit(run.pictures["cut16"])
    result = run.case("cut16")
    expected = run.alpha_of(picture[..., :3]) * picture[..., 3]
    assert np.abs(result[..., 3] - expected).max() <= 2 * STEP
    visible = picture[..., 3] * result[..., 3] > 0.02
    difference = np.abs(_straight(result) - _light(picture[..., :3]))
    assert difference[visible].max() < 1e-3


def test_channels_that_are_no_alpha_hide_nothing(run: Run) -> None:
    alpha = run.alpha_of(run.pictures["byte"])
    assert np.abs(run.case("channels")[..., 3] - alpha).max() <= STEP


def test_clean_colours_change_soft_edges_alone(run: Run) -> None:
    plain, clean = run.case("byte"), run.case("clean")
    assert np.array_equal(plain[..., 3], clean[..., 3])
    is_other = (plain[..., :3] != clean[..., :3]).any(-1)
    solid = plain[..., 3] >= 1
    assert is_other.any()
    assert not is_other[solid].any()
    light, clean_light = run.case("exr"), run.case("exr clean")
    assert np.array_equal(light[..., 3], clean_light[..., 3])
    assert (light != clean_light).any()


def test_a_matte_is_a_grey_image_of_data(run: Run) -> None:
    for name, cutout in (("matte", "byte"), ("exr matte", "exr")):
        facts, result = run.told["cases"][name]["result"], run.case(name)
        assert facts["space"] == "Non-Color"
        assert (result[..., 3] == 1).all()
        assert (np.ptp(result[..., :3], axis=-1) == 0).all()
        assert np.abs(result[..., 0] - run.case(cutout)[..., 3]).max() <= 1e-6


def test_the_colour_space_says_what_the_engine_is_shown_and_is_kept(run: Run) -> None:
    picture = run.pictures["byte"]
    for name, space in (("linear", "Linear Rec.709"), ("data", "Non-Color")):
        assert run.told["cases"][name]["result"]["space"] == space
        assert np.array_equal(np.rint(run.case(name)[..., :3] * 255), picture)
    assert np.array_equal(run.case("data")[..., 3], run.case("byte")[..., 3])
    shown = run.alpha_of(_display(_unit(picture)))
    assert np.abs(run.case("linear")[..., 3] - shown).max() <= STEP
    data, picture = run.case("data16"), _unit(run.pictures["sixteen"])
    assert run.told["cases"]["data16"]["result"]["space"] == "Non-Color"
    assert np.abs(data[..., 3] - run.alpha_of(picture)).max() <= STEP
    assert np.abs(data[..., :3] - picture * data[..., 3:]).max() < 1e-5


def test_a_grey_picture_is_matted_as_one_without_colour(run: Run) -> None:
    alpha = run.alpha_of(np.repeat(run.pictures["grey"], 3, axis=2))
    assert np.abs(run.case("grey")[..., 3] - alpha).max() <= STEP


def test_of_a_sequence_it_is_the_frame_that_is_shown(run: Run) -> None:
    told = run.told["cases"]["sequence"]
    assert told["new"] == ["frame_001 3 matte"]
    picture = run.pictures["frame_003"]
    assert np.array_equal(np.rint(run.case("sequence")[..., :3] * 255), picture)
    assert re.search(r"frame_009\.png cannot be read", run.told["cases"]["gap"]["returned"])


def test_a_single_pixel_is_matted(run: Run) -> None:
    assert run.told["cases"]["drawn"]["returned"] == ["FINISHED"]
    assert run.case("drawn").shape == (1, 1, 4)


def test_an_image_without_pixels_is_one_sentence_and_no_image_is_no_entry(run: Run) -> None:
    lost = run.told["cases"]["lost"]
    assert re.search(
        r"no pixels that can be read; is .*nowhere\.png there, and whole\?", lost["returned"]
    )
    assert lost["new"] == []
    assert run.told["cases"]["empty"]["returned"] == "poll"


def test_a_file_that_is_not_whole_is_one_sentence(run: Run) -> None:
    assert re.search(r"; is .*torn\.png there, and whole\?", run.told["cases"]["torn"]["returned"])


def test_a_script_names_the_image_and_needs_no_editor(run: Run) -> None:
    told = run.told["script"]
    assert 'name an image, as source="woman.png"' in told["unnamed"]
    assert "There is no image named nobody in this file" in told["unknown"]
    assert told["named"] == told["again"] == ["FINISHED"]
    assert np.array_equal(run.samples(told["result"]), run.case("byte"))
    assert "There is no image in this file" in told["nothing"]


def test_results_that_nobody_uses_are_still_there_when_the_file_is_opened_again(run: Run) -> None:
    told = run.told["script"]
    assert told["kept"] == ["plain matte", "plain matte.001"]
    assert np.array_equal(run.samples(told["opened"]), run.samples(told["result"]))


def test_a_living_engine_does_not_hide_that_the_setting_is_wrong(run: Run) -> None:
    assert re.search(r"names .*nowhere, which is no engine", run.told["elsewhere"])


def test_undo_takes_the_new_image_away_and_redo_brings_it_back(run: Run) -> None:
    told = run.told["undo"]
    new = set(told["after"]) - set(told["before"])
    assert len(new) == 1
    assert told["undone"] == told["before"]
    assert told["redone"] == told["after"]
    untouched = run.samples(told["untouched"])
    assert np.array_equal(np.rint(untouched[..., :3] * 255), run.pictures["byte"])
    assert np.array_equal(run.samples(told["result"]), run.case("byte"))


def test_a_render_result_is_matted_and_the_settings_stay(run: Run) -> None:
    told = run.told["render"]
    assert told["returned"] == ["FINISHED"]
    assert told["kept"]
    assert told["result"]["is_float"]
    result = run.samples(told["result"])
    picture = _light(_unit(run.pictures["byte"]))
    assert np.abs(result[..., :3] - picture * result[..., 3:]).max() < 2e-3
    alpha = run.alpha_of(run.pictures["byte"])
    assert np.abs(result[..., 3] - alpha).max() <= 2 * STEP
    assert not [name for name in told["images"] if name.startswith("render")]


def test_the_add_on_goes_and_comes_back_without_a_trace(run: Run) -> None:
    assert run.told["toggle"] == [[True, 1], [False, 0], [True, 1]]


def test_a_missing_engine_is_one_sentence_and_changes_nothing(
    python: Path, tmp_path: Path, sample_clip: Path
) -> None:
    _draw(sample_clip, tmp_path)
    job = {"engine": str(tmp_path / "nowhere"), "cases": [CASES[0]]}
    told = run_inside(python, "blender_images_inside.py", job, tmp_path)
    sentence = r"names .*nowhere, which is no engine of Human Matte; choose the program"
    assert re.search(sentence, told["connection"])
    assert re.search(sentence, told["cases"]["byte"]["returned"])
    assert told["cases"]["byte"]["new"] == []
