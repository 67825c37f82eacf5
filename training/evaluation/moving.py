"""Cut-outs that move over pictures: clips with exact alpha, the same for a seed; knows no set.

Everything is drawn in one resampling from the source, with cubic filters and in premultiplied
colours, and gets the noise of a camera: a network that sees the same frame twice does not flicker.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from training.data.picture import Picture
from training.data.sources import list_entries, list_pictures, read_pixels

HEIGHT_PIXELS, WIDTH_PIXELS = 360, 640
FRAMES = 32
SEED = 7

# Standard deviation of the noise, in 8-bit steps: a phone indoors.
_NOISE = 2.0

# How much taller than the frame's height the cut-out and the scene are drawn.
_PERSON_HEIGHT, _SCENE_HEIGHT = 0.95, 1.3

# How far below the frame people stand, in its heights: their lower edge stays out of sight.
_BELOW = 0.05


class Pose(NamedTuple):
    """Where a layer is in a frame: its centre from the middle of the frame, its size and turn."""

    x_pixels: float = 0.0
    y_pixels: float = 0.0
    scale: float = 1.0
    degrees: float = 0.0


class Motion(NamedTuple):
    """Poses of the person and of the scene by frame; `cut` is where another clip goes on."""

    name: str
    person: Callable[[int], Pose]
    scene: Callable[[int], Pose] = lambda _: Pose()
    cut: int | None = None


def _to_and_fro(step: int, reach: int) -> int:
    """A walk at constant speed between -reach and reach."""
    place = (step + reach) % (4 * reach)
    return min(place, 4 * reach - place) - reach


MOTIONS = (
    Motion("still", lambda _: Pose()),
    Motion("pan 2", lambda t: Pose(x_pixels=2 * t - FRAMES)),
    Motion("pan 9", lambda t: Pose(x_pixels=_to_and_fro(9 * t, 120))),
    Motion("sway", lambda t: Pose(6 * math.sin(t / 5), 0, 1, 4 * math.sin(t / 7))),
    Motion("shake", lambda t: Pose(14 * math.sin(t / 1.5), 5 * math.sin(t), 1, 3 * math.sin(t))),
    Motion("zoom", lambda t: Pose(scale=1.015**t * 0.85)),
    Motion(
        "camera", lambda t: Pose(x_pixels=20 - 1.5 * t), lambda t: Pose(-3.0 * t + 40, t, 1, t / 30)
    ),
    Motion("cut", lambda t: Pose(x_pixels=t - 16), cut=FRAMES // 2),
)


class Layer(NamedTuple):
    """Premultiplied colours [H, W, 3] in RGB and alpha [H, W], float32 in [0, 255]."""

    colours: NDArray[np.float32]
    alpha: NDArray[np.float32]


def moving_clips(cutouts: Path, scenes: Path) -> Iterator[tuple[str, Iterator[Picture]]]:
    """A clip for every motion, of people taken from all over the folder; nothing is read yet."""
    people = [entry.image for entry in list_entries(cutouts, "cutout")]
    behind = list_pictures(scenes)
    for number, motion in enumerate(MOTIONS):
        # A cut goes on with the second pair.
        pairs = [(_spread(people, number, i), _spread(behind, number, i)) for i in range(2)]
        yield motion.name, _frames(motion, pairs, np.random.default_rng([SEED, number]))


def _spread(files: list[Path], number: int, second: int) -> Path:
    """The file of a clip, from all over the folder; its second lies about half of it further on."""
    first = number * len(files) // len(MOTIONS)
    return files[(first + second * (len(files) // 2 | 1)) % len(files)]


def _frames(
    motion: Motion, pairs: list[tuple[Path, Path]], rng: np.random.Generator
) -> Iterator[Picture]:
    person, scene = _read(*pairs[0])
    for step in range(FRAMES):
        if step == motion.cut:
            person, scene = _read(*pairs[1])
        colours, alpha = _placed(person, _PERSON_HEIGHT, motion.person(step))
        behind, _ = _placed(scene, _SCENE_HEIGHT, motion.scene(step))
        composite = colours + (1 - alpha[..., None] / 255) * behind
        noise = rng.normal(0, _NOISE, composite.shape)
        yield Picture(_to_bytes(composite + noise), _to_bytes(alpha))


def _read(cutout: Path, scene: Path) -> tuple[Layer, Layer]:
    rgba = read_pixels(cutout, cv2.IMREAD_UNCHANGED).astype(np.float32)
    alpha = rgba[..., 3]
    premultiplied = rgba[..., 2::-1] * (alpha[..., None] / 255)
    person = Layer(np.asarray(premultiplied, np.float32), alpha)
    colours = read_pixels(scene, cv2.IMREAD_COLOR).astype(np.float32)
    opaque = np.full(colours.shape[:2], 255, np.float32)
    return person, Layer(np.ascontiguousarray(colours[..., ::-1]), opaque)


def _placed(layer: Layer, height: float, pose: Pose) -> Layer:
    """The layer in the frame, `height` frames tall; what it does not cover is mirrored (scenes) or
    empty (people)."""
    tall, wide = layer.alpha.shape
    covers = bool(layer.alpha.min() == 255)
    factor = height * HEIGHT_PIXELS / tall
    if covers:
        factor = max(factor, height * WIDTH_PIXELS / wide)
    # Scenes turn and grow about the middle of the frame, people about a point below its lower edge,
    # where they stand.
    y_from, y_to = (0.5, 0.5) if covers else (1.0, 1.0 + _BELOW)
    matrix = cv2.getRotationMatrix2D((wide / 2, tall * y_from), pose.degrees, factor * pose.scale)
    matrix[0, 2] += WIDTH_PIXELS / 2 - wide / 2 + pose.x_pixels
    matrix[1, 2] += HEIGHT_PIXELS * y_to - tall * y_from + pose.y_pixels
    border = cv2.BORDER_REFLECT_101 if covers else cv2.BORDER_CONSTANT
    # A cubic has no support for shrinking: blur first by what will be lost.
    sigma = max(0.0, 0.5 / (factor * pose.scale) - 0.5)

    def warped(plane: NDArray[np.float32]) -> NDArray[np.float32]:
        if sigma > 0.1:
            plane = np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma), np.float32)
        size = WIDTH_PIXELS, HEIGHT_PIXELS
        placed = cv2.warpAffine(plane, matrix, size, flags=cv2.INTER_CUBIC, borderMode=border)
        return np.clip(placed, 0, 255, dtype=np.float32)

    alpha = warped(layer.alpha)
    # A cubic may leave colours above their alpha.
    return Layer(np.minimum(warped(layer.colours), alpha[..., None]), alpha)


def _to_bytes(values: NDArray[np.floating]) -> NDArray[np.uint8]:
    return (values.clip(0, 255) + 0.5).astype(np.uint8)
