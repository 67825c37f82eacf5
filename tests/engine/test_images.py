"""Still pictures on disk: what is written is read, what is broken is named."""

from __future__ import annotations

import errno
import struct
import zlib
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import pytest
import torch

from shm_engine.compositing import as_unit, from_unit
from shm_engine.errors import ImageFileError
from shm_engine.images import READABLE_SUFFIXES, read_image, write_image
from tests.assertions import EXACT, assert_close, assert_mean_close
from tests.engine.picture_files import exif, png_chunk, tiff, turned
from tests.synthetic import draw, figure_alpha, texture

#: the values of the TIFF tag that says what a fourth sample is; None: the tag is missing
EXTRA_SAMPLES = {"straight": 2, "premultiplied": 1, "unspecified": 0, "unnamed": None}
LOSSLESS_16_BIT = (".png", ".tif", ".tiff", ".ppm")
LOSSLESS_8_BIT = (*LOSSLESS_16_BIT, ".bmp")


def picture(dtype: torch.dtype = torch.uint8, channels: int = 3) -> torch.Tensor:
    return from_unit(torch.cat([texture(37, 53), texture(37, 53, seed=5)])[:channels], dtype)


def as_numbers(image: torch.Tensor) -> torch.Tensor:
    return image.to(torch.int32)


def alpha_of(path: Path) -> torch.Tensor:
    """The alpha of a picture, which has its dtype."""
    frame = read_image(path)
    assert frame.alpha is not None
    assert frame.alpha.dtype == frame.image.dtype
    return as_numbers(frame.alpha)


@pytest.mark.parametrize("suffix", LOSSLESS_8_BIT)
def test_8_bit_rgb_survives_the_disk(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"picture{suffix}"
    write_image(path, picture())
    found = read_image(path)
    assert found.image.dtype == torch.uint8
    assert_close(found.image, picture(), EXACT)


@pytest.mark.parametrize("suffix", LOSSLESS_16_BIT)
def test_16_bit_rgb_survives_the_disk(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"picture{suffix}"
    write_image(path, picture(torch.uint16))
    found = read_image(path)
    assert found.image.dtype == torch.uint16
    assert_close(as_numbers(found.image), as_numbers(picture(torch.uint16)), EXACT)


@pytest.mark.parametrize("suffix", sorted(READABLE_SUFFIXES))
def test_every_readable_kind_keeps_the_order_of_channels(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"picture{suffix}"
    drawing = draw(figure_alpha(64, 64)).frame.image
    write_image(path, drawing)
    assert_mean_close(
        as_unit(read_image(path).image), as_unit(drawing), EXACT._replace(largest=0.08)
    )


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16])
def test_grey_is_written_as_one_channel_and_read_as_three_equal_ones(
    tmp_path: Path, dtype: torch.dtype
) -> None:
    path = tmp_path / "alpha.png"
    grey = picture(dtype, channels=1)
    write_image(path, grey)
    stored = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert stored is not None
    assert stored.ndim == 2
    assert_close(stored, as_numbers(grey)[0], EXACT)
    assert_close(as_numbers(read_image(path).image), as_numbers(grey.expand(3, -1, -1)), EXACT)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".tiff"])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16])
def test_rgba_is_written_and_read_straight(tmp_path: Path, dtype: torch.dtype, suffix: str) -> None:
    path = tmp_path / f"cutout{suffix}"
    rgba = picture(dtype, channels=4)
    rgba.numpy()[3, :10] = 0  # colours under alpha 0 stay
    write_image(path, rgba)
    stored = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert stored is not None
    assert_close(stored[..., [2, 1, 0, 3]].transpose(2, 0, 1), as_numbers(rgba), EXACT)
    assert_close(as_numbers(read_image(path).image), as_numbers(rgba[:3]), EXACT)
    assert_close(alpha_of(path), rgba[3:], EXACT)


def test_webp_keeps_its_alpha_and_colours_straight(tmp_path: Path) -> None:
    path = tmp_path / "cutout.webp"
    rgba = picture(channels=4)
    rgba[3, :10] = 7
    write_image(path, rgba)  # OpenCV writes without loss, as no quality is asked for
    assert_close(as_numbers(read_image(path).image), as_numbers(rgba[:3]), EXACT)
    assert_close(alpha_of(path), as_numbers(rgba[3:]), EXACT)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp"])
