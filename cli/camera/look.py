"""What is to be on the screen: settings, as the page sends and reads them; draws nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Self

from cli.jobs.background import Background
from shm_engine.errors import OptionsError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Shows(StrEnum):
    """The views. GREY is the person in colour and all else in grey."""

    COLOUR = "colour"
    BLUR = "blur"
    PICTURE = "picture"
    GREY = "grey"
    MATTE = "matte"
    ORIGINAL = "original"


@dataclass(frozen=True, kw_only=True, eq=False)
class Backdrop:
    """A picture to stand behind people. pixels: [H, W, 3] RGB uint8."""

    name: str
    pixels: NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True, eq=False)
class Look:
    """One object a moment: whoever changes something makes another.

    colour: behind people in the view COLOUR, sRGB, 0 to 255.
    blur: how strong, in [0, 1].
    """

    shows: Shows = Shows.COLOUR
    # Green of a kind that screens are painted in: easier on the eyes than #00ff00.
    colour: tuple[int, int, int] = (0, 177, 64)
    blur: float = 0.5
    picture: Backdrop | None = None

    def __post_init__(self) -> None:
        if self.shows is Shows.PICTURE and self.picture is None:
            raise OptionsError("there is no background picture yet; choose one first")
        if not 0 <= self.blur <= 1:
            raise OptionsError(f"blur is {self.blur}; use 0 to 1")

    @classmethod
    def starting_with(cls, background: str | None) -> Self:
        """From what --background says: a colour or a picture file; OptionsError if neither."""
        if background is None:
            return cls()
        behind = Background.parse(background)
        if behind.colour is not None:
            return cls(colour=behind.colour)
        assert behind.picture is not None
        return cls(shows=Shows.PICTURE, picture=_read(behind.picture))

    def changed(self, wishes: Mapping[str, object]) -> Self:
        """Another look by the keys `shows`, `colour` (#rrggbb) and `blur`; OptionsError for others.

        The strings come from a browser: none is taken for the name of a file.
        """
        look = self
        for key, value in wishes.items():
            match key, value:
                case "shows", str() if value in list(Shows):
                    look = replace(look, shows=Shows(value))
                case "colour", str() if re.fullmatch(r"#[0-9a-fA-F]{6}", value):
                    red, green, blue = bytes.fromhex(value[1:])
                    look = replace(look, colour=(red, green, blue))
                case "blur", int() | float():
                    look = replace(look, blur=float(value))
                case _:
                    raise OptionsError(f"{key} cannot be {str(value)[:40]!r}")
        return look

    def facts(self) -> dict[str, object]:
        """For JSON."""
        return {
            "shows": self.shows.value,
            "colour": "#" + bytes(self.colour).hex(),
            "blur": self.blur,
            "picture": None if self.picture is None else self.picture.name,
        }


def _read(path: Path) -> Backdrop:
    import numpy as np
    import torch

    from shm_engine.compositing import as_unit, from_unit
    from shm_engine.images import read_image

    image = read_image(path).image
    pixels = from_unit(as_unit(image), torch.uint8).permute(1, 2, 0).numpy()
    return Backdrop(name=path.name, pixels=np.ascontiguousarray(pixels))
