"""What a user of GIMP may choose, in the words shown.

Knows no GIMP and no engine.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from ..choices import (
    DEFAULT_DEVICE,
    DEFAULT_QUALITY,
    DEVICE_HELP,
    DEVICES,
    QUALITIES,
    QUALITY_HELP,
    Option,
)


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One of several options; `default` names one of them."""

    name: str
    label: str
    help: str
    default: str
    options: tuple[Option, ...]


OUTPUT = Choice(
    name="output",
    label="Ou_tput",
    help="What comes of the matte. The layer's own pixels never change",
    default="mask",
    options=(
        Option(
            name="mask",
            label="Layer mask",
            help="On the layer itself; a mask that it has is replaced",
        ),
        Option(
            name="layer",
            label="New layer",
            help="A copy above the layer, transparent where the background was",
        ),
        Option(
            name="clean-layer",
            label="New layer, clean colours",
            help="The same, and the old background no longer shines through hair and edges",
        ),
        Option(
            name="trimap",
            label="Trimap layer",
            help="Black is background, white is foreground, grey is the outline between them",
        ),
    ),
)
QUALITY = Choice(
    name="quality",
    label="_Quality",
    help=QUALITY_HELP,
    default=DEFAULT_QUALITY,
    options=QUALITIES,
)
DEVICE = Choice(
    name="device", label="_Device", help=DEVICE_HELP, default=DEFAULT_DEVICE, options=DEVICES
)
CHOICES = (OUTPUT, QUALITY, DEVICE)


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What was chosen: names of options, and where the engine is, "" to look for it."""

    output: str = OUTPUT.default
    quality: str = QUALITY.default
    device: str = DEVICE.default
    engine: str = ""


NAMES = tuple(field.name for field in fields(Wishes))
