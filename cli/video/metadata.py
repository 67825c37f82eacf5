"""What files say about themselves in words: which tags of a source are kept, and which are added;
opens no file."""

from __future__ import annotations

import re
from collections.abc import Mapping

from shm_engine import __version__

# What a container, and whoever wrote it, says of the file alone; the new one says it anew.
_OF_THE_FILE = frozenset(
    {
        *("major_brand", "minor_version", "compatible_brands", "encoder", "timecode"),
        # Of MXF.
        *("application_platform", "company_name", "generation_uid", "modification_date"),
        *("operational_pattern_ul", "product_name", "product_uid", "product_version", "uid"),
        *("product_version_num", "toolkit_version", "toolkit_version_num"),
    }
)
_OF_THE_STREAM = frozenset(
    {
        *("encoder", "duration", "vendor_id", "timecode", "creation_time", "alpha_mode"),
        *("bps", "number_of_frames", "number_of_bytes", "file_package_umid", "_statistics_tags"),
        *("_statistics_writing_app", "_statistics_writing_date_utc", "source_id"),
    }
)
# mov and mp4 keep what they have a place for, and these cameras have names of their own for it.
_APPLE = "com.apple.quicktime."
_APPLE_NAMES = {"location.iso6709": "location", "creationdate": "date", "displayname": "title"}
_PLACES = frozenset(
    {"artist", "author", "comment", "copyright", "description", "keywords", "make", "model"}
    | {"title", *_APPLE_NAMES.values()}
)
# QuickTime numbers some languages, and FFmpeg knows one name of each: that of ISO 639-2/B or /T, or
# neither.
_LANGUAGES = (
    "bod:tib cym:wel cze:ces deu:ger ell:gre eus:baq fas:per fre:fra hye:arm isl:ice kat:geo "
    "mkd:mac msa:may mya:bur nld:dut nno:nor nob:nor rum:ron slo:slk sqi:alb swe:sve zho:chi"
)
_LANGUAGES_OF_MOV = dict(pair.split(":") for pair in _LANGUAGES.split())
_LANGUAGES_FROM_MOV = {"sve": "swe", "iri": "per"}
_OWN_WORDS = re.compile(r"(?:^|; )(?:alpha: \w+; )?matted by Semantic Human Matting [^;]*")
_ALPHA_KEY = "alpha_storage"
_QUICKTIME = ("mov", "mp4")


def statement(alpha_mode: str | None) -> dict[str, str]:
    """The tags that say what made a file and, if it has any, how its alpha is stored.

    alpha_mode: "straight" or "premultiplied"; None where there is no alpha.
    """
    made_by = f"matted by Semantic Human Matting {__version__}"
    if alpha_mode is None:
        return {"comment": made_by}
    # Only a comment has a place in every container.
    return {"comment": f"alpha: {alpha_mode}; {made_by}", _ALPHA_KEY: alpha_mode}


def container_tags(
    found: Mapping[str, str], added: Mapping[str, str], container: str
) -> dict[str, str]:
    """The tags of a new file of the kind `container`: those found in the source that still hold,
    and `added`, of which a comment comes after the one that is there."""
    kept = {key: value for key, value in found.items() if _holds(key, found)}
    if container in _QUICKTIME:
        kept = _with_places(kept)
    for key, value in added.items():
        (former, *_) = [*(name for name in kept if name.lower() == key), key]
        before = _OWN_WORDS.sub("", kept.pop(former, ""))
        kept[key] = f"{before}; {value}" if key == "comment" and before else value
    return kept


def stream_tags(found: Mapping[str, str], container: str) -> dict[str, str]:
    """The tags of a stream in a file of the kind `container`, from those in its source."""
    kept = {
        key: value
        for key, value in found.items()
        # Matroska's own are per language: BPS-eng.
        if re.sub(r"-[a-z]{3}$", "", key.lower()) not in _OF_THE_STREAM
    }
    if "name" in kept:  # which is how FFmpeg reads a title of mov, and not how it writes one
        kept.setdefault("title", kept.pop("name"))
    if container not in _QUICKTIME:
        kept.pop("handler_name", None)
    if "language" in kept:
        names = _LANGUAGES_OF_MOV if container == "mov" else _LANGUAGES_FROM_MOV
        kept["language"] = names.get(kept["language"], kept["language"])
    return kept


def _holds(key: str, found: Mapping[str, str]) -> bool:
    name = key.lower()
    if name in _OF_THE_FILE or name == _ALPHA_KEY or name.endswith("_umid"):
        return False
    # FFmpeg reads some tags of mp4 twice: location, and location-eng.
    return found.get(re.sub(r"-[a-z]{3}$", "", name)) != found[key] or "-" not in name


def _with_places(tags: Mapping[str, str]) -> dict[str, str]:
    """With tags of Apple's cameras under the names that have a place."""
    placed = dict(tags)
    taken = {key.lower() for key in tags}
    for key, value in tags.items():
        name = key.lower().removeprefix(_APPLE)
        name = _APPLE_NAMES.get(name, name)
        if key.lower().startswith(_APPLE) and name in _PLACES and name not in taken:
            placed[name] = value
    return placed
