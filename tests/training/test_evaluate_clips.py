"""Clips: frames in order, boxes round the labelled person, movies, and what flickers."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from cli.video import VideoSource
from shm_engine.errors import ImageFileError, MattingError, OptionsError, VideoError
from shm_engine.types import Frame, Matte
from tests.assertions import EXACT, FLOAT32, assert_close
from tests.training.drawn import store
from training.evaluation.cases import Case, EvaluationSet, cases, clips
from training.evaluation.evaluate import METRICS, findings, summarise, through_engine
from training.evaluation.movies import Movie, read_movie

CLIPS = EvaluationSet(name="moving", kind="clips", path="clips")
BOXED = EvaluationSet(name="moving", kind="clips", path="clips", region="target_box")

# The person of every frame: rows 10 to 19, 20 columns from here on.
LEFTS = (10, 12, 14)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """clips/walk of three frames 40 x 60, whose grey levels 10, 11, 12 tell them apart, and
    clips/rest of two frames 8 x 8 with nobody."""
    for index, left in enumerate(LEFTS):
        mask = np.zeros((40, 60), np.uint8)
        mask[10:20, left : left + 20] = 255
        image = np.full((40, 60, 3), 10 + index, np.uint8)
        store(tmp_path / "clips" / "walk" / "image" / f"{index:03}.png", image)
        store(tmp_path / "clips" / "walk" / "mask" / f"{index:03}.png", mask)
    for index in range(2):
        nobody = np.zeros((8, 8), np.uint8)
        store(tmp_path / "clips" / "rest" / "image" / f"{index}.png", nobody)
        store(tmp_path / "clips" / "rest" / "alpha" / f"{index}.png", nobody)
    return tmp_path


class LateMatter:
    """In the place of a Matter: looks two frames ahead; alpha flickers from 0 to 1/2 and back."""

    def __init__(self) -> None:
        self.calls: list[list[tuple[int, int, float]]] = []

    def mattes(self, frames: Iterable[Frame]) -> Iterator[Matte]:
        call: list[tuple[int, int, float]] = []
        self.calls.append(call)
        waiting: list[Frame] = []
        for frame in frames:
            call.append((frame.index, frame.pts, float(frame.image.float().mean())))
            waiting.append(frame)
            if len(waiting) > 2:
                yield self._matte(waiting.pop(0))
        yield from map(self._matte, waiting)

    def _matte(self, frame: Frame) -> Matte:
        return Matte(frame=frame, alpha=torch.full((1, *frame.size), frame.index % 2 / 2))


def perfect(_: EvaluationSet, found: Iterator[Case]) -> Iterator[tuple[Case, np.ndarray]]:
    for case in found:
        yield case, case.true_alpha


def test_a_clip_goes_through_the_engine_as_a_clip(data: Path) -> None:
    matter = LateMatter()
    found = list(findings(through_engine(matter), data, CLIPS))  # type: ignore[arg-type]
    # One call a clip, indices and times from 0 on; every alpha comes back to its own case.
    assert matter.calls == [
        [(0, 0, 0.0), (1, 1, 0.0)],
        [(0, 0, 10.0), (1, 1, 11.0), (2, 2, 12.0)],
    ]
    names = ["rest/0", "rest/1", "walk/000", "walk/001", "walk/002"]
    assert [finding.case.name for finding in found] == names
    assert [finding.predicted_alpha[0, 0] for finding in found] == [0, 0.5, 0, 0.5, 0]


def test_figures_are_means_over_frames_and_then_over_clips(data: Path) -> None:
    found = findings(through_engine(LateMatter()), data, CLIPS, METRICS)  # type: ignore[arg-type]
    row = summarise("moving", found)
    assert row.pictures == 5
    rest, walk = row.units
    assert (rest.name, walk.name) == ("rest", "walk")
    assert rest.means["mad"] == pytest.approx((0 + 0.5) / 2)
    assert row.means["mad"] == pytest.approx((rest.means["mad"] + walk.means["mad"]) / 2)
    # Alpha changes by 1/2 everywhere and should not; the first frame counts as 0.
    assert rest.means["dtssd"] == pytest.approx((0 + 0.5) / 2)
    assert rest.means["dtssd_without_first"] == pytest.approx(0.5)
    # In walk 20 x 2 pixels should become 1 and 20 x 2 should become 0 (of 2400).
    change = np.zeros(2400) + 0.5
    change[:20], change[20:40] = 0.5 + 1, 0.5 - 1
    expected = np.sqrt(np.square(change).mean())
    assert walk.frames[1].figures["dtssd"] == pytest.approx(expected, rel=1e-5)
    assert "dtssd_without_first" not in walk.frames[0].figures


def test_a_perfect_clip_does_not_flicker(data: Path) -> None:
    means = summarise("moving", findings(perfect, data, CLIPS)).means
    assert (means["mad"], means["iou"], means["dtssd"]) == (0, 1, 0)


def test_the_box_is_a_tenth_larger_than_the_person_on_each_side(data: Path) -> None:
    shutil.rmtree(data / "clips" / "rest")
    for case, left in zip(cases(data, BOXED), LEFTS, strict=True):
        expected = np.zeros((40, 60), bool)
        expected[9:21, left - 2 : left + 22] = True
        assert case.region is not None
        assert (case.region == expected).all()


def test_bystanders_count_inside_the_box_only(data: Path) -> None:
    shutil.rmtree(data / "clips" / "rest")

    def with_bystander(columns: slice) -> dict[str, float]:
        def predict(_: EvaluationSet, found: Iterator[Case]) -> Iterator[tuple[Case, np.ndarray]]:
            for case in found:
                alpha = case.true_alpha.copy()
                alpha[:, columns] = 1
                yield case, alpha

        return summarise("moving", findings(predict, data, BOXED)).means

    far = with_bystander(slice(50, 60))
    assert (far["iou"], far["mad"], far["sad"], far["dtssd"]) == (1, 0, 0, 0)
    assert far["conn"] == 0
    assert with_bystander(slice(30, 40))["iou"] < 1


def test_a_box_at_the_edge_stays_in_the_picture(tmp_path: Path) -> None:
    mask = np.zeros((10, 10), np.uint8)
    mask[0:2, 9] = 255
    store(tmp_path / "x" / "image" / "a.png", np.zeros((10, 10, 3), np.uint8))
    store(tmp_path / "x" / "mask" / "a.png", mask)
    chosen = EvaluationSet(name="x", kind="mask", path="x", region="target_box")
    (case,) = cases(tmp_path, chosen)
    assert case.region is not None
    assert [list(axis) for axis in np.nonzero(case.region)] == [[0, 0, 1, 1, 2, 2], [8, 9] * 3]


def test_a_frame_without_the_person_has_no_box(data: Path) -> None:
    with pytest.raises(OptionsError, match=r"the mask of rest/0 is empty"):
        list(cases(data, BOXED))


def test_frames_of_a_clip_have_one_size(data: Path) -> None:
    for folder in ("image", "alpha"):
        store(data / "clips" / "rest" / folder / "1.png", np.zeros((9, 8), np.uint8))
    with pytest.raises(ImageFileError, match="rest/1 differs in size"):
        list(cases(data, CLIPS))


def test_a_folder_without_clips_is_named(tmp_path: Path) -> None:
    with pytest.raises(OptionsError, match="'moving' has no pictures"):
        list(cases(tmp_path, CLIPS))


# Movies


@pytest.fixture
def filmed(tmp_path: Path, repository: Path) -> Path:
    """clips/ with the sample clip and its exact alpha, named as movies are."""
    folder = tmp_path / "clips"
    folder.mkdir()
    (folder / "turn_rgb.mp4").symlink_to(repository / "samples" / "turn.mp4")
    (folder / "turn_alpha.mkv").symlink_to(repository / "samples" / "turn_alpha.mkv")
    return tmp_path


def test_a_movie_has_the_pixels_that_shm_matte_sees(filmed: Path, repository: Path) -> None:
    (clip,) = clips(filmed, CLIPS)
    assert clip.name == "turn"
    found = list(clip.cases)
    assert [case.name for case in found] == [f"turn/{index:05}" for index in range(48)]
    with (
        VideoSource(repository / "samples" / "turn.mp4") as colours,
        VideoSource(repository / "samples" / "turn_alpha.mkv") as alphas,
    ):
        for case, colour, alpha in zip(found, colours, alphas, strict=True):
            assert_close(case.image, colour.image.permute(1, 2, 0), EXACT)
            assert_close(case.true_alpha, alpha.image[0].float() / 255, FLOAT32)


def test_alpha_of_a_movie_is_exact_and_moves(filmed: Path) -> None:
    (clip,) = clips(filmed, CLIPS)
    alphas = [case.true_alpha for case in clip.cases]
    assert all((alpha.min(), alpha.max()) == (0, 1) for alpha in alphas)
    assert all(0 < np.abs(a - b).mean() < 0.1 for a, b in pairwise(alphas))


@pytest.mark.parametrize(
    ("colours", "alpha", "said"),
    [
        ("turn.mp4", None, "has no alpha; put it into turn_alpha.mkv"),
        ("turn.mp4", b"", "cannot be read as a movie"),
        ("turn.mp4", b"no movie at all", "cannot be read as a movie"),
        ("turn.mp4", "half", "differ in length or size at frame"),
    ],
)
def test_a_movie_that_cannot_be_used_is_named(
    tmp_path: Path, repository: Path, colours: str, alpha: bytes | str | None, said: str
) -> None:
    folder = tmp_path / "clips"
    folder.mkdir()
    shutil.copy(repository / "samples" / colours, folder / "turn_rgb.mp4")
    whole = (repository / "samples" / "turn_alpha.mkv").read_bytes()
    if alpha is not None:
        content = whole[: len(whole) // 2] if isinstance(alpha, str) else alpha
        (folder / "turn_alpha.mkv").write_bytes(content)
    with pytest.raises(MattingError, match=said):
        list(cases(tmp_path, CLIPS))


def test_two_films_of_different_size_are_named(tmp_path: Path, repository: Path) -> None:
    small = tmp_path / "small.avi"
    writer = cv2.VideoWriter(str(small), cv2.VideoWriter.fourcc(*"MJPG"), 24, (32, 16))
    writer.write(np.zeros((16, 32, 3), np.uint8))
    writer.release()
    with pytest.raises(VideoError, match="size at frame 0"):
        list(read_movie(Movie("x", repository / "samples" / "turn.mp4", small)))
