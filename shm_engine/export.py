"""The network as an ONNX model, for programs without PyTorch; knows no runtime that runs it."""

from __future__ import annotations

import logging
import warnings

import torch
from torch import nn

from shm_engine.errors import ExportError
from shm_engine.model.shm import Prediction

INPUT_NAME, OUTPUT_NAMES = "image", ("alpha", "trimap")
_OPSET = 18


class AlphaAndTrimap(nn.Module):
    """The two maps that a user of the network wants, as a plain tuple: alpha [B, 1, H, W] and the
    trimap's probabilities [B, 3, H, W]."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        prediction: Prediction = self.model(image)
        return prediction.alpha, prediction.trimap


def onnx_bytes(model: nn.Module, height: int, width: int) -> bytes:
    """An ONNX file of the network for one normalised picture [1, 3, height, width], float32.

    Both sides must be multiples of 32. ExportError if the packages for it are not installed.
    """
    with warnings.catch_warnings():
        # Of torch and onnx about their own older parts.
        warnings.simplefilter("ignore")
        program = _program(AlphaAndTrimap(model.float().eval()), torch.zeros(1, 3, height, width))
        serialised: bytes = program.model_proto.SerializeToString()
    return serialised


def _program(model: nn.Module, example: torch.Tensor) -> torch.onnx.ONNXProgram:
    # It tells how it goes, and about torchvision, which is not needed.
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        program = torch.onnx.export(
            model,
            (example,),
            dynamo=True,
            verbose=False,
            opset_version=_OPSET,
            input_names=[INPUT_NAME],
            output_names=list(OUTPUT_NAMES),
        )
    except ImportError as error:
        raise ExportError(
            f"exporting needs {error.name}; pip install semantic-human-matting[onnx]"
        ) from error
    finally:
        logger.setLevel(level)
    assert program is not None
    return program
