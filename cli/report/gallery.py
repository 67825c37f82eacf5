"""The report's pictures with what is said of them, as HTML; chooses none of them."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from html import escape

from cli.formats.timecode import timecode_of
from cli.report.about import About
from cli.report.clock import clock
from cli.report.findings import WORTH_A_LOOK, Moment, Picture


def moments(worst: Sequence[Moment], about: About) -> str:
    """A section with the worst frames, in the order given."""
    head = "<h2>Where to look</h2>"
    if not worst:
        return f"{head}<p>Nothing changes by itself in this clip, and nothing is torn.</p>"
    shape = worst[0].width / worst[0].height
    items = "".join(_moment(place, moment, shape, about) for place, moment in enumerate(worst, 1))
    return (
        f"{head}<p>The worst frames first, each with a close-up of the marked place. An orange "
        "number asks for a look, a grey one is milder.</p>"
        f'<ol class="moments{_upright(shape)}">{items}</ol>'
    )


def spread(pictures: Sequence[Picture], about: About) -> str:
    """A section with pictures of the whole clip, in the order given."""
    shape = pictures[0].width / pictures[0].height
    items = "".join(
        f"<li>{_fitted(_image(one.jpeg, _described(one)), one.width / one.height, shape)}"
        f"<p>{_when(one, about)}</p></li>"
        for one in pictures
    )
    return (
        "<h2>Through the clip</h2><p>The cut-out over green, at even steps.</p>"
        f'<ol class="spread{_upright(shape)}">{items}</ol>'
    )


def _upright(shape: float) -> str:
    """A class for narrow pictures: more of them fit beside each other."""
    return " upright" if shape < 1 else ""


def moment_id(place: int) -> str:
    """What a link to a moment leads to; places count from 1."""
    return f"moment-{place}"


def is_alert(moment: Moment) -> bool:
    """Whether somebody should look."""
    return moment.severity >= WORTH_A_LOOK


def _moment(place: int, moment: Moment, shape: float, about: About) -> str:
    kind = ' class="look"' if is_alert(moment) else ""
    why = "".join(f"<li>{escape(reason.text)}</li>" for reason in moment.reasons)
    left, top, width, height = (100 * side for side in moment.part)
    mark = (
        f'<span class="box" style="left:{left:.2f}%;top:{top:.2f}%;'
        f'width:{width:.2f}%;height:{height:.2f}%"></span>'
    )
    own = moment.width / moment.height
    close = own * moment.part.width / moment.part.height
    pictures = _fitted(_image(moment.jpeg, _described(moment)) + mark, own, shape) + _fitted(
        _image(moment.close_up, f"Close-up of frame {moment.index}"), close, 1.0
    )
    return (
        f'<li id="{moment_id(place)}"{kind}><div class="pair">{pictures}</div>'
        f'<p class="when"><span class="rank">{place}</span>{_when(moment, about)}</p>'
        f'<ul class="why">{why}</ul></li>'
    )


def _fitted(content: str, own: float, shape: float) -> str:
    """Content of the proportions `own` (width over height) in a place of others."""
    side = "width" if own >= shape else "height"
    return (
        f'<div class="picture" style="aspect-ratio:{shape:.4f};flex-grow:{shape:.4f}">'
        f'<div style="{side}:100%;aspect-ratio:{own:.4f}">{content}</div></div>'
    )


def _image(jpeg: bytes, description: str) -> str:
    source = f"data:image/jpeg;base64,{b64encode(jpeg).decode()}"
    return f'<img src="{source}" alt="{description}">'


def _described(picture: Picture) -> str:
    return f"The cut-out of frame {picture.index} over green"


def _when(picture: Picture, about: About) -> str:
    seconds = clock(picture.seconds, 2)
    if about.frame_rate is None:
        return f"<b>{seconds}</b> <span>frame {picture.index}</span>"
    code = timecode_of(picture.index, about.frame_rate, about.first_timecode)
    return f"<b>{code}</b> <span>frame {picture.index}, {seconds}</span>"