def test_an_alpha_that_is_opaque_everywhere_is_none(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"opaque{suffix}"
    rgba = picture(channels=4)
    rgba[3] = 255
    write_image(path, rgba)
    assert read_image(path).alpha is None


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("kind", sorted(EXTRA_SAMPLES))
@pytest.mark.parametrize(("order", "is_big"), [("<", False), (">", False), ("<", True)])
def test_a_tiff_gives_straight_colours_whatever_its_alpha_is_called(
    tmp_path: Path,
    dtype: type[np.unsignedinteger],
    kind: str,
    order: Literal["<", ">"],
    *,
    is_big: bool,
) -> None:
    path = tmp_path / "cutout.tif"
    largest = np.iinfo(dtype).max
    coverage = np.linspace(0, 1, 12).reshape(3, 4)
    colours = np.random.default_rng(0).random((3, 4, 3))
    stored = colours * coverage[..., None] if kind == "premultiplied" else colours
    samples = np.rint(np.dstack([stored, coverage]) * largest).astype(dtype)
    path.write_bytes(tiff(samples, EXTRA_SAMPLES[kind], order, is_big=is_big))
    frame = read_image(path)
    assert_close(alpha_of(path)[0], samples[..., 3], EXACT)
    if kind != "premultiplied":
        assert_close(as_numbers(frame.image), samples[..., :3].transpose(2, 0, 1), EXACT)
        return
    # Product and alpha are rounded to half a level each, and divided by alpha; so is the quotient.
    tolerance = 1 / np.maximum(coverage * largest, 1) + 0.51 / largest
    covered = coverage > 0
    error = np.abs(as_unit(frame.image).numpy().transpose(1, 2, 0) - colours).max(2)
    assert (error <= tolerance)[covered].all()


def test_a_picture_of_four_inks_has_no_alpha(tmp_path: Path) -> None:
    path = tmp_path / "inks.tif"
    samples = np.zeros((3, 4, 4), np.uint8)
    samples[..., 3] = 128  # half of the black ink
    path.write_bytes(tiff(samples, None, photometric=5))
    frame = read_image(path)
    assert frame.alpha is None
    assert 100 < frame.image.float().mean() < 155


def test_16_bit_channels_stored_apart_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "apart.tif"
    path.write_bytes(tiff(np.zeros((3, 4, 4), np.uint16), 2, is_separate=True))
    with pytest.raises(ImageFileError, match="stores its channels apart, in 16 bits; convert"):
        read_image(path)


def test_a_palette_may_be_transparent(tmp_path: Path) -> None:
    path = tmp_path / "palette.png"
    colours, coverage = bytes([255, 0, 0, 0, 255, 0, 0, 0, 255]), bytes([0, 128])
    header = struct.pack(">IIBBBBB", 3, 1, 8, 3, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", header)
        + png_chunk(b"PLTE", colours)
        + png_chunk(b"tRNS", coverage)
        + png_chunk(b"IDAT", zlib.compress(bytes([0, 0, 1, 2])))
        + png_chunk(b"IEND", b"")
    )
    assert as_numbers(read_image(path).image)[:, 0].T.tolist() == np.diag([255] * 3).tolist()
    assert alpha_of(path).flatten().tolist() == [0, 128, 255]


@pytest.mark.parametrize("suffix", [".png", ".webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_cut_out_held_sideways_comes_upright_with_its_alpha(
    tmp_path: Path, suffix: str, orientation: int
) -> None:
    """Colours and alpha lie alike in a file: OpenCV turns the colours, which shows the way."""
    rgb = picture()
    rgba = torch.cat([rgb, rgb[1:2]])
    paths = {}
    for name, samples in (("opaque", rgb), ("cutout", rgba)):
        paths[name] = tmp_path / f"{name}{suffix}"
        write_image(paths[name], samples)
        paths[name].write_bytes(turned(paths[name].read_bytes(), orientation))
    opaque, cutout = read_image(paths["opaque"]), read_image(paths["cutout"])
    assert opaque.size == ((53, 37) if orientation > 4 else (37, 53))
    assert_close(as_numbers(cutout.image), as_numbers(opaque.image), EXACT)
    assert_close(alpha_of(paths["cutout"]), as_numbers(opaque.image)[1:2], EXACT)


def test_names_may_hold_any_letters_and_spaces(tmp_path: Path) -> None:
    path = tmp_path / "Überraschung für 林さん 🎬.png"
    write_image(path, picture())
    assert_close(read_image(str(path)).image, picture(), EXACT)


def jpeg_bytes() -> bytes:
    encoded = cv2.imencode(".jpg", np.ascontiguousarray(picture().permute(1, 2, 0).numpy()))[1]
    return encoded.tobytes()


def test_a_photo_held_sideways_comes_upright(tmp_path: Path) -> None:
    upright = np.zeros((40, 80, 3), np.uint8)
    upright[:20, :20] = (0, 0, 255)  # red, in the upper left corner of the sensor
    raw = cv2.imencode(".jpg", upright)[1].tobytes()
    marked = b"Exif\x00\x00" + exif(6)
    segment = b"\xff\xe1" + (len(marked) + 2).to_bytes(2, "big") + marked
    path = tmp_path / "sideways.jpg"
    path.write_bytes(raw[:2] + segment + raw[2:])
    image = read_image(path).image
    assert image.shape == (3, 80, 40)
    assert image[0, 5, -5] > 200, "the red corner is at the upper right after turning right"
    assert image[0, 5, 5] < 50


def test_a_photo_with_a_film_after_its_end_is_read(tmp_path: Path) -> None:
    """Phones append a short clip to a JPEG ("motion photo"): far more than a few kilobytes."""
    path = tmp_path / "motion.jpg"
    path.write_bytes(jpeg_bytes() + b"\x00\x00\x00\x18ftypmp42" + bytes(range(200)) * 1000)
    assert read_image(path).size == (37, 53)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".bmp"])
