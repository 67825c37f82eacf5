"""Layers to the engine, and what it made of them; GIMP shows how far it is.

Knows no dialog, and nothing of what becomes of the replies. Changes no image.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from gi.repository import Gimp

from ..asking import ask
from ..choices import SIZES
from ..client import WorkerError
from ..jobs import Tell
from ..messages import BLOB_LIMIT, LONGEST_SIDE, MatteReply, MatteRequest
from . import pixels
from .choices import Wishes

_WANTS = {"mask": "alpha", "layer": "alpha", "clean-layer": "rgba", "trimap": "trimap"}


def ask_all(image: Any, layers: Sequence[Any], wishes: Wishes) -> list[MatteReply]:
    """Of each layer what `results` writes: an alpha, a trimap or an RGBA.

    GIMP's Cancel ends this process: the engine's goes on, and no image was touched. Raises
    WorkerError.
    """
    Gimp.progress_init("Human Matte")
    replies = []
    for number, layer in enumerate(layers):
        request = request_of(layer, pixels.dtype_of(image), wishes)
        tell = Tell(_show_part(number, len(layers)))
        replies.append(ask(wishes.engine, request, tell))
    Gimp.progress_end()
    return replies


def request_of(layer: Any, dtype: str, wishes: Wishes) -> MatteRequest:
    """The layer as the engine takes it, without its mask. WorkerError if it is too large."""
    want = _WANTS[wishes.output]
    # GIMP itself multiplies a mask by the layer's own alpha; only new pixels contain both.
    channels = 4 if want == "rgba" else 3
    format_name = pixels.picture(dtype, channels)
    width, height = layer.get_width(), layer.get_height()
    if pixels.size_of(layer, format_name) > BLOB_LIMIT or max(width, height) > LONGEST_SIDE:
        raise WorkerError(
            f"The layer {layer.get_name()} is too large for the engine; make it smaller with "
            "Layer > Scale Layer, or cut it into parts."
        )
    return MatteRequest(
        width=width,
        height=height,
        dtype=dtype,
        channels=channels,
        foreground="estimate" if want == "rgba" else "source",
        device=wishes.device,
        size=SIZES[wishes.quality],
        wants=(want,),
        pixels=pixels.read(layer, format_name),
    )


def _show_part(number: int, count: int) -> Callable[[float, str], None]:
    def show(share: float, text: str) -> None:
        Gimp.progress_set_text(f"Human Matte: {text}")
        if number or share:
            Gimp.progress_update((number + share) / count)
        else:
            # While the engine starts: a sign of life.
            Gimp.progress_pulse()

    return show
