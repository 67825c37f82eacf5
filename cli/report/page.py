"""The report as one HTML page that needs nothing else; measures nothing.

No script, no font, no picture from elsewhere: the page may be sent by mail and kept for years.
"""

from __future__ import annotations

from html import escape
from itertools import compress
from pathlib import Path

from cli.report.about import About
from cli.report.charts import Axis, Chart, Pin, draw
from cli.report.findings import FIGURES, WORTH_A_LOOK, Findings, Series
from cli.report.gallery import is_alert, moment_id, moments, spread
from cli.report.style import STYLE
from shm_engine.errors import MattingError
from shm_engine.files import replacing

# Whatever a name or a setting holds: the page loads nothing and runs nothing.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"

_HOW = {
    "Flicker": "The picture's movement from one frame to the next is followed (optical flow, at "
    "320 pixels). The matte is moved along, and what still differs is flicker: the mean over the "
    "picture, in thousandths. Where the movement cannot be followed, nothing is counted. Still "
    "people come to less than 1; 3 is usual for people who move; from about 8 on, whole parts of "
    "people come and go. It grows with the size of people in the picture, and with fast movement.",
    "Worth a look": "0 is nothing and 2 the most. A frame reaches 1 when a fifth of a patch (a "
    "sixteenth of the picture's longer side) changes without moving, when a hole or a loose piece "
    "of a thousandth of the picture is new, or when a tenth of the cut-out comes or goes within "
    "one frame. Of each second only the worst frame is shown.",
    "Holes and pieces": "Regions of at least 1/4000 of the picture, with alpha cut at one half. A "
    "hole is background that a person encloses: between an arm and the body it is right, in a "
    "chest it is not, so look where the number changes. A separate piece is whatever hangs "
    "together besides the largest: other people, or something taken for one.",
    "Area and soft part": "The mean of alpha, and the share of pixels whose alpha lies between "
    "0.05 and 0.95.",
    "Frames and times": "Frames count from 0. Times are those at which the clip shows them.",
    "Cuts": "Dotted lines: less than a third of the picture was found again in the next frame, or "
    "more than half a second lies between the two. Nothing is compared across them.",
}


def write_page(path: Path, findings: Findings, about: About) -> None:
    """Write the page, whole or not at all; MattingError if it cannot be written."""
    try:
        with replacing(path) as temporary:
            temporary.write_text(page(findings, about), encoding="utf-8")
    except OSError as error:
        raise MattingError(
            f"the report {path} cannot be written: {error.strerror or error}; make room or choose "
            "another place",
            path=path,
        ) from error


def page(findings: Findings, about: About) -> str:
    """The page. The same findings and the same `about` give the same text."""
    parts = [_head(findings, about), _verdict(findings, about)]
    if len(findings.series):
        parts += [
            _figures(findings),
            moments(findings.worst, about),
            _charts(findings),
            spread(findings.spread, about),
        ]
    parts += [_tables(about), _how()]
    body = "\n".join(parts)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(about.source)} – matte report</title>\n"
        f"<style>{STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _head(findings: Findings, about: About) -> str:
    series = findings.series
    facts = [*about.facts, "1 frame" if len(series) == 1 else f"{len(series)} frames"]
    shots = sum(series.starts)
    if shots > 1:
        facts.append(f"{shots} shots")
    items = "".join(f"<li>{escape(fact)}</li>" for fact in facts)
    return (
        f'<header><p class="kind">Matte report</p><h1>{escape(about.source)}</h1>'
        f'<ul class="facts">{items}</ul></header>'
    )


def _verdict(findings: Findings, about: About) -> str:
    broken = [limit for limit in about.limits if limit.broken_by(findings.summary()) is not None]
    kinds = {True: '<li class="broken"><b>Failed:</b>', False: "<li><b>Passed:</b>"}
    limits = "".join(
        f"{kinds[limit in broken]} {escape(limit.measured(findings.summary()))}.</li>"
        for limit in about.limits
    )
    looks = int(findings.summary()["look"])
    is_bad = bool(broken) or (looks > 0 and not about.limits)
    return (
        f'<section class="verdict{" bad" if is_bad else ""}"><p><b>{_said(findings, looks)}</b></p>'
        f"<ul>{limits}</ul></section>"
    )


