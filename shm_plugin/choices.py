"""What users of every host may choose alike, in the words shown.

Knows no host and no engine: hosts get a copy of this file. Standard library only, Python 3.10 or
newer.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Option:
    """A value of a choice: its name in scripts and settings, and what people read."""

    name: str
    label: str
    help: str = ""


QUALITY_HELP = "How closely the picture is looked at; finer takes longer"
QUALITIES = (
    Option(name="draft", label="Draft", help="Fastest, for a first look"),
    Option(name="standard", label="Standard", help="For most pictures"),
    Option(name="fine", label="Fine", help="For large pictures with small people; slow"),
)
DEFAULT_QUALITY = "standard"

# Pixels of the longer side of what the network sees.
SIZES = {"draft": 384, "standard": 512, "fine": 1024}

DEVICE_HELP = "What computes the matte"
DEVICES = (
    Option(name="auto", label="Automatic", help="The fastest that works here"),
    Option(name="cuda", label="NVIDIA card"),
    Option(name="mps", label="Apple GPU"),
    Option(name="cpu", label="Processor"),
)
DEFAULT_DEVICE = "auto"
