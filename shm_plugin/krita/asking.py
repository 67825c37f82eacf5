"""A picture to the engine, and the mask that comes of its reply.

Knows no Krita and no window. Changes no document.
"""

from __future__ import annotations

from ..asking import ask
from ..choices import SIZES
from ..jobs import Job, Tell
from ..messages import MatteRequest
from . import pixels
from .choices import Wishes
from .pixels import Picture


def masking(picture: Picture, wishes: Wishes) -> Job[bytes]:
    """The job that makes the mask, a byte a pixel. It raises WorkerError."""

    def job(tell: Tell) -> bytes:
        reply = ask(wishes.engine, request_of(picture, wishes), tell)
        return pixels.mask(picture, reply.alpha)

    return job


def request_of(picture: Picture, wishes: Wishes) -> MatteRequest:
    """The picture as the engine takes it."""
    return MatteRequest(
        width=picture.width,
        height=picture.height,
        dtype=picture.form.dtype,
        colour=picture.form.colour,
        device=wishes.device,
        size=SIZES[wishes.quality],
        pixels=pixels.rgb(picture),
    )
