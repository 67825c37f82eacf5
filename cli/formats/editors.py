"""Which profiles the programs read that people work with: a table; knows no codec."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Editor:
    """A program that is to open what is written.

    title: its name.
    profiles: the names of the profiles that it reads with alpha, the best first.
    opaque: those without alpha that it reads too.
    """

    title: str
    profiles: tuple[str, ...]
    opaque: tuple[str, ...] = ("h264", "h265")


_QUICKTIME = ("prores4444", "prores4444xq", "animation", "png")
_SEQUENCES = ("png-sequence", "tiff-sequence", "exr-sequence")
EDITORS: Mapping[str, Editor] = MappingProxyType(
    {
        "premiere": Editor("Adobe Premiere", (*_QUICKTIME, "cineform", *_SEQUENCES)),
        "resolve": Editor("DaVinci Resolve", (*_QUICKTIME, "cineform", *_SEQUENCES)),
        "finalcut": Editor("Final Cut Pro", (*_QUICKTIME, *_SEQUENCES)),
        "aftereffects": Editor("Adobe After Effects", (*_QUICKTIME, "cineform", *_SEQUENCES)),
        # Blender 5.2 takes ProRes 4444 for premultiplied, 4.2 sees no alpha in VP9.
        "blender": Editor("Blender", ("png", "animation", "ffv1", *_SEQUENCES)),
        "gimp": Editor("GIMP", ("png-sequence", "tiff-sequence", "exr-sequence"), opaque=()),
        "nuke": Editor("Nuke", ("exr-sequence", *_QUICKTIME, "png-sequence", "tiff-sequence")),
        "web": Editor("web browsers", ("vp9",)),
        "obs": Editor("OBS Studio", ("vp9", *_QUICKTIME)),
    }
)
