"""What a user of Krita may choose, in the words shown, and how Krita remembers it.

Knows no Krita and no engine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

from ..choices import DEFAULT_DEVICE, DEFAULT_QUALITY, DEVICES, SIZES

_GROUP = "human_matte"


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What was chosen: names of options, and where the engine is, "" to look for it."""

    quality: str = DEFAULT_QUALITY
    device: str = DEFAULT_DEVICE
    engine: str = ""

    def __post_init__(self) -> None:
        if self.quality not in SIZES or self.device not in {each.name for each in DEVICES}:
            raise ValueError(f"{self.quality!r} or {self.device!r} is no option")


def remembered(read: Callable[[str, str, str], str]) -> Wishes:
    """The last wishes; `read` takes group, name and default, as Krita's readSetting."""
    said = {each.name: read(_GROUP, each.name, "") for each in fields(Wishes)}
    try:
        return Wishes(**{name: value for name, value in said.items() if value})
    except ValueError:
        # From another version of this plug-in.
        return Wishes(engine=said["engine"])


def remember(wishes: Wishes, write: Callable[[str, str, str], object]) -> None:
    """Keeps the wishes for the next time; `write` is Krita's writeSetting."""
    for each in fields(Wishes):
        write(_GROUP, each.name, getattr(wishes, each.name))
