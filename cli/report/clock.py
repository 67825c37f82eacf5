"""Times on a page; counts no frames."""

from __future__ import annotations


def clock(seconds: float, digits: int = 0) -> str:
    """12.48 s as 12.48 s; from two minutes on as 2:05.00, from an hour on as 1:02:05.00."""
    if abs(seconds) < 120:
        return f"{seconds:.{digits}f} s"
    sign = "-" if seconds < 0 else ""
    whole = round(abs(seconds) * 10**digits)
    minutes, rest = divmod(whole, 60 * 10**digits)
    hours, minutes = divmod(minutes, 60)
    width = 3 + digits if digits else 2
    tail = f"{rest / 10**digits:0{width}.{digits}f}"
    return f"{sign}{hours}:{minutes:02}:{tail}" if hours else f"{sign}{minutes}:{tail}"
