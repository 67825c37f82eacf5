"""What is known about a movie before its frames flow; knows no codec library."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from cli.video.hdr import ContentLight, MasteringDisplay

Sample = TypeVar("Sample", bound=np.generic)

# Code points of ITU-T H.273, which every container and codec shares.
IDENTITY, BT709, UNSPECIFIED, BT470M = 0, 1, 2, 4
BT601_625, BT601_525, SMPTE240M, BT2020 = 5, 6, 7, 9
LINEAR, SRGB, PQ, HLG = 8, 13, 16, 18
LIMITED_RANGE, FULL_RANGE = 1, 2
_ENCODINGS = {PQ: "pq", HLG: "hlg"}
_MATRICES = (BT709, BT470M, BT601_625, BT601_525, SMPTE240M, BT2020)
# Each matrix's number in swscale; BT.601 has two codes with one meaning.
SWSCALE_MATRIX = {BT709: 1, BT470M: 4, BT601_625: 5, BT601_525: 5, SMPTE240M: 7, BT2020: 9}
_MATRIX_NAMES = {BT709: "BT.709", BT601_525: "BT.601"}
# BT.601 and BT.2020 have the curve of BT.709, under codes that ProRes cannot store.
_CURVES_OF_BT709 = (6, 14, 15)
_HIGH_DEFINITION_LINES = 720


@dataclass(frozen=True, kw_only=True)
class ColourTags:
    """How samples mean colours, in the code points of ITU-T H.273; 2 (range: 0) is "not said"."""

    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED
    matrix: int = UNSPECIFIED
    range: int = 0

    @property
    def has_known_matrix(self) -> bool:
        """Whether the matrix is tagged with one that can be computed."""
        return self.matrix in _MATRICES

    def completed(self, lines: int) -> ColourTags:
        """These tags with every gap filled: BT.601 below 720 lines, BT.709 from there.

        Of several codes for one transfer curve the most common is taken.
        """
        usual = BT709 if lines >= _HIGH_DEFINITION_LINES else BT601_525
        matrix = self.matrix if self.has_known_matrix else usual
        has_own_curve = _is_said(self.transfer) and self.transfer not in _CURVES_OF_BT709
        return ColourTags(
            primaries=self.primaries if _is_said(self.primaries) else matrix,
            transfer=self.transfer if has_own_curve else BT709,
            matrix=matrix,
            range=self.range or LIMITED_RANGE,
        )

    @property
    def matrix_name(self) -> str:
        """The matrix in words."""
        return _MATRIX_NAMES.get(self.matrix, f"number {self.matrix} of H.273")

    def or_else(self, other: ColourTags) -> ColourTags:
        """These tags, each gap filled from `other`."""
        return ColourTags(
            primaries=self.primaries if _is_said(self.primaries) else other.primaries,
            transfer=self.transfer if _is_said(self.transfer) else other.transfer,
            matrix=self.matrix if _is_said(self.matrix) else other.matrix,
            range=self.range or other.range,
        )


def _is_said(code: int) -> bool:
    return code not in (0, UNSPECIFIED, 3)  # 0 and 3 are reserved


@dataclass(frozen=True, kw_only=True)
class Orientation:
    """How stored pictures are turned to stand upright.

    quarter_turns: counter-clockwise, 0 to 3; then `mirrored` swaps left and right.
    display_matrix: the container's own nine numbers, kept to be written back unchanged.
    """

    quarter_turns: int = 0
    mirrored: bool = False
    display_matrix: tuple[int, ...] | None = None

    @classmethod
    def from_display_matrix(cls, matrix: tuple[int, ...]) -> Orientation:
        """The nearest quarter turn to a 3 x 3 display matrix, which maps (1, 0) to its first row.

        Pictures count y downwards, so a counter-clockwise turn sends (1, 0) to (0, -1).
        """
        right, down = matrix[0], matrix[1]
        mirrored = matrix[0] * matrix[4] - matrix[1] * matrix[3] < 0
        angle = math.atan2(-down, -right if mirrored else right)
        turns = round(angle / (math.pi / 2)) % 4
        return cls(quarter_turns=turns, mirrored=mirrored, display_matrix=matrix)

    @property
    def swaps_sides(self) -> bool:
        """Whether the upright picture is as wide as the stored one is high."""
        return self.quarter_turns % 2 == 1

    def upright(self, stored: NDArray[Sample]) -> NDArray[Sample]:
        """A view of stored [H, W, ...] samples, turned upright."""
        turned = np.rot90(stored, self.quarter_turns)
        return turned[:, ::-1] if self.mirrored else turned

    def stored(self, upright: NDArray[Sample]) -> NDArray[Sample]:
        """The inverse of `upright`."""
        plain = upright[:, ::-1] if self.mirrored else upright
        return np.rot90(plain, -self.quarter_turns)


@dataclass(frozen=True, kw_only=True)
class VideoInfo:
    """A movie, apart from its pictures; what a sink needs to write one like it.

    path: the file, None for anything else (a camera, a sequence).
    width, height: of the stored pictures; `display_*` are those of the upright ones.
    pixel_aspect: width of a stored pixel over its height.
    frame_rate: the average one; frames of a variable rate keep their own times.
    time_base, start_pts: the unit of every pts, and the first one.
    pixel_format: FFmpeg's name of what the decoder gives, empty where nothing is decoded.
    frame_count: what the container claims or suggests; None if it says nothing.
    bit_depth: of the largest component of a sample; 32 and 16 where it is a floating-point number.
    is_linear: whether samples are light, in floating-point numbers; frames are sRGB-encoded then,
        and `image_tags` are theirs.
    has_alpha: whether the source has an alpha of its own.
    alpha_is_premultiplied: whether samples are multiplied by that (EXR); frames never are.
    tags_read, tags: the colour tags as found, and with every gap filled.
    mastering, content_light: the static metadata of high dynamic range.
    metadata, stream_metadata: of the container and of the video stream.
    """

    path: Path | None = None
    width: int
    height: int
    orientation: Orientation = Orientation()
    pixel_aspect: Fraction = Fraction(1)
    frame_rate: Fraction = Fraction(25)
    time_base: Fraction = Fraction(1, 25)
    start_pts: int = 0
    frame_count: int | None = None
    bit_depth: int = 8
    pixel_format: str = ""
    is_rgb: bool = False
    is_linear: bool = False
    has_alpha: bool = False
    alpha_is_premultiplied: bool = False
    tags_read: ColourTags = ColourTags()
    mastering: MasteringDisplay | None = None
    content_light: ContentLight | None = None
    has_audio: bool = False
    metadata: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    stream_metadata: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def tags(self) -> ColourTags:
        """The colour tags with every gap filled."""
        return self.tags_read.completed(self.height)

    @property
    def image_tags(self) -> ColourTags:
        """The tags of frames' RGB: `tags`, but for light, which is sRGB-encoded there."""
        return replace(self.tags, transfer=SRGB) if self.is_linear else self.tags

    @property
    def encoding(self) -> str:
        """How frames' values mean light, see `shm_engine.types.Frame`."""
        return _ENCODINGS.get(self.tags.transfer, "srgb")

    @property
    def colour_is_assumed(self) -> bool:
        """Whether the matrix is a guess from the number of lines."""
        return not self.is_rgb and not self.tags_read.has_known_matrix

    @property
    def display_width(self) -> int:
        """Width in pixels of the upright picture."""
        return self.height if self.orientation.swaps_sides else self.width

    @property
    def display_height(self) -> int:
        """Height in pixels of the upright picture."""
        return self.width if self.orientation.swaps_sides else self.height

    @property
    def display_pixel_aspect(self) -> Fraction:
        """Width of an upright pixel over its height."""
        return 1 / self.pixel_aspect if self.orientation.swaps_sides else self.pixel_aspect

    @property
    def timecode(self) -> str | None:
        """The timecode of the first frame, wherever the container keeps it."""
        for tags in (self.stream_metadata, self.metadata):
            for key, value in tags.items():
                if key.lower() == "timecode":
                    return value
        return None

    @property
    def start_seconds(self) -> Fraction:
        """When the first frame is shown."""
        return self.start_pts * self.time_base

    @property
    def ticks_per_frame(self) -> int:
        """The average duration of a frame in units of time_base, at least 1."""
        return max(1, round(1 / (self.frame_rate * self.time_base)))
