"""The pictures that `prepare` puts aside for validation: rows of a manifest in the split val."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from shm_engine.errors import OptionsError
from training.data.manifest import ManifestRow, read_manifest
from training.data.picture import Picture
from training.data.sources import Entry, read_picture
from training.evaluation.composites import Recipe, put_together


def put_aside(path: Path) -> Iterator[tuple[str, Callable[[], Picture]]]:
    """Name and reader of every such picture; cut-outs stand on the scenes put aside, in turn.

    Raises OptionsError if there are cut-outs but no scenes.
    """
    rows = [row for row in read_manifest(path) if row.split == "val"]
    scenes = [row.image for row in rows if row.kind == "background"]
    for index, row in enumerate(rows):
        if row.kind != "cutout":
            yield _name(row), partial(read_picture, Entry(row.image, row.alpha), row.kind)
            continue
        if not scenes:
            raise OptionsError(
                f"{path} puts cut-outs aside but no scenes to stand on; prepare a folder of them",
                path=path,
            )
        recipe = Recipe(_name(row), row.image, scenes[index % len(scenes)])
        yield recipe.name, partial(put_together, recipe)


def _name(row: ManifestRow) -> str:
    return f"{row.set}-{row.image.stem}"
