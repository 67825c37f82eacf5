"""shm-matte licenses: the terms of the program, of its weights and of what is installed for it.

Repeats what the parts say of themselves; judges nothing, asks no server and loads no library.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import Distribution, PackageMetadata, PackageNotFoundError, distribution
from importlib.resources import files
from pathlib import Path, PurePosixPath

import click

from cli.options import verbosity_options
from shm_engine.errors import MattingError

PROGRAM = "semantic-human-matting"
NOT_STATED = "not stated"

# How the heading of the model card's section about data and licences begins.
WEIGHTS_HEADING = "## Data"

# A requirement: a name, perhaps extras in brackets; the marker stands after a semicolon.
_REQUIREMENT = re.compile(r"([A-Za-z0-9][\w.-]*)\s*(?:\[([^\]]*)\])?")
_EXTRA = re.compile(r"""\bextra\s*==\s*["']([^"']+)["']""")
# What stands in the older field License may be a whole text; a statement is one short line.
_LONGEST_STATEMENT = 80
_LICENCE_FILE = re.compile(r"licen[cs]e|copying|notice|copyright", re.IGNORECASE)
# Of a distribution's own folder (other packages may be vendored elsewhere), or of a checkout.
_OWN_FOLDER = re.compile(r"[^/]+\.dist-info/|[^/]+$")
_LIBRARY_FILE = re.compile(r"(?:lib)?(\w+).*\.(?:so|dll|dylib)\b")


@dataclass(frozen=True, kw_only=True)
class Library:
    """A copyleft library that wheels are known to carry, and its terms as SPDX writes them."""

    name: str
    file_stem: str
    terms: str


_LESSER_OR_GPL = "LGPL-3.0-or-later OR GPL-2.0-or-later"

# Wheels often carry these without a word in their metadata. The terms are the library's own.
LIBRARIES = (
    Library(
        name="FFmpeg",
        file_stem=r"av(codec|device|filter|format|util)|sw(scale|resample)|opencv_videoio_ffmpeg\w*",
        terms="LGPL-2.1-or-later, or GPL-2.0-or-later with its GPL parts",
    ),
    Library(name="x264", file_stem="x264", terms="GPL-2.0-or-later"),
    Library(name="x265", file_stem="x265", terms="GPL-2.0-or-later"),
    Library(name="LAME", file_stem="mp3lame", terms="LGPL-2.0-or-later"),
    Library(name="GnuTLS", file_stem="gnutls", terms="LGPL-2.1-or-later"),
    Library(name="Nettle", file_stem="nettle|hogweed", terms=_LESSER_OR_GPL),
    Library(name="GMP", file_stem="gmp", terms=_LESSER_OR_GPL),
    Library(name="libunistring", file_stem="unistring", terms=_LESSER_OR_GPL),
    Library(name="ALSA library", file_stem="asound", terms="LGPL-2.1-or-later"),
    Library(name="libquadmath", file_stem="quadmath", terms="LGPL-2.1-or-later"),
    Library(
        name="GCC runtime",
        file_stem="gfortran|gomp",
        terms="GPL-3.0-or-later WITH GCC-exception-3.1",
    ),
)


@dataclass(frozen=True, kw_only=True)
class Carried:
    """A library inside a distribution; `is_named`: a licence file beside it speaks of it."""

    name: str
    terms: str
    is_named: bool


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What a distribution says of itself; `texts` are its licence files by path."""

    name: str
    version: str
    licence: str
    carries: tuple[Carried, ...]
    texts: dict[str, str]


@click.command(short_help="Show the terms of the program, its weights and its dependencies.")
@click.option("--full", is_flag=True, help="Print the licence texts too.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")
@verbosity_options
def command(full: bool, as_json: bool) -> None:
    """Show the terms of the program, of the shipped weights and of every installed dependency.

    Dependencies are shown as their own files state them. Copyleft libraries that lie in them as
    files are listed too; what is linked into another file cannot be seen.
    """
    program, *dependencies = map(terms_of, installed(PROGRAM))
    show = _as_json if as_json else _as_text
    click.echo(show(program, weights_terms(), dependencies, full))


