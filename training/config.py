"""A training run as data: dataclasses read from a TOML file; unknown keys are an error."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from shm_engine.errors import OptionsError

Options = TypeVar("Options")

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
            raise OptionsError("steps and batch must be at least 1")


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """A whole run. `data` is the folder that source paths, background and backbone start from."""

    data: str
    sources: tuple[Source, ...]
    phases: tuple[Phase, ...]
    background: str
    backbone: str = ""
    architecture: str = "shm_mobilenetv2"
    seed: int = 0
    ema_decay: float = 0.998
    save_every: int = 200
    log_every: int = 50
    trimap_radius_pixels: tuple[int, int] = field(default=(2, 14))

    def __post_init__(self) -> None:
        if not self.sources or not self.phases:
            raise OptionsError("a run needs at least one [[sources]] and one [[phases]]")


def read_config(path: Path) -> TrainingConfig:
    """The run that a TOML file describes.

    Raises OptionsError with the file's name for a missing file, wrong syntax, an unknown key or a
    value out of range.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
        values["sources"] = tuple(build(Source, row) for row in values.get("sources", []))
        values["phases"] = tuple(build(Phase, row) for row in values.get("phases", []))
        return build(TrainingConfig, values)
    except (OSError, tomllib.TOMLDecodeError, OptionsError) as error:
        raise OptionsError(f"{path} is not a usable training run: {error}", path=path) from error


def build(kind: type[Options], values: dict[str, Any]) -> Options:
    """The dataclass with these values; OptionsError names an unknown key or a missing one."""
    names = {option.name for option in fields(kind)}  # type: ignore[arg-type]
    unknown = sorted(values.keys() - names)
    if unknown:
        raise OptionsError(f"unknown key {unknown[0]!r} (known: {', '.join(sorted(names))})")
    try:
        return kind(**{name: _tuple_of(value) for name, value in values.items()})
    except TypeError as error:
        raise OptionsError(str(error)) from error


def _tuple_of(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
