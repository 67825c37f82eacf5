"""Backends: all say what PyTorch as it is says, or say in one sentence why they cannot."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

import pytest
import torch

from shm_engine import backends
from shm_engine.backends import build_backend, choose_backend
from shm_engine.errors import DeviceError
from shm_engine.model import DEFAULT_MODEL
from shm_engine.model.blocks import fold_batch_norm
from shm_engine.openvino_graph import openvino_model
from tests.assertions import NETWORK_FLOAT32, assert_close
from tests.engine.networks import lively

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _without_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(3))


def built(name: str) -> backends.Backend:
    model = lively(DEFAULT_MODEL).eval()
    fold_batch_norm(model)
    return build_backend(name, model, CPU, torch.float32)


# torch.compile imports parts of torch that torch itself calls old.
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@pytest.mark.parametrize("name", ["openvino", pytest.param("compile", marks=pytest.mark.long)])
def test_a_backend_says_what_pytorch_says(name: str, images: torch.Tensor) -> None:
    expected, found = built("eager")(images), built(name)(images)
    assert expected[0].std() > 0.02
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == torch.float32
        assert_close(one, other, NETWORK_FLOAT32)


def test_openvino_takes_pictures_of_another_size(images: torch.Tensor) -> None:
    eager, fast = built("eager"), built("openvino")
    for some in (images, images[..., :32, :64], images):
        for one, other in zip(fast(some), eager(some), strict=True):
            assert_close(one, other, NETWORK_FLOAT32)


@pytest.mark.parametrize(
    "layer",
    [
        torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool2d(2),
        torch.nn.Upsample(scale_factor=2.0, mode="nearest"),
    ],
)
def test_a_layer_that_openvino_was_not_taught_is_refused(layer: torch.nn.Module) -> None:
    with pytest.raises(NotImplementedError, match="has no counterpart for OpenVINO"):
        openvino_model(torch.nn.Sequential(layer), 32, 32)


def test_automatic_is_pytorch_without_openvino(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose_backend("auto", CPU) == "openvino"
    assert choose_backend("auto", torch.device("cuda")) == "eager"
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert choose_backend("auto", CPU) == "eager"
    with pytest.raises(DeviceError, match=r"is not installed; pip install"):
        choose_backend("openvino", CPU)


def test_openvino_is_refused_on_a_gpu() -> None:
    with pytest.raises(DeviceError, match="on the cpu, not on cuda"):
        choose_backend("openvino", torch.device("cuda"))
