"""What one look at one thing has found; knows no thing to look at and prints nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from cli.sentences import sentence_for

_log = logging.getLogger(__name__)


class Mark(StrEnum):
    """note: it works, and the user may want to know; broken: something that is needed fails."""

    OK = "ok"
    NOTE = "note"
    BROKEN = "broken"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One line of the report.

    words: what follows the name; a line end in it stays one.
    facts: the same for programs, as JSON has it.
    """

    name: str
    mark: Mark = Mark.OK
    words: str
    facts: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


def look(name: str, check: Callable[[], Finding]) -> Finding:
    """What `check` finds; whatever it raises becomes a broken finding called `name`."""
    try:
        return check()
    # The one place for a broad except: nobody knows what can be wrong with a machine, and the
    # other checks have to go on whatever it is.
    except Exception as error:  # noqa: BLE001
        words = _words(error)
        _log.debug("%s: %s", name, words, exc_info=error)
        return Finding(name=name, mark=Mark.BROKEN, words=words)


def _words(error: Exception) -> str:
    if isinstance(error, ImportError):
        return f"cannot be imported ({error}); install the program again"
    return sentence_for(error)