@pytest.mark.parametrize("kept", [0.5, 0.9])
def test_a_truncated_picture_is_refused(tmp_path: Path, suffix: str, kept: float) -> None:
    path = tmp_path / f"whole{suffix}"
    write_image(path, picture())
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(ImageFileError, match="whole") as caught:
        read_image(path)
    assert caught.value.path == path


def test_a_truncated_jpeg_with_a_whole_thumbnail_is_refused(tmp_path: Path) -> None:
    thumbnail = cv2.imencode(".jpg", np.zeros((8, 8, 3), np.uint8))[1].tobytes()
    segment = b"\xff\xe1" + (len(thumbnail) + 8).to_bytes(2, "big") + b"Exif\x00\x00" + thumbnail
    raw = jpeg_bytes()
    path = tmp_path / "cut.jpg"
    path.write_bytes((raw[:2] + segment + raw[2:])[: len(segment) + len(raw) // 2])
    with pytest.raises(ImageFileError, match="damaged"):
        read_image(path)


@pytest.mark.parametrize("content", [b"", b"hello", b"\xff\xd8", b"\x89PNG\r\n\x1a\n"])
def test_a_file_that_is_no_picture_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "strange.png"
    path.write_bytes(content)
    with pytest.raises(ImageFileError, match=r"strange\.png is not a picture") as caught:
        read_image(path)
    assert caught.value.path == path


def test_a_folder_and_a_missing_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(ImageFileError, match="is a directory"):
        read_image(tmp_path)
    with pytest.raises(ImageFileError, match=r"nowhere\.png cannot be read: no such file"):
        read_image(tmp_path / "nowhere.png")


def test_a_floating_point_picture_is_refused_with_advice(tmp_path: Path) -> None:
    path = tmp_path / "light.tif"
    assert cv2.imwrite(str(path), np.ones((4, 4, 3), np.float32))
    with pytest.raises(ImageFileError, match="float32 values; convert"):
        read_image(path)


@pytest.mark.parametrize(
    ("name", "image"),
    [
        ("picture.xyz", picture()),
        ("picture", picture()),
        ("cutout.jpg", picture(channels=4)),
        ("cutout.bmp", picture(channels=4)),
        ("cutout.pgm", picture(channels=4)),
        ("deep.jpg", picture(torch.uint16)),
        ("deep.webp", picture(torch.uint16)),
        ("deep.bmp", picture(torch.uint16)),
        ("two.png", picture(channels=2)),
        ("float.png", texture(5, 5)),
    ],
)
def test_what_a_format_cannot_hold_is_refused_and_leaves_no_file(
    tmp_path: Path, name: str, image: torch.Tensor
) -> None:
    with pytest.raises((ImageFileError, ValueError)):
        write_image(tmp_path / name, image)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_picture_stays_when_writing_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "kept.png"
    write_image(path, picture())
    before = path.read_bytes()

    def full_disk(_: Path, target: Path) -> Path:
        raise OSError(errno.ENOSPC, "No space left on device", str(target))

    monkeypatch.setattr(Path, "replace", full_disk)
    with pytest.raises(ImageFileError, match=r"kept\.png cannot be written: no space left"):
        write_image(path, torch.zeros(3, 4, 4, dtype=torch.uint8))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("folder", ["missing", "a file.txt"])
def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, folder: str) -> None:
    (tmp_path / "a file.txt").write_text("not a folder")
    path = tmp_path / folder / "picture.png"
    with pytest.raises(ImageFileError, match="cannot be written: no") as caught:
        write_image(path, picture())
    assert caught.value.path == path
