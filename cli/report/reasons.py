"""Why a frame is worth a look, in words and as a number; measures nothing itself."""

from __future__ import annotations

from collections.abc import Iterator

from cli.report.findings import NOBODY, Box, Reason
from cli.report.motion import Change
from cli.report.shapes import Piece, Shapes
from cli.report.views import Plane

# What makes a severity of 1, tried on real clips: so much of a patch changed, ...
_PATCH_CHANGED = 0.2
# ... a hole or a loose piece of so much of the picture (45 x 45 pixels of 1920 x 1080), ...
_PIECE_SHARE = 0.001
# ... or so much of the person gone or come within a frame.
_AREA_CHANGED = 0.1

# Shares of the person are not taken of less than this much of the picture.
_LEAST_AREA = 0.005

# A larger piece is another person.
_LOOSE_PART = 0.1

# What is there from the start, or comes in over the picture's edge, may well be right.
_DOUBT = 0.5

# Weaker reasons are none, nor are those beside one that is twice as strong.
_WEAKEST, _WEAK_PART = 0.05, 0.5
_MOST_REASONS = 3

_ROWS = ("top", "middle", "bottom")
_COLUMNS = ("left", "centre", "right")


def reasons(
    area: float, earlier_area: float, found: Shapes, change: Change | None
) -> tuple[Reason, ...]:
    """At most three reasons to look at a frame, the most severe first.

    area, earlier_area: the cut-out's shares of the picture. change: what became of the frame
    before; None at the start of a shot, where there is nothing to compare with.
    """
    all_of_them = [*_pieces(found, change)]
    if change is not None:
        severity = _severity(change.peak, _PATCH_CHANGED)
        text = f"Flicker {_where(change.box)}: a patch changes by {percent(change.peak)}."
        all_of_them.append(Reason(severity, text, change.box))
        all_of_them.append(_of_area(earlier_area, area, change.box))
    least = max([_WEAKEST, *(_WEAK_PART * reason.severity for reason in all_of_them)])
    strong = [reason for reason in all_of_them if reason.severity >= least]
    return tuple(sorted(strong, key=lambda reason: -reason.severity)[:_MOST_REASONS])


def _severity(value: float, reference: float) -> float:
    """0 for nothing, 1 at the reference, towards 2 beyond it: reasons of all kinds compare."""
    return 2 * value / (value + reference)


def _pieces(found: Shapes, change: Change | None) -> Iterator[Reason]:
    """A reason for each hole and loose piece that was not there a frame ago."""
    past = None if change is None else change.past
    for hole in found.holes:
        if past is None or _share_of_person(past, hole) > 0.5:
            yield _about("hole", hole, "opens", is_sure=past is not None)
    for island in found.islands:
        if island.share >= _LOOSE_PART * found.largest:
            continue
        if past is None or _share_of_person(past, island) < 0.5:
            sure = past is not None and not island.touches_edge
            yield _about("loose piece", island, "appears", is_sure=sure)


def _share_of_person(past: Plane, piece: Piece) -> float:
    inside = past[piece.rows, piece.columns][piece.mask]
    return float((inside >= 0.5).mean())


def _about(what: str, piece: Piece, happens: str, *, is_sure: bool) -> Reason:
    severity = _severity(piece.share, _PIECE_SHARE) * (1 if is_sure else _DOUBT)
    size = f"{percent(piece.share)} of the picture"
    return Reason(severity, f"A {what} {happens} {_where(piece.box)}, {size}.", piece.box)


def _of_area(before: float, now: float, box: Box) -> Reason:
    """About how much of the person came or went; the box is where most did."""
    part = abs(now - before) / max(now, before, _LEAST_AREA)
    steps = f"from {percent(before)} to {percent(now)} of the picture"
    if now < NOBODY <= before:
        text = f"The person is lost: {steps}."
    elif before < NOBODY <= now:
        text = f"A person appears at once: {steps}."
    else:
        text = f"The cut-out {'grows' if now > before else 'shrinks'} at once, {steps}."
    return Reason(_severity(part, _AREA_CHANGED), text, box)


def percent(share: float) -> str:
    """A share as people read it."""
    value = 100 * share
    digits = 0 if value == 0 or value >= 10 else 1 if value >= 1 else 2
    return f"{value:.{digits}f} %"


def _where(box: Box) -> str:
    row = _ROWS[min(2, int(3 * (box.top + box.height / 2)))]
    column = _COLUMNS[min(2, int(3 * (box.left + box.width / 2)))]
    if column == "centre":
        return "in the middle" if row == "middle" else f"at the {row}"
    return f"at the {column}" if row == "middle" else f"at the {row} {column}"
