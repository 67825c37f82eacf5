"""What tells one source from another: sizes, times, and the content if they are not enough."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

_DIGEST_BYTES = 32
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What tells one source, a file or a sequence of files, from another.

    bytes: of all files together. modified_ns: when the newest was changed.
    listing: digest of names, sizes and times: all that can be had without reading.
    """

    paths: tuple[Path, ...]
    bytes: int
    modified_ns: int
    listing: str

    @cached_property
    def digest(self) -> str:
        """Of the contents, in order, as they are at the first call; OSError if they are gone."""
        if len(self.paths) == 1:
            return digest_of(self.paths[0])
        joined = "\n".join(digest_of(path) for path in self.paths)
        return blake2b(joined.encode(), digest_size=_DIGEST_BYTES).hexdigest()

    def as_dict(self) -> dict[str, Any]:
        """As a record keeps it. digest: None if the files are no longer what they were."""
        return {
            "name": self.paths[0].name,
            "files": len(self.paths),
            "bytes": self.bytes,
            "modified_ns": self.modified_ns,
            "listing": self.listing,
            "digest": self.digest if self._is_current() else None,
        }

    def _is_current(self) -> bool:
        try:
            return identity_of(self.paths).listing == self.listing
        except OSError:
            return False

    def matches(self, recorded: Mapping[str, Any]) -> bool:
        """Whether `recorded` (see `as_dict`) is the same source, perhaps touched or copied.

        Reads the files only if sizes agree and times do not.
        """
        if (recorded.get("files"), recorded.get("bytes")) != (len(self.paths), self.bytes):
            return False
        if recorded.get("digest") is None:
            return False
        return recorded.get("listing") == self.listing or recorded["digest"] == self.digest


def identity_of(source: Path | Sequence[Path]) -> Identity:
    """The identity of a file, or of the files of a sequence in order; OSError if one is absent."""
    paths = (source,) if isinstance(source, Path) else tuple(source)
    stats = [path.stat() for path in paths]
    lines = [
        f"{path.name}\t{stat.st_size}\t{stat.st_mtime_ns}"
        for path, stat in zip(paths, stats, strict=True)
    ]
    return Identity(
        paths=paths,
        bytes=sum(stat.st_size for stat in stats),
        modified_ns=max((stat.st_mtime_ns for stat in stats), default=0),
        listing=blake2b("\n".join(lines).encode(), digest_size=_DIGEST_BYTES).hexdigest(),
    )


def identity_of_address(address: str) -> Identity:
    """The identity of what lies at an address: nobody knows whether it is the same tomorrow."""
    listing = blake2b(address.encode(), digest_size=_DIGEST_BYTES).hexdigest()
    return Identity(paths=(Path(address),), bytes=0, modified_ns=0, listing=listing)


def digest_of(path: Path) -> str:
    """BLAKE2b of the content; remembered while size and time stay the same. OSError if absent."""
    stat = path.stat()
    return _digest(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=256)
def _digest(path: Path, size: int, modified_ns: int) -> str:  # noqa: ARG001 - what it depends on
    digest = blake2b(digest_size=_DIGEST_BYTES)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
