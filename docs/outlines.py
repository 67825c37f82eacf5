"""Measures what is done at the outline at full size: strands, and colours without the background.

    python docs/outlines.py ../shared/data

Drafts are made from the true alpha, so that no network's errors are in the figures.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from shm_engine.compositing import as_unit, over
from shm_engine.detail import draw
from shm_engine.preprocess import enlarge, shrink, working_size
from shm_engine.types import Draft, Frame, Matte
from training.data.sources import list_pictures, read_pixels
from training.evaluation.composites import Recipe, pair_up, put_together, read_recipes
from training.evaluation.metrics import gradient_error_hr, mad

HEIGHT, WIDTH = 2160, 3840
LONG_SIDE = 512

# Every sixth composite; every fifteenth picture behind the strands.
COMPOSITES, SCENES = slice(None, None, 6), slice(3, None, 15)

HAIR = torch.tensor([0.12, 0.08, 0.05]).view(3, 1, 1)
NOISE = 2 / 255


def drawn_hair(strands: int = 400) -> NDArray[np.float32]:
    """Coverage [HEIGHT, WIDTH] of a head and shoulders with strands of 1 to 3 pixels."""
    rng = np.random.default_rng(0)
    picture: NDArray[np.uint8] = np.zeros((HEIGHT, WIDTH), np.uint8)
    head, radii = (WIDTH // 2, HEIGHT // 2), (380, 480)
    cv2.ellipse(picture, head, radii, 0, 0, 360, 255, -1, cv2.LINE_AA)
    cv2.ellipse(picture, (WIDTH // 2, HEIGHT + 300), (1000, 900), 0, 0, 360, 255, -1, cv2.LINE_AA)
    for angle in rng.uniform(np.pi, 2 * np.pi, strands):
        directions = angle + rng.normal(0, 0.02) * np.arange(40)
        steps = 10 * np.stack([np.cos(directions), np.sin(directions)], 1)
        root = np.array(head) + 0.97 * np.array(radii) * [np.cos(angle), np.sin(angle)]
        points = np.rint((root + np.cumsum(steps, 0)) * 16).astype(np.int32)
        cv2.polylines(picture, [points], False, 255, int(rng.integers(1, 4)), cv2.LINE_AA, 4)
    return picture.astype(np.float32) / 255


def right_draft(frame: Frame, alpha: NDArray[np.float32]) -> Draft:
    """What a network that makes no mistake says."""
    size = working_size(*frame.size, LONG_SIDE)
    small = cv2.resize(alpha, size[::-1], interpolation=cv2.INTER_AREA)
    return Draft(
        frame=frame,
        image=shrink(frame.image[None], size)[0],
        alpha=torch.from_numpy(np.asarray(small, np.float32))[None],
    )


def timed(draft: Draft) -> tuple[Matte, float]:
    started = time.thread_time()
    (matte,) = draw(iter([draft]))
    return matte, 1e3 * (time.thread_time() - started)


def strands_table(scenes: Iterable[Path]) -> None:
    alpha = drawn_hair()
    cover = torch.from_numpy(alpha)[None]
    rng = np.random.default_rng(1)
    print(f"Strands, {WIDTH} x {HEIGHT}: gradient error, MAD e-3\n")
    print("| behind | enlarged | drawn | ms |\n|---|---|---|---|")
    for path in scenes:
        pixels = read_pixels(path, cv2.IMREAD_COLOR)
        factor = max(WIDTH / pixels.shape[1], HEIGHT / pixels.shape[0])
        scene = cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
        scene = np.ascontiguousarray(scene[:HEIGHT, :WIDTH, ::-1].transpose(2, 0, 1))
        hair = HAIR + torch.from_numpy(rng.normal(0, 0.03, (1, HEIGHT, WIDTH)).astype(np.float32))
        image = over(hair.clamp(0, 1), cover, as_unit(torch.from_numpy(scene)))
        image += torch.from_numpy(rng.normal(0, NOISE, image.shape).astype(np.float32))
        draft = right_draft(Frame(image=image.clamp(0, 1)), alpha)
        matte, milliseconds = timed(draft)
        plain = enlarge(draft.alpha, (HEIGHT, WIDTH))
        errors = [
            f"{gradient_error_hr(a[0].numpy(), alpha):.1f}, {1e3 * mad(a[0].numpy(), alpha):.2f}"
            for a in (plain, matte.alpha)
        ]
        print(f"| {path.stem} | {errors[0]} | {errors[1]} | {milliseconds:.0f} |")


def colours_of(recipe: Recipe) -> tuple[float, float, float]:
    """Mean error of the source's and of the estimated colours where 0.02 < alpha < 0.98, and ms."""
    composite = put_together(recipe)
    rgba = read_pixels(recipe.cutout, cv2.IMREAD_UNCHANGED)
    truth = rgba[..., 2::-1].reshape(-1, 3).astype(np.float32) / 255
    alpha = composite.alpha.astype(np.float32) / 255
    frame = Frame(image=torch.from_numpy(composite.colours).permute(2, 0, 1))
    matte, milliseconds = timed(right_draft(frame, alpha))
    unsure = ((alpha > 0.02) & (alpha < 0.98)).reshape(-1)
    errors = []
    for image in (frame.image, matte.colours):
        colours = as_unit(image).permute(1, 2, 0).reshape(-1, 3).numpy()
        errors.append(float(np.abs(colours - truth)[unsure].mean()))
    return errors[0], errors[1], milliseconds


def colours_table(sets: dict[str, list[Recipe]]) -> None:
    print("\nColours\n\n| set | pictures | as filmed | estimated | ms |\n|---|---|---|---|---|")
    for name, recipes in sets.items():
        means = np.mean([colours_of(recipe) for recipe in recipes], axis=0)
        print(f"| {name} | {len(recipes)} | {means[0]:.3f} | {means[1]:.3f} | {means[2]:.1f} |")


def main(data: Path) -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    strands_table(list_pictures(data / "val/background")[SCENES])
    colours_table(
        {
            "nba": read_recipes(data / "val/nba/composites.csv", data)[COMPOSITES],
            "synthetic": pair_up(data / "val/synthetic/rgba", data / "val/background"),
        }
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
