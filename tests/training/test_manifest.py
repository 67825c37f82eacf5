"""The manifest: what is written is read again, and every mistake is named with path and line."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shm_engine.errors import OptionsError
from training.config import KINDS
from training.data.manifest import COLUMNS, SPLITS, ManifestRow, read_manifest, write_manifest


def row(folder: Path, **changes) -> ManifestRow:
    values: dict[str, Any] = {
        "set": "street",
        "split": "train",
        "kind": "mask",
        "weight": 0.25,
        "image": folder / "image" / "a.jpg",
        "alpha": folder / "mask" / "a.png",
        "trimap": folder / "trimap" / "a.png",
        "image_sha256": "0123456789abcdef" * 4,
        "alpha_sha256": "fedcba9876543210" * 4,
        "width": 640,
        "height": 480,
    }
    return ManifestRow(**values | changes)


def drawn_rows(folder: Path, seed: int, count: int = 40) -> list[ManifestRow]:
    """Rows of every kind and split with names that a CSV has to quote."""
    rng = np.random.default_rng(seed)
    rows = []
    for index in range(count):
        split = SPLITS[rng.integers(2)]
        name = "".join(rng.choice(list('aé,"; 漢-.'), size=6)) + f"x{index}"
        kind = KINDS[rng.integers(len(KINDS))]
        changes = {"alpha": None, "alpha_sha256": ""} if kind in ("cutout", "background") else {}
        drawn = row(
            folder,
            set=f"set {rng.integers(3)}",
            split=split,
            kind=kind,
            weight=float(rng.random() + 1e-9) if split == "train" else 0.0,
            image=folder.parent / "elsewhere" / f"{name}.jpg",
            image_sha256=rng.bytes(32).hex(),
            width=int(rng.integers(1, 9000)),
            **changes,
        )
        rows.append(replace(drawn, trimap=None) if kind == "background" else drawn)
    return rows


@pytest.mark.parametrize("seed", range(5))
def test_what_is_written_is_read_again_whatever_the_order(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "manifest.csv"
    rows = drawn_rows(tmp_path.resolve(), seed)
    assert write_manifest(path, rows)
    content = path.read_bytes()
    found = read_manifest(path)
    assert sorted(found, key=repr) == sorted(rows, key=repr)
    assert [(r.set, r.image.name) for r in found] == sorted((r.set, r.image.name) for r in rows)
    assert not write_manifest(path, reversed(rows)), "nothing changes"
    assert path.read_bytes() == content


def test_the_columns_are_those_that_were_agreed(tmp_path: Path) -> None:
    path = tmp_path / "manifest.csv"
    write_manifest(path, [row(tmp_path)])
    head, line = path.read_text().splitlines()
    assert head == (
        "set,split,kind,weight,image,alpha,trimap,image_sha256,alpha_sha256,width,height"
    )
    assert line.startswith("street,train,mask,0.25,image/a.jpg,mask/a.png,trimap/a.png,0123")


def test_a_folder_with_data_and_manifest_can_be_moved(tmp_path: Path) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    before.mkdir()
    write_manifest(before / "manifest.csv", [row(before.resolve())])
    before.rename(after)
    (found,) = read_manifest(after / "manifest.csv")
    assert found == row(after.resolve())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"set": ""}, ["set is empty"]),
        ({"split": "test"}, ["split", "'test'", "train, val"]),
        ({"kind": "video"}, ["kind", "'video'", "cutout"]),
        ({"weight": "much"}, ["weight", "'much'"]),
        ({"weight": "nan"}, ["weight", "nan"]),
        ({"weight": "-1"}, ["weight", "-1"]),
        ({"weight": "0"}, ["weight", "0.0", "train"]),
        ({"split": "val"}, ["weight", "0.25", "val"]),
        ({"image": ""}, ["image is empty"]),
        ({"alpha": ""}, ["'mask'", "needs", "alpha"]),
        ({"kind": "cutout"}, ["'cutout'", "no place", "alpha"]),
        ({"image_sha256": "abc"}, ["image_sha256", "'abc'"]),
        ({"alpha_sha256": ""}, ["alpha_sha256", "''"]),
        ({"kind": "cutout", "alpha": ""}, ["alpha_sha256", "no file"]),
        ({"width": "0"}, ["width", "0"]),
        ({"height": "4.5"}, ["height", "'4.5'"]),
    ],
)
def test_a_wrong_value_is_named_with_path_and_line(
    tmp_path: Path, changes: dict[str, str], words: list[str]
) -> None:
    path = tmp_path / "manifest.csv"
    write_manifest(path, [row(tmp_path), row(tmp_path, image=tmp_path / "z.jpg")])
    with path.open(newline="") as stream:
        lines = list(csv.DictReader(stream))
    lines[1] |= changes
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS)
        writer.writeheader()
        writer.writerows(lines)
    with pytest.raises(OptionsError) as caught:
        read_manifest(path)
    assert caught.value.path == path
    for word in [f"{path}, line 3: ", *words]:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read"),
        (b"\xff\xfe", "not UTF-8"),
        (b"", "line 1"),
        (b"image,mask\na,b\n", "line 1: the columns of a manifest are set,split"),
        (f"{','.join(COLUMNS)}\n".encode(), "lists no picture"),
        (f"{','.join(COLUMNS)}\na,b\n".encode(), "line 2: 2 values where 11"),
    ],
)
def test_a_file_that_is_no_manifest_is_named(
    tmp_path: Path, content: bytes | None, words: str
) -> None:
    path = tmp_path / "manifest.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(OptionsError, match=words) as caught:
        read_manifest(path)
    assert caught.value.path == path


def test_a_link_to_a_picture_keeps_the_link_s_name(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "0a1b").write_bytes(b"x")
    (tmp_path / "a.jpg").symlink_to(tmp_path / "store" / "0a1b")
    write_manifest(tmp_path / "manifest.csv", [row(tmp_path, image=tmp_path / "a.jpg")])
    (found,) = read_manifest(tmp_path / "manifest.csv")
    assert found.image.name == "a.jpg"
