"""Augmentation that fits people: how a sample is framed, composited and disturbed.

Works on uint8 arrays [H, W, 3] RGB and [H, W] alpha; every function takes its random generator.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from training.data.picture import Picture, standing

# Parts of a standing figure, from the top: whole, to the knees, the hips, the chest, the head.
_FIGURE_PARTS = (1.0, 1.0, 0.75, 0.5, 0.35, 0.25)
# Of a picture that is a close-up already.
_BUST_PARTS = (1.0, 1.0, 1.0, 0.75, 0.55)
# How far a scene may be squeezed in one direction.
_SQUEEZE = 1.35
# A window is larger than the part of the person in it: in a photo, and for a cut-out, which has no
# surroundings that end.
_ROOM, _FLOATING_ROOM = (0.95, 2.5), (0.95, 3.5)


class Window(NamedTuple):
    """A square of a picture: centre and side in its pixels, turned by degrees, maybe mirrored."""

    x: float
    y: float
    side: float
    degrees: float
    mirrored: bool
    stretch: float
    floating: bool


def draw_window(alpha: NDArray[np.uint8], rng: np.random.Generator, *, floating: bool) -> Window:
    """A square around the person, from the whole figure in its surroundings to a close-up.

    floating: the picture is a cut-out without surroundings. One that is cut off at the bottom of
    its picture is then kept at the bottom of the square: half a body does not hover.
    """
    height, width = alpha.shape
    rows = np.flatnonzero(alpha.max(axis=1) > 127)
    mirrored = bool(rng.random() < 0.5)
    turned = float(rng.uniform(-15, 15)) if rng.random() < 0.4 else 0.0
    stretch = float(rng.uniform(0.92, 1.09))
    if len(rows) < 8 or (not floating and rng.random() < 0.2):
        side = min(height, width) * rng.uniform(0.8, 1.0)
        x = width / 2 + (width - side) / 2 * rng.uniform(-1, 1)
        y = height / 2 + (height - side) / 2 * rng.uniform(-1, 1)
        return Window(x, y, side, turned, mirrored, stretch, floating)
    top, tall = int(rows[0]), int(rows[-1] - rows[0]) + 1
    part = tall * rng.choice(_FIGURE_PARTS if standing(alpha) else _BUST_PARTS)
    columns = np.flatnonzero(alpha[top : top + int(part) + 1].max(axis=0) > 127)
    left, right = int(columns[0]), int(columns[-1])
    room = np.log(_FLOATING_ROOM if floating else _ROOM)
    side = max(part, right - left) * float(np.exp(rng.uniform(*room)))
    x = (left + right) / 2 + side * rng.uniform(-0.3, 0.3)
    y = top + part / 2 + side * rng.uniform(-0.25, 0.25)
    if not floating:  # stay inside, top and bottom: nobody stands on their own reflection's head
        side = min(side, height)
        y = min(max(y, side / 2), height - side / 2)
    elif alpha[-1].max() > 127:
        y, turned = min(y, height - side / 2), 0.0
    return Window(x, y, side, turned, mirrored, stretch, floating)


def crop_person(picture: Picture, window: Window, size: int) -> Picture:
    """The window of a picture at size x size. Outside the picture: nothing for a cut-out, else the
    picture mirrored at its edge, person and all, so that picture and alpha agree."""
    scale = size / window.side
    if window.floating:
        picture = _continued_below(picture)
    colours, alpha = picture
    shrink = min(1.0, scale)
    if shrink < 0.75:  # warpAffine does not filter: it would alias
        target = (max(1, round(alpha.shape[1] * shrink)), max(1, round(alpha.shape[0] * shrink)))
        colours, alpha = (
            np.asarray(cv2.resize(pixels, target, interpolation=cv2.INTER_AREA), np.uint8)
            for pixels in picture
        )
    else:
        shrink = 1.0
    rest = scale / shrink
    matrix = np.asarray(
        cv2.getRotationMatrix2D((window.x * shrink, window.y * shrink), window.degrees, rest),
        np.float64,
    )
    matrix[:, 2] += size / 2 - np.array([window.x, window.y]) * shrink
    matrix[0] = (matrix[0] - [0, 0, size / 2]) * window.stretch + [0, 0, size / 2]
    if window.mirrored:
        matrix[0] = -matrix[0] + [0, 0, size - 1]
    border = cv2.BORDER_CONSTANT if window.floating else cv2.BORDER_REFLECT_101
    return Picture(
        *(
            np.asarray(
                cv2.warpAffine(
                    pixels, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=border
                ),
                np.uint8,
            )
            for pixels in (colours, alpha)
        )
    )


def _continued_below(picture: Picture) -> Picture:
    """Two more rows like the last: reading between rows reaches past it, where a person who is cut
    off goes on."""
    colours, alpha = (
        np.asarray(cv2.copyMakeBorder(pixels, 0, 2, 0, 0, cv2.BORDER_REPLICATE), np.uint8)
        for pixels in picture
    )
    return Picture(colours, alpha)


def crop_background(
    colours: NDArray[np.uint8], size: int, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Much of a scene at size x size, near to its own proportions; mirrored or out of focus at
    times. Scenes that are cut small are blown up, and what fills the picture looks like nothing."""
    height, width = colours.shape[:2]
    tall, wide = (int(extent * rng.uniform(0.55, 1.0)) for extent in (height, width))
    tall, wide = (max(1, min(a, int(b * _SQUEEZE))) for a, b in ((tall, wide), (wide, tall)))
    y, x = rng.integers(height - tall + 1), rng.integers(width - wide + 1)
    flags = cv2.INTER_AREA if min(tall, wide) > size else cv2.INTER_LINEAR
    scene = cv2.resize(colours[y : y + tall, x : x + wide], (size, size), interpolation=flags)
    if rng.random() < 0.5:
        scene = scene[:, ::-1]
    if rng.random() < 0.3:
        scene = cv2.GaussianBlur(scene, (0, 0), float(rng.uniform(0.8, 5)))
    return np.ascontiguousarray(scene, dtype=np.uint8)


