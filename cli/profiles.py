"""Which file name gets which container, codec and pixel format: a table; knows no codec library."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from shm_engine.errors import VideoError


@dataclass(frozen=True, kw_only=True)
class OutputProfile:
    """One way to write a movie.

    suffixes: the file names it is chosen for, the usual one first, lower case.
    container, codec, pixel_format: FFmpeg's names; the pixel format is planar Y'CbCr.
    has_alpha: whether a reader gets alpha back; proved by reopening every file.
    codec_options: FFmpeg's encoder options.
    """

    name: str
    suffixes: tuple[str, ...]
    container: str
    codec: str
    pixel_format: str
    has_alpha: bool
    codec_options: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


# prores_ks with a fixed quantiser: as fast as prores_aw (40 to 50 ms per 1080p frame on one core;
# its rate control takes four times as long), and better. prores_aw stores full alpha as 65472 of
# 65535, which is not opaque, and refuses odd widths. Quantiser 2 leaves an error of 61 dB, less
# than rounding to 8 bits does; 118 is FFmpeg's unit of global_quality. Without alpha it stays
# 4:4:4, so that the edge of a matte or of a composite keeps its full chroma.
_PRORES = MappingProxyType(
    {"profile": "4444", "flags": "+qscale", "global_quality": str(2 * 118), "alpha_bits": "16"}
)
PROFILES: tuple[OutputProfile, ...] = (
    OutputProfile(
        name="prores4444",
        suffixes=(".mov",),
        container="mov",
        codec="prores_ks",
        pixel_format="yuva444p10le",
        has_alpha=True,
        codec_options=_PRORES,
    ),
    OutputProfile(
        name="prores444",
        suffixes=(".mov",),
        container="mov",
        codec="prores_ks",
        pixel_format="yuv444p10le",
        has_alpha=False,
        codec_options=_PRORES,
    ),
)

# Containers people ask for that hold no alpha: some accept it and drop it without an error.
_WITHOUT_ALPHA = (".mp4", ".m4v", ".mpg", ".mpeg", ".ts", ".mts", ".wmv", ".flv", ".3gp", ".ogv")


def profile_for(path: Path, needs_alpha: bool) -> OutputProfile:
    """The first profile for the name of `path`, without alpha where none is needed."""
    suffix = path.suffix.lower()
    fitting = [profile for profile in PROFILES if suffix in profile.suffixes]
    usable = [profile for profile in fitting if profile.has_alpha or not needs_alpha]
    if usable:
        return min(usable, key=lambda profile: profile.has_alpha != needs_alpha)
    able = {profile.suffixes[0] for profile in PROFILES if profile.has_alpha or not needs_alpha}
    advice = "use " + " or ".join(sorted(able))
    if needs_alpha and (fitting or suffix in _WITHOUT_ALPHA):
        raise VideoError(f"{path}: {suffix} cannot hold an alpha channel; {advice}", path=path)
    if not suffix:
        raise VideoError(f"{path} has no suffix to name its format; {advice}", path=path)
    raise VideoError(f"{path}: {suffix} is no format that can be written; {advice}", path=path)
