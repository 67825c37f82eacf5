"""The ways to write a movie: a table of containers, codecs and pixel formats; knows no codec
library."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

STRAIGHT, PREMULTIPLIED = ALPHA_MODES = ("straight", "premultiplied")


@dataclass(frozen=True)
class Format:
    """One of FFmpeg's pixel formats, and the most bits a sample of the source may have for it."""

    bits: int
    pixel_format: str


@dataclass(frozen=True, kw_only=True)
class OutputProfile:
    """One way to write a movie, or a sequence of pictures.

    name: what --codec calls it.
    suffixes: the file names it is chosen for, the usual one first, lower case.
    container, codec: FFmpeg's names.
    alpha, colour, grey: the pixel formats for pictures with alpha, for opaque ones and for one
        channel, in the order of their bits; empty where it has none.
    keeps_samples: whether the source's own Y'CbCr is stored as it is, in its subsampling and range;
        `alpha` and `colour` are for sources that no Y'CbCr format fits.
    is_sequence: whether every picture is a file of its own.
    is_linear: whether the samples are light, not sRGB-encoded.
    multiples: what width and height must be multiples of.
    bits_per_pixel: what a pixel of footage typically takes, to estimate the size of a file.
    codec_options, container_options: FFmpeg's.
    """

    name: str
    suffixes: tuple[str, ...]
    container: str
    codec: str
    alpha: tuple[Format, ...] = ()
    colour: tuple[Format, ...]
    grey: tuple[Format, ...] = ()
    alpha_mode: str = STRAIGHT
    keeps_samples: bool = False
    is_sequence: bool = False
    is_linear: bool = False
    multiples: tuple[int, int] = (1, 1)
    bits_per_pixel: float
    codec_options: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    container_options: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def has_alpha(self) -> bool:
        """Whether a reader gets alpha back; proved by reopening every file."""
        return bool(self.alpha)

    def format_for(self, channels: str, bits: int) -> Format:
        """The smallest format of `channels` (alpha, colour, grey) that holds so many bits, or the
        largest there is."""
        formats: tuple[Format, ...] = getattr(self, channels) or self.colour
        return next((fits for fits in formats if fits.bits >= bits), formats[-1])


def _options(**options: str) -> Mapping[str, str]:
    return MappingProxyType({name.replace("__", "-"): value for name, value in options.items()})


# prores_ks with a fixed quantiser: as fast as prores_aw (40 to 50 ms per 1080p frame on one core;
# its rate control takes four times as long), and better. prores_aw stores full alpha as 65472 of
# 65535, which is not opaque, and refuses odd widths. Quantiser 2 leaves an error of 61 dB, less
# than rounding to 8 bits does; 118 is FFmpeg's unit of global_quality. Without alpha it stays
# 4:4:4, so that the edge of a matte or of a composite keeps its full chroma.
def _prores(profile: str, quantiser: int) -> Mapping[str, str]:
    return _options(
        profile=profile, flags="+qscale", global_quality=str(118 * quantiser), alpha_bits="16"
    )


_YUVA444, _YUV444 = (Format(10, "yuva444p10le"),), (Format(10, "yuv444p10le"),)
_RGB_PNG = (Format(8, "rgb24"), Format(16, "rgb48be"))
_RGBA_PNG = (Format(8, "rgba"), Format(16, "rgba64be"))
_GREY_PNG = (Format(8, "gray"), Format(16, "gray16be"))
# Otherwise every file gets a random number, and no two are the same.
_MATROSKA = _options(fflags="+bitexact")
# A sixth of the time of FFmpeg's default for a sixth more bytes.
_PNG = _options(compression_level="1", pred="up")
# Without B-frames every packet is shown when it is decoded, and segments join without a seam.
_X265 = "bframes=0:log-level=none"

