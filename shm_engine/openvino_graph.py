"""The network as an OpenVINO model, layer by layer from torch.fx: starts in a third of a second.

By way of ONNX it would take four, most of it in torch's exporter. Knows the few kinds of layers
that the networks here have, and refuses others.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import fx, nn

Node = Any  # OpenVINO has no types.


def openvino_model(model: nn.Module, height: int, width: int) -> Any:
    """An `openvino.Model` of a module that takes one picture [1, 3, height, width] float32 and
    returns a tuple of maps; batch norms must be merged. NotImplementedError for unknown layers."""
    import openvino

    picture = _layers().parameter([1, 3, height, width], np.float32)
    done = _Translation(fx.symbolic_trace(model.float().eval()), picture)
    return openvino.Model(list(done.results), [picture])


def _layers() -> Any:
    # Not everybody has OpenVINO.
    from openvino import opset13

    return opset13


class _Translation:
    """`results`: what each output of a traced module is in OpenVINO."""

    def __init__(self, traced: fx.GraphModule, picture: Node) -> None:
        self._traced = traced
        self._picture = picture
        self._done: dict[fx.Node, Node] = {}
        self.results: tuple[Node, ...] = ()
        for node in traced.graph.nodes:
            if node.op == "output":
                self.results = tuple(self._done[one] for one in node.args[0])
            else:
                self._done[node] = self._translated(node)

    def _translated(self, node: fx.Node) -> Node:
        if node.op == "placeholder":
            return self._picture
        inputs = fx.map_arg(node.args, self._done.__getitem__)
        if node.op == "call_module":
            module = self._traced.get_submodule(str(node.target))
            return _known(_MODULES, type(module))(module, *inputs)
        return _known(_CALLS, node.target)(*inputs, **node.kwargs)


def _known(table: Mapping[Any, Callable[..., Node]], kind: Any) -> Callable[..., Node]:
    if kind not in table:
        raise NotImplementedError(f"{kind} has no counterpart for OpenVINO here")
    return table[kind]


def _constant(values: Any) -> Node:
    return _layers().constant(np.asarray(values, np.float32))


def _convolution(module: nn.Conv2d, x: Node) -> Node:
    weight = module.weight.detach().float().numpy()
    geometry = {
        "strides": list(module.stride),
        "pads_begin": list(module.padding),
        "pads_end": list(module.padding),
        "dilations": list(module.dilation),
    }
    if module.groups == 1:
        result = _layers().convolution(x, _constant(weight), **geometry)
    else:
        grouped = weight.reshape(module.groups, -1, *weight.shape[1:])
        result = _layers().group_convolution(x, _constant(grouped), **geometry)
    if module.bias is None:
        return result
    return _layers().add(result, _constant(module.bias.detach().float().view(1, -1, 1, 1)))


def _mean(module: nn.AdaptiveAvgPool2d, x: Node) -> Node:
    if module.output_size != 1:
        raise NotImplementedError(f"{module} has no counterpart for OpenVINO here")
    return _layers().reduce_mean(x, np.array([2, 3]), keep_dims=True)


def _interpolated(
    x: Node, *, scale_factor: float, mode: str, align_corners: bool, **rest: bool | None
) -> Node:
    if mode != "bilinear" or align_corners or any(rest.values()):
        raise NotImplementedError(f"interpolation {mode} has no counterpart for OpenVINO here")
    return _layers().interpolate(
        x,
        _constant([scale_factor, scale_factor]),
        "linear_onnx",
        "scales",
        coordinate_transformation_mode="half_pixel",
        axes=np.array([2, 3]),
    )


def _channel(x: Node, index: tuple[Any, ...]) -> Node:
    """x[:, number, None]."""
    every, number, new = index
    if every != slice(None) or new is not None:
        raise NotImplementedError(f"the index {index} has no counterpart for OpenVINO here")
    return _layers().gather(x, np.array([int(number)]), np.array(1))


_MODULES: Mapping[type[nn.Module], Callable[..., Node]] = {
    nn.Conv2d: _convolution,
    nn.Identity: lambda _, x: x,
    nn.ReLU6: lambda _, x: _layers().clamp(x, 0, 6),
    nn.Sigmoid: lambda _, x: _layers().sigmoid(x),
    nn.AdaptiveAvgPool2d: _mean,
}

_CALLS: Mapping[Any, Callable[..., Node]] = {
    operator.add: lambda x, y: _layers().add(x, y),
    operator.mul: lambda x, y: _layers().multiply(x, y),
    operator.getitem: _channel,
    torch.cat: lambda parts, *, dim: _layers().concat(parts, dim),
    F.interpolate: _interpolated,
    "softmax": lambda x, *, dim: _layers().softmax(x, dim),
    "sigmoid": lambda x: _layers().sigmoid(x),
    "clamp": lambda x, least, most: _layers().clamp(x, least, most),
    # Types: OpenVINO chooses the precision itself.
    getattr: lambda x, _: x,
    "float": lambda x: x,
    "to": lambda x, _: x,
}