def weights_terms() -> str:
    """The section of the model card that names data and licences, as Markdown.

    Raises MattingError if there is none.
    """
    card = files("shm_engine").joinpath("weights", "MODEL_CARD.md")
    text = card.read_text(encoding="utf-8") if card.is_file() else ""
    found = re.search(rf"^{WEIGHTS_HEADING}\b.*?(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    if found is None:
        raise MattingError(
            f"the model card has no section {WEIGHTS_HEADING!r}, so the terms of the weights are "
            "unknown; install the program again",
            path=str(card),
        )
    return found[0].strip()


def installed(name: str) -> list[Distribution]:
    """The distribution, then what it needs, directly or not, as far as installed, by name.

    Of markers only extras are looked at: what the others keep out is not installed for it.
    """
    try:
        found = {_key(name): distribution(name)}
    except PackageNotFoundError as error:
        raise MattingError(
            f"{name} is not installed, so what it needs is unknown; install it with pip"
        ) from error
    seen: set[tuple[str, str]] = set()
    waiting = [(name, "")]
    while waiting:
        wanted, extra = waiting.pop()
        if (_key(wanted), extra) in seen:
            continue
        seen.add((_key(wanted), extra))
        try:
            one = found.setdefault(_key(wanted), distribution(wanted))
        except PackageNotFoundError:
            continue
        waiting += _needed_by(one, extra)
    first, *rest = found
    return [found[first], *(found[key] for key in sorted(rest))]


def _needed_by(one: Distribution, extra: str) -> Iterator[tuple[str, str]]:
    """(name, extra) of what one of its extras needs, or it itself where `extra` is empty."""
    for line in one.requires or []:
        requirement, _, marker = line.partition(";")
        extras = {_key(found) for found in _EXTRA.findall(marker)}
        is_needed = _key(extra) in extras if extra else not extras
        matched = _REQUIREMENT.match(requirement)
        if is_needed and matched is not None:
            yield matched[1], ""
            yield from ((matched[1], each.strip()) for each in (matched[2] or "").split(","))


def _key(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def terms_of(one: Distribution) -> Terms:
    """What an installed distribution says of itself."""
    paths = _paths(one)
    texts = dict(_licence_texts(one, paths))
    return Terms(
        name=one.name,
        version=one.version,
        licence=stated_licence(one.metadata),
        carries=tuple(_carried(paths, "\n".join(texts.values()))),
        texts=texts,
    )


def stated_licence(metadata: PackageMetadata) -> str:
    """The licence expression, else the short statement, else the classifiers, else NOT_STATED."""
    expression = metadata.json.get("license_expression")
    if expression:
        return str(expression)
    stated = str(metadata.json.get("license") or "").strip()
    if stated and stated.upper() != "UNKNOWN" and _is_statement(stated):
        return stated
    classifiers = metadata.get_all("Classifier") or []
    kinds = [kind.split(" :: ") for kind in classifiers if kind.startswith("License ::")]
    if kinds:
        return ", ".join(kind[-1] for kind in kinds)
    return NOT_STATED


def _is_statement(text: str) -> bool:
    return "\n" not in text and len(text) <= _LONGEST_STATEMENT


def _paths(one: Distribution) -> list[str]:
    """Its files, from the list it was installed with. `files` would take seconds for torch."""
    recorded = one.read_text("RECORD") or one.read_text("SOURCES.txt") or ""
    return re.findall(r'^"?([^",\n]+)', recorded, re.MULTILINE)


def _licence_texts(one: Distribution, paths: list[str]) -> Iterator[tuple[str, str]]:
    for path in paths:
        if _OWN_FOLDER.match(path) and _LICENCE_FILE.search(path):
            file = Path(str(one.locate_file(path)))
            if file.suffix not in {".py", ".pyc"} and file.is_file():
                yield path, file.read_text(encoding="utf-8", errors="replace")


def _carried(paths: list[str], texts: str) -> Iterator[Carried]:
    files_in_it = (_LIBRARY_FILE.match(PurePosixPath(path).name) for path in paths)
    stems = {matched[1] for matched in files_in_it if matched}
    for library in LIBRARIES:
        if any(re.fullmatch(library.file_stem, stem) for stem in stems):
            named = rf"\b(?:lib)?(?:{library.name}|{library.file_stem})"
            is_named = re.search(named, texts, re.IGNORECASE) is not None
            yield Carried(name=library.name, terms=library.terms, is_named=is_named)


def _as_json(program: Terms, weights: str, dependencies: list[Terms], full: bool) -> str:
    def fields(terms: Terms) -> dict[str, object]:
        return {key: value for key, value in asdict(terms).items() if full or key != "texts"}

    return json.dumps(
        {
            "program": fields(program),
            "weights": weights,
            "dependencies": [fields(terms) for terms in dependencies],
        }
    )


_UNNAMED = " *"
_ABOUT_LIBRARIES = """\
Libraries after "with" came inside that package; this project ships none of them. Their terms are
those that their authors publish. * No licence file of the package names it."""


def _as_text(program: Terms, weights: str, dependencies: list[Terms], full: bool) -> str:
    width = max((len(_label(terms)) for terms in dependencies), default=0) + 2
    lines = [f"{_label(program)}: {program.licence}", "", "Weights, from their model card:", ""]
    lines += [weights.partition("\n")[2].strip(), "", "Dependencies, as they state it:", ""]
    for terms in dependencies:
        lines.append(_label(terms).ljust(width) + terms.licence)
        for part in terms.carries:
            mark = "" if part.is_named else _UNNAMED
            lines.append(f"{'':{width}}with {part.name}: {part.terms}{mark}")
    if any(terms.carries for terms in dependencies):
        lines += ["", _ABOUT_LIBRARIES]
    if full:
        for terms in [program, *dependencies]:
            lines += _texts(terms)
    return "\n".join(lines)


def _texts(terms: Terms) -> Iterator[str]:
    if not terms.texts:
        yield f"\n==== {_label(terms)}: no licence text is installed"
    for path, text in terms.texts.items():
        yield f"\n==== {_label(terms)}: {path}\n\n{text.strip()}"


def _label(terms: Terms) -> str:
    return f"{terms.name} {terms.version}"
