"""What stands behind the people in a composite: a colour, a picture or a movie; knows no codec."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Self

from shm_engine.errors import OptionsError

if TYPE_CHECKING:
    import torch

    from shm_engine.passes import Behind
    from shm_engine.types import Frame, Matte

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
    """One colour (sRGB, 0 to 255), a picture file or a movie file."""

    colour: tuple[int, int, int] | None = None
    picture: Path | None = None
    movie: Path | None = None

    @classmethod
    def parse(cls, text: str) -> Background:
        """From #rrggbb, a name in COLOURS or the path of a file that exists; or OptionsError."""
        code = COLOURS.get(text.lower(), text)
        if re.fullmatch(r"#[0-9a-fA-F]{6}", code):
            red, green, blue = bytes.fromhex(code[1:])
            return cls(colour=(red, green, blue))
        path = Path(text)
        if not path.is_file():
            raise OptionsError(
                f"the background {text} is neither a colour (#00ff00, {', '.join(COLOURS)}) "
                "nor a picture or movie file"
            )
        from shm_engine.images import PICTURE_SUFFIXES

        return cls(picture=path) if path.suffix.lower() in PICTURE_SUFFIXES else cls(movie=path)

    @property
    def file(self) -> Path | None:
        """What is read, if anything."""
        return self.picture or self.movie

    @contextmanager
    def behind(
        self,
        size: tuple[int, int],
        pixel_aspect: float = 1.0,
        start_seconds: Fraction | None = None,
    ) -> Iterator[torch.Tensor | Behind]:
        """What `composite_over` takes, for pictures of a size (height, width).

        Pictures keep their proportions, fill the size and lose what is too much at both ends. A
        movie begins again when it ends.
        pixel_aspect: width over height of the pixels that are filled.
        start_seconds: the time at which a movie begins; None is that of the first matte.
        """
        if self.movie is not None:
            with MovingBackground(self.movie, size, pixel_aspect, start_seconds) as moving:
                yield moving
            return
        import torch

        if self.colour is not None:
            yield torch.tensor(self.colour).reshape(3, 1, 1) / 255
            return
        from shm_engine.compositing import as_unit
        from shm_engine.images import read_image

        assert self.picture is not None
        yield _cover(as_unit(read_image(self.picture).image), size, pixel_aspect)


class MovingBackground:
    """The frames of a movie, each as long as it is shown there, from zero on, again and again."""

    def __init__(
        self,
        path: Path,
        size: tuple[int, int],
        pixel_aspect: float,
        start_seconds: Fraction | None,
    ) -> None:
        self._path, self._size, self._aspect = path, size, pixel_aspect
        self._start = start_seconds
        self._round = Fraction(0)  # when this showing began
        self._end = Fraction(0)  # when the picture at hand ends, after that
        self._picture: torch.Tensor | None = None

    def __enter__(self) -> Self:
        self._open()
        return self

    def __exit__(self, *_: object) -> None:
        self._source.__exit__(None, None, None)

    def __call__(self, matte: Matte) -> torch.Tensor:
        """[3, H, W] float32 for the time of a matte; times must not fall."""
        now = matte.frame.pts * matte.frame.time_base
        if self._start is None:
            self._start = now
        seconds = now - self._start
        while seconds >= self._round + self._end:
            self._advance()
        if self._picture is None:
            from shm_engine.compositing import as_unit

            self._picture = _cover(as_unit(self._shown.image), self._size, self._aspect)
        return self._picture

    def _open(self) -> None:
        from cli.video import VideoSource

        self._source = VideoSource(self._path).__enter__()
        self._frames = iter(self._source)
        self._shown = next(self._frames)
        self._show(self._shown)

    def _show(self, frame: Frame) -> None:
        self._shown, self._picture = frame, None
        info = self._source.info
        duration = frame.native.duration or info.ticks_per_frame
        # From the movie's first frame on.
        self._end = (frame.pts + duration - info.start_pts) * frame.time_base

    def _advance(self) -> None:
        frame = next(self._frames, None)
        if frame is not None:
            self._show(frame)
            return
        self._round += self._end
        self._source.__exit__(None, None, None)
        self._open()


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
