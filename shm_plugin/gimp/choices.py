"""What a user of GIMP may choose, in the words shown.

Knows no GIMP and no engine.
"""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, kw_only=True)
class Option:
    """A value of a choice: its name in scripts, and what people read."""

    name: str
    label: str
    help: str = ""


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
    help="How closely the picture is looked at; finer takes longer",
    default="standard",
    options=(
        Option(name="draft", label="Draft"),
        Option(name="standard", label="Standard"),
        Option(name="fine", label="Fine"),
    ),
)
DEVICE = Choice(
    name="device",
    label="_Device",
    help="What computes the matte",
    default="auto",
    options=(
        Option(name="auto", label="Automatic"),
        Option(name="cuda", label="NVIDIA card"),
        Option(name="mps", label="Apple GPU"),
        Option(name="cpu", label="Processor"),
    ),
)
CHOICES = (OUTPUT, QUALITY, DEVICE)

# Pixels of the longer side of what the network sees.
SIZES = {"draft": 384, "standard": 512, "fine": 1024}


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What was chosen: names of options, and where the engine is, "" to look for it."""

    output: str = OUTPUT.default
    quality: str = QUALITY.default
    device: str = DEVICE.default
    engine: str = ""


NAMES = tuple(field.name for field in fields(Wishes))
