"""What is on the screen: every view of a planted matte, looks from a browser, uploaded pictures."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from cli.camera.drawing import LONGEST_SIDE, draw, screen_size
from cli.camera.look import Backdrop, Look, Shows
from cli.camera.uploading import backdrop_from
from shm_engine import write_image
from shm_engine.compositing import over
from shm_engine.errors import ImageFileError, OptionsError
from shm_engine.types import Foreground, Frame, Matte
from tests.cli.live import JPEG_LEVELS
from tests.synthetic import disc_alpha, texture

#: bytes are multiplied and added: each product is rounded, and so is alpha
LEVELS = 2

BLUE = (20, 60, 200)


def _matte(image: torch.Tensor, alpha: torch.Tensor, **others: Any) -> Matte:
    return Matte(frame=Frame(image=image, **others), alpha=alpha)


def _planted() -> Matte:
    """32 x 24: noise; the left third is a person, the middle third half of one."""
    image = (texture(24, 32) * 255).to(torch.uint8)
    alpha = torch.zeros(1, 24, 32)
    alpha[..., :8], alpha[..., 8:16] = 1, 0.5
    return _matte(image, alpha)


def _backdrop(height: int = 24, width: int = 32) -> Backdrop:
    pixels = (texture(height, width, seed=5) * 255).to(torch.uint8).permute(1, 2, 0)
    return Backdrop(name="wall.png", pixels=pixels.contiguous().numpy())


def _filmed(matte: Matte) -> NDArray[np.float64]:
    return matte.frame.image.permute(1, 2, 0).numpy().astype(np.float64)


def _differences(drawn: NDArray[Any], expected: NDArray[Any]) -> float:
    assert drawn.shape == expected.shape
    return float(np.abs(drawn.astype(np.float64) - expected).max())


def test_the_original_is_what_was_filmed() -> None:
    matte = _planted()
    assert (draw(matte, Look(shows=Shows.ORIGINAL)) == _filmed(matte)).all()


def test_the_matte_alone_is_white_black_and_grey() -> None:
    drawn = draw(_planted(), Look(shows=Shows.MATTE))
    assert (drawn[:, :8] == 255).all()
    assert (drawn[:, 8:16] == 128).all()
    assert (drawn[:, 16:] == 0).all()


@pytest.mark.parametrize("shows", [Shows.COLOUR, Shows.PICTURE])
def test_people_stand_over_a_colour_or_a_picture(shows: Shows) -> None:
    matte, backdrop = _planted(), _backdrop()
    drawn = draw(matte, Look(shows=shows, colour=BLUE, picture=backdrop))
    behind = np.full((24, 32, 3), BLUE) if shows is Shows.COLOUR else backdrop.pixels
    planes = torch.from_numpy(behind.astype(np.float64)).permute(2, 0, 1)
    expected = over(matte.frame.image.double(), matte.alpha.double(), planes)
    assert _differences(drawn, expected.permute(1, 2, 0).numpy()) <= LEVELS


def test_people_keep_their_colours_and_all_else_turns_grey_with_the_light_it_had() -> None:
    matte = _planted()
    drawn, filmed = draw(matte, Look(shows=Shows.GREY)), _filmed(matte)
    luma = (filmed @ [[0.299], [0.587], [0.114]]).repeat(3, axis=2)
    assert _differences(drawn[:, :8], filmed[:, :8]) <= LEVELS
    assert _differences(drawn[:, 16:], luma[:, 16:]) <= LEVELS
    assert _differences(drawn[:, 8:16], (filmed + luma)[:, 8:16] / 2) <= LEVELS


def test_a_blurred_background_has_no_glow_of_the_person_in_front_of_it() -> None:
    alpha = disc_alpha(120, 160, centre=(60, 80), radius=30)
    red, blue = (torch.tensor(c).view(3, 1, 1) / 255 for c in ((240, 10, 10), BLUE))
    image = (over(red, alpha, blue) * 255 + 0.5).to(torch.uint8)
    drawn = draw(_matte(image, alpha), Look(shows=Shows.BLUR, blur=1.0))
    outside = alpha[0].numpy() == 0
    assert _differences(drawn[outside], np.broadcast_to(BLUE, (outside.sum(), 3))) <= 12
    assert _differences(drawn[60, 80], np.array([240, 10, 10])) <= LEVELS


def test_blur_is_stronger_the_more_is_asked_for() -> None:
    matte = _matte((texture(120, 160) * 255).to(torch.uint8), torch.zeros(1, 120, 160))
    contrasts = [draw(matte, Look(shows=Shows.BLUR, blur=b)).std() for b in (0, 0.3, 1)]
    assert contrasts[0] > contrasts[1] > contrasts[2]


def test_the_old_background_is_taken_out_of_the_outline() -> None:
    matte = _planted()
    pixels = torch.arange(8, 16)  # of the first row
    green = torch.tensor([[0], [200], [0]], dtype=torch.uint8).expand(3, 8).contiguous()
    found = Foreground(pixels=pixels, colours=green)
    cleaned = Matte(frame=matte.frame, alpha=matte.alpha, foreground=found)
    drawn = draw(cleaned, Look(colour=(0, 0, 0)))
    assert _differences(drawn[0, 8:16], np.tile([0, 100, 0], (8, 1))) <= LEVELS
    assert (drawn[1] == draw(matte, Look(colour=(0, 0, 0)))[1]).all()


@pytest.mark.parametrize(
    "make",
    [
        lambda image: image.to(torch.uint16) * 257,
        lambda image: image.float() / 255,
        lambda image: image.permute(1, 2, 0).contiguous().permute(2, 0, 1),
    ],
    ids=["uint16", "float32", "interleaved"],
)
@pytest.mark.parametrize("shows", [Shows.COLOUR, Shows.ORIGINAL])
def test_every_kind_of_picture_looks_the_same(make: Any, shows: Shows) -> None:
    matte = _planted()
    other = _matte(make(matte.frame.image), matte.alpha)
    assert (draw(matte, Look(shows=shows)) == draw(other, Look(shows=shows))).all()


def test_pictures_of_hdr_are_shown_as_displays_show_them() -> None:
    white = torch.full((3, 24, 32), round(0.58 * 65535)).to(torch.uint16)  # 203 cd/m2 in PQ
    drawn = draw(_matte(white, torch.zeros(1, 24, 32), encoding="pq"), Look(shows=Shows.ORIGINAL))
    assert drawn.min() > 230


@pytest.mark.parametrize(
    ("size", "pixel_aspect", "expected"),
    [
        ((640, 360), Fraction(1), (640, 360)),
        ((1920, 1080), Fraction(1), (1280, 720)),
        ((1080, 1920), Fraction(1), (720, 1280)),
        ((720, 576), Fraction(16, 11), (1048, 576)),
        ((7, 5), Fraction(1), (8, 4)),
        ((1, 1), Fraction(1), (2, 2)),
        ((9000, 2), Fraction(1), (1280, 2)),
    ],
)
def test_the_screen_is_even_of_square_pixels_and_not_too_large(
    size: tuple[int, int], pixel_aspect: Fraction, expected: tuple[int, int]
) -> None:
    assert screen_size(*size, pixel_aspect) == expected
    image, alpha = torch.zeros(3, size[1], size[0], dtype=torch.uint8), torch.zeros(1, *size[::-1])
    for shows in Shows:
        look = Look(shows=shows, picture=_backdrop())
        drawn = draw(_matte(image, alpha, pixel_aspect=pixel_aspect), look)
        assert drawn.shape == (expected[1], expected[0], 3)


def test_a_large_picture_is_shrunk_without_the_old_background_in_its_outline() -> None:
    width, height = 2 * LONGEST_SIDE, 64
    image = torch.full((3, height, width), 255, dtype=torch.uint8)  # a white wall
    image[:, :, : width // 2 + 1] = 50
    alpha = torch.zeros(1, height, width)
    alpha[..., : width // 2 + 1] = 1  # which ends within a pixel of the screen
    drawn = draw(_matte(image, alpha), Look(colour=(50, 50, 50)))
    assert _differences(drawn, np.full(drawn.shape, 50)) <= LEVELS


def test_a_background_picture_fills_the_screen_from_its_middle() -> None:
    pixels = np.zeros((24, 100, 3), np.uint8)
    pixels[:, 34:66] = 200  # the 32 columns that fit
    look = Look(shows=Shows.PICTURE, picture=Backdrop(name="wide", pixels=pixels))
    drawn = draw(_matte(torch.zeros(3, 24, 32, dtype=torch.uint8), torch.zeros(1, 24, 32)), look)
    assert (drawn == 200).all()


def test_a_look_takes_what_a_browser_asks_for() -> None:
    look = Look(picture=_backdrop()).changed({"shows": "picture", "colour": "#0A0b0c", "blur": 0})
    assert look.facts() == {
        "shows": "picture",
        "colour": "#0a0b0c",
        "blur": 0.0,
        "picture": "wall.png",
    }


@pytest.mark.parametrize(
    "wishes",
    [
        {"shows": "everything"},
        {"shows": "picture"},
        {"shows": ["grey"]},
        {"colour": "green"},
        {"colour": "#12345"},
        {"colour": 7},
        {"blur": 1.5},
        {"blur": float("nan")},
        {"blur": "much"},
        {"blur": None},
        {"no such setting": 1},
        {"shows": "grey", "blur": -1},
    ],
)
def test_a_look_refuses_what_has_no_meaning(wishes: dict[str, object]) -> None:
    with pytest.raises(OptionsError):
        Look().changed(wishes)


def test_a_browser_cannot_have_files_read(tmp_path: Path) -> None:
    picture = tmp_path / "secret.png"
    write_image(picture, torch.zeros(3, 4, 4, dtype=torch.uint8))
    assert Look.starting_with(str(picture)).picture is not None
    with pytest.raises(OptionsError):
        Look().changed({"colour": str(picture)})


def test_the_first_look_is_what_the_command_line_says(tmp_path: Path) -> None:
    assert Look.starting_with(None).facts()["shows"] == "colour"
    assert Look.starting_with("blue").colour == (0, 0, 255)
    deep = torch.full((3, 4, 6), 0x8080).to(torch.uint16)
    write_image(tmp_path / "wall.png", deep)
    look = Look.starting_with(str(tmp_path / "wall.png"))
    assert look.shows is Shows.PICTURE
    assert look.picture is not None
    assert (look.picture.pixels == 0x80).all()
    with pytest.raises(OptionsError, match="neither a colour"):
        Look.starting_with("no-such-thing")


_SKY = (30, 120, 220)


def _file(kind: str, height: int = 30, width: int = 50) -> bytes:
    pixels = np.full((height, width, 3), _SKY[::-1], np.uint8)
    suffix, _, is_lossless = kind.partition(" ")
    options = [cv2.IMWRITE_WEBP_QUALITY, 101] if is_lossless else []
    done, data = cv2.imencode(suffix, pixels, options)
    assert done
    return data.tobytes()


@pytest.mark.parametrize("kind", [".png", ".jpg", ".webp", ".webp lossless"])
def test_an_uploaded_picture_can_stand_behind_people(kind: str) -> None:
    backdrop = backdrop_from(_file(kind), "beach.file")
    assert backdrop.name == "beach.file"
    assert backdrop.pixels.shape == (30, 50, 3)
    assert _differences(backdrop.pixels, np.broadcast_to(_SKY, (30, 50, 3))) <= JPEG_LEVELS


def test_a_large_upload_is_kept_no_larger_than_it_is_ever_shown() -> None:
    pixels = backdrop_from(_file(".jpg", 300, 4 * LONGEST_SIDE), "wide").pixels
    assert pixels.shape == (150, 2 * LONGEST_SIDE, 3)


def _huge_png() -> bytes:
    data = bytearray(_file(".png"))
    struct.pack_into(">II", data, 16, 60_000, 60_000)
    return bytes(data)


def _huge_jpeg() -> bytes:
    data = bytearray(_file(".jpg"))
    at = data.index(b"\xff\xc0")
    struct.pack_into(">HH", data, at + 5, 60_000, 60_000)
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no picture"),
        (b"Dear reader", "no picture"),
        (b"\xff\xd8", "no picture"),
        (b"\xff\xd8\xff\xe0\xff", "no picture"),
        (b"\x89PNG\r\n\x1a\n" + bytes(99), "no picture"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "no picture"),
        (b"GIF89a" + bytes(99), "no picture"),
        (_file(".png")[:60], "damaged"),
        (_huge_png(), "too many"),
        (_huge_jpeg(), "too many"),
    ],
)
def test_garbage_and_pictures_that_would_fill_the_memory_are_refused(
    data: bytes, words: str
) -> None:
    with pytest.raises(ImageFileError, match=words):
        backdrop_from(data, "x")
