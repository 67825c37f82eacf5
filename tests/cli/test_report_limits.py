"""Limits on a clip: what can be written, what breaks them, and what is said then."""

from __future__ import annotations

import json
import math
from array import array

import pytest

from cli.report.findings import FIGURES, Findings, Series
from cli.report.limits import Limit
from shm_engine.errors import OptionsError

NAN = math.nan


@pytest.fixture
def findings() -> Findings:
    """Of four frames: flicker 2, 4 and 6 (mean 4), area 0 to 30 % (mean 15 %)."""
    return Findings(
        series=Series(
            indices=array("q", range(4)),
            seconds=array("d", [0, 0.04, 0.08, 0.12]),
            areas=array("f", [0, 0.1, 0.2, 0.3]),
            flickers=array("f", [NAN, 2, 4, 6]),
            softs=array("f", [0, 0.01, 0.02, 0.03]),
            holes=array("H", [0, 2, 0, 1]),
            islands=array("H", [0, 0, 1, 0]),
            starts=array("B", [1, 0, 0, 0]),
            severities=array("f", [0, 0.5, 1, 1.5]),
        )
    )


def test_the_summary_has_every_figure(findings: Findings) -> None:
    summary = findings.summary()
    assert list(summary) == list(FIGURES)
    assert summary == pytest.approx(
        {
            "look": 2,
            "flicker": 4,
            "flicker-max": 6,
            "holes": 2,
            "islands": 1,
            "area": 15,
            "area-min": 0,
            "area-max": 30,
            "soft": 1.5,
            "empty": 25,
        }
    )


def test_the_summary_of_nothing_is_finite_and_fits_into_json() -> None:
    summary = Findings(series=Series()).summary()
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("flicker>3.5", "flicker>3.5"),
        (" area-min < 2 ", "area-min<2"),
        ("holes>0", "holes>0"),
        ("soft>.5", "soft>0.5"),
    ],
)
def test_a_limit_is_read_and_written(text: str, written: str) -> None:
    assert str(Limit.parse(text)) == written
    assert Limit.parse(written) == Limit.parse(text)


@pytest.mark.parametrize(
    "text", ["", "flicker", "flicker>", "flicker>=3", "flicker=3", "blur>3", "flicker>-1", ">3"]
)
def test_what_is_no_limit_is_refused_with_the_figures_there_are(text: str) -> None:
    with pytest.raises(OptionsError) as refused:
        Limit.parse(text)
    assert all(name in str(refused.value) for name in FIGURES)


@pytest.mark.parametrize(
    ("text", "is_broken"),
    [
        ("flicker>3.9", True),
        ("flicker>4", False),
        ("flicker<4", False),
        ("flicker<4.1", True),
        ("flicker-max>5", True),
        ("holes>1", True),
        ("holes>2", False),
        ("islands>0", True),
        ("area<20", True),
        ("area-max>31", False),
        ("empty>0", True),
        ("look>2", False),
    ],
)
def test_a_limit_is_broken_beyond_its_bound_and_not_at_it(
    findings: Findings, text: str, is_broken: bool
) -> None:
    assert (Limit.parse(text).broken_by(findings.summary()) is not None) == is_broken


def test_a_broken_limit_says_what_was_measured_and_what_was_asked_for(findings: Findings) -> None:
    assert Limit.parse("flicker>3.5").broken_by(findings.summary()) == (
        "mean flicker: 4.00 ‰; at most 3.5 ‰ is asked for (flicker>3.5)"
    )
    assert Limit.parse("area<20").broken_by(findings.summary()) == (
        "mean area: 15.0 %; at least 20 % is asked for (area<20)"
    )
    assert Limit.parse("holes>0").broken_by(findings.summary()) == (
        "most holes in a frame: 2; at most 0 is asked for (holes>0)"
    )


def test_a_value_just_beyond_the_bound_is_not_rounded_to_it(findings: Findings) -> None:
    said = Limit.parse("flicker>3.999").broken_by(findings.summary())
    assert said == "mean flicker: 4 ‰; at most 3.999 ‰ is asked for (flicker>3.999)"