def _said(findings: Findings, looks: int) -> str:
    count = len(findings.series)
    if count == 0:
        return "No frame was measured."
    if looks == 0:
        return "Nothing stands out: no frame asks for a look."
    if count == 1:
        return "The frame is worth a look."
    frames = "1 frame is" if looks == 1 else f"{looks} frames are"
    return f"{frames} worth a look, of {count}."


def _figures(findings: Findings) -> str:
    summary = findings.summary()
    shown = {
        "look": f"of {len(findings.series)}",
        "flicker": f"at most {FIGURES['flicker-max'].shown(summary['flicker-max'])}",
        "area": f"from {FIGURES['area-min'].shown(summary['area-min'])} to "
        f"{FIGURES['area-max'].shown(summary['area-max'])}",
        "holes": "",
        "islands": "",
        "soft": "",
    }
    cells = "".join(
        f"<div><dt>{FIGURES[name].title}</dt>"
        f"<dd>{FIGURES[name].shown(summary[name])} <small>{more}</small></dd>"
        f"<dd>{_sentence(FIGURES[name].meaning)}</dd></div>"
        for name, more in shown.items()
    )
    return f'<dl class="figures">{cells}</dl>'


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _charts(findings: Findings) -> str:
    series = findings.series
    pins = [
        Pin(moment.seconds, str(place), moment_id(place), is_alert=is_alert(moment))
        for place, moment in enumerate(findings.worst, 1)
    ]
    # The first shot begins with the clip: that is no cut.
    cuts = [*compress(series.seconds, series.starts)][1:]
    axis = Axis(seconds=series.seconds, cuts=cuts, pins=pins)
    return (
        "<h2>Over time</h2><p>Numbers lead to the worst frames above.</p>"
        f'<div class="charts">{"".join(draw(chart, axis) for chart in _curves(series))}</div>'
    )


def _curves(series: Series) -> list[Chart]:
    """What is drawn over time, the most telling first."""
    steady = [
        Chart(
            title="Worth a look",
            meaning="how badly something changed that should not have; above the dashed line, look",
            unit="",
            values=series.severities,
            at_least=2,
            level=WORTH_A_LOOK,
        ),
        Chart(
            title="Flicker",
            meaning="thousandths of the picture that changed without moving",
            unit=" ‰",
            values=series.flickers,
            at_least=2,
        ),
    ]
    shares = [
        Chart(title=title, meaning=meaning, unit=" %", values=[100 * x for x in of], at_least=1)
        for title, meaning, of in (
            ("Area", "of the picture covered", series.areas),
            ("Soft part", "of the picture partly covered", series.softs),
        )
    ]
    counts = [
        Chart(title=title, meaning=meaning, unit="", values=of, at_least=2, is_count=True)
        for title, meaning, of in (
            ("Holes", "in a person", series.holes),
            ("Separate pieces", "besides the largest", series.islands),
        )
    ]
    # Two empty charts would only say what the figures above say.
    return steady + shares + (counts if any(series.holes) or any(series.islands) else [])


def _tables(about: About) -> str:
    tables = "".join(
        f"<section><h3>{escape(heading)}</h3><dl>"
        + "".join(
            f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in rows.items()
        )
        + "</dl></section>"
        for heading, rows in about.tables.items()
    )
    return f'<h2>How it was made</h2><div class="tables">{tables}</div>' if tables else ""


def _how() -> str:
    items = "".join(f"<dt>{name}</dt><dd>{text}</dd>" for name, text in _HOW.items())
    return f"<details><summary>What the figures mean</summary><dl>{items}</dl></details>"
