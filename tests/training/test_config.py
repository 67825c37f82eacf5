"""Runs as TOML: every mistake is named with its file and its key."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from shm_engine.errors import OptionsError
from shm_engine.model import MODELS
from training.config import Phase, Source, read_config
from training.evaluation.evaluate import read_evaluation

CONFIGS = Path(__file__).parents[2] / "training" / "configs"

GOOD = {
    "data": '"pictures"',
    "background": '"scenes"',
    "sources": '[{path = "people", kind = "mask", weight = 1}]',
    "phases": '[{train = "t_net", steps = 3, batch = 2, crop_pixels = 64, learning_rate = 1e-3}]',
}


def write(folder: Path, **changes: str) -> Path:
    path = folder / "run.toml"
    path.write_text("\n".join(f"{key} = {value}" for key, value in (GOOD | changes).items()))
    return path


def test_a_run_is_read_with_its_defaults(tmp_path: Path) -> None:
    config = read_config(write(tmp_path, seed="5", trimap_radius_pixels="[1, 4]"))
    assert config.data == "pictures"
    assert config.sources == (Source(path="people", kind="mask", weight=1),)
    assert config.phases == (
        Phase(train="t_net", steps=3, batch=2, crop_pixels=64, learning_rate=1e-3),
    )
    assert config.seed == 5
    assert config.trimap_radius_pixels == (1, 4)
    assert config.architecture in MODELS


def test_keys_can_be_replaced_without_a_file_of_their_own(tmp_path: Path) -> None:
    config = read_config(write(tmp_path, seed="5"), ["seed = 6", 'start_from = "w.safetensors"'])
    assert (config.seed, config.start_from) == (6, "w.safetensors")
    for change in ("sead = 1", "seed", "seed = -1"):
        with pytest.raises(OptionsError, match=r"run\.toml"):
            read_config(write(tmp_path), [change])


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.toml")), ids=lambda path: path.stem)
def test_every_published_configuration_can_be_read(path: Path) -> None:
    if "sets" in tomllib.loads(path.read_text(encoding="utf-8")):
        assert read_evaluation(path).sets
    else:
        assert read_config(path).phases[-1].train == "end_to_end"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"smoothness": "3"}, ["unknown key 'smoothness'", "known: architecture"]),
        ({"sources": '[{path = "a", kind = "mask", wieght = 1}]'}, ["'wieght'", "weight"]),
        ({"sources": '[{path = "a", kind = "mask"}]'}, ["weight"]),
        ({"sources": '[{path = "a", kind = "video", weight = 1}]'}, ["kind", "'video'", "cutout"]),
        ({"sources": '[{path = "a", kind = "mask", weight = 0}]'}, ["weight", "a", "0"]),
        ({"sources": '[{path = "a", kind = "mask", weight = "x"}]'}, ["weight", "'x'"]),
        ({"sources": "[]"}, ["sources"]),
        ({"sources": "3"}, ["sources", "3"]),
        ({"sources": '["people"]'}, ["Source", "'people'"]),
        ({"phases": "[]"}, ["phases"]),
        ({"phases": GOOD["phases"].replace("t_net", "k_net")}, ["train", "'k_net'", "t_net"]),
        ({"phases": GOOD["phases"].replace("64", "50")}, ["crop_pixels", "50", "32"]),
        ({"phases": GOOD["phases"].replace("64", "0")}, ["crop_pixels", "0"]),
        ({"phases": GOOD["phases"].replace("steps = 3", "steps = 0")}, ["steps"]),
        ({"phases": GOOD["phases"].replace("steps = 3", "steps = 1.5")}, ["steps", "1.5"]),
        ({"phases": GOOD["phases"].replace("steps = 3", "steps = 'x'")}, ["steps", "'x'"]),
        ({"phases": GOOD["phases"].replace("batch = 2", "batch = true")}, ["batch", "True"]),
        ({"phases": GOOD["phases"].replace("1e-3", "-1e-3")}, ["learning_rate", "-0.001"]),
        ({"phases": GOOD["phases"].replace("1e-3", "nan")}, ["learning_rate", "nan"]),
        ({"phases": GOOD["phases"].replace("}", ", warmup_steps = -1}")}, ["warmup_steps", "-1"]),
        ({"phases": GOOD["phases"].replace("}", ", alpha_loss = -0.5}")}, ["alpha_loss", "-0.5"]),
        ({"sources": '[{path = "a", kind = "mask", weight = inf}]'}, ["weight", "inf"]),
        ({"manifests": '"manifest.csv"'}, ["manifests", "'manifest.csv'", "array of str"]),
        ({"manifests": "[3]"}, ["manifests", "3"]),
        ({"trimap_radius_pixels": '["a", "b"]'}, ["trimap_radius_pixels", "'a'"]),
        ({"trimap_radius_pixels": "3"}, ["trimap_radius_pixels", "3", "array of int"]),
        ({"ema_decay": "1.5"}, ["ema_decay", "1.5"]),
        ({"save_every": "0"}, ["save_every", "0"]),
        ({"log_every": "0"}, ["log_every", "0"]),
        ({"validate_every": "-1"}, ["validate_every", "-1"]),
        ({"validate_every": "5"}, ["validate_every", "5", "validation names no list"]),
        ({"validation_pictures": "-1"}, ["validation_pictures", "-1"]),
        ({"strips_every": "-2"}, ["strips_every", "-2"]),
        ({"charts": "1"}, ["charts", "1", "bool"]),
        ({"seed": "-1"}, ["seed", "-1"]),
        ({"trimap_radius_pixels": "[9, 2]"}, ["trimap_radius_pixels", "9"]),
        ({"trimap_radius_pixels": "[3]"}, ["trimap_radius_pixels", "3"]),
        ({"data": "3"}, ["data", "3"]),
        ({"data": ""}, ["Invalid value"]),
    ],
)
def test_a_mistake_is_named_with_its_file_and_its_key(
    tmp_path: Path, changes: dict[str, str], words: list[str]
) -> None:
    path = write(tmp_path, **changes)
    with pytest.raises(OptionsError) as caught:
        read_config(path)
    assert caught.value.path == path
    for word in [str(path), *words]:
        assert word in str(caught.value)


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00", b"data = [", b""])
@pytest.mark.parametrize("read", [read_config, read_evaluation])
def test_a_file_that_is_no_toml_is_named(tmp_path: Path, content: bytes | None, read) -> None:
    path = tmp_path / "run.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(OptionsError, match=r"run\.toml") as caught:
        read(path)
    assert caught.value.path == path


def test_a_wrong_set_is_named_with_its_file_and_its_key(tmp_path: Path) -> None:
    path = tmp_path / "sets.toml"
    path.write_text('data = "x"\nsets = [{name = "a", kind = "cutouts", path = "b"}]')
    with pytest.raises(OptionsError, match=r"sets\.toml.*kind is 'cutouts'; use one of mask"):
        read_evaluation(path)
