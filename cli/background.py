"""What stands behind the people in a composite: a colour or a picture; knows no movie."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from shm_engine.errors import OptionsError

if TYPE_CHECKING:
    import torch

# Green is the one of a green screen, not the darker green of CSS.
COLOURS = {
    "black": "#000000",
    "white": "#ffffff",
    "grey": "#808080",
    "gray": "#808080",
    "red": "#ff0000",
    "green": "#00ff00",
    "blue": "#0000ff",
    "yellow": "#ffff00",
    "cyan": "#00ffff",
    "magenta": "#ff00ff",
}


@dataclass(frozen=True, kw_only=True)
class Background:
    """Either one colour (sRGB, 0 to 255) or a picture file."""

    colour: tuple[int, int, int] | None = None
    picture: Path | None = None

    @classmethod
    def parse(cls, text: str) -> Background:
        """From #rrggbb, a name in COLOURS or the path of a picture that exists; or OptionsError."""
        code = COLOURS.get(text.lower(), text)
        if re.fullmatch(r"#[0-9a-fA-F]{6}", code):
            red, green, blue = bytes.fromhex(code[1:])
            return cls(colour=(red, green, blue))
        if not Path(text).is_file():
            raise OptionsError(
                f"the background {text} is neither a colour (#00ff00, {', '.join(COLOURS)}) "
                "nor a picture file"
            )
        return cls(picture=Path(text))

    def image(self, size: tuple[int, int], pixel_aspect: float = 1.0) -> torch.Tensor:
        """float32 in [0, 1], sRGB: [3, 1, 1] for a colour, [3, H, W] of `size` for a picture.

        A picture keeps its proportions, fills the size and loses what is too much at both ends.
        pixel_aspect: width over height of the pixels that are filled.
        """
        import torch

        if self.picture is None:
            assert self.colour is not None
            return torch.tensor(self.colour).reshape(3, 1, 1) / 255
        from shm_engine.compositing import as_unit
        from shm_engine.images import read_image

        image = as_unit(read_image(self.picture).image)
        return _cover(image, size, pixel_aspect)


def _cover(image: torch.Tensor, size: tuple[int, int], pixel_aspect: float) -> torch.Tensor:
    from torch.nn.functional import interpolate

    height, width = image.shape[1:]
    wanted = size[1] * pixel_aspect / size[0]
    crop_height = min(height, max(1, round(width / wanted)))
    crop_width = min(width, max(1, round(height * wanted)))
    top, left = (height - crop_height) // 2, (width - crop_width) // 2
    middle = image[None, :, top : top + crop_height, left : left + crop_width]
    scaled: torch.Tensor = interpolate(
        middle, size=size, mode="bilinear", antialias=True, align_corners=False
    )
    return scaled[0].clamp(0, 1)
