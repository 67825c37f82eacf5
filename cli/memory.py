"""How much of a movie is under way at once, so that memory stays below a ceiling; opens nothing."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from shm_engine.errors import OptionsError
from shm_engine.options import MatterOptions

_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)([KMGT])(?:i?B)?", re.IGNORECASE)

# Measured at 3840 x 2160 and 7680 x 4320 in 8 and 10 bits, with 1 to 8 threads, and rounded up:
# what the program itself takes, and bytes a pixel for a frame on its way, for each frame that
# stages work ahead, and for each further thread of the encoder.
_PROGRAM = 650 << 20
_FRAME, _AHEAD, _THREAD = 55, 32, 18
# What more it is above 8 bits.
_DEEP_FRAME, _DEEP_AHEAD = 35, 5

# What an encoder starts at most, however many cores there are.
_MOST_THREADS = 16


@dataclass(frozen=True, kw_only=True)
class Allowance:
    """What keeps below a ceiling. encoder_threads: 0 for one a core."""

    frames_ahead: int = MatterOptions.frames_ahead
    encoder_threads: int = 0


def parse_size(text: str) -> int:
    """Bytes of what is written as 2G or 1500M, in powers of 1024; OptionsError if it is neither."""
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise OptionsError(f"{text!r} is no amount of memory; write 2G or 1500M")
    return int(float(found[1]) * _UNITS[found[2].upper()])


def allowance(ceiling: int | None, width: int, height: int, bit_depth: int) -> Allowance:
    """The fastest way to matte a movie that takes at most `ceiling` bytes of main memory.

    OptionsError, which names the least that works, if there is none.
    """
    if ceiling is None:
        return Allowance()
    cores = min(os.cpu_count() or 1, _MOST_THREADS)
    few = min(2, cores)
    fastest_first = ((2, cores), (1, cores), (1, few), (0, few), (0, 1))
    ways = [Allowance(frames_ahead=f, encoder_threads=t) for f, t in fastest_first]
    needs = [_bytes(way, width * height, is_deep=bit_depth > 8) for way in ways]
    for way, need in zip(ways, needs, strict=True):
        if need <= ceiling:
            return way
    least = -(-min(needs) * 10 // _UNITS["G"]) / 10
    raise OptionsError(
        f"--memory {ceiling / _UNITS['G']:.1f}G is too little for {width} x {height}; "
        f"use {least:g}G or more"
    )


def _bytes(way: Allowance, pixels: int, *, is_deep: bool) -> int:
    each = _FRAME + _AHEAD * way.frames_ahead + _THREAD * (way.encoder_threads - 1)
    if is_deep:
        each += _DEEP_FRAME + _DEEP_AHEAD * way.frames_ahead
    return _PROGRAM + each * pixels