def litter(
    scene: NDArray[np.uint8], other: NDArray[np.uint8], rng: np.random.Generator
) -> NDArray[np.uint8]:
    """The scene with a smooth shape cut out of another one, of the same size: an edge like a
    composite's, with nobody inside."""
    size = scene.shape[0]
    turns = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    waves = sum(
        rng.uniform(-0.5, 0.5) / order * np.cos(order * turns + rng.uniform(0, 2 * np.pi))
        for order in range(1, 6)
    )
    radius = size * rng.uniform(0.08, 0.35) * np.maximum(1 + waves, 0.2)
    stretch = np.exp(rng.uniform(-0.5, 0.5))
    outline = np.stack(
        [
            size * rng.uniform(0.1, 0.9) + radius * np.cos(turns) * stretch,
            size * rng.uniform(0.2, 1.0) + radius * np.sin(turns) / stretch,
        ],
        axis=1,
    )
    shape = np.zeros((size, size), np.uint8)
    cv2.fillPoly(shape, [np.rint(outline * 16).astype(np.int32)], (255.0,), cv2.LINE_AA, 4)
    shape = np.asarray(cv2.GaussianBlur(shape, (0, 0), float(rng.uniform(0.4, 1.5))), np.uint8)
    cut = (other.astype(np.uint16) * shape[..., None] + 127) // 255
    return put_over(
        Picture(cut.astype(np.uint8), shape), Picture(scene, np.zeros_like(shape))
    ).colours


def smear(picture: Picture, rng: np.random.Generator) -> Picture:
    """The picture moved in a straight line while the shutter is open, colours and alpha alike."""
    length = max(3, int(picture.alpha.shape[0] * rng.uniform(0.01, 0.05)) | 1)
    angle = rng.uniform(0, np.pi)
    line = np.zeros((length, length), np.uint8)
    reach = length / 2 * np.array([np.cos(angle), np.sin(angle)])
    ends = [np.rint((length / 2 - 0.5 + sign * reach) * 16).astype(int) for sign in (-1, 1)]
    cv2.line(line, ends[0].tolist(), ends[1].tolist(), (255.0,), 1, cv2.LINE_AA, 4)
    kernel = line / line.sum(dtype=np.float32)
    colours, alpha = (
        np.asarray(cv2.filter2D(pixels, -1, kernel, borderType=cv2.BORDER_REPLICATE), np.uint8)
        for pixels in picture
    )
    return Picture(colours, alpha)


def tint(person: Picture, rng: np.random.Generator) -> Picture:
    """The cut-out in another light. Gains only: they commute with premultiplication."""
    gain = rng.uniform(0.6, 1.15) * rng.uniform(0.9, 1.1, 3)
    colours = np.minimum(person.colours * gain.astype(np.float32), person.alpha[..., None])
    return Picture(colours.astype(np.uint8), person.alpha)


def put_over(person: Picture, behind: Picture) -> Picture:
    """Premultiplied person over a picture; the alphas join like two sheets of glass."""
    clear = 255 - person.alpha.astype(np.uint16)
    colours = person.colours + (behind.colours * clear[..., None] + 127) // 255
    alpha = person.alpha + (behind.alpha * clear + 127) // 255
    return Picture(
        np.minimum(colours, 255).astype(np.uint8), np.minimum(alpha, 255).astype(np.uint8)
    )


def disturb(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """What cameras and codecs do: exposure, colour, softness, noise, JPEG, low resolution."""
    size = image.shape[0]
    levels = np.linspace(0, 1, 256)[:, None]
    curve = levels ** rng.uniform(0.65, 1.5) * rng.uniform(0.75, 1.2) * rng.uniform(0.88, 1.12, 3)
    curve = (curve + rng.uniform(-0.06, 0.06)).clip(0, 1) * 255
    table = np.ascontiguousarray(curve.round().astype(np.uint8)[None])
    image = np.asarray(cv2.LUT(image, table), np.uint8)
    if rng.random() < 0.08:
        image = np.repeat(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    if rng.random() < 0.15:
        small = int(size * rng.uniform(0.4, 0.9))
        coarse = cv2.resize(image, (small, small), interpolation=cv2.INTER_AREA)
        image = np.asarray(cv2.resize(coarse, (size, size)), np.uint8)
    if rng.random() < 0.15:
        blurred = cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.4, 1.6)))
        image = np.asarray(blurred, np.uint8)
    if rng.random() < 0.3:
        noise = rng.standard_normal(image.shape, dtype=np.float32) * rng.uniform(1, 12)
        image = (image + noise).clip(0, 255).astype(np.uint8)
    if rng.random() < 0.3:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(30, 95))]
        stored = cv2.imencode(".jpg", image, quality)[1]
        image = np.asarray(cv2.imdecode(stored, cv2.IMREAD_COLOR), np.uint8)
    return image
