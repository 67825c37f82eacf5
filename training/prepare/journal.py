"""What became of each picture, kept on disk as it happens, so that it need not happen again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from training.disk import writing_to
from training.stored import store


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one picture.

    settings: everything besides its files that decided it. sources: checksums of picture, truth and
    trimap, "" where there is none. outputs: checksums of the files that were made, by the name of
    their folder. refused: empty, or one sentence.
    """

    set: str
    key: str
    settings: str
    sources: tuple[str, ...]
    outputs: dict[str, str]
    refused: str
    width: int
    height: int


class Journal:
    """The outcomes in a file, one JSON line each; the last of a picture counts."""

    def __init__(self, path: Path) -> None:
        self._path = path
        text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
        self._outcomes = {(o.set, o.key): o for o in _outcomes_in(text)}
        # A line that an interruption cut short must not swallow the next one.
        self._before_next = "" if text.endswith("\n") or not text else "\n"

    def find(self, name: str, key: str) -> Outcome | None:
        """What became of a picture of the set called `name`; None if that is not known."""
        return self._outcomes.get((name, key))

    def add(self, outcome: Outcome) -> None:
        """Keep an outcome, in the file too."""
        self._outcomes[outcome.set, outcome.key] = outcome
        with writing_to(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8", newline="\n") as stream:
                stream.write(self._before_next + _line(outcome))
        self._before_next = ""

    def put_in_order(self) -> None:
        """Write the file anew: one line a picture, sorted, whatever way led here."""
        ordered = (self._outcomes[key] for key in sorted(self._outcomes))
        store(self._path, "".join(_line(outcome) for outcome in ordered).encode())


def _line(outcome: Outcome) -> str:
    return json.dumps(asdict(outcome), sort_keys=True) + "\n"


def _outcomes_in(text: str) -> Iterator[Outcome]:
    """The outcomes of lines; those that are none (cut short, of another version) are left out."""
    names = {field.name for field in fields(Outcome)}
    for line in text.splitlines():
        try:
            values = json.loads(line)
        except ValueError:
            continue
        if isinstance(values, dict) and values.keys() == names:
            yield Outcome(**values | {"sources": tuple(values["sources"])})
