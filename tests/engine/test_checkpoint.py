"""Weights files: what is saved is loaded, everything else is refused with a sentence."""

from __future__ import annotations

import errno
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save, save_file

from shm_engine import checkpoint
from shm_engine.checkpoint import load_checkpoint, save_checkpoint
from shm_engine.errors import CheckpointError
from shm_engine.model import DEFAULT_MODEL, MODELS
from shm_engine.preprocess import Preprocessing
from tests.assertions import HALF_PRECISION, assert_close
from tests.engine.networks import lively, network_input


@pytest.fixture(scope="module")
def contents(lively_weights: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Tensors and header of a good file."""
    with safe_open(lively_weights, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118


def refusal(path: Path) -> str:
    """The sentence with which a file is refused."""
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(path)
    assert caught.value.path == path
    assert str(path) in str(caught.value) or "network called" in str(caught.value)
    return str(caught.value)


@torch.no_grad()
@pytest.mark.parametrize("architecture", MODELS)
def test_a_saved_network_comes_back_within_half_precision(
    tmp_path: Path, architecture: str
) -> None:
    path, model = tmp_path / "new folder" / "weights.safetensors", lively(architecture)
    preprocessing = Preprocessing(mean=(0.1, 0.2, 0.3))
    digest = save_checkpoint(path, model, architecture, preprocessing)
    loaded = load_checkpoint(path)
    assert loaded.architecture == architecture
    assert loaded.preprocessing == preprocessing
    assert loaded.digest == digest
    assert not loaded.model.training
    state = loaded.model.state_dict()
    assert state.keys() == model.state_dict().keys()
    for name, expected in model.state_dict().items():
        assert state[name].dtype == expected.dtype
        assert_close(state[name], expected, HALF_PRECISION)
    again = load_checkpoint(path).model(network_input()).alpha
    assert_close(loaded.model(network_input()).alpha, again, HALF_PRECISION)


def test_saving_what_was_loaded_keeps_the_digest(tmp_path: Path, lively_weights: Path) -> None:
    loaded = load_checkpoint(lively_weights)
    path = tmp_path / "copy.safetensors"
    digest = save_checkpoint(path, loaded.model, loaded.architecture, loaded.preprocessing)
    assert digest == loaded.digest


def test_the_file_says_what_it_is_and_holds_half_precision(
    contents: tuple[dict[str, torch.Tensor], dict[str, str]], lively_weights: Path
) -> None:
    tensors, header = contents
    assert header["format"] == "semantic-human-matting"
    assert header["format_version"] == "1"
    assert header["architecture"] == DEFAULT_MODEL
    assert '"mean"' in header["preprocessing"]
    assert len(header["digest"]) == 64
    dtypes = {t.dtype for t in tensors.values() if t.is_floating_point()}
    assert dtypes == {torch.float16}
    assert lively_weights.stat().st_size < 5_000_000


def test_saving_leaves_the_network_as_it_was(tmp_path: Path) -> None:
    model = lively(DEFAULT_MODEL)
    save_checkpoint(tmp_path / "w.safetensors", model, DEFAULT_MODEL, Preprocessing())
    assert next(model.parameters()).dtype == torch.float32


@pytest.mark.parametrize("where", [0.0, 0.5, 1.0])
def test_one_changed_byte_in_the_weights_is_noticed(
    tmp_path: Path, lively_weights: Path, where: float
) -> None:
    data = bytearray(lively_weights.read_bytes())
    begin = 8 + int.from_bytes(data[:8], "little")
    data[begin + int(where * (len(data) - 1 - begin))] ^= 1
    path = tmp_path / "changed.safetensors"
    path.write_bytes(data)
    assert "does not match its digest" in refusal(path)


def test_a_changed_sample_type_is_noticed_though_the_bytes_are_the_same(
    tmp_path: Path, lively_weights: Path
) -> None:
    path = tmp_path / "changed.safetensors"
    path.write_bytes(lively_weights.read_bytes().replace(b'"F16"', b'"I16"', 1))
    assert "does not match its digest" in refusal(path)


@pytest.mark.parametrize("kept", [0, 4, 1000, 0.5, -1])
def test_a_truncated_file_is_refused(tmp_path: Path, lively_weights: Path, kept: float) -> None:
    data = lively_weights.read_bytes()
    end = int(kept * len(data)) if isinstance(kept, float) else kept
    path = tmp_path / "cut.safetensors"
    path.write_bytes(data[:end])
    assert "is not a weights file or is damaged" in refusal(path)


@pytest.mark.parametrize("content", [b"hello", b"\xff" * 100, b"PK\x03\x04" + bytes(50)])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    assert "is not a weights file" in refusal(path)


class Bomb:
    """Unpickling this makes a file: code from a weights file would have run."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.target,)


@pytest.mark.parametrize("by_torch", [True, False])
def test_a_pickle_is_refused_and_its_code_not_run(tmp_path: Path, *, by_torch: bool) -> None:
    path, exploded = tmp_path / "model.pth", tmp_path / "exploded"
    if by_torch:
        torch.save({"model": Bomb(exploded)}, path)
    else:
        path.write_bytes(pickle.dumps(Bomb(exploded)))
    assert "is not a weights file" in refusal(path)
    assert not exploded.exists()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"format": "robust-video-matting"}, "holds weights of another program"),
        ({"format_version": "2"}, "has format version 2, this program reads 1; update"),
        ({"architecture": "resnet"}, "no network called 'resnet'; use one of shm_mobilenetv2"),
        ({"digest": "0" * 64}, "does not match its digest"),
        ({"preprocessing": "{"}, "made for another version"),
        ({"preprocessing": "3"}, "made for another version"),
        ({"preprocessing": "[]"}, "made for another version"),
        ({"preprocessing": '{"mean": [0, 0, 0]}'}, "made for another version"),
        (
            {"preprocessing": '{"mean": [0, 0, 0], "std": [1, 1, 1], "gamma": 2}'},
            "made for another version",
        ),
    ],
)
def test_a_header_that_does_not_fit_is_refused(
    tmp_path: Path,
    contents: tuple[dict[str, torch.Tensor], dict[str, str]],
    change: dict[str, str],
    sentence: str,
) -> None:
    tensors, header = contents
    fields = {name: value for name, value in (header | change).items() if name != "digest"}
    digest = change.get("digest", checkpoint._digest(fields, tensors))
    path = tmp_path / "changed.safetensors"
    save_file(tensors, path, metadata=fields | {"digest": digest})
    assert sentence in refusal(path)


