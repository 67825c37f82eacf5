"""Measuring weights on pictures with known alpha: a table per set, and mattes to look at.

The engine is used exactly as a user's picture passes through it.
"""

from __future__ import annotations

import csv
import math
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from shm_engine.errors import OptionsError
from shm_engine.matter import Matter
from shm_engine.types import Frame
from training.config import build, build_rows
from training.dataset import list_entries, read_picture, read_pixels
from training.metrics import iou, mad, mse

METRICS = {"mad": mad, "mse": mse, "iou": iou}

# What a set is: pictures with masks or alphas, pictures without people, or a list of cut-outs with
# the background each is to be put on.
KINDS = ("mask", "alpha", "background", "composites")


@dataclass(frozen=True, kw_only=True)
class EvaluationSet:
    """One row of the table; `path` starts from the data folder."""

    name: str
    kind: str
    path: str

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise OptionsError(f"kind is {self.kind!r}; use one of {', '.join(KINDS)}")


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """What to measure; `data` is the folder that paths start from."""

    data: str
    sets: tuple[EvaluationSet, ...]


class Case(NamedTuple):
    """A picture [H, W, 3] RGB uint8 and its true alpha [H, W] float32 in [0, 1]."""

    name: str
    image: NDArray[np.uint8]
    true_alpha: NDArray[np.float32]


class Row(NamedTuple):
    """Means over a set by name; `mean_alpha` is of the prediction, for sets without people."""

    name: str
    pictures: int
    means: dict[str, float]


def read_evaluation(path: Path) -> EvaluationConfig:
    """The sets that a TOML file names; OptionsError if it cannot be used."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
        return build(EvaluationConfig, values | build_rows(EvaluationSet, "sets", values))
    except (OSError, ValueError) as error:
        raise OptionsError(f"{path} is not a usable list of sets: {error}", path=path) from error


def evaluate_set(matter: Matter, data: Path, chosen: EvaluationSet) -> Row:
    """Mean metrics of one set, each picture counting the same."""
    totals = dict.fromkeys([*METRICS, "mean_alpha"], 0.0)
    count = 0
    for case in cases(data, chosen):
        predicted_alpha = predict(matter, case.image)
        for name, metric in METRICS.items():
            totals[name] += metric(predicted_alpha, case.true_alpha)
        totals["mean_alpha"] += float(predicted_alpha.mean())
        count += 1
    if count == 0:
        raise OptionsError(f"the set {chosen.name!r} has no pictures", path=data / chosen.path)
    return Row(chosen.name, count, {name: total / count for name, total in totals.items()})


def predict(matter: Matter, image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The engine's alpha [H, W] for an RGB picture [H, W, 3]."""
    frame = Frame(image=torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1))
    (matte,) = matter.mattes([frame])
    return matte.alpha[0].numpy()


def cases(data: Path, chosen: EvaluationSet) -> Iterator[Case]:
    """The pictures of a set, one at a time."""
    if chosen.kind == "composites":
        yield from _composites(data, data / chosen.path)
        return
    for entry in list_entries(data / chosen.path, chosen.kind):
        picture = read_picture(entry, chosen.kind)
        yield Case(entry.image.stem, picture.colours, _unit(picture.alpha))


def table(rows: list[Row]) -> str:
    """The rows as Markdown; MAD and MSE times 1000, IoU at 0.5 of the person."""
    lines = [
        "| set | pictures | MAD e-3 | MSE e-3 | mean IoU | mean alpha |",
        "|---|---|---|---|---|---|",
    ]
    for name, pictures, means in rows:
        lines.append(
            f"| {name} | {pictures} | {means['mad'] * 1e3:.2f} | {means['mse'] * 1e3:.2f} "
            f"| {means['iou']:.4f} | {means['mean_alpha']:.4f} |"
        )
    return "\n".join(lines)


def _composites(data: Path, path: Path) -> Iterator[Case]:
    """Cut-outs over backgrounds, as a CSV (name, rgba, background, flip) lists them.

    The background covers the cut-out, cropped at its centre, mirrored where flip is 1; paths in the
    CSV start from the data folder. 8-bit sRGB, rounded to nearest.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [
                (r["name"], r["rgba"], r["background"], r["flip"]) for r in csv.DictReader(file)
            ]
    except (OSError, ValueError, KeyError) as error:
        raise OptionsError(
            f"{path} is not a usable list of composites: {error}", path=path
        ) from error
    for name, cutout, behind, flip in rows:
        rgba = read_pixels(data / cutout, cv2.IMREAD_UNCHANGED)
        background = read_pixels(data / behind, cv2.IMREAD_COLOR)
        scene = _cover(background, rgba.shape[0], rgba.shape[1])
        if flip == "1":
            scene = scene[:, ::-1]
        alpha = rgba[..., 3:].astype(np.int32)
        composite = (alpha * rgba[..., :3] + (255 - alpha) * scene + 127) // 255
        yield Case(name, composite[..., ::-1].astype(np.uint8), _unit(rgba[..., 3]))


def _unit(alpha: NDArray[np.uint8]) -> NDArray[np.float32]:
    return alpha.astype(np.float32) / np.float32(255)


def _cover(background: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    tall, wide = background.shape[:2]
    factor = max(width / wide, height / tall)
    # Without the tiny step back a product like 436.0000001 would become 437.
    size = (math.ceil(wide * factor - 1e-6), math.ceil(tall * factor - 1e-6))
    scene = cv2.resize(background, size, interpolation=cv2.INTER_LINEAR)
    x, y = (size[0] - width) // 2, (size[1] - height) // 2
    return np.asarray(scene[y : y + height, x : x + width], np.uint8)
