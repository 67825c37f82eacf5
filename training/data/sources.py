"""Where training pictures come from: folders or a manifest, and how often each is drawn."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from shm_engine.errors import ImageFileError, OptionsError
from shm_engine.images import READABLE_SUFFIXES
from training.config import COMPOSED, TrainingConfig, outline_weight_of
from training.data.manifest import read_manifest
from training.data.picture import Picture


class Entry(NamedTuple):
    """Files of one picture. `alpha` is None for RGBA and for pictures without people; `trimap` says
    where the alpha of a "pseudo" picture is believed."""

    image: Path
    alpha: Path | None
    trimap: Path | None = None


class Group(NamedTuple):
    """Pictures of one kind that belong together.

    share: how often the group is drawn from, odds: which of its entries then (they sum to 1), or
    None if all alike.
    outline_weight: see `config.Source`.
    """

    kind: str
    outline_weight: float
    share: float
    entries: list[Entry]
    odds: NDArray[np.float64] | None = None

    def draw(self, rng: np.random.Generator) -> Entry:
        """One of the entries."""
        count = len(self.entries)
        uniform = self.odds is None
        return self.entries[rng.integers(count) if uniform else rng.choice(count, p=self.odds)]


def groups_of(config: TrainingConfig) -> list[Group]:
    """The pictures of a run: of its sources, and of the manifest's rows for training."""
    groups = []
    for source in config.sources:
        entries = list_entries(Path(config.data) / source.path, source.kind, source.pattern)
        groups.append(Group(source.kind, source.outline_trust, source.weight, entries))
    for manifest in config.manifests:
        groups += _groups_of_manifest(Path(manifest))
    return groups


def backgrounds_of(config: TrainingConfig, groups: list[Group]) -> list[Entry]:
    """Scenes for composites: of the folder that the run names, or all that are among the groups."""
    if config.background:
        return list_entries(Path(config.data) / config.background, "background")
    found = [e for group in groups if group.kind == "background" for e in group.entries]
    if not found and any(group.kind in COMPOSED for group in groups):
        raise OptionsError("cut-outs need scenes to stand in; name a folder of them as background")
    return found


def _groups_of_manifest(path: Path) -> list[Group]:
    rows: dict[tuple[str, str], list[tuple[Entry, float]]] = {}
    for row in read_manifest(path):
        if row.split == "train":
            alpha, trimap = (
                path.parent / name if name else None for name in (row.alpha, row.trimap)
            )
            entry = Entry(path.parent / row.image, alpha, trimap)
            rows.setdefault((row.set, row.kind), []).append((entry, row.weight))
    if not rows:
        raise OptionsError(f"{path} has no pictures of the split train; prepare some", path=path)
    groups = []
    for (_, kind), members in rows.items():
        weights = np.array([weight for _, weight in members])
        entries = [entry for entry, _ in members]
        share = float(weights.sum())
        groups.append(Group(kind, outline_weight_of(kind), share, entries, weights / share))
    return groups


def list_pictures(folder: Path, pattern: str = "*") -> list[Path]:
    """Image files of a folder, sorted; OptionsError if there are none."""
    # Files that begin with a dot are the litter of other systems (._x.jpg) or half written.
    found = sorted(
        path
        for path in folder.glob(pattern)
        if path.suffix.lower() in READABLE_SUFFIXES and not path.name.startswith(".")
    )
    if not found:
        raise OptionsError(f"there are no pictures in {folder / pattern}; check it", path=folder)
    return found


def list_entries(folder: Path, kind: str, pattern: str = "*") -> list[Entry]:
    """The pictures of a source: image/ beside mask/ or alpha/, rgba/, or the folder itself."""
    if kind == "background":
        return [Entry(path, None) for path in list_pictures(folder, pattern)]
    if kind == "cutout":
        inner = folder / "rgba" if (folder / "rgba").is_dir() else folder
        return [Entry(path, None) for path in list_pictures(inner, pattern)]
    truth = folder / ("alpha" if kind in ("alpha", "solved", "pseudo") else "mask")
    masks = {path.stem: path for path in list_pictures(truth)}
    images = list_pictures(folder / "image", pattern)
    unmatched = [path.name for path in images if path.stem not in masks]
    if unmatched:
        raise OptionsError(
            f"{folder}: {unmatched[0]} and {len(unmatched) - 1} more have no mask", path=folder
        )
    if kind == "pseudo":
        return [Entry(p, masks[p.stem], folder / "trimap" / masks[p.stem].name) for p in images]
    return [Entry(path, masks[path.stem]) for path in images]


def read_pixels(path: Path, flags: int) -> NDArray[np.uint8]:
    """8-bit pixels in OpenCV's channel order; ImageFileError if the file is no picture."""
    try:
        pixels = cv2.imdecode(np.fromfile(path, dtype=np.uint8), flags)
    except (OSError, cv2.error) as error:  # cv2.error: the file is empty
        raise ImageFileError(f"{path} cannot be read as a picture", path=path) from error
    if pixels is None or pixels.dtype not in (np.uint8, np.uint16):
        raise ImageFileError(f"{path} cannot be read as a picture", path=path)
    if pixels.dtype == np.uint16:  # only IMREAD_UNCHANGED leaves them
        pixels = np.rint(pixels / 257)
    return np.asarray(pixels, dtype=np.uint8)


def read_picture(entry: Entry, kind: str) -> Picture:
    """Colours and alpha of an entry; the colours of RGBA files come premultiplied."""
    if kind == "cutout":
        rgba = read_pixels(entry.image, cv2.IMREAD_UNCHANGED)
        if rgba.ndim != 3 or rgba.shape[2] != 4:
            raise ImageFileError(f"{entry.image} has no alpha channel", path=entry.image)
        alpha = rgba[..., 3]
        return Picture(_premultiply(rgba[..., 2::-1], alpha), alpha)
    colours = np.ascontiguousarray(read_pixels(entry.image, cv2.IMREAD_COLOR)[..., ::-1])
    if entry.alpha is None:
        return Picture(colours, np.zeros(colours.shape[:2], np.uint8))
    alpha = read_pixels(entry.alpha, cv2.IMREAD_GRAYSCALE)
    if alpha.shape != colours.shape[:2]:
        raise ImageFileError(
            f"{entry.alpha} and {entry.image.name} differ in size", path=entry.alpha
        )
    if kind == "pasted_mask":
        # A mask's outline holds old background: drop its last pixel, soften what is left.
        inner = cv2.erode(alpha, np.ones((3, 3), np.uint8))
        soft = np.asarray(cv2.GaussianBlur(inner, (0, 0), 0.8), np.uint8)
        return Picture(_premultiply(colours, soft), soft)
    return Picture(colours, alpha)


def _premultiply(colours: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return ((colours.astype(np.uint16) * alpha[..., None] + 127) // 255).astype(np.uint8)
