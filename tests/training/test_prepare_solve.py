"""Trimaps with random kernels and alphas solved from them, against figures whose alpha is known."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from shm_engine.compositing import over
from shm_engine.errors import OptionsError
from shm_engine.trimap import CERTAIN, Trimap
from tests.assertions import EXACT, Tolerance, assert_close, assert_mean_close
from tests.synthetic import ORANGE, disc_alpha, figure_alpha, texture
from tests.training.drawn import interleaved, store
from training.data.manifest import ManifestRow, read_manifest
from training.prepare import solve as module
from training.prepare.options import PrepareOptions, SetOptions
from training.prepare.run import choose, prepare
from training.prepare.sheet import PICTURES, draw_sheet
from training.prepare.solve import (
    CannotSolveError,
    classes_of,
    codes_of,
    draw_trimap,
    solve_alpha,
)
from training.stored import checksum

SIZE = 56
SOLVERS = ("knn", "closed_form")
needs_pymatting = pytest.mark.skipif(
    importlib.util.find_spec("pymatting") is None, reason="needs PyMatting, of the extra train"
)

# Means over the unknown pixels of `soft_disc`, whose mask is off by 0.20 there.
SOLVED = {
    "knn": Tolerance(0.11, "neighbours pull towards 0 and 1, and the scene is noisy: 0.096 seen"),
    "closed_form": Tolerance(0.06, "noise of the scene that looks like some person: 0.051 seen"),
}


def soft_disc() -> NDArray[np.float32]:
    """A disc whose outline is 12 pixels wide: a mask of it cannot be right."""
    small = disc_alpha(SIZE, SIZE, centre=(28, 26), radius=13)[0].numpy()
    return np.asarray(cv2.blur(small, (12, 12), borderType=cv2.BORDER_CONSTANT), np.float32)


def picture_of(alpha: NDArray[np.float32]) -> torch.Tensor:
    """[3, H, W]: orange of that alpha over a texture without orange."""
    height, width = alpha.shape
    scene = texture(height, width, seed=3) * torch.tensor([0.3, 0.5, 1.0]).view(3, 1, 1)
    return over(ORANGE, torch.from_numpy(alpha)[None], scene)


def colours_of(image: torch.Tensor) -> NDArray[np.float64]:
    return image.permute(1, 2, 0).double().numpy()


def unknown_of(trimap: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return trimap == Trimap.UNKNOWN


# Trimaps


@pytest.mark.parametrize("seed", range(20))
def test_a_drawn_trimap_fits_soft_and_hard_alphas(seed: int) -> None:
    rng = np.random.default_rng(seed)
    alpha = figure_alpha(int(rng.integers(33, 120)), int(rng.integers(33, 120)))[0].numpy()
    if seed % 2:
        alpha = (alpha > 0.5).astype(np.float32)
    classes = draw_trimap(alpha, (2, 14), rng)
    assert (alpha[classes == Trimap.FOREGROUND] >= 1 - CERTAIN).all()
    assert (alpha[classes == Trimap.BACKGROUND] <= CERTAIN).all()
    assert {*np.unique(classes)} == {*Trimap}
    certain = np.count_nonzero(classes == Trimap.FOREGROUND)
    assert certain >= 0.6 * np.count_nonzero(alpha >= 1 - CERTAIN)
    assert_close(classes_of(codes_of(classes)), classes, EXACT)


def test_kernels_vary_with_the_random_generator() -> None:
    alpha = figure_alpha(120, 120)[0].numpy()
    widths = {
        int(unknown_of(draw_trimap(alpha, (2, 14), np.random.default_rng(seed))).sum())
        for seed in range(12)
    }
    assert len(widths) > 8


def test_kernels_shrink_until_a_thin_person_keeps_something_certain() -> None:
    alpha = np.zeros((60, 60), np.float32)
    alpha[5:55, 28:31] = 1
    classes = draw_trimap(alpha, (14, 14), np.random.default_rng(0))
    assert (classes == Trimap.FOREGROUND).any()
    close_up = np.ones((60, 60), np.float32)
    close_up[:3] = 0
    classes = draw_trimap(close_up, (14, 14), np.random.default_rng(0))
    assert (classes == Trimap.BACKGROUND).any()


# Solving


@needs_pymatting
@pytest.mark.parametrize("method", SOLVERS)
def test_a_known_soft_alpha_is_recovered_better_than_by_its_mask(method: str) -> None:
    true_alpha = soft_disc()
    classes = draw_trimap(true_alpha, (2, 2), np.random.default_rng(0))
    unknown = unknown_of(classes)
    mask = (true_alpha > 0.5).astype(np.float32)
    alpha = solve_alpha(colours_of(picture_of(true_alpha)), classes, method)
    assert alpha.dtype == np.float32
    assert_mean_close(alpha[unknown], true_alpha[unknown], SOLVED[method])
    error_of_mask = np.abs(mask - true_alpha)[unknown].mean()
    assert np.abs(alpha - true_alpha)[unknown].mean() < 0.6 * error_of_mask
    assert_close(alpha[~unknown], (classes == Trimap.FOREGROUND)[~unknown], EXACT)


@needs_pymatting
def test_closed_form_is_the_same_in_the_box_as_in_the_whole_picture() -> None:
    import pymatting

    true_alpha = np.zeros((90, 120), np.float32)
    true_alpha[20 : 20 + SIZE, 40 : 40 + SIZE] = soft_disc()
    image = colours_of(picture_of(true_alpha))
    classes = draw_trimap(true_alpha, (2, 2), np.random.default_rng(0))
    whole = pymatting.estimate_alpha_cf(image, classes / 2)
    solver = Tolerance(1e-4, "conjugate gradients stop at 1e-7 of the right side, elsewhere each")
    assert_close(solve_alpha(image, classes, "closed_form"), whole, solver)


@pytest.mark.parametrize(
    ("only", "words"), [(Trimap.FOREGROUND, "background"), (Trimap.BACKGROUND, "foreground")]
)
def test_a_trimap_with_nothing_to_start_from_cannot_be_solved(only: Trimap, words: str) -> None:
    classes = np.full((40, 40), Trimap.UNKNOWN, np.uint8)
    classes[:9] = only
    with pytest.raises(CannotSolveError, match=f"no certain {words}"):
        solve_alpha(np.zeros((40, 40, 3)), classes, "knn")


def test_a_picture_that_would_fill_the_memory_is_not_solved(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_LARGEST_BOX_PIXELS", 999)
    classes = draw_trimap(soft_disc(), (2, 2), np.random.default_rng(0))
    with pytest.raises(CannotSolveError, match="pixels are too many for matting; make it smaller"):
        solve_alpha(np.zeros((SIZE, SIZE, 3)), classes, "knn")


def draw_soft_pairs(folder: Path) -> NDArray[np.float32]:
    """One picture with its mask and one where the mask is everywhere."""
    true_alpha = soft_disc()
    store(folder / "image" / "disc.png", interleaved(picture_of(true_alpha)))
    store(folder / "mask" / "disc.png", np.uint8(255) * (true_alpha > 0.5).astype(np.uint8))
    store(folder / "image" / "full.png", interleaved(texture(40, 50)))
    store(folder / "mask" / "full.png", np.full((40, 50), 255, np.uint8))
    return true_alpha


@needs_pymatting
def test_solved_alphas_replace_masks_and_what_cannot_be_solved_is_refused(tmp_path: Path) -> None:
    true_alpha = draw_soft_pairs(tmp_path / "people")
    store(tmp_path / "scenes" / "a.png", np.full((40, 40, 3), 5, np.uint8))
    sets = (SetOptions(name="people", path="people"), SetOptions(name="scenes", path="scenes"))
    options = PrepareOptions(sets=sets, data=str(tmp_path), trimap_radius_pixels=(8, 8))
    chosen = choose(options, alpha="closed_form", validate_every=None, seed=None)
    prepare(chosen, tmp_path / "out", map)
    disc, scene = read_manifest(tmp_path / "out" / "manifest.csv")
    assert (disc.kind, scene.kind) == ("solved", "background")
    assert disc.alpha == tmp_path.resolve() / "out" / "people" / "alpha" / "disc.png"
    assert disc.alpha_sha256 == checksum(disc.alpha)
    found = cv2.imread(str(disc.alpha), cv2.IMREAD_UNCHANGED)
    assert found is not None
    mask = true_alpha > 0.5
    assert np.abs(found / 255 - true_alpha).sum() < 0.7 * np.abs(mask - true_alpha).sum()
    refused = (tmp_path / "out" / "refused.csv").read_text().splitlines()
    assert refused[1:] == [
        '../people/image/full.png,"its trimap has no certain background, so no alpha can be solved"'
    ]
    assert not prepare(chosen, tmp_path / "out", map).changed


@needs_pymatting
def test_alphas_are_solved_from_trimaps_alone(tmp_path: Path) -> None:
    true_alpha = soft_disc()
    store(tmp_path / "a" / "image" / "disc.png", interleaved(picture_of(true_alpha)))
    trimap = codes_of(draw_trimap(true_alpha, (2, 2), np.random.default_rng(0)))
    store(tmp_path / "a" / "trimap" / "disc.png", trimap)
    options = PrepareOptions(sets=(SetOptions(name="a", path="a"),), data=str(tmp_path))
    prepare(
        choose(options, alpha="closed_form", validate_every=None, seed=None), tmp_path / "out", map
    )
    (row,) = read_manifest(tmp_path / "out" / "manifest.csv")
    assert row.trimap == tmp_path.resolve() / "a" / "trimap" / "disc.png"
    found = cv2.imread(str(row.alpha), cv2.IMREAD_UNCHANGED)
    assert found is not None
    unknown = trimap == 128
    assert_mean_close(found[unknown] / 255, true_alpha[unknown], SOLVED["closed_form"])


def test_without_pymatting_one_sentence_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw_soft_pairs(tmp_path / "people")
    sets = (SetOptions(name="people", path=str(tmp_path / "people"), alpha="knn"),)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    options = choose(PrepareOptions(sets=sets), alpha=None, validate_every=None, seed=None)
    with pytest.raises(OptionsError, match="needs PyMatting; pip install"):
        prepare(options, tmp_path / "out", map)


# Sheets


def sheet_of(rows: list[ManifestRow]) -> NDArray[np.uint8]:
    png = np.frombuffer(draw_sheet(rows, np.random.default_rng(0)), np.uint8)
    pixels = cv2.imdecode(png, cv2.IMREAD_COLOR)
    assert pixels is not None
    return np.asarray(pixels[..., ::-1])


def drawn_row(folder: Path, index: int = 0) -> ManifestRow:
    """A left half of orange, whose trimap is unknown everywhere."""
    alpha = np.zeros((40, 40), np.uint8)
    alpha[:, :20] = 255
    orange = interleaved(ORANGE.expand(3, 40, 40))
    for name, pixels in (("image", orange), ("alpha", alpha), ("trimap", np.full_like(alpha, 128))):
        store(folder / name / f"{index}.png", pixels)
    return ManifestRow(
        set="a",
        split="train",
        kind="alpha",
        weight=1.0,
        image=folder / "image" / f"{index}.png",
        alpha=folder / "alpha" / f"{index}.png",
        trimap=folder / "trimap" / f"{index}.png",
        image_sha256="0" * 64,
        alpha_sha256="0" * 64,
        width=40,
        height=40,
    )


def test_a_sheet_shows_picture_trimap_and_alpha_over_green(tmp_path: Path) -> None:
    sheet = sheet_of([drawn_row(tmp_path)])
    side = 180
    assert sheet[90, 90].tolist() == [230, 128, 26], "the picture"
    assert sheet[90, side + 90].tolist() == [128] * 3, "the trimap"
    assert sheet[90, 2 * side + 45].tolist() == [230, 128, 26], "the person"
    green = sheet[90, 2 * side + 135]
    assert green[1] > 2 * max(green[0], green[2]), "what stands behind"
    assert (sheet[side:, :side] > 150).any(), "the label"


def test_a_sheet_has_a_place_for_every_picture_up_to_its_number(tmp_path: Path) -> None:
    rows = [drawn_row(tmp_path, index) for index in range(PICTURES + 6)]
    whole = sheet_of(rows)
    assert whole.shape[0] // sheet_of(rows[:1]).shape[0] == PICTURES // 3
    assert sheet_of(rows).tobytes() == whole.tobytes()
    assert sheet_of(rows[:4]).shape[0] == 2 * sheet_of(rows[:3]).shape[0]