PROFILES: tuple[OutputProfile, ...] = (
    OutputProfile(
        name="prores4444",
        suffixes=(".mov",),
        container="mov",
        codec="prores_ks",
        alpha=_YUVA444,
        colour=_YUV444,
        bits_per_pixel=8,
        codec_options=_prores("4444", 2),
    ),
    OutputProfile(
        name="prores4444xq",
        suffixes=(".mov",),
        container="mov",
        codec="prores_ks",
        alpha=_YUVA444,
        colour=_YUV444,
        bits_per_pixel=11,
        codec_options=_prores("4444xq", 1),
    ),
    OutputProfile(
        name="animation",
        suffixes=(".mov",),
        container="mov",
        codec="qtrle",
        alpha=(Format(8, "argb"),),
        colour=(Format(8, "rgb24"),),
        grey=(Format(8, "gray"),),
        bits_per_pixel=22,
    ),
    OutputProfile(
        name="png",
        suffixes=(".mov",),
        container="mov",
        codec="png",
        alpha=_RGBA_PNG,
        colour=_RGB_PNG,
        grey=_GREY_PNG,
        bits_per_pixel=9,
        codec_options=_PNG,
    ),
    OutputProfile(
        name="cineform",
        suffixes=(".mov",),
        container="mov",
        codec="cfhd",
        alpha=(Format(12, "gbrap12le"),),
        colour=(Format(12, "gbrp12le"),),
        multiples=(16, 1),
        bits_per_pixel=9,
        codec_options=_options(quality="film3"),
    ),
    OutputProfile(
        name="vp9",
        suffixes=(".webm",),
        container="webm",
        codec="libvpx-vp9",
        alpha=(Format(8, "yuva420p"),),
        colour=(Format(8, "yuv420p"),),
        bits_per_pixel=0.5,
        codec_options=_options(crf="18", b="0", cpu__used="4", row__mt="1"),
        container_options=_MATROSKA,
    ),
    OutputProfile(
        name="ffv1",
        suffixes=(".mkv",),
        container="matroska",
        codec="ffv1",
        alpha=(
            Format(8, "bgra"),
            Format(10, "gbrap10le"),
            Format(12, "gbrap12le"),
            Format(16, "gbrap16le"),
        ),
        colour=(
            Format(8, "bgr0"),
            Format(10, "gbrp10le"),
            Format(12, "gbrp12le"),
            Format(16, "gbrp16le"),
        ),
        grey=(Format(16, "gray16le"),),
        keeps_samples=True,
        bits_per_pixel=5,
        codec_options=_options(level="3", g="1", slicecrc="1"),
        container_options=_MATROSKA,
    ),
    OutputProfile(
        name="h264",
        suffixes=(".mp4",),
        container="mp4",
        codec="libx264",
        colour=(Format(8, "yuv420p"),),
        multiples=(2, 2),
        bits_per_pixel=0.3,
        codec_options=_options(crf="16", preset="medium", bf="0"),
        container_options=_options(movflags="+faststart"),
    ),
    OutputProfile(
        name="h265",
        suffixes=(".mp4",),
        container="mp4",
        codec="libx265",
        colour=(Format(8, "yuv420p"), Format(10, "yuv420p10le")),
        multiples=(2, 2),
        bits_per_pixel=0.2,
        codec_options=_options(crf="18", preset="medium", **{"x265-params": _X265}),
        container_options=_options(movflags="+faststart"),
    ),
    OutputProfile(
        name="png-sequence",
        suffixes=(".png",),
        container="image2",
        codec="png",
        alpha=_RGBA_PNG,
        colour=_RGB_PNG,
        grey=_GREY_PNG,
        is_sequence=True,
        bits_per_pixel=9,
        codec_options=_PNG,
    ),
    OutputProfile(
        name="tiff-sequence",
        suffixes=(".tif", ".tiff"),
        container="image2",
        codec="tiff",
        alpha=(Format(8, "rgba"), Format(16, "rgba64le")),
        colour=(Format(8, "rgb24"), Format(16, "rgb48le")),
        grey=(Format(8, "gray"), Format(16, "gray16le")),
        is_sequence=True,
        bits_per_pixel=13,
        codec_options=_options(compression_algo="deflate"),
    ),
    OutputProfile(
        name="exr-sequence",
        suffixes=(".exr",),
        container="image2",
        codec="exr",
        alpha=(Format(32, "gbrapf32le"),),
        colour=(Format(32, "gbrpf32le"),),
        grey=(Format(32, "grayf32le"),),
        alpha_mode=PREMULTIPLIED,  # a convention of the format
        is_sequence=True,
        is_linear=True,
        bits_per_pixel=18,
        codec_options=_options(format="half", compression="zip1"),
    ),
)
