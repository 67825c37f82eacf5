"""The list of what the validation pictures show: complete, and in words that were agreed."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

FRAMING = {"close-up", "half", "full"}
PEOPLE = {"single", "group", "crowd"}
LIGHT = {"dark", "normal", "bright"}
OTHER = {"back", "long-hair", "curly-hair", "props"}


@pytest.fixture(scope="module")
def rows(repository: Path) -> dict[tuple[str, str], list[str]]:
    """(set, name) -> categories."""
    path = repository / "training" / "configs" / "val_categories.csv"
    with path.open(newline="", encoding="utf-8") as file:
        listed = list(csv.DictReader(file))
    found = {(row["set"], row["name"]): row["categories"].split() for row in listed}
    assert len(found) == len(listed), "a picture stands there twice"
    return found


def test_every_picture_has_one_framing_one_count_and_one_light(
    rows: dict[tuple[str, str], list[str]],
) -> None:
    for picture, categories in rows.items():
        for one_of in (FRAMING, PEOPLE, LIGHT):
            assert len(one_of.intersection(categories)) == 1, picture
        assert len(set(categories)) == len(categories), picture
        assert set(categories) <= FRAMING | PEOPLE | LIGHT | OTHER, picture


@pytest.mark.shared
def test_every_validation_picture_is_listed_and_nothing_else(
    rows: dict[tuple[str, str], list[str]], shared_data: Path
) -> None:
    validation = shared_data / "val"
    pictures = {
        (name, path.stem)
        for name in ("ccp", "vikram290", "pennfudan")
        for path in (validation / name / "image").iterdir()
    }
    with (validation / "nba" / "composites.csv").open(newline="", encoding="utf-8") as file:
        pictures |= {("nba composites", row["name"]) for row in csv.DictReader(file)}
    assert set(rows) == pictures
