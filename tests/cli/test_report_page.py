"""The page of the report: complete in itself, safe, and true to what was found."""

from __future__ import annotations

import math
import re
from array import array
from fractions import Fraction
from html.parser import HTMLParser
from pathlib import Path

import pytest

from cli.formats.timecode import timecode_of
from cli.report.about import About
from cli.report.charts import Axis, Chart, Pin, draw
from cli.report.clock import clock
from cli.report.findings import Box, Findings, Moment, Picture, Reason, Series
from cli.report.limits import Limit
from cli.report.page import page, write_page
from shm_engine.errors import MattingError

# Elements of HTML that have no end.
_VOID = {"meta", "img"}

_JPEG = b"\xff\xd8 not really \xff\xd9"


class Reader(HTMLParser):
    """Collects elements and text; fails where an end does not fit its beginning."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in _VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def of(self, tag: str, css_class: str | None = None) -> list[dict[str, str | None]]:
        """The attributes of all elements of a tag (and a class)."""
        return [
            attributes
            for name, attributes in self.elements
            if name == tag
            and (css_class is None or css_class in (attributes.get("class") or "").split())
        ]


def series_of(count: int, cut: int | None = None) -> Series:
    """Frames at 25 a second; flicker and area are the same all the time."""
    starts = [index in (0, cut) for index in range(count)]
    return Series(
        indices=array("q", range(count)),
        seconds=array("d", [index / 25 for index in range(count)]),
        areas=array("f", [0.25] * count),
        flickers=array("f", [math.nan if start else 2 for start in starts]),
        softs=array("f", [0.02] * count),
        holes=array("H", [0] * count),
        islands=array("H", [0] * count),
        starts=array("B", starts),
        severities=array("f", [0] * count),
    )


def moment(index: int, severity: float = 1.5, text: str = "A hole opens.") -> Moment:
    box = Box(0.25, 0.5, 0.1, 0.2)
    return Moment(
        index=index,
        seconds=index / 25,
        jpeg=_JPEG,
        width=320,
        height=180,
        reasons=(Reason(severity, text, box),),
        close_up=_JPEG,
        part=box,
    )


def picture(index: int) -> Picture:
    return Picture(index=index, seconds=index / 25, jpeg=_JPEG, width=320, height=180)


@pytest.fixture
def findings() -> Findings:
    return Findings(
        series=series_of(50, cut=30),
        worst=[moment(40), moment(10, 0.4, "Flicker at the top.")],
        spread=[picture(0), picture(32)],
    )


@pytest.fixture
def about() -> About:
    return About(
        source="clip.mp4",
        facts=["1920 × 1080"],
        tables={"Settings": {"Smoothing": "unheard-of"}, "Timing": {"Speed": "14 frames a second"}},
    )


def test_the_page_needs_nothing_from_elsewhere_and_runs_nothing(
    findings: Findings, about: About
) -> None:
    html = page(findings, about)
    read = Reader(html)
    addresses = [
        value
        for _, attributes in read.elements
        for name, value in attributes.items()
        if name in {"src", "href", "srcset", "action", "data"}
    ]
    assert addresses
    assert all(value and value.startswith(("data:image/jpeg;base64,", "#")) for value in addresses)
    assert not read.of("script")
    assert not read.of("link")
    assert "url(" not in html
    assert "@import" not in html
    policy = next(meta["content"] for meta in read.of("meta") if "http-equiv" in meta)
    assert policy is not None
    assert policy.startswith("default-src 'none'")


@pytest.mark.parametrize(
    "name", ['<script>alert("1")</script>.mp4', "a'b\"c&amp;<b>.mov", "é 🎬.mp4"]
)
def test_names_and_settings_are_shown_as_they_are(findings: Findings, name: str) -> None:
    about = About(source=name, facts=[name], tables={name: {name: name}}, first_timecode=name)
    read = Reader(page(findings, about))
    assert not read.of("script")
    assert not read.of("b", "mov")
    # In the title and the heading, as a fact, and three times in a table.
    assert read.text.count(name) == 6


def test_marks_in_the_curves_lead_to_the_worst_frames(findings: Findings, about: About) -> None:
    read = Reader(page(findings, about))
    leads = {pin["href"] for pin in read.of("a", "pin")}
    ids = {f"#{attributes['id']}" for _, attributes in read.elements if "id" in attributes}
    assert leads == ids == {"#moment-1", "#moment-2"}
    first = next(pin for pin in read.of("a", "pin") if pin["href"] == "#moment-1")
    assert f"left:{100 * 40 / 49:.2f}%" in (first["style"] or "")


def test_only_what_asks_for_a_look_is_marked_so(findings: Findings, about: About) -> None:
    read = Reader(page(findings, about))
    marked = [item["id"] for item in read.of("li", "look")]
    assert marked == ["moment-1"]


def test_worst_frames_have_time_code_number_and_reason(findings: Findings, about: About) -> None:
    assert "1.60 s frame 40" in Reader(page(findings, about)).text
    with_rate = About(source="clip.mp4", frame_rate=Fraction(25), first_timecode="10:00:00:00")
    text = Reader(page(findings, with_rate)).text
    assert "10:00:01:15 frame 40, 1.60 s" in text
    assert "A hole opens." in text


def test_limits_are_judged(findings: Findings) -> None:
    limits = [Limit.parse("flicker>1"), Limit.parse("area<10")]
    read = Reader(page(findings, About(source="clip.mp4", limits=limits)))
    assert "Failed: mean flicker: 2.00 ‰; at most 1 ‰ is asked for (flicker>1)." in read.text
    assert "Passed: mean area: 25.0 %; at least 10 % is asked for (area<10)." in read.text
    assert read.of("section", "bad")
    passed = About(source="clip.mp4", limits=limits[1:])
    assert not Reader(page(findings, passed)).of("section", "bad")


def test_tables_are_shown_in_their_order(findings: Findings, about: About) -> None:
    text = Reader(page(findings, about)).text
    assert text.index("Smoothing") < text.index("unheard-of") < text.index("14 frames a second")


def test_the_flicker_curve_breaks_at_a_cut(findings: Findings, about: About) -> None:
    html = page(findings, about)
    flicker = html[html.index("<b>Flicker</b>") : html.index("<b>Area</b>")]
    assert flicker.count('class="curve"') == 2
    assert flicker.count('class="cut"') == 1
    assert f'class="cut" d="M{1000 * 30 / 49:.2f} 0' in flicker


@pytest.mark.parametrize("count", [0, 1, 2])
def test_very_short_clips_have_a_page(about: About, count: int) -> None:
    found = Findings(series=series_of(count), spread=[picture(index) for index in range(count)])
    text = Reader(page(found, about)).text
    counted = {0: "No frame was measured.", 1: "1 frame", 2: "2 frames"}
    assert counted[count] in text
    assert "nan" not in page(found, about).lower()


def test_a_long_clip_has_a_small_page_that_keeps_its_peaks(about: About) -> None:
    series = series_of(100_000)
    series.flickers[77_777] = 50
    html = page(Findings(series=series, spread=[picture(0)]), about)
    assert len(html) < 300_000
    chart = Chart(title="", meaning="", unit="", values=series.flickers, at_least=2)
    drawn = draw(chart, Axis(seconds=series.seconds, cuts=[], pins=[]))
    band = re.findall(r'class="band" points="([^"]*)"', drawn)[0]
    x, _ = min((tuple(map(float, point.split(","))) for point in band.split()), key=lambda p: p[1])
    assert x == pytest.approx(777.77, abs=1)


def test_a_curve_goes_through_its_values() -> None:
    seconds = [10.0, 11.0, 12.0, 14.0]
    chart = Chart(title="", meaning="", unit=" %", values=[0, 1, 4, 2], at_least=1)
    drawn = draw(chart, Axis(seconds=seconds, cuts=[], pins=[]))
    assert 'd="M0.00,100.00 250.00,75.00 500.00,0.00 1000.00,50.00h0"' in drawn
    assert re.findall(r'bottom:([\d.]+)%">([^<]*)<', drawn) == [
        ("0.00", "0"),
        ("25.00", "1"),
        ("50.00", "2"),
        ("75.00", "3"),
        ("100.00", "4 %"),
    ]
    assert '<span class="along" style="left:50.00%">12 s</span>' in drawn


def test_counts_have_whole_steps() -> None:
    axis = Axis(seconds=[0.0, 1.0], cuts=[], pins=[])
    drawn = draw(
        Chart(title="", meaning="", unit="", values=[0, 1], at_least=2, is_count=True), axis
    )
    assert 'd="M0.00,100.00 500.00,100.00 500.00,50.00 1000.00,50.00h0"' in drawn
    assert re.findall(r'class="up"[^>]*>([^<]*)<', drawn) == ["0", "1", "2"]


@pytest.mark.parametrize("most", [1e-4, 0.3, 1, 3.7, 9.99, 10, 26, 101, 54321])
def test_an_axis_holds_all_values_with_a_few_steps(most: float) -> None:
    drawn = draw(
        Chart(title="", meaning="", unit="", values=[most], at_least=0),
        Axis(seconds=[0.0], cuts=[], pins=[]),
    )
    labels = [float(label) for label in re.findall(r'class="up"[^>]*>([^<]*)<', drawn)]
    assert labels[0] == 0
    assert most <= labels[-1] * 1.001 <= 2.6 * most
    assert 3 <= len(labels) <= 6


def test_marks_that_would_overlap_are_put_above_one_another() -> None:
    pins = [Pin(second, str(second), "x", is_alert=False) for second in (10.0, 10.5, 11.0, 50.0)]
    drawn = draw(
        Chart(title="", meaning="", unit="", values=[0, 0], at_least=1),
        Axis(seconds=[0.0, 100.0], cuts=[], pins=pins),
    )
    assert re.findall(r"--lane:(\d)", drawn) == ["0", "1", "2", "0"]


@pytest.mark.parametrize(
    ("index", "rate", "first", "shown"),
    [
        (0, Fraction(25), "00:00:00:00", "00:00:00:00"),
        (25 * 3661 + 7, Fraction(25), "00:00:00:00", "01:01:01:07"),
        (30, Fraction(24), "01:00:00:00", "01:00:01:06"),
        (1800, Fraction(30000, 1001), "00:00:00:00", "00:01:00:00"),
        (1799, Fraction(30000, 1001), "00:00:00;00", "00:00:59;29"),
        (1800, Fraction(30000, 1001), "00:00:00;00", "00:01:00;02"),
        (17981, Fraction(30000, 1001), "00:00:00;00", "00:09:59;29"),
        (17982, Fraction(30000, 1001), "00:00:00;00", "00:10:00;00"),
        (2, Fraction(30000, 1001), "00:09:59;28", "00:10:00;00"),
        (1, Fraction(30000, 1001), "01:00:59;29", "01:01:00;02"),
        (3600, Fraction(60000, 1001), "00:00:00;00", "00:01:00;04"),
        (1, Fraction(25), "23:59:59:24", "00:00:00:00"),
        (5, Fraction(25), "nonsense", "00:00:00:05"),
    ],
)
def test_time_codes_count_as_smpte_does(index: int, rate: Fraction, first: str, shown: str) -> None:
    assert timecode_of(index, rate, first) == shown


@pytest.mark.parametrize(
    ("seconds", "digits", "shown"),
    [
        (0, 0, "0 s"),
        (12.484, 2, "12.48 s"),
        (119.999, 2, "120.00 s"),
        (125, 0, "2:05"),
        (125, 2, "2:05.00"),
        (3599.999, 2, "1:00:00.00"),
        (3725.5, 1, "1:02:05.5"),
        (-130, 0, "-2:10"),
    ],
)
def test_times_are_short_where_they_can_be(seconds: float, digits: int, shown: str) -> None:
    assert clock(seconds, digits) == shown


def test_the_page_is_written_whole_and_replaces_an_older_one(
    findings: Findings, about: About, tmp_path: Path
) -> None:
    target = tmp_path / "report.html"
    target.write_text("older")
    write_page(target, findings, about)
    assert target.read_text(encoding="utf-8") == page(findings, about)
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_a_page_that_cannot_be_written_is_one_sentence(
    findings: Findings, about: About, tmp_path: Path
) -> None:
    with pytest.raises(MattingError, match=r"report\.html cannot be written"):
        write_page(tmp_path / "missing" / "report.html", findings, about)
    (tmp_path / "folder").mkdir()
    with pytest.raises(MattingError, match="cannot be written"):
        write_page(tmp_path / "folder", findings, about)
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
