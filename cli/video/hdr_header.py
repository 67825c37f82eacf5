"""The static metadata of high dynamic range, handed to a muxer; writes no file.

PyAV has no call for it. But a stream that is added after the template of another takes over what is
said of that one, and the header of a movie without pictures is quickly made: Matroska (RFC 9559)
says with a few numbers which codec, which display and how much light.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from fractions import Fraction

import av
from av.container import InputContainer

from cli.video.hdr import ContentLight, MasteringDisplay
from cli.video.info import VideoInfo

# Elements by their numbers, in section 5.1 of the RFC.
_EBML, _DOC_TYPE, _SEGMENT, _TRACKS, _TRACK, _CLUSTER = (
    *(0x1A45DFA3, 0x4282, 0x18538067),
    *(0x1654AE6B, 0xAE, 0x1F43B675),
)
_NUMBER, _UID, _TYPE, _CODEC, _PRIVATE, _VIDEO = 0xD7, 0x73C5, 0x83, 0x86, 0x63A2, 0xE0
_WIDTH, _HEIGHT, _COLOUR, _MOST, _MOST_OF_A_MEAN, _MASTERING = (
    *(0xB0, 0xBA, 0x55B0),
    *(0x55BC, 0x55BD, 0x55D0),
)
_PRIMARIES = range(0x55D1, 0x55D9)  # x and y of red, green, blue and white
_LARGEST_LUMINANCE, _LEAST_LUMINANCE = 0x55D9, 0x55DA
_TIMECODE = 0xE7

# FFmpeg's encoders in Matroska's words; four letters are QuickTime's. Beside QuickTime Animation
# FFmpeg writes no such metadata.
_CODECS = {
    "prores_ks": "V_PRORES",
    "ffv1": "V_FFV1",
    "libvpx-vp9": "V_VP9",
    "libx264": "V_MPEG4/ISO/AVC",
    "libx265": "V_MPEGH/ISO/HEVC",
    "png": "png ",
    "cfhd": "CFHD",
}
# FFmpeg believes QuickTime's description of a codec from this length on.
_QUICKTIME_BYTES = 21
# Units of x265: of chromaticity, and of luminance in cd/m2.
_CHROMATICITY, _LUMINANCE = 50_000, 10_000


def has_static_metadata(info: VideoInfo) -> bool:
    """Whether there is something to say."""
    return info.mastering is not None or info.content_light is not None


def template(encoder: str, info: VideoInfo) -> InputContainer | None:
    """A movie without a picture whose stream says what `info` does of display and light; None if
    there is nothing to say, or no way to."""
    # PyAV 17 would lose the frame rate, and with it the timecode.
    is_possible = encoder in _CODECS and int(av.__version__.split(".")[0]) >= 18
    if not has_static_metadata(info) or not is_possible:
        return None
    codec = _CODECS[encoder]
    private = b""
    if len(codec) == 4:
        private, codec = codec.encode().ljust(_QUICKTIME_BYTES, b"\0"), "V_QUICKTIME"
    colour = _light(info.content_light) + _display(info.mastering)
    size = _number(_WIDTH, info.width) + _number(_HEIGHT, info.height)
    track = (
        *(_number(_NUMBER, 1), _number(_UID, 1), _number(_TYPE, 1)),
        *(_element(_CODEC, codec.encode()), _element(_PRIVATE, private)),
        _element(_VIDEO, size + _element(_COLOUR, colour)),
    )
    tracks = _element(_TRACKS, _element(_TRACK, b"".join(track)))
    cluster = _element(_CLUSTER, _number(_TIMECODE, 0))
    head = _element(_EBML, _element(_DOC_TYPE, b"matroska"))
    movie = head + _element(_SEGMENT, tracks + cluster)
    return av.open(io.BytesIO(movie), "r", format="matroska")


def x265_parameters(info: VideoInfo) -> str:
    """What x265 has to be told, to say it in the pictures too; empty if there is nothing to say."""
    said = []
    mastering, light = info.mastering, info.content_light
    if mastering is not None and mastering.primaries and mastering.luminance:
        red, green, blue, white = (_units(pair, _CHROMATICITY) for pair in mastering.primaries)
        least, most = _units(mastering.luminance, _LUMINANCE).split(",")
        said.append(f"master-display=G({green})B({blue})R({red})WP({white})L({most},{least})")
    if light is not None:
        said.append(f"max-cll={light.most},{light.most_of_a_mean}")
    return ":".join(said)


def _units(values: Sequence[Fraction], unit: int) -> str:
    return ",".join(str(round(value * unit)) for value in values)


def _light(light: ContentLight | None) -> bytes:
    if light is None:
        return b""
    return _number(_MOST, light.most) + _number(_MOST_OF_A_MEAN, light.most_of_a_mean)


def _display(mastering: MasteringDisplay | None) -> bytes:
    if mastering is None:
        return b""
    said = b""
    if mastering.primaries is not None:
        values = (value for pair in mastering.primaries for value in pair)
        said += b"".join(map(_real, _PRIMARIES, values))
    if mastering.luminance is not None:
        said += _real(_LEAST_LUMINANCE, mastering.luminance[0])
        said += _real(_LARGEST_LUMINANCE, mastering.luminance[1])
    return _element(_MASTERING, said)


def _element(number: int, contents: bytes) -> bytes:
    if not contents:
        return b""
    size = struct.pack(">Q", 1 << 56 | len(contents))  # the long form fits all
    return number.to_bytes(-(-number.bit_length() // 8), "big") + size + contents


def _number(number: int, value: int) -> bytes:
    return _element(number, struct.pack(">Q", value))


def _real(number: int, value: Fraction) -> bytes:
    return _element(number, struct.pack(">d", float(value)))
