"""What prepare puts aside is what evaluate measures on: no picture of it is trained on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from shm_engine.errors import OptionsError
from tests.assertions import EXACT, assert_close
from training.data.manifest import ManifestRow, write_manifest
from training.data.sources import list_entries, read_picture
from training.evaluation.cases import EvaluationSet, cases
from training.evaluation.put_aside import put_aside


def row(image: Path, kind: str, alpha: Path | None = None) -> ManifestRow:
    digest = "0" * 64
    return ManifestRow(
        set=image.parents[1].name if alpha else image.parent.name,
        split="val",
        kind=kind,
        weight=0.0,
        image=image,
        alpha=alpha,
        trimap=None,
        image_sha256=digest,
        alpha_sha256=digest if alpha else "",
        width=1,
        height=1,
    )


def test_every_kind_is_read_as_training_reads_it(drawn_data: Path, tmp_path: Path) -> None:
    people = drawn_data / "people"
    rows = [
        row(people / "image" / "0.png", "mask", people / "mask" / "0.png"),
        replace(
            row(people / "image" / "1.png", "mask", people / "mask" / "1.png"),
            split="train",
            weight=1.0,
        ),
        row(drawn_data / "cutouts" / "rgba" / "2.png", "cutout"),
        row(drawn_data / "scenes" / "1.png", "background"),
    ]
    write_manifest(tmp_path / "manifest.csv", rows)
    chosen = EvaluationSet(name="mine", kind="manifest", path="manifest.csv")
    found = {case.name: case for case in cases(tmp_path, chosen)}
    assert set(found) == {"people-0", "rgba-2", "scenes-1"}
    assert not found["scenes-1"].true_alpha.any()
    cutout = read_picture(list_entries(drawn_data / "cutouts", "cutout")[2], "cutout")
    assert_close(found["rgba-2"].true_alpha, cutout.alpha / np.float32(255), EXACT)
    solid = cutout.alpha == 255
    assert_close(found["rgba-2"].image[solid], cutout.colours[solid], EXACT)


def test_cutouts_without_scenes_are_an_error(drawn_data: Path, tmp_path: Path) -> None:
    manifest = tmp_path / "manifest.csv"
    write_manifest(manifest, [row(drawn_data / "cutouts" / "rgba" / "0.png", "cutout")])
    with pytest.raises(OptionsError, match="no scenes to stand on"):
        list(put_aside(manifest))
