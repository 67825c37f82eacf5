"""Layers to the engine, and what it made of them; GIMP shows how far it is.

Knows no dialog, and nothing of what becomes of the replies. Changes no image.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import Any

from gi.repository import Gimp

from shm_plugin.client import Client, Preferences, WorkerError, connect
from shm_plugin.gimp import pixels
from shm_plugin.gimp.choices import SIZES, Wishes
from shm_plugin.messages import BLOB_LIMIT, LONGEST_SIDE, MatteReply, MatteRequest, Progress

_WANTS = {"mask": "alpha", "layer": "alpha", "clean-layer": "rgba", "trimap": "trimap"}


def ask(image: Any, layers: Sequence[Any], wishes: Wishes) -> list[bytes]:
    """Of each layer what `results` writes: an alpha (float32), a trimap or an RGBA.

    GIMP's Cancel ends this process: the engine's goes on, and no image was touched. Raises
    WorkerError.
    """
    Gimp.progress_init("Human Matte")
    with closing(connect(Preferences(engine=wishes.engine), told=_wait)) as client:
        replies = []
        for number, layer in enumerate(layers):
            request = request_of(layer, pixels.dtype_of(image), wishes)
            replies.append(_matte(client, request, number, len(layers)))
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


def _wait(words: str) -> None:
    Gimp.progress_set_text(f"Human Matte: {words}")
    Gimp.progress_pulse()


def _matte(client: Client, request: MatteRequest, number: int, count: int) -> bytes:
    for item in client.matte(request):
        if isinstance(item, Progress):
            Gimp.progress_set_text(f"Human Matte: {item.text}")
            Gimp.progress_update((number + item.share) / count)
        else:
            return _wanted(item)
    raise WorkerError("The engine did not answer; try again.")


def _wanted(reply: MatteReply) -> bytes:
    return reply.rgba or reply.trimap or reply.alpha
