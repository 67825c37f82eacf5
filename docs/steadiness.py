"""Measures how much mattes flicker on real clips, with and without smoothing, and shows it.

    python docs/steadiness.py CLIPS [STRIPS]

Self-flicker needs no truth: mean |alpha(t) - alpha(t - 1) moved along|, where the movement there
and back again agrees. The flow that judges (Farneback's, at 640 pixels) is not the smoother's.
STRIPS is a folder for a picture of each clip: rows of six frames over green, without smoothing
above and with `light` below, where the two differ most.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from cli.video import VideoSource
from shm_engine import Matter, write_image
from shm_engine.compositing import as_unit, from_unit, over
from shm_engine.detail import draw
from shm_engine.smoothing import STRENGTHS, smooth
from shm_engine.types import Draft, Matte

FRAMES, WIDTH = 60, 640
STRIP_FRAMES, STRIP_PIXELS = 6, 220
GREEN = torch.tensor([0.0, 0.69, 0.25]).view(3, 1, 1)

Plane = NDArray[np.float32]
WAYS = ("off", *STRENGTHS)


def shrunken(picture: torch.Tensor) -> Plane:
    """[h, WIDTH] or [h, WIDTH, 3] of a picture [C, H, W] in [0, 1]."""
    height = round(WIDTH * picture.shape[1] / picture.shape[2])
    pixels = np.ascontiguousarray(picture.permute(1, 2, 0).numpy())
    return np.asarray(cv2.resize(pixels, (WIDTH, height), interpolation=cv2.INTER_AREA), np.float32)


def flow(here: NDArray[np.uint8], there: NDArray[np.uint8]) -> Plane:
    start = np.zeros((*here.shape, 2), np.float32)
    return np.asarray(cv2.calcOpticalFlowFarneback(here, there, start, 0.5, 4, 21, 3, 7, 1.5, 0))


def moved(values: Plane, along: Plane) -> Plane:
    y, x = np.mgrid[: values.shape[0], : values.shape[1]].astype(np.float32)
    places = x + along[..., 0], y + along[..., 1]
    return np.asarray(cv2.remap(values, *places, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))


def flickers(images: Sequence[Plane], films: dict[str, list[Plane]]) -> dict[str, float]:
    """Mean self-flicker in thousandths, by way of smoothing."""
    greys = [cv2.cvtColor((image * 255).astype(np.uint8), cv2.COLOR_RGB2GRAY) for image in images]
    sums = dict.fromkeys(films, 0.0)
    for now in range(1, len(greys)):
        back, forth = flow(greys[now], greys[now - 1]), flow(greys[now - 1], greys[now])
        there = moved(forth, back)
        agrees = np.hypot(*np.moveaxis(back + there, 2, 0)) < 1
        for name, alphas in films.items():
            change = np.abs(alphas[now] - moved(alphas[now - 1], back))
            sums[name] += float(change[agrees].mean())
    return {name: 1e3 * total / (len(greys) - 1) for name, total in sums.items()}


def strip(before: Sequence[Matte], after: Sequence[Matte]) -> torch.Tensor:
    """Six frames round the place where the two films differ most, the first above the second."""
    change = [
        np.abs(shrunken(b.alpha) - shrunken(a.alpha)) for b, a in zip(before, after, strict=True)
    ]
    blurred = [cv2.blur(one, (41, 41)) for one in change]
    middle = int(np.argmax([one.max() for one in blurred]))
    first = min(max(0, middle - STRIP_FRAMES // 2), len(before) - STRIP_FRAMES)
    y, x = np.unravel_index(int(np.argmax(blurred[middle])), blurred[middle].shape)
    scale = before[0].frame.size[1] / WIDTH
    size = round(STRIP_PIXELS * max(1.0, scale / 2))
    top = min(max(0, round(float(y) * scale) - size // 2), before[0].frame.size[0] - size)
    left = min(max(0, round(float(x) * scale) - size // 2), before[0].frame.size[1] - size)
    rows = []
    for film in (before, after):
        pictures = []
        for matte in film[first : first + STRIP_FRAMES]:
            part = np.s_[:, top : top + size, left : left + size]
            composite = over(as_unit(matte.colours[part]), matte.alpha[part], GREEN)
            pictures.append(composite)
        rows.append(torch.cat(pictures, dim=2))
    return torch.cat(rows, dim=1)


def main(clips: Path, strips: Path | None) -> None:
    matter = Matter.load()
    print(f"| clip | {' | '.join(WAYS)} | light / off |\n|---|{'---|' * (len(WAYS) + 1)}")
    for path in sorted(clips.rglob("*.mp4")):
        with VideoSource(path) as source:
            drafts: list[Draft] = list(matter.drafts(islice(iter(source), FRAMES)))
        mattes = {
            way: list(draw(iter(drafts if way == "off" else smooth(iter(drafts), STRENGTHS[way]))))
            for way in WAYS
        }
        films = {way: [shrunken(matte.alpha) for matte in film] for way, film in mattes.items()}
        images = [shrunken(as_unit(draft.frame.image)) for draft in drafts]
        found = flickers(images, films)
        values = " | ".join(f"{value:.2f}" for value in found.values())
        print(f"| {path.stem} | {values} | {100 * (found['light'] / found['off'] - 1):+.0f} % |")
        if strips is not None:
            picture = strip(mattes["off"], mattes["light"])
            write_image(strips / f"{path.stem}.png", from_unit(picture, torch.uint8))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
