"""Figures and scenes drawn with exact alpha: data for trying the training out, in seconds.

What is learned from them is worth nothing on photographs.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from training.data.hair import grow_hair
from training.data.picture import Picture
from training.stored import store

_SIZE = 160
# Shapes are drawn at this many times the size and averaged down, which makes their alpha exact.
_FINE = 4
_SKIN = ((224, 172, 138), (141, 85, 54), (198, 134, 96), (92, 58, 40))


def draw_data(folder: Path, pictures: int, seed: int) -> None:
    """Write cutouts/rgba, scenes, and val/image with val/alpha below `folder`; what is there and is
    the same stays untouched. A fourth as many for validation as for training, at least 2."""
    rng = np.random.default_rng(seed)
    for index in range(pictures):
        person = draw_person(rng)
        straight = person.colours * (255 / np.maximum(person.alpha[..., None], 1))
        rgba = np.dstack([straight.clip(0, 255)[..., ::-1], person.alpha])
        _store(folder / "cutouts" / "rgba" / f"{index}.png", rgba)
        _store(folder / "scenes" / f"{index}.png", draw_scene(rng)[..., ::-1])
    for index in range(max(2, pictures // 4)):
        person = draw_person(rng)
        clear = 1 - person.alpha[..., None] / 255
        image = person.colours + draw_scene(rng) * clear
        _store(folder / "val" / "image" / f"{index}.png", image.clip(0, 255)[..., ::-1])
        _store(folder / "val" / "alpha" / f"{index}.png", person.alpha)


def draw_person(rng: np.random.Generator) -> Picture:
    """A bust or a whole figure with some hair, premultiplied, 160 x 160."""
    side = _SIZE * _FINE
    colours = np.zeros((side, side, 3), np.uint8)
    alpha = np.zeros((side, side), np.uint8)
    head = side * rng.uniform(0.08, 0.16)
    x, y = side * rng.uniform(0.35, 0.65), side * rng.uniform(0.2, 0.32)
    skin = np.array(_SKIN[rng.integers(len(_SKIN))], float)
    cloth = rng.permutation([rng.uniform(0, 60), rng.uniform(0, 255), rng.uniform(180, 255)])
    # From the back to the front: legs or nothing, trunk, neck, hair, face.
    parts = [
        (x, y + 2.9 * head, 1.25 * head, 1.9 * head, cloth),
        (x - 0.5 * head, side, 0.5 * head, side - y - 4 * head, cloth * 0.5),
        (x + 0.5 * head, side, 0.5 * head, side - y - 4 * head, cloth * 0.5),
        (x, y + head, 0.4 * head, 0.8 * head, skin),
        (x, y - 0.15 * head, 0.85 * head, 1.05 * head, rng.uniform(10, 120, 3)),
        (x, y + 0.1 * head, 0.65 * head, 0.85 * head, skin),
    ]
    for centre_x, centre_y, radius_x, radius_y, colour in parts:
        box = ((centre_x, centre_y), (2 * radius_x, 2 * max(1.0, radius_y)), 0.0)
        cv2.ellipse(colours, box, tuple(float(c) for c in colour), -1)
        cv2.ellipse(alpha, box, (255.0,), -1)
    small = (
        np.asarray(cv2.resize(pixels, (_SIZE, _SIZE), interpolation=cv2.INTER_AREA), np.uint8)
        for pixels in (colours, alpha)
    )
    return grow_hair(Picture(*small), rng)


def draw_scene(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Soft coarse texture with some rectangles, RGB, 160 x 160."""
    # Hardly any colour: people have more, which is what can be learned in seconds.
    coarse = (rng.uniform(40, 215, (5, 5, 1)) + rng.uniform(-15, 15, 3)).astype(np.float32)
    scene = np.asarray(cv2.resize(coarse, (_SIZE, _SIZE), interpolation=cv2.INTER_CUBIC))
    scene = np.ascontiguousarray(scene.clip(0, 255).astype(np.uint8))
    for _ in range(rng.integers(1, 6)):
        corners = [int(v) for v in rng.integers(0, _SIZE, 4)]
        colour = (float(rng.uniform(0, 255)),) * 3
        cv2.rectangle(
            scene, tuple(corners[:2]), tuple(corners[2:]), colour, int(rng.integers(1, 9))
        )
    return np.asarray(scene, np.uint8)


def _store(path: Path, pixels: NDArray) -> None:
    store(path, cv2.imencode(".png", np.rint(pixels).astype(np.uint8))[1].tobytes())
