"""A training run as data: dataclasses read from a TOML file; unknown keys are an error."""

from __future__ import annotations

import tomllib
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from shm_engine.errors import OptionsError
from shm_engine.model import DEFAULT_MODEL

Options = TypeVar("Options")

_ACCEPTED: dict[Any, tuple[type, ...]] = {"str": (str,), "int": (int,), "float": (int, float)}

# What the truth of a source is worth. "mask": outline right to a few pixels, image/ and mask/.
# "alpha": the same, exact to the pixel. "cutout": RGBA, exact alpha, put on a background.
# "background": pictures without people. "pasted_mask": people of "mask", put on a background.
KINDS = ("mask", "alpha", "cutout", "pasted_mask", "background")


@dataclass(frozen=True, kw_only=True)
class Source:
    """A folder of pictures and how often it is drawn from (relative to the other sources)."""

    path: str
    kind: str
    weight: float

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise OptionsError(f"kind is {self.kind!r}; use one of {', '.join(KINDS)}")
        if self.weight <= 0:
            raise OptionsError(f"the weight of {self.path} is {self.weight}; it must be above 0")


@dataclass(frozen=True, kw_only=True)
class Phase:
    """One stretch of training.

    train: "t_net" (trimap alone) or "end_to_end" (T-Net, M-Net and fusion together).
    crop_pixels: side of the square crops, a multiple of 32.
    learning_rate: of everything but the backbone, which learns at backbone_rate times it.
    trimap_loss ... unknown_loss: weights of the terms in `losses.py`.
    """

    train: str
    steps: int
    batch: int
    crop_pixels: int
    learning_rate: float
    backbone_rate: float = 0.2
    warmup_steps: int = 100
    trimap_loss: float = 1.0
    alpha_loss: float = 2.0
    composition_loss: float = 0.5
    unknown_loss: float = 0.5

    def __post_init__(self) -> None:
        if self.train not in ("t_net", "end_to_end"):
            raise OptionsError(f"train is {self.train!r}; use t_net or end_to_end")
        if self.crop_pixels % 32 or self.crop_pixels <= 0:
            raise OptionsError(f"crop_pixels is {self.crop_pixels}; use a multiple of 32")
        if min(self.steps, self.batch) < 1:
            raise OptionsError(f"steps and batch are {self.steps} and {self.batch}; use 1 or more")
        if self.learning_rate <= 0:
            raise OptionsError(f"learning_rate is {self.learning_rate}; it must be above 0")


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """A whole run. `data` is the folder that source paths, background and backbone start from; if
    it is relative, it starts from where the program runs."""

    data: str
    sources: tuple[Source, ...]
    phases: tuple[Phase, ...]
    background: str
    backbone: str = ""
    architecture: str = DEFAULT_MODEL
    seed: int = 0
    ema_decay: float = 0.998
    save_every: int = 200
    log_every: int = 50
    trimap_radius_pixels: tuple[int, int] = (2, 14)

    def __post_init__(self) -> None:
        if not self.sources or not self.phases:
            raise OptionsError("a run needs at least one [[sources]] and one [[phases]]")
        for name in ("save_every", "log_every"):
            if getattr(self, name) < 1:
                raise OptionsError(f"{name} is {getattr(self, name)}; use 1 or more")
        if self.seed < 0:
            raise OptionsError(f"seed is {self.seed}; use 0 or more")
        if not 0 <= self.ema_decay < 1:
            raise OptionsError(f"ema_decay is {self.ema_decay}; use 0 up to, not including, 1")
        radii = self.trimap_radius_pixels
        if len(radii) != 2 or not 0 <= radii[0] <= radii[1]:
            raise OptionsError(f"trimap_radius_pixels is {radii}; use [smallest, largest]")


def read_config(path: Path) -> TrainingConfig:
    """The run that a TOML file describes.

    Raises OptionsError with the file's name for a missing file, wrong syntax, an unknown key or a
    value out of range.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
        values |= build_rows(Source, "sources", values) | build_rows(Phase, "phases", values)
        return build(TrainingConfig, values)
    except (OSError, ValueError) as error:
        raise OptionsError(f"{path} is not a usable training run: {error}", path=path) from error


def build(kind: type[Options], values: dict[str, Any]) -> Options:
    """The dataclass with these values; OptionsError names an unknown key or a missing one."""
    if not isinstance(values, dict):
        raise OptionsError(f"a {kind.__name__} is {values!r}; a table of keys is needed")
    options = {option.name: option for option in fields(kind)}  # type: ignore[arg-type]
    unknown = sorted(values.keys() - options)
    if unknown:
        raise OptionsError(f"unknown key {unknown[0]!r} (known: {', '.join(sorted(options))})")
    for name, option in options.items():
        if name not in values and option.default is MISSING:
            raise OptionsError(f"a {kind.__name__} needs the key {name!r}")
        accepted = _ACCEPTED.get(option.type)
        if accepted and name in values and type(values[name]) not in accepted:
            raise OptionsError(f"{name} is {values[name]!r}; {option.type} is needed")
    return kind(**{name: _tuple_of(value) for name, value in values.items()})


def build_rows(
    kind: type[Options], key: str, values: dict[str, Any]
) -> dict[str, tuple[Options, ...]]:
    """The dataclasses of an array of tables, under their key; none if the key is missing."""
    rows = values.get(key, [])
    if not isinstance(rows, list):
        raise OptionsError(f"{key} is {rows!r}; an array of tables is needed")
    return {key: tuple(build(kind, row) for row in rows)}


def _tuple_of(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
