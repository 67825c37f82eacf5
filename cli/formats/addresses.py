"""Addresses of the network among the names that people give; reads nothing."""

from __future__ import annotations

import re
from pathlib import Path

# A path of the operating system makes one slash of two.
_ADDRESS = re.compile(r"(https?):/{1,2}(?=[^/])", re.IGNORECASE)


def address_of(source: Path | str) -> str | None:
    """The http or https address that `source` is, even where it was made a path; or None."""
    text = str(source)
    found = _ADDRESS.match(text)
    return None if found is None else f"{found[1].lower()}://{text[found.end() :]}"
