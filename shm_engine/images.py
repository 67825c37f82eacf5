"""One still picture file <-> Frame or tensor; knows no network and no clip."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch

from shm_engine.errors import ImageFileError
from shm_engine.files import replacing
from shm_engine.types import Frame

READABLE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".jp2", ".ppm"}
)
# Still pictures too, but not decoded everywhere; where they are not, `read_image` says so.
PICTURE_SUFFIXES = READABLE_SUFFIXES | {".heic", ".heif", ".avif"}

_SUFFIXES_WITHOUT_ALPHA = frozenset({".jpg", ".jpeg", ".bmp", ".ppm"})
_SUFFIXES_OF_16_BIT = frozenset({".png", ".tif", ".tiff", ".jp2", ".ppm"})


def read_image(path: Path | str) -> Frame:
    """A picture as a frame: upright (EXIF applied), uint8 or uint16; its own alpha is left aside.

    Raises ImageFileError if the file is missing, is no picture or is damaged.
    """
    path = Path(path)
    try:
        data = np.fromfile(path, dtype=np.uint8)
    except OSError as error:
        raise ImageFileError(
            f"{path} cannot be read: {(error.strerror or str(error)).lower()}", path=path
        ) from error
    try:
        pixels = cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH) if data.size else None
    except cv2.error as error:
        raise ImageFileError(f"{path} is damaged or too large to be read", path=path) from error
    if pixels is None or _is_cut_jpeg(data):
        raise ImageFileError(
            f"{path} is not a picture that can be read, or it is damaged; try a PNG or JPEG of it",
            path=path,
        )
    if pixels.dtype not in (np.uint8, np.uint16):
        raise ImageFileError(
            f"{path} holds {pixels.dtype} values; convert it to an 8 or 16 bit picture", path=path
        )
    if _is_animation(data[:4096].tobytes()):
        raise ImageFileError(
            f"{path} is an animation, of which only one frame would be read; make it a movie first",
            path=path,
        )
    rgb = np.ascontiguousarray(pixels[..., ::-1])
    return Frame(image=torch.from_numpy(rgb).permute(2, 0, 1))


def write_image(path: Path | str, image: torch.Tensor) -> None:
    """Write [1, H, W] grey, [3, H, W] RGB or [4, H, W] straight RGBA, uint8 or uint16.

    The format follows the suffix. The file appears whole or not at all. Raises ImageFileError if
    the format cannot hold the picture or the folder cannot be written.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    order = {1: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}.get(image.shape[0])
    if order is None or image.dtype not in (torch.uint8, torch.uint16):
        raise ValueError(f"an image of shape {tuple(image.shape)}, {image.dtype} is no picture")
    if image.shape[0] == 4 and suffix in _SUFFIXES_WITHOUT_ALPHA:
        raise ImageFileError(f"{path}: {suffix} cannot hold an alpha channel; use .png", path=path)
    # OpenCV would clip 16 bits to 8: a white picture.
    if image.dtype == torch.uint16 and suffix not in _SUFFIXES_OF_16_BIT:
        raise ImageFileError(f"{path}: {suffix} cannot hold 16 bits; use .png", path=path)
    pixels = image.permute(1, 2, 0).cpu().numpy()
    try:
        done, encoded = cv2.imencode(path.suffix, np.ascontiguousarray(pixels[..., order]))
        if not done:
            raise cv2.error("the encoder failed")
        with replacing(path) as temporary:
            temporary.write_bytes(encoded.tobytes())  # tofile would hide why the disk refuses
    except cv2.error as error:
        raise ImageFileError(
            f"{path}: {path.suffix} cannot hold this; use .png", path=path
        ) from error
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ImageFileError(
            f"{path} cannot be written: {reason}; free some space or write elsewhere", path=path
        ) from error


def _is_animation(start: bytes) -> bool:
    """Whether a PNG (chunk acTL before the picture) or WebP (flag in VP8X) has several frames."""
    if start.startswith(b"\x89PNG"):
        return b"acTL" in start.partition(b"IDAT")[0]
    return start[8:16] == b"WEBPVP8X" and bool(start[20] & 2)


def _is_cut_jpeg(data: np.ndarray[tuple[int], np.dtype[np.uint8]]) -> bool:
    """Whether a JPEG lacks its end marker: the decoder fills what is missing with grey instead."""
    raw = data.tobytes()
    if not raw.startswith(b"\xff\xd8"):
        return False
    # Past the segments before the scan: a thumbnail in them has an end marker of its own. What may
    # follow the end (phones append films) does not matter.
    position = 2
    while (marker := raw[position : position + 2])[:1] == b"\xff" and marker != b"\xff\xda":
        length = int.from_bytes(raw[position + 2 : position + 4], "big")
        position += 1 if marker == b"\xff\xff" else 2 + length  # ff may be repeated as padding
    return raw.find(b"\xff\xd9", position) < 0
