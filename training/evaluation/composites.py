"""Cut-outs put on backgrounds, the same for everyone to the bit; knows no set and no network."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from shm_engine.errors import ImageFileError, OptionsError
from training.data.picture import Picture
from training.data.sources import list_entries, list_pictures, read_pixels


class Recipe(NamedTuple):
    """What one composite is made of; `mirrored` is the background alone."""

    name: str
    cutout: Path
    background: Path
    mirrored: bool = False


def read_recipes(path: Path, data: Path) -> list[Recipe]:
    """The rows of a CSV (name, rgba, background, flip) whose paths start from `data`.

    Raises OptionsError if it cannot be used.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return [
                Recipe(r["name"], data / r["rgba"], data / r["background"], r["flip"] == "1")
                for r in csv.DictReader(file)
            ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OptionsError(
            f"{path} is not a usable list of composites: {error}", path=path
        ) from error


def pair_up(cutouts: Path, backgrounds: Path) -> list[Recipe]:
    """Every cut-out of a folder with a background of its own as long as there are enough of them.

    Both in the order of their names; the backgrounds are taken from all over their folder.
    """
    people = [entry.image for entry in list_entries(cutouts, "cutout")]
    scenes = list_pictures(backgrounds)
    return [
        Recipe(person.stem, person, scenes[index * len(scenes) // len(people)])
        for index, person in enumerate(people)
    ]


def put_together(recipe: Recipe) -> Picture:
    """The composite and its alpha: 8-bit sRGB, rounded to nearest.

    The background covers the cut-out, cropped at its centre.
    """
    rgba = read_pixels(recipe.cutout, cv2.IMREAD_UNCHANGED)
    if rgba.ndim != 3 or rgba.shape[2] != 4:
        raise ImageFileError(f"{recipe.cutout} has no alpha channel", path=recipe.cutout)
    background = read_pixels(recipe.background, cv2.IMREAD_COLOR)
    scene = _cover(background, rgba.shape[0], rgba.shape[1])
    if recipe.mirrored:
        scene = scene[:, ::-1]
    alpha = rgba[..., 3:].astype(np.int32)
    composite = (alpha * rgba[..., :3] + (255 - alpha) * scene + 127) // 255
    return Picture(composite[..., ::-1].astype(np.uint8), rgba[..., 3])


def _cover(background: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    tall, wide = background.shape[:2]
    factor = max(width / wide, height / tall)
    # Without the tiny step back a product like 436.0000001 would become 437.
    size = (math.ceil(wide * factor - 1e-6), math.ceil(tall * factor - 1e-6))
    # Not the antialiased resize of `shm-matte --background`: the published composites are made so.
    scene = cv2.resize(background, size, interpolation=cv2.INTER_LINEAR)
    x, y = (size[0] - width) // 2, (size[1] - height) // 2
    return np.asarray(scene[y : y + height, x : x + width], np.uint8)
