"""What a written picture shows: a name and a function from Matte to a tensor; knows no file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from shm_engine.compositing import as_unit, encoded_from_display, from_unit, over
from shm_engine.errors import OptionsError
from shm_engine.preprocess import enlarge
from shm_engine.types import Matte


@dataclass(frozen=True, kw_only=True)
class Pass:
    """One kind of output.

    colours: gives [3, H, W] straight sRGB, or [1, H, W] for a grey picture; uint8 or uint16 over
        their full range, or float32 in [0, 1].
    has_alpha: whether matte.alpha belongs to the picture.
    is_grey: whether `colours` have one channel.
    shows_frame: whether `colours` are matte.colours. A sink may then write the source's own
        samples, without a way through RGB, and matte.foreground over them.
    """

    name: str
    colours: Callable[[Matte], torch.Tensor]
    has_alpha: bool = False
    is_grey: bool = False
    shows_frame: bool = False

    @property
    def channels(self) -> str:
        """What a picture consists of: "alpha" (colours and alpha), "colour" or "grey"."""
        return "alpha" if self.has_alpha else "grey" if self.is_grey else "colour"

    def picture(self, matte: Matte) -> torch.Tensor:
        """The whole picture, [1, 3 or 4, H, W] of one dtype: the colours, then alpha if it has any.

        uint8 and uint16 use their full range, float32 is in [0, 1]; alpha is straight.
        """
        colours = self.colours(matte)
        if not self.has_alpha:
            return colours
        return torch.cat([colours, from_unit(matte.alpha, colours.dtype)])


def _colours(matte: Matte) -> torch.Tensor:
    return matte.colours


def _trimap(matte: Matte) -> torch.Tensor:
    if matte.trimap is None:
        raise OptionsError("this model gives no trimap; choose another pass")
    return enlarge(matte.trimap, matte.frame.size)


Behind = Callable[[Matte], torch.Tensor]


def composite_over(background: torch.Tensor | Behind) -> Pass:
    """The pass that shows the foreground over `background`.

    background: [3, H, W] or [3, 1, 1] (one colour); sRGB, uint8, uint16 or float32 in [0, 1]. Or a
        function that gives such a tensor for every matte.
    """
    behind = background if callable(background) else _always(background)

    def colours(matte: Matte) -> torch.Tensor:
        # Decoded pictures interleave their channels; whole planes are several times faster here.
        colours = as_unit(matte.colours.contiguous())
        return over(colours, matte.alpha, encoded_from_display(behind(matte), matte.frame.encoding))

    return Pass(name="composite", colours=colours)


def _always(background: torch.Tensor) -> Behind:
    if background.ndim != 3 or background.shape[0] != 3:
        raise ValueError(f"background has shape {tuple(background.shape)}; [3, H, W] is needed")
    unit = as_unit(background)
    return lambda _: unit


PASSES: Mapping[str, Pass] = {
    made.name: made
    for made in (
        Pass(name="rgba", colours=_colours, has_alpha=True, shows_frame=True),
        Pass(name="alpha", colours=lambda matte: matte.alpha, is_grey=True),
        Pass(name="foreground", colours=_colours, shows_frame=True),
        Pass(name="trimap", colours=_trimap),
    )
}
"""The passes that need nothing but the matte; `composite_over` makes the one that needs more."""