def test_a_changed_constant_in_the_header_is_noticed(
    tmp_path: Path, contents: tuple[dict[str, torch.Tensor], dict[str, str]]
) -> None:
    tensors, header = contents
    path = tmp_path / "changed.safetensors"
    other = header["preprocessing"].replace("0.485", "0.486")
    assert other != header["preprocessing"]
    save_file(tensors, path, metadata=header | {"preprocessing": other})
    assert "does not match its digest" in refusal(path)


def test_weights_of_another_program_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "theirs.safetensors"
    path.write_bytes(save({"layer.weight": torch.zeros(3)}))
    assert "holds weights of another program" in refusal(path)


def test_weights_of_another_shape_are_refused(
    tmp_path: Path, contents: tuple[dict[str, torch.Tensor], dict[str, str]]
) -> None:
    tensors = dict(list(contents[0].items())[1:])
    header = {name: value for name, value in contents[1].items() if name != "digest"}
    header["digest"] = checkpoint._digest(header, tensors)
    path = tmp_path / "other.safetensors"
    save_file(tensors, path, metadata=header)
    assert f"was made for another version of {DEFAULT_MODEL}" in refusal(path)


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    assert "there is no weights file at" in refusal(tmp_path / "nowhere.safetensors")
    assert "there is no weights file at" in refusal(tmp_path)


def test_an_unknown_architecture_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no network called 'vgg'"):
        save_checkpoint(tmp_path / "w", lively(DEFAULT_MODEL), "vgg", Preprocessing())
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "a file").write_text("not a folder")
    path = tmp_path / "a file" / "weights.safetensors"
    with pytest.raises(CheckpointError, match="cannot be written") as caught:
        save_checkpoint(path, lively(DEFAULT_MODEL), DEFAULT_MODEL, Preprocessing())
    assert caught.value.path == path


def test_the_old_file_stays_when_writing_fails(
    tmp_path: Path, lively_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "kept.safetensors"
    path.write_bytes(lively_weights.read_bytes())

    def full_disk(_: Path, target: Path) -> Path:
        raise OSError(errno.ENOSPC, "No space left on device", str(target))

    monkeypatch.setattr(Path, "replace", full_disk)
    with pytest.raises(CheckpointError, match="No space left on device"):
        save_checkpoint(path, MODELS[DEFAULT_MODEL](), DEFAULT_MODEL, Preprocessing())
    assert path.read_bytes() == lively_weights.read_bytes()
    assert list(tmp_path.iterdir()) == [path]


def test_a_saved_file_can_be_read_by_everyone_who_may_read_other_new_files(tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    path = tmp_path / "weights.safetensors"
    save_checkpoint(path, lively(DEFAULT_MODEL), DEFAULT_MODEL, Preprocessing())
    assert path.stat().st_mode == (tmp_path / "other").stat().st_mode


@torch.no_grad()
def test_the_shipped_weights_load_and_give_numbers() -> None:
    loaded = load_checkpoint()
    assert loaded.architecture == DEFAULT_MODEL
    assert loaded.preprocessing == Preprocessing()
    prediction = loaded.model(network_input(96, 96))
    assert prediction.alpha.isfinite().all()
