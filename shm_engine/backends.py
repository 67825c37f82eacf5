"""One forward pass of the network, by PyTorch as it is, compiled, or by OpenVINO; knows no frame.

A backend takes normalised pictures [B, 3, H, W] float32 on any device and returns alpha
[B, 1, H, W] and the trimap's probabilities [B, 3, H, W], float32. All say the same within the
rounding of the precision they compute in.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from shm_engine.errors import DeviceError
from shm_engine.export import AlphaAndTrimap

Maps = tuple[torch.Tensor, torch.Tensor]
Backend = Callable[[torch.Tensor], Maps]


def choose_backend(name: str, device: torch.device) -> str:
    """The name of a backend that can work on a device: "auto" is OpenVINO on a CPU if it is
    installed, else eager. DeviceError if the one asked for cannot be."""
    is_here = importlib.util.find_spec("openvino") is not None
    if name == "auto":
        return "openvino" if is_here and device.type == "cpu" else "eager"
    if name == "openvino" and device.type != "cpu":
        raise DeviceError(f"the backend openvino works on the cpu, not on {device}; use eager")
    if name == "openvino" and not is_here:
        raise DeviceError(
            "the backend openvino is not installed; pip install semantic-human-matting[openvino]"
        )
    return name


def build_backend(name: str, model: nn.Module, device: torch.device, dtype: torch.dtype) -> Backend:
    """The network, ready to work; takes over `model`, whose batch norms are merged."""
    return _BUILDERS[name](model, device, dtype)


def _eager(model: nn.Module, device: torch.device, dtype: torch.dtype) -> Backend:
    both = AlphaAndTrimap(model).to(device, dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def run(images: torch.Tensor) -> Maps:
        alpha, trimap = both(images.to(device, dtype, memory_format=torch.channels_last))
        return alpha, trimap

    return run


def _compiled(model: nn.Module, device: torch.device, dtype: torch.dtype) -> Backend:
    from torch._dynamo.exc import BackendCompilerFailed

    both = AlphaAndTrimap(model).to(device, dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
    on_cuda = device.type == "cuda"
    # Freezing folds the weights into the code; reduce-overhead records CUDA graphs.
    options: dict[str, Any] | None = None if on_cuda else {"freezing": True}
    fast = torch.compile(
        both, dynamic=False, mode="reduce-overhead" if on_cuda else None, options=options
    )

    def run(images: torch.Tensor) -> Maps:
        try:
            alpha, trimap = fast(  # type: ignore[no-untyped-call]
                images.to(device, dtype, memory_format=torch.channels_last)
            )
        except BackendCompilerFailed as error:
            raise DeviceError(
                "the network cannot be compiled here; install a C++ compiler or use --backend eager"
            ) from error
        # The next pass of a CUDA graph writes into the same memory.
        return (alpha.clone(), trimap.clone()) if on_cuda else (alpha, trimap)

    return run


def _openvino(model: nn.Module, _: torch.device, dtype: torch.dtype) -> Backend:
    ready: dict[torch.Size, Any] = {}

    def run(images: torch.Tensor) -> Maps:
        size = images.shape[2:]
        if size not in ready:
            # Shapes are fixed in what is made; a clip has one.
            ready.clear()
            ready[size] = _in_openvino(model, size, dtype)
        found = [ready[size](image[None].numpy()) for image in images]
        alphas, trimaps = ([torch.tensor(maps[i]) for maps in found] for i in (0, 1))
        return torch.cat(alphas), torch.cat(trimaps)

    return run


def _in_openvino(model: nn.Module, size: torch.Size, dtype: torch.dtype) -> Any:
    # Here, for not everybody has it.
    import openvino

    from shm_engine.openvino_graph import openvino_model

    hints = {
        "INFERENCE_PRECISION_HINT": "f32" if dtype == torch.float32 else "bf16",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "PERFORMANCE_HINT": "LATENCY",
    }
    graph = openvino_model(AlphaAndTrimap(model), *size)
    return openvino.Core().compile_model(graph, "CPU", hints)


_BUILDERS: Mapping[str, Callable[[nn.Module, torch.device, torch.dtype], Backend]] = {
    "eager": _eager,
    "compile": _compiled,
    "openvino": _openvino,
}
