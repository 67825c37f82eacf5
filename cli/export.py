"""shm-matte export OUT.onnx: the network for programs without PyTorch, compared with it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.options import FILE, verbosity_options
from shm_engine.errors import ExportError

if TYPE_CHECKING:
    import torch

# Both compute in float32; their sums run in different orders.
_LARGEST_DIFFERENCE = 1e-3


@click.command(short_help="Write the network as an ONNX file.")
@click.argument("target", metavar="OUT.onnx", type=FILE)
@click.option("--model", metavar="FILE", type=FILE, help="Other weights than the shipped ones.")
@click.option("--height", default=288, show_default=True, type=click.IntRange(32, 4096))
@click.option("--width", default=512, show_default=True, type=click.IntRange(32, 4096))
@verbosity_options
def command(target: Path, model: Path | None, height: int, width: int) -> None:
    """Write the network as ONNX for pictures of one size, in multiples of 32.

    It takes `image` [1, 3, height, width] float32, normalised as the program says when it is done,
    and gives `alpha` [1, 1, height, width] and `trimap` [1, 3, height, width] (background, unknown,
    foreground). The file appears only if ONNX Runtime gives what PyTorch gives.
    """
    from shm_engine.checkpoint import load_checkpoint
    from shm_engine.export import onnx_bytes
    from shm_engine.files import replacing

    checkpoint = load_checkpoint(model)
    multiple = checkpoint.preprocessing.multiple
    if height % multiple or width % multiple:
        raise ExportError(f"{width} x {height} cannot be; use multiples of {multiple}")
    content = onnx_bytes(checkpoint.model, height, width)
    difference = _difference(checkpoint.model, content, (height, width))
    if difference > _LARGEST_DIFFERENCE:
        raise ExportError(
            f"ONNX Runtime differs from PyTorch by {difference:.1g}; nothing was written, "
            "try other versions of onnx and onnxruntime"
        )
    try:
        with replacing(target) as temporary:
            temporary.write_bytes(content)
    except OSError as error:
        raise ExportError(f"{target} cannot be written: {error.strerror}", path=target) from error
    constants = checkpoint.preprocessing
    click.echo(
        f"wrote {target}: {len(content) / 1e6:.1f} MB, largest difference from PyTorch "
        f"{difference:.1e}\n"
        f"image = (RGB in 0 ... 1 - {list(constants.mean)}) / {list(constants.std)}"
    )


def _difference(model: torch.nn.Module, content: bytes, size: tuple[int, int]) -> float:
    """The largest between ONNX Runtime and PyTorch, in alpha and trimap of a random picture."""
    import torch

    from shm_engine.export import INPUT_NAME, AlphaAndTrimap

    try:
        import onnxruntime
    except ImportError as error:
        raise ExportError(
            "exporting needs onnxruntime; pip install semantic-human-matting[onnx]"
        ) from error
    image = torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = AlphaAndTrimap(model.float().eval())(image)
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    found = session.run(None, {INPUT_NAME: image.numpy()})
    pairs = zip(found, expected, strict=True)
    return max(float((torch.from_numpy(one) - other).abs().max()) for one, other in pairs)
