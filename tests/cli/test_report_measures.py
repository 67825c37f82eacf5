"""What the report measures, on clips whose holes, pieces, areas and flicker were planted."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import islice, pairwise

import cv2
import numpy as np
import pytest
import torch

from cli.report.about import About
from cli.report.findings import Findings, Picture
from cli.report.measures import Recorder
from cli.report.page import page
from shm_engine.compositing import from_unit, over
from shm_engine.errors import MattingError
from shm_engine.types import Frame, Matte
from tests.synthetic import ORANGE, disc_alpha, texture

_HEIGHT, _WIDTH = 180, 320

# Where the walking disc begins, and how far it comes in a frame, in pixels.
_START, _STEP = 70, 3

# Of the size of things that were drawn, by pixels that count wholly or not at all.
_ROUNDING = 0.02

# Flicker of the walking disc in thousandths: all of it is error of the flow, most at the outline.
_FLOW_ERROR = 2.0


def matte(
    alpha: torch.Tensor, index: int = 0, *, seed: int = 0, dtype: torch.dtype = torch.uint8
) -> Matte:
    """An orange thing over a texture that stands still; 25 frames a second."""
    _, height, width = alpha.shape
    image = from_unit(over(ORANGE, alpha, texture(height, width, seed)), dtype)
    return Matte(frame=Frame(image=image, index=index, pts=index), alpha=alpha)


def still_clip(count: int, seed: int = 0) -> list[Matte]:
    """A disc in the middle that stands still."""
    alpha = disc_alpha(_HEIGHT, _WIDTH, centre=(90, 160), radius=60)
    one = matte(alpha, seed=seed)
    return [replace(one, frame=replace(one.frame, index=i, pts=i)) for i in range(count)]


def walking_clip(count: int, torn: Sequence[int] = ()) -> list[Matte]:
    """A patterned disc that walks to the right; at the frames `torn` alpha has a hole."""
    mattes = []
    pattern, behind = texture(_HEIGHT, _WIDTH, seed=9), texture(_HEIGHT, _WIDTH)
    for index in range(count):
        x = _START + _STEP * index
        alpha = disc_alpha(_HEIGHT, _WIDTH, centre=(90, x), radius=45)
        walked = over(torch.roll(pattern, _STEP * index, dims=2), alpha, behind)
        if index in torn:
            alpha[:, 80:100, x - 10 : x + 10] = 0
        frame = Frame(image=from_unit(walked, torch.uint8), index=index, pts=index)
        mattes.append(Matte(frame=frame, alpha=alpha))
    return mattes


def joined(*clips: Sequence[Matte]) -> list[Matte]:
    """The clips one after the other."""
    mattes = [one for clip in clips for one in clip]
    return [replace(one, frame=replace(one.frame, index=i, pts=i)) for i, one in enumerate(mattes)]


def found_in(mattes: Iterable[Matte]) -> Findings:
    recorder = Recorder()
    for _ in recorder.watch(mattes):
        pass
    return recorder.findings()


def picture_of(jpeg: bytes) -> np.ndarray:
    """RGB [H, W, 3] uint8."""
    decoded = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    return cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)


def test_mattes_pass_as_they_are_and_one_at_a_time() -> None:
    given = walking_clip(5)
    taken = 0

    def source() -> Iterable[Matte]:
        nonlocal taken
        for one in given:
            taken += 1
            yield one

    watched = Recorder().watch(source())
    for number, expected in enumerate(given, start=1):
        assert next(watched) is expected
        assert taken == number
    assert next(watched, None) is None


def test_mattes_are_left_untouched() -> None:
    given = walking_clip(3, torn=[1])
    before = [one.alpha.clone() for one in given]
    found_in(given)
    assert all(torch.equal(one.alpha, alpha) for one, alpha in zip(given, before, strict=True))


def test_the_area_is_that_of_the_disc() -> None:
    found = found_in(still_clip(2))
    true_area = math.pi * 60**2 / (_HEIGHT * _WIDTH)
    assert found.series.areas[0] == pytest.approx(true_area, rel=_ROUNDING)
    assert found.summary()["area"] == pytest.approx(100 * true_area, rel=_ROUNDING)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_holes_are_counted(count: int) -> None:
    alpha = disc_alpha(_HEIGHT, _WIDTH, centre=(90, 160), radius=80)
    for number in range(count):
        centre = (60 + 30 * number, 140 + 20 * number)
        alpha = alpha - disc_alpha(_HEIGHT, _WIDTH, centre=centre, radius=8)
    assert list(found_in([matte(alpha)]).series.holes) == [count]


def test_a_notch_and_a_pinprick_are_no_holes() -> None:
    alpha = disc_alpha(_HEIGHT, _WIDTH, centre=(90, 160), radius=60)
    alpha[:, 85:95, 150:] = 0  # open to the right
    alpha[:, 50:52, 160:162] = 0
    assert list(found_in([matte(alpha)]).series.holes) == [0]


@pytest.mark.parametrize("count", [1, 2, 4])
def test_pieces_besides_the_largest_are_counted(count: int) -> None:
    alpha = torch.zeros(1, _HEIGHT, _WIDTH)
    for number in range(count):
        alpha += disc_alpha(_HEIGHT, _WIDTH, centre=(90, 40 + 80 * number), radius=20 + number)
    alpha[:, 2, 2] = 1  # a speck
    assert list(found_in([matte(alpha)]).series.islands) == [count - 1]


def test_nobody_is_no_piece_and_no_hole() -> None:
    found = found_in([matte(torch.zeros(1, _HEIGHT, _WIDTH))])
    assert (found.series.holes[0], found.series.islands[0]) == (0, 0)
    assert found.summary()["empty"] == 100


def test_soft_pixels_are_counted_at_full_size() -> None:
    alpha = torch.zeros(1, 720, 1280)
    alpha[..., 320:640] = 1
    alpha[..., 640:768] = 0.5
    assert found_in([matte(alpha)]).series.softs[0] == pytest.approx(0.1, rel=_ROUNDING)


def test_a_still_clip_does_not_flicker_and_has_nothing_to_look_at() -> None:
    found = found_in(still_clip(6))
    assert found.summary()["flicker-max"] == 0
    assert found.worst == []


def test_what_only_moves_hardly_flickers() -> None:
    summary = found_in(walking_clip(12)).summary()
    assert summary["flicker-max"] < _FLOW_ERROR
    assert summary["look"] == 0


def test_planted_flicker_is_found_where_and_when_it_was_planted() -> None:
    found = found_in(walking_clip(20, torn=[13]))
    flickers = list(found.series.flickers)
    # A fault shows when it comes and when it goes.
    assert set(sorted(range(1, 20), key=lambda index: -flickers[index])[:2]) == {13, 14}
    planted = 1e3 * 20 * 20 / (_HEIGHT * _WIDTH)
    assert flickers[13] == pytest.approx(planted, abs=_FLOW_ERROR)
    worst = found.worst[0]
    assert worst.index == 13
    assert worst.seconds == pytest.approx(13 / 25)
    assert worst.reasons[0].text.startswith("A hole opens in the middle")
    box = worst.reasons[0].box
    assert box.left <= (_START + 13 * _STEP) / _WIDTH <= box.left + box.width
    assert box.top <= 0.5 <= box.top + box.height


def test_flicker_that_tears_nothing_is_named_flicker() -> None:
    clip = still_clip(10)
    faint = clip[4].alpha.clone()
    faint[:, 60:100, 190:230] *= 0.6
    clip[4] = replace(clip[4], alpha=faint)
    worst = found_in(clip).worst[0]
    assert worst.index in (4, 5)
    assert worst.reasons[0].text.startswith("Flicker ")
    assert worst.part.left <= 210 / _WIDTH <= worst.part.left + worst.part.width


def test_a_loose_piece_that_appears_is_named() -> None:
    clip = still_clip(8)
    spotted = clip[5].alpha + disc_alpha(_HEIGHT, _WIDTH, centre=(30, 40), radius=7)
    clip[5] = replace(clip[5], alpha=spotted)
    worst = found_in(clip).worst[0]
    assert worst.index == 5
    assert worst.reasons[0].text.startswith("A loose piece appears at the top left")


def test_a_person_who_is_lost_is_named() -> None:
    clip = still_clip(8)
    clip[6] = replace(clip[6], alpha=torch.zeros_like(clip[6].alpha))
    found = found_in(clip)
    texts = {reason.text for moment in found.worst[:2] for reason in moment.reasons}
    assert "The person is lost: from 20 % to 0 % of the picture." in texts
    assert "A person appears at once: from 0 % to 20 % of the picture." in texts


def test_a_hole_that_stays_is_told_once() -> None:
    clip = still_clip(40)
    hole = disc_alpha(_HEIGHT, _WIDTH, centre=(90, 160), radius=12)
    clip = [*clip[:10], *(replace(one, alpha=one.alpha - hole) for one in clip[10:])]
    found = found_in(clip)
    assert list(found.series.holes) == [0] * 10 + [1] * 30
    assert [moment.index for moment in found.worst] == [10]


def test_nothing_is_compared_across_a_cut() -> None:
    other = [
        matte(disc_alpha(_HEIGHT, _WIDTH, centre=(50, 60), radius=30), seed=5) for _ in range(4)
    ]
    series = found_in(joined(still_clip(4), other)).series
    assert list(series.starts) == [1, 0, 0, 0, 1, 0, 0, 0]
    assert [math.isnan(value) for value in series.flickers] == [s == 1 for s in series.starts]
    assert max(series.severities) == 0


def test_nothing_is_compared_across_a_gap_in_time_or_a_change_of_size() -> None:
    clip = still_clip(3)
    late = replace(clip[2], frame=replace(clip[2].frame, pts=40))
    smaller = matte(disc_alpha(90, 160, centre=(45, 80), radius=30))
    smaller = replace(smaller, frame=replace(smaller.frame, index=3, pts=41))
    series = found_in([*clip[:2], late, smaller]).series
    assert list(series.starts) == [1, 0, 1, 1]


def test_a_clip_of_one_frame_has_finite_figures() -> None:
    summary = found_in(still_clip(1)).summary()
    assert summary["flicker"] == summary["flicker-max"] == 0
    assert all(math.isfinite(value) for value in summary.values())


@pytest.mark.parametrize(
    "size", [(1, 1), (1, 7), (3, 2), (1, 1000), (1000, 1), (17, 640), (333, 35), (361, 641)]
)
def test_pictures_of_any_size_are_measured(size: tuple[int, int]) -> None:
    clip = joined([matte(torch.full((1, *size), 0.75)) for _ in range(3)])
    found = found_in(clip)
    assert list(found.series.areas) == [0.75] * 3
    assert list(found.series.flickers)[1:] == [0, 0]
    assert picture_of(found.spread[0].jpeg).shape[:2] == (
        found.spread[0].height,
        found.spread[0].width,
    )
    assert max(found.spread[0].height, found.spread[0].width) == min(320, max(size))


def test_pictures_of_one_colour_do_not_flicker() -> None:
    alpha = disc_alpha(_HEIGHT, _WIDTH, centre=(90, 160), radius=60)
    black = Frame(image=torch.zeros(3, _HEIGHT, _WIDTH, dtype=torch.uint8))
    clip = joined([Matte(frame=black, alpha=alpha) for _ in range(3)])
    assert list(found_in(clip).series.flickers)[1:] == [0, 0]


@pytest.mark.parametrize("dtype", [torch.uint16, torch.float32])
def test_deep_pictures_give_the_figures_of_8_bits(dtype: torch.dtype) -> None:
    drawn = walking_clip(6, torn=[3])
    deep = []
    for one in drawn:
        unit = one.frame.image.to(torch.float32) / 255
        deep.append(replace(one, frame=replace(one.frame, image=from_unit(unit, dtype))))
    expected, found = found_in(drawn).series, found_in(deep).series
    assert found.areas == expected.areas
    assert list(found.flickers)[1:] == pytest.approx(list(expected.flickers)[1:])


def test_interleaved_pictures_give_the_figures_of_planes() -> None:
    planes = walking_clip(4, torn=[2])
    interleaved = []
    for one in planes:
        image = one.frame.image.permute(1, 2, 0).contiguous().permute(2, 0, 1)
        interleaved.append(replace(one, frame=replace(one.frame, image=image)))
    assert state_after(interleaved) == state_after(planes)


def state_after(mattes: Iterable[Matte]) -> bytes:
    recorder = Recorder()
    for _ in recorder.watch(mattes):
        pass
    return recorder.state()


def test_thumbnails_show_the_cut_out_over_green_in_the_proportions_of_the_picture() -> None:
    one = matte(disc_alpha(360, 360, centre=(180, 180), radius=120))
    stretched = replace(one, frame=replace(one.frame, pixel_aspect=Fraction(2)))
    picture = found_in([stretched]).spread[0]
    assert (picture.width, picture.height) == (320, 160)
    pixels = picture_of(picture.jpeg).astype(int)
    assert abs(pixels[5, 5] - [0, 176, 64]).max() < 12
    assert abs(pixels[80, 160] - 255 * ORANGE.flatten().numpy()).max() < 12


def test_a_close_up_shows_the_marked_part_of_the_picture() -> None:
    clip = still_clip(6)
    spotted = clip[3].alpha + disc_alpha(_HEIGHT, _WIDTH, centre=(30, 40), radius=7)
    clip[3] = replace(clip[3], alpha=spotted)
    moment = found_in(clip).worst[0]
    close_up = picture_of(moment.close_up)
    assert close_up.shape[0] == pytest.approx(moment.part.height * _HEIGHT, abs=1)
    assert close_up.shape[1] == pytest.approx(moment.part.width * _WIDTH, abs=1)
    is_green = close_up[..., 1] > 2 * close_up[..., 0].astype(int)
    assert not is_green[close_up.shape[0] // 2, close_up.shape[1] // 2], "the spot is in its middle"
    assert is_green[0].all(), "nothing else is near"
    assert is_green[-1].all()


def _torn_and_cut() -> list[Matte]:
    return joined(walking_clip(18, torn=[9, 15]), still_clip(8, seed=4))


@pytest.mark.parametrize("split", [0, 1, 9, 10, 18, 19, 26])
def test_stopped_and_resumed_gives_the_same_page(split: int) -> None:
    clip = _torn_and_cut()
    whole = Recorder()
    for _ in whole.watch(clip):
        pass
    first = Recorder()
    for _ in islice(first.watch(clip), split):
        pass
    resumed = Recorder(first.state())
    for _ in resumed.watch(clip[split:]):
        pass
    assert resumed.state() == whole.state()
    about = About(source="clip.mp4", frame_rate=Fraction(25))
    assert page(resumed.findings(), about) == page(whole.findings(), about)


def test_the_state_holds_what_was_handed_on_and_no_more() -> None:
    clip = walking_clip(6)
    recorder = Recorder()
    watched = recorder.watch(clip)
    for _ in range(3):
        next(watched)
    assert recorder.state() == state_after(clip[:3])


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: b"",
        lambda state: state[:-1],
        lambda state: b"another" + state,
        lambda state: state[:500] + bytes([state[500] ^ 1]) + state[501:],
    ],
)
def test_a_damaged_state_is_refused(damage: Callable[[bytes], bytes]) -> None:
    with pytest.raises(MattingError, match="start the clip anew"):
        Recorder(damage(state_after(still_clip(2))))


def test_thumbnails_are_few_and_evenly_spread_however_long_the_clip_is() -> None:
    one = matte(disc_alpha(24, 32, centre=(12, 16), radius=8))
    for count, step in ((1, 1), (16, 1), (17, 2), (40, 4), (700, 64)):
        clip = (replace(one, frame=replace(one.frame, index=i, pts=i)) for i in range(count))
        indices = [picture.index for picture in found_in(clip).spread]
        assert indices == list(range(0, count, step))
        assert len(indices) <= 16


def test_the_worst_frames_of_a_long_clip_are_kept_apart_and_are_the_worst() -> None:
    size = (48, 64)
    plain = disc_alpha(*size, centre=(24, 32), radius=16)
    torn = plain.clone()
    torn[:, 18:30, 26:38] = 0.2
    planted = {50 * number + 7 for number in range(1, 13)}
    frame = matte(plain).frame
    clip = (
        Matte(frame=replace(frame, index=i, pts=i), alpha=torn if i in planted else plain)
        for i in range(700)
    )
    recorder = Recorder()
    for _ in recorder.watch(clip):
        pass
    worst = recorder.findings().worst
    assert len(worst) == 10
    assert all(moment.index in planted or moment.index - 1 in planted for moment in worst)
    times = sorted(moment.seconds for moment in worst)
    assert min(later - earlier for earlier, later in pairwise(times)) >= 1
    assert len(recorder.state()) < 700 * 40 + 32 * 8000


def test_frames_keep_their_numbers_and_times() -> None:
    clip = [
        replace(
            one, frame=replace(one.frame, index=i + 100, pts=1000 * i, time_base=Fraction(1, 30000))
        )
        for i, one in enumerate(still_clip(3))
    ]
    series = found_in(clip).series
    assert list(series.indices) == [100, 101, 102]
    assert list(series.seconds) == pytest.approx([0, 1 / 30, 2 / 30])


def test_equal_clips_give_equal_bytes() -> None:
    assert state_after(_torn_and_cut()) == state_after(_torn_and_cut())


def test_pictures_know_their_frames() -> None:
    found = found_in(walking_clip(10, torn=[8]))
    shown: list[Picture] = [*found.spread, *found.worst]
    for picture in shown:
        assert picture.seconds == pytest.approx(picture.index / 25)
