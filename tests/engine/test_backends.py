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
    return build_backend(name, lively(DEFAULT_MODEL).eval(), CPU, torch.float32)


# torch.compile imports parts of torch that torch itself calls old.
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@pytest.mark.parametrize("name", ["openvino", pytest.param("compile", marks=pytest.mark.long)])
def test_a_backend_says_what_pytorch_says(name: str, images: torch.Tensor) -> None:
    expected, found = built("eager")(images), built(name)(images)
    assert expected[0].std() > 0.02
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == torch.float32
        assert_close(one, other, NETWORK_FLOAT32)


def test_openvino_takes_over_where_its_start_has_paid(
    images: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def noting(name: str) -> backends.Backend:
        def run(given: torch.Tensor) -> backends.Maps:
            calls.append(name)
            return given, given

        return run

    monkeypatch.setattr(backends, "_WORTH_STARTING", 2)
    monkeypatch.setattr(backends, "_eager", lambda *_: noting("eager"))
    monkeypatch.setattr(backends, "_openvino", lambda *_: noting("openvino"))
    run = build_backend("lasting", torch.nn.Identity(), CPU, torch.float32)
    for _ in range(4):
        run(images)
    run(images[:1])
    assert calls == ["eager", "eager", "openvino", "openvino", "eager"]


def test_automatic_is_pytorch_without_openvino(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose_backend("auto", CPU) == "lasting"
    assert choose_backend("auto", torch.device("cuda")) == "eager"
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert choose_backend("auto", CPU) == "eager"
    with pytest.raises(DeviceError, match=r"needs openvino, onnx, onnxscript; pip install"):
        choose_backend("openvino", CPU)


def test_openvino_is_refused_on_a_gpu() -> None:
    with pytest.raises(DeviceError, match="on the cpu, not on cuda"):
        choose_backend("openvino", torch.device("cuda"))
