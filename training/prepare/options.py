"""What to prepare, as data: folders named on the command line, or a TOML file of sets."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from shm_engine.errors import OptionsError
from training.config import KINDS, TrainingConfig, build, build_rows
from training.data.manifest import SPLITS

# How files lie in a set's folder; `layouts.py` says more. "auto" looks.
LAYOUTS = ("auto", "pairs", "seed", "cutouts", "aisegment", "pictures")

# Where alpha comes from: the set's own files, or solved from a trimap (Chen, Li and Tang 2013;
# Levin, Lischinski and Weiss 2008).
ALPHAS = ("keep", "knn", "closed_form")

# Kinds that an alpha can be solved for: the others have an exact one, or need the mask itself.
SOLVABLE_KINDS = ("mask", "alpha")

_NAME = re.compile(r"\w[\w .+-]*")


@dataclass(frozen=True, kw_only=True)
class SetOptions:
    """A folder of pictures.

    name: of its folder below the output. kind: one of training.config.KINDS; by default what the
    layout says. weight: how often the set is drawn, relative to the others. validate_every: every
    so many-th picture of a "train" set is kept for validation; 0 for none.
    """

    name: str
    path: str
    layout: str = "auto"
    kind: str = ""
    weight: float = 1.0
    split: str = "train"
    validate_every: int = 10
    alpha: str = "keep"

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise OptionsError(f"name is {self.name!r}; use letters, digits, spaces and . _ + -")
        for key, allowed in (
            ("layout", LAYOUTS),
            ("kind", ("", *KINDS)),
            ("split", SPLITS),
            ("alpha", ALPHAS),
        ):
            if getattr(self, key) not in allowed:
                known = ", ".join(filter(None, allowed))
                raise OptionsError(
                    f"{key} of {self.name} is {getattr(self, key)!r}; use one of {known}"
                )
        if not (math.isfinite(self.weight) and self.weight > 0):
            raise OptionsError(f"weight of {self.name} is {self.weight}; it must be above 0")
        if self.validate_every < 0:
            raise OptionsError(
                f"validate_every of {self.name} is {self.validate_every}; use 0 (none) or more"
            )
        if self.alpha != "keep" and self.kind not in ("", *SOLVABLE_KINDS):
            raise OptionsError(
                f"alpha of {self.name} is {self.alpha!r}, but for kind {self.kind!r} nothing is to "
                "be solved; use keep"
            )


@dataclass(frozen=True, kw_only=True)
class PrepareOptions:
    """A whole preparation. `data` is the folder that paths start from; if it is relative, it starts
    from where the program runs.

    trimap_radius_pixels: smallest and largest radius that outlines are eroded and dilated by.
    """

    sets: tuple[SetOptions, ...]
    data: str = ""
    seed: int = 0
    trimap_radius_pixels: tuple[int, int] = TrainingConfig.trimap_radius_pixels

    def __post_init__(self) -> None:
        if not self.sets:
            raise OptionsError("there is nothing to prepare; name a folder or write [[sets]]")
        # Without regard to case, as some file systems see their folders.
        names = [chosen.name.lower() for chosen in self.sets]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise OptionsError(
                f"two sets are called {twice[0]!r}; give them names in a TOML file of [[sets]]"
            )
        if self.seed < 0:
            raise OptionsError(f"seed is {self.seed}; use 0 or more")
        radii = self.trimap_radius_pixels
        if len(radii) != 2 or not 0 <= radii[0] <= radii[1]:
            raise OptionsError(f"trimap_radius_pixels is {radii}; use [smallest, largest]")


def read_options(arguments: Sequence[Path]) -> PrepareOptions:
    """What the arguments ask for: some folders, or one TOML file.

    Raises OptionsError for anything else, and with the file's name for a mistake in it.
    """
    listed = [path for path in arguments if path.suffix.lower() == ".toml"]
    if listed and len(arguments) > 1:
        raise OptionsError(f"{listed[0]} lists all sets; give it alone, or give folders only")
    if listed:
        return _read_sets(listed[0])
    chosen = tuple(SetOptions(name=path.resolve().name, path=str(path)) for path in arguments)
    return PrepareOptions(sets=chosen)


def _read_sets(path: Path) -> PrepareOptions:
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
        return build(PrepareOptions, values | build_rows(SetOptions, "sets", values))
    except (OSError, ValueError) as error:
        raise OptionsError(f"{path} is not a usable list of sets: {error}", path=path) from error
