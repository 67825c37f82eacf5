"""How one movie's pictures are stored: which pixel format, range and kind of alpha; writes none."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from typing import Self

import av

from cli.formats.profiles import PREMULTIPLIED, STRAIGHT, OutputProfile
from cli.video.info import (
    BT601_525,
    BT601_625,
    BT709,
    FULL_RANGE,
    IDENTITY,
    LIMITED_RANGE,
    LINEAR,
    ColourTags,
    VideoInfo,
)
from shm_engine.errors import OptionsError
from shm_engine.passes import Pass

log = logging.getLogger(__name__)

# FFmpeg's names of planar Y'CbCr: subsampling, then what follows.
_YCBCR = re.compile(r"yuv[ja]?(420|422|444)p(?:(9|10|12|14|16)le)?")
# The same samples in another order.
_PLANAR = {"nv12": "yuv420p", "p010le": "yuv420p10le", "nv16": "yuv422p", "p210le": "yuv422p10le"}


@dataclass(frozen=True, kw_only=True)
class Storage:
    """What an encoder is given.

    pixel_format: FFmpeg's name.
    tags: the colour tags of what is stored.
    premultiplied: whether colours are stored times alpha.
    is_linear: whether samples are light, not sRGB-encoded.
    """

    pixel_format: str
    tags: ColourTags
    premultiplied: bool = False
    is_linear: bool = False

    @property
    def alpha_mode(self) -> str:
        """The word for how colours are stored beside alpha."""
        return PREMULTIPLIED if self.premultiplied else STRAIGHT

    @classmethod
    def of(
        cls, profile: OutputProfile, info: VideoInfo, output_pass: Pass, alpha: str | None = None
    ) -> Self:
        """How `profile` stores this pass of this movie; OptionsError if it holds no alpha."""
        channels = output_pass.channels
        if channels == "alpha" and not profile.has_alpha:
            raise OptionsError(f"{profile.name} holds no alpha; {output_pass.name} needs it")
        chosen = profile.format_for(channels, info.bit_depth)
        if channels != "grey" and chosen.bits < info.bit_depth:
            log.warning(
                "%s holds %d bits, the source has %d; ffv1, png and exr-sequence keep more.",
                profile.name,
                chosen.bits,
                info.bit_depth,
            )
        name = chosen.pixel_format
        if profile.keeps_samples and channels != "grey":
            name = _with_samples_of(info, profile, channels) or name
        return cls(
            pixel_format=name,
            tags=_tags(name, info, profile, is_grey=output_pass.is_grey),
            premultiplied=channels == "alpha" and (alpha or profile.alpha_mode) == PREMULTIPLIED,
            is_linear=profile.is_linear,
        )


def _with_samples_of(info: VideoInfo, profile: OutputProfile, channels: str) -> str | None:
    """The format that holds the source's own samples, if they are Y'CbCr and the codec has it."""
    found = _YCBCR.fullmatch(_PLANAR.get(info.pixel_format, info.pixel_format))
    if found is None:
        return None
    subsampling, bits = found[1], int(found[2] or 8)
    start = "yuva" if channels == "alpha" else "yuv"
    formats = {str(known.name) for known in av.Codec(profile.codec, "w").video_formats or ()}
    for depth in (bits, 16):
        name = f"{start}{subsampling}p" + ("" if depth == 8 else f"{depth}le")
        if name in formats:
            return name
    return None


def _tags(
    pixel_format: str, info: VideoInfo, profile: OutputProfile, *, is_grey: bool
) -> ColourTags:
    if av.VideoFormat(pixel_format).is_rgb or pixel_format.startswith("gray"):
        matrix, sample_range = IDENTITY, FULL_RANGE
        if pixel_format.startswith("gray"):
            matrix = info.tags.matrix
    else:
        matrix = BT601_525 if info.tags.matrix == BT601_625 else info.tags.matrix
        sample_range = (
            info.tags.range if profile.keeps_samples and not info.is_rgb else LIMITED_RANGE
        )
    return ColourTags(
        primaries=info.image_tags.primaries,
        transfer=LINEAR if profile.is_linear else BT709 if is_grey else info.image_tags.transfer,
        matrix=matrix,
        range=sample_range,
    )
