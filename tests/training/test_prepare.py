"""Preparing: every layout becomes the same manifest, and a resumed run the uninterrupted one."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

from shm_engine.compositing import over
from shm_engine.errors import MattingError, OptionsError
from tests.synthetic import ORANGE, figure_alpha, texture
from tests.training.drawn import draw_training_data, interleaved, store
from training.__main__ import commands
from training.data.manifest import ManifestRow, read_manifest
from training.prepare.options import PrepareOptions, SetOptions, read_options
from training.prepare.run import Summary, choose, prepare, report
from training.stored import checksum


def chosen(root: Path, *sets: SetOptions, **options) -> PrepareOptions:
    found = PrepareOptions(sets=sets, data=str(root), **options)
    return choose(found, alpha=None, validate_every=None, seed=None)


def prepared(root: Path, out: Path, *sets: SetOptions, mapper=map, **options) -> Summary:
    return prepare(chosen(root, *sets, **options), out, mapper)


def rows_of(out: Path) -> tuple[ManifestRow, ...]:
    return read_manifest(out / "manifest.csv")


def refusals(out: Path) -> dict[str, str]:
    """Reasons by file name."""
    with (out / "refused.csv").open(newline="", encoding="utf-8") as stream:
        return {Path(line["path"]).name: line["reason"] for line in csv.DictReader(stream)}


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def draw_pairs(folder: Path, count: int, truth: str = "mask") -> None:
    """Small pairs image/I.png, TRUTH/I.png, no two alike."""
    for index in range(count):
        alpha = figure_alpha(40, 36 + index)
        image = over(ORANGE, alpha, texture(40, 36 + index, seed=index))
        store(folder / "image" / f"{index:02}.png", interleaved(image))
        store(folder / truth / f"{index:02}.png", interleaved((alpha > 0.5).float()))


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """A folder "people" of six pairs."""
    draw_pairs(tmp_path / "people", 6)
    return tmp_path


# Layouts


def test_layouts_are_seen_and_rows_are_what_lies_there(drawn_data: Path, tmp_path: Path) -> None:
    sets = [SetOptions(name=name, path=name) for name in ("people", "cutouts", "scenes")]
    prepared(drawn_data, tmp_path, *sets)
    rows = rows_of(tmp_path)
    assert [(row.set, row.kind) for row in rows] == (
        [("cutouts", "cutout")] * 3 + [("people", "alpha")] * 3 + [("scenes", "background")] * 3
    )
    for row in rows:
        assert row.split == "train"
        assert row.image_sha256 == checksum(row.image)
        image = cv2.imread(str(row.image))
        assert image is not None
        assert image.shape[:2] == (row.height, row.width)
        if row.alpha is not None:
            assert row.alpha == drawn_data.resolve() / "people" / "alpha" / row.image.name
            assert row.alpha_sha256 == checksum(row.alpha)
        assert (row.trimap is None) == (row.set == "scenes")
        if row.trimap is not None:
            codes = cv2.imread(str(row.trimap), cv2.IMREAD_UNCHANGED)
            assert codes is not None
            assert codes.shape == (row.height, row.width)
            assert set(np.unique(codes)) == {0, 128, 255}
    assert refusals(tmp_path) == {}


@pytest.mark.parametrize(
    ("kind", "folder"), [("mask", "mask"), ("pasted_mask", "mask"), ("alpha", "alpha")]
)
def test_the_kind_decides_which_truth_is_used(
    drawn_data: Path, tmp_path: Path, kind: str, folder: str
) -> None:
    prepared(drawn_data, tmp_path, SetOptions(name="p", path="people", kind=kind))
    for row in rows_of(tmp_path):
        assert row.kind == kind
        assert row.alpha is not None
        assert row.alpha.parent.name == folder


def test_the_seed_s_layout_keeps_its_trimaps_and_its_list_of_names(pairs: Path) -> None:
    people = pairs / "people"
    for name in ("00", "01"):
        trimap = np.full((40, 36 + int(name)), 128, np.uint8)
        trimap[:9], trimap[30:] = 0, 255
        store(people / "trimap" / f"{name}.png", trimap)
    (people / "train.txt").write_text("00.jpg\n01\n\n03\n77\n")
    summary = prepared(pairs, pairs / "out", SetOptions(name="people", path="people"))
    assert summary.sets[0].prepared.chosen.layout == "seed"
    rows = rows_of(pairs / "out")
    assert [row.image.stem for row in rows] == ["00", "01", "03"]
    places = [row.trimap.relative_to(pairs.resolve()).as_posix() for row in rows if row.trimap]
    assert places == ["people/trimap/00.png", "people/trimap/01.png", "out/people/trimap/03.png"]
    assert list(refusals(pairs / "out")) == ["77"]


@pytest.mark.parametrize("original", ["clip_img/18/clip_0/x", "clip_img/18/0/x"])
def test_in_aisegment_s_layout_alpha_is_taken_out_of_the_cutouts(
    tmp_path: Path, original: str
) -> None:
    alpha = figure_alpha(60, 50)
    image = over(ORANGE, alpha, texture(60, 50))
    store(tmp_path / "ai" / f"{original}.jpg", interleaved(image))
    cutout = (tmp_path / "ai" / original.replace("clip_img", "matting")).with_suffix(".png")
    if "clip_0" in original:
        cutout = tmp_path / "ai" / "matting/18/matting_0/x.png"
    store(cutout, interleaved(torch.cat([image, alpha])))
    (tmp_path / "ai" / "matting" / "18" / "._x.png").write_bytes(b"litter")
    prepared(tmp_path, tmp_path / "out", SetOptions(name="ai", path="ai"))
    (row,) = rows_of(tmp_path / "out")
    assert row.kind == "alpha"
    assert row.alpha is not None
    assert row.alpha_sha256 == checksum(row.alpha)
    found = cv2.imread(str(row.alpha), cv2.IMREAD_UNCHANGED)
    assert found is not None
    np.testing.assert_array_equal(found, interleaved(alpha)[..., 0])


@pytest.mark.parametrize(
    ("folder", "words"),
    [
        ("nowhere", "nowhere is not a folder"),
        (".", "has no layout that is known"),
        ("mixed", "has no layout that is known"),
        ("lonely", "has no layout that is known"),
        ("parent", "has no layout that is known"),
        ("trimaps", "neither mask/ nor alpha/; choose alpha knn"),
    ],
)
def test_a_folder_of_no_layout_is_named(tmp_path: Path, folder: str, words: str) -> None:
    grey = np.full((40, 40, 3), 90, np.uint8)
    store(tmp_path / "mixed" / "a.png", grey)
    store(tmp_path / "mixed" / "b.png", np.full((40, 40, 4), 90, np.uint8))
    store(tmp_path / "parent" / "stray.png", grey)
    store(tmp_path / "parent" / "set" / "a.png", grey)
    store(tmp_path / "lonely" / "image" / "a.png", grey)
    store(tmp_path / "trimaps" / "image" / "a.png", grey)
    store(tmp_path / "trimaps" / "trimap" / "a.png", grey[..., 0])
    with pytest.raises(MattingError, match=words):
        prepared(tmp_path, tmp_path / "out", SetOptions(name="x", path=folder))


# Refusals


def test_every_broken_pair_is_refused_by_name_and_the_others_go_on(tmp_path: Path) -> None:
    people = tmp_path / "people"
    draw_pairs(people, 12)
    good = (people / "image" / "00.png").read_bytes()
    (people / "mask" / "01.png").unlink()
    (people / "image" / "02.png").unlink()
    (people / "image" / "03.png").write_bytes(good[: len(good) // 2])
    (people / "mask" / "04.png").write_bytes(b"hello")
    store(people / "mask" / "05.png", np.full((9, 9), 255, np.uint8))
    store(people / "mask" / "06.png", np.ones((40, 42), np.uint8))
    store(people / "mask" / "07.png", np.full((40, 43, 3), (255, 255, 0), np.uint8))
    store(people / "mask" / "08.png", np.full((40, 44, 4), 99, np.uint8))
    (people / "image" / "09.png").write_bytes(good)
    (people / "mask" / "09.png").write_bytes((people / "mask" / "00.png").read_bytes())
    store(people / "image" / "10.png", np.zeros((31, 50, 3), np.uint8))
    store(people / "image" / "11.jpg", np.zeros((40, 47, 3), np.uint8))
    prepared(tmp_path, tmp_path / "out", SetOptions(name="people", path="people"))
    assert [row.image.name for row in rows_of(tmp_path / "out")] == ["00.png", "11.jpg"]
    with (tmp_path / "out" / "refused.csv").open(newline="") as stream:
        found = {line["path"]: line["reason"] for line in csv.DictReader(stream)}
    expected = {
        "image/01.png": "no mask or alpha of its name",
        "mask/02.png": "no picture of its name",
        "image/03.png": "damaged",
        "image/04.png": "cannot be read",
        "image/05.png": "mask/05.png is 9 x 9 pixels, but the picture is 41 x 40",
        "image/06.png": "nobody is in it",
        "image/07.png": "07.png is coloured",
        "image/08.png": "08.png has an alpha channel",
        "image/09.png": "the same picture as 00.png",
        "image/10.png": "50 x 31 pixels; 32",
        "image/11.png": "has the same name",
    }
    assert {path.removeprefix("../people/") for path in found} == expected.keys()
    for path, words in expected.items():
        assert words in found[f"../people/{path}"]


def test_a_cutout_that_has_no_alpha_or_shows_nobody_is_refused(tmp_path: Path) -> None:
    root = draw_training_data(tmp_path)
    store(root / "cutouts" / "rgba" / "plain.png", np.full((40, 40, 3), 5, np.uint8))
    store(root / "cutouts" / "rgba" / "empty.png", np.zeros((40, 40, 4), np.uint8))
    prepared(root, tmp_path / "out", SetOptions(name="c", path="cutouts"))
    found = refusals(tmp_path / "out")
    assert "no alpha channel" in found["plain.png"]
    assert "nobody is in it" in found["empty.png"]
    assert len(rows_of(tmp_path / "out")) == 3


def test_a_picture_may_serve_two_kinds_but_not_both_splits(pairs: Path) -> None:
    mask = SetOptions(name="a", path="people", kind="mask", validate_every=0)
    pasted = SetOptions(name="b", path="people", kind="pasted_mask", validate_every=3)
    prepared(pairs, pairs / "out", mask, pasted)
    kinds = [(row.set, row.kind, row.image.stem) for row in rows_of(pairs / "out")]
    assert [stem for name, _, stem in kinds if name == "a"] == ["00", "01", "02", "03", "04", "05"]
    assert [stem for name, _, stem in kinds if name == "b"] == ["00", "01", "03", "04"]
    assert refusals(pairs / "out").keys() == {"02.png", "05.png"}


def test_nothing_usable_is_an_error_that_names_the_list(pairs: Path) -> None:
    for path in (pairs / "people" / "mask").iterdir():
        path.unlink()
    result = run(pairs, "people")
    assert isinstance(result.exception, MattingError)
    assert "refused.csv says why" in str(result.exception)
    assert len(refusals(pairs / "out")) == 6


# Splits and weights


def test_every_so_many_th_picture_validates_and_weights_sum_to_the_set_s(pairs: Path) -> None:
    (pairs / "people" / "mask" / "00.png").write_bytes(b"broken")
    draw_pairs(pairs / "more", 3)
    people = SetOptions(name="people", path="people", weight=0.7, validate_every=2)
    more = SetOptions(name="more", path="more", split="val", kind="mask")
    store(pairs / "more" / "image" / "00.png", np.full((40, 36, 3), 9, np.uint8))
    prepared(pairs, pairs / "out", people, more)
    rows = rows_of(pairs / "out")
    splits = {row.image.stem: row.split for row in rows if row.set == "people"}
    assert splits == {"01": "val", "02": "train", "03": "val", "04": "train", "05": "val"}
    assert sum(row.weight for row in rows if row.set == "people") == pytest.approx(0.7)
    assert {row.split for row in rows if row.set == "more"} == {"val"}


# Going on


class Stopped(BaseException):
    """As KeyboardInterrupt, which pytest would take for its own."""


def stopping_after(count: int):
    """A mapper that does `count` tasks of a set and stops at the next."""

    def mapper(function, tasks) -> Iterator:
        yield from map(function, islice(tasks, count))
        raise Stopped

    return mapper


@pytest.mark.parametrize("torn", [b"", b'{"set": "people", "key": "0'], ids=["clean", "torn line"])
def test_a_resumed_run_equals_the_uninterrupted_one(pairs: Path, torn: bytes) -> None:
    sets = [SetOptions(name="people", path="people", validate_every=3)]
    prepared(pairs, pairs / "whole", *sets)
    out = pairs / "parts"
    for _ in range(2):
        with pytest.raises(Stopped):
            prepared(pairs, out, *sets, mapper=stopping_after(2))
        assert not (out / "manifest.csv").exists()
        with (out / "journal.jsonl").open("ab") as stream:
            stream.write(torn)
    summary = prepared(pairs, out, *sets)
    assert sum(done.is_new for done in summary.sets[0].prepared.done) == 4
    assert contents(out) == contents(pairs / "whole")


def test_a_second_run_does_nothing_and_says_so(pairs: Path) -> None:
    people = SetOptions(name="people", path="people")
    first = prepared(pairs, pairs / "out", people)
    times = {path: path.stat().st_mtime_ns for path in (pairs / "out").rglob("*")}
    second = prepared(pairs, pairs / "out", people)
    assert (first.changed, second.changed) == (True, False)
    assert "nothing to do" in report(second, pairs / "out")
    assert {path: path.stat().st_mtime_ns for path in (pairs / "out").rglob("*")} == times


def test_only_what_changed_is_done_again(pairs: Path) -> None:
    people = SetOptions(name="people", path="people")
    prepared(pairs, pairs / "out", people)
    store(pairs / "people" / "mask" / "01.png", np.full((40, 37), 255, np.uint8))
    (pairs / "out" / "people" / "trimap" / "03.png").unlink()
    (pairs / "out" / "people" / "trimap" / "04.png").write_bytes(b"damaged")
    summary = prepared(pairs, pairs / "out", people)
    new = [d.outcome.key for d in summary.sets[0].prepared.done if d.is_new]
    assert new == ["01", "03", "04"]
    prepared(pairs, pairs / "fresh", people)
    assert contents(pairs / "out") == contents(pairs / "fresh")
    other = prepared(pairs, pairs / "out", people, seed=5)
    assert all(done.is_new for done in other.sets[0].prepared.done)


def test_a_trimap_depends_on_seed_and_name_alone(pairs: Path) -> None:
    people = SetOptions(name="people", path="people")
    prepared(pairs, pairs / "all", people)
    (pairs / "people" / "image" / "00.png").unlink()
    prepared(pairs, pairs / "fewer", people)
    before, after = contents(pairs / "all"), contents(pairs / "fewer")
    trimaps = [name for name in after if "/trimap/" in name]
    assert len(trimaps) == 5
    assert all(after[name] == before[name] for name in trimaps)


def test_a_limited_run_is_the_beginning_of_the_whole(pairs: Path) -> None:
    options = chosen(pairs, SetOptions(name="people", path="people"))
    prepare(options, pairs / "out", map, limit=2)
    assert [row.image.stem for row in rows_of(pairs / "out")] == ["00", "01"]
    summary = prepare(options, pairs / "out", map)
    assert sum(done.is_new for done in summary.sets[0].prepared.done) == 4


# Through the door


def run(root: Path, *arguments: str) -> Result:
    paths = [str(root / name) for name in arguments if not name.startswith("--")]
    options = [name for name in arguments if name.startswith("--")]
    return CliRunner().invoke(
        commands, ["prepare", *paths, *options, "--processes=1", f"--out={root / 'out'}"]
    )


SETS = """
data = "{data}"
seed = 3
sets = [
    {{ name = "few", path = "people", weight = 2, validate_every = 2 }},
    {{ name = "scenes", path = "scenes", validate_every = 0 }},
]
"""


def test_a_list_of_sets_is_prepared_by_another_process_as_by_this_one(pairs: Path) -> None:
    store(pairs / "scenes" / "a.png", np.full((50, 60, 3), 99, np.uint8))
    path = pairs / "sets.toml"
    path.write_text(SETS.format(data=pairs))
    result = run(pairs, "sets.toml", "--seed=4")
    assert result.exit_code == 0, result.output
    assert "few     pairs     mask             6        0      3    3    6" in result.stdout
    options = read_options([path])
    prepare(choose(options, alpha=None, validate_every=None, seed=4), pairs / "here", map)
    assert contents(pairs / "out") == contents(pairs / "here")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "PrepareOptions needs the key 'sets'|nothing to prepare"),
        ("sets = 3", "sets is 3"),
        ("seeds = 3\nsets = []", "unknown key 'seeds'"),
        ('sets = [{name = "a"}]', "needs the key 'path'"),
        ('sets = [{name = "a/b", path = "x"}]', "name is 'a/b'"),
        ('sets = [{name = "a", path = "x", kind = "k"}]', "kind of a is 'k'"),
        ('sets = [{name = "a", path = "x", layout = "k"}]', "layout of a is 'k'"),
        ('sets = [{name = "a", path = "x", alpha = "k"}]', "alpha of a is 'k'.*closed_form"),
        ('sets = [{name = "a", path = "x", weight = 0}]', "weight of a is 0"),
        ('sets = [{name = "a", path = "x", validate_every = -1}]', "validate_every of a is -1"),
        (
            'sets = [{name = "a", path = "x", alpha = "knn", kind = "cutout"}]',
            "nothing is to be solved",
        ),
        ('sets = [{name = "a", path = "x"}, {name = "A", path = "y"}]', "two sets are called 'a'"),
        ('seed = -1\nsets = [{name = "a", path = "x"}]', "seed is -1"),
        ('trimap_radius_pixels = [3]\nsets = [{name = "a", path = "x"}]', "radius_pixels is"),
    ],
)
def test_a_mistake_in_a_list_of_sets_is_named_with_the_file(
    tmp_path: Path, text: str, words: str
) -> None:
    path = tmp_path / "sets.toml"
    path.write_text(text)
    with pytest.raises(MattingError, match=words) as caught:
        read_options([path])
    assert str(path) in str(caught.value)


def test_an_alpha_of_no_method_is_named_also_where_there_is_nothing_to_solve(
    drawn_data: Path,
) -> None:
    found = read_options([drawn_data / "scenes"])
    with pytest.raises(OptionsError, match="alpha is 'best'; use one of keep, knn, closed_form"):
        choose(found, alpha="best", validate_every=None, seed=None)


def test_folders_and_a_list_do_not_go_together(tmp_path: Path) -> None:
    with pytest.raises(MattingError, match=r"sets\.toml lists all sets"):
        read_options([tmp_path / "sets.toml", tmp_path])


def test_a_kind_that_the_layout_cannot_have_is_named(drawn_data: Path, tmp_path: Path) -> None:
    with pytest.raises(MattingError, match=r"kind of c is 'mask'.* 'cutouts' has 'cutout'"):
        prepared(drawn_data, tmp_path, SetOptions(name="c", path="cutouts", kind="mask"))


def test_nothing_is_written_into_a_source(pairs: Path) -> None:
    with pytest.raises(MattingError, match="another --out"):
        prepared(pairs, pairs, SetOptions(name="people", path="people"))


@pytest.mark.long
@pytest.mark.skipif(os.name == "nt", reason="needs signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "killed"])
def test_a_program_that_was_stopped_goes_on(
    tmp_path: Path, repository: Path, number: signal.Signals
) -> None:
    draw_pairs(tmp_path / "people", 60)
    out = tmp_path / "out"
    command = [sys.executable, "-m", "training", "prepare", str(tmp_path / "people")]
    started = subprocess.Popen(
        [*command, f"--out={out}", "--processes=1"],
        cwd=repository,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        while not (out / "journal.jsonl").exists():
            assert started.poll() is None, started.communicate()
            time.sleep(0.005)
        started.send_signal(number)
        _, told = started.communicate(timeout=300)
    finally:
        started.kill()
    assert started.returncode == (130 if number == signal.SIGINT else -number), told
    assert not (out / "manifest.csv").exists()
    people = SetOptions(name="people", path="people")
    summary = prepared(tmp_path, out, people)
    assert 0 < sum(done.is_new for done in summary.sets[0].prepared.done) < 60
    prepared(tmp_path, tmp_path / "whole", people)
    assert contents(out) == contents(tmp_path / "whole")
