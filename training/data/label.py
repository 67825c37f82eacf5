"""Self-training: what a network is sure of in pictures without truth teaches the next run.

A picture is matted as it is and mirrored. Where both say the same and neither hesitates, they are
believed; the rest, all soft edges included, is unknown in the trimap and no loss counts it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from shm_engine.errors import ImageFileError, OptionsError
from shm_engine.matter import Matter
from shm_engine.types import Frame
from training.data.manifest import ManifestRow, write_manifest
from training.data.sources import list_pictures, read_pixels
from training.stored import checksum, store

_UNKNOWN_CODE = 128


@dataclass(frozen=True, kw_only=True)
class LabelOptions:
    """When a network is believed.

    sure_alpha: a person where alpha is at least this, background where it is at most 1 minus this.
    least_person, most_doubt: shares of the picture; with less of the one or more of the other the
    whole picture is left out.
    """

    sure_alpha: float = 0.95
    least_person: float = 0.02
    most_doubt: float = 0.15

    def __post_init__(self) -> None:
        if not 0.5 < self.sure_alpha < 1:
            raise OptionsError(f"sure_alpha is {self.sure_alpha}; use a number between 0.5 and 1")
        for name in ("least_person", "most_doubt"):
            if not 0 <= getattr(self, name) <= 1:
                raise OptionsError(f"{name} is {getattr(self, name)}; use 0 to 1")


class Label(NamedTuple):
    """Alpha and trimap [H, W] uint8, the latter 0, 128 (not believed) and 255."""

    alpha: NDArray[np.uint8]
    trimap: NDArray[np.uint8]


def label(image: NDArray[np.uint8], matter: Matter, options: LabelOptions) -> Label | None:
    """What the network is sure of in an RGB picture [H, W, 3]; None if that is too little."""
    planes = torch.from_numpy(image).permute(2, 0, 1)
    frames = [Frame(image=view.contiguous()) for view in (planes, planes.flip(2))]
    plain, mirrored = (matte.alpha[0].numpy() for matte in matter.mattes(frames))
    mirrored = mirrored[:, ::-1]
    person = np.minimum(plain, mirrored) >= options.sure_alpha
    nobody = np.maximum(plain, mirrored) <= 1 - options.sure_alpha
    doubt = ~(person | nobody)
    if person.mean() < options.least_person or doubt.mean() > options.most_doubt:
        return None
    soft = np.where(doubt, (plain + mirrored) / 2, person)
    trimap = np.where(doubt, _UNKNOWN_CODE, np.where(person, 255, 0))
    return Label(np.rint(soft * 255).astype(np.uint8), trimap.astype(np.uint8))


class Summary(NamedTuple):
    """How many pictures are labelled, of how many, and why some cannot be read."""

    used: int
    found: int
    refused: tuple[str, ...]


def label_folder(
    folder: Path, out: Path, matter: Matter, options: LabelOptions, weight: float
) -> Summary:
    """Write out/alpha, out/trimap and out/manifest.csv with rows of kind "pseudo", whose weights
    sum to `weight`. A picture that cannot be read is left out.

    Raises OptionsError if the folder has no pictures, two of one name, or none that is believed.
    """
    pictures = list_pictures(folder)
    names = [picture.stem for picture in pictures]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise OptionsError(f"{folder} has two pictures called {twice[0]}; rename one", path=folder)
    rows: list[ManifestRow] = []
    refused: list[str] = []
    for picture in pictures:
        try:
            image = np.ascontiguousarray(read_pixels(picture, cv2.IMREAD_COLOR)[..., ::-1])
        except ImageFileError as error:
            refused.append(str(error))
            continue
        found = label(image, matter, options)
        if found is not None:
            rows.append(_stored(picture, found, out))
    if not rows:
        raise OptionsError(f"the network is not sure of any picture in {folder}", path=folder)
    write_manifest(out / "manifest.csv", (replace(row, weight=weight / len(rows)) for row in rows))
    return Summary(len(rows), len(pictures), tuple(refused))


def _stored(picture: Path, found: Label, out: Path) -> ManifestRow:
    """The row of a picture whose label lies in `out` now."""
    alpha, trimap = (out / name / f"{picture.stem}.png" for name in found._fields)
    for path, codes in zip((alpha, trimap), found, strict=True):
        store(path, cv2.imencode(".png", codes)[1].tobytes())
    height, width = found.alpha.shape
    return ManifestRow(
        set=picture.parent.name,
        split="train",
        kind="pseudo",
        weight=1.0,
        image=picture,
        alpha=alpha,
        trimap=trimap,
        image_sha256=checksum(picture),
        alpha_sha256=checksum(alpha),
        width=width,
        height=height,
    )
