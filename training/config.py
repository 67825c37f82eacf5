"""A training run as data: dataclasses read from a TOML file; unknown keys are an error."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from shm_engine.errors import OptionsError
from shm_engine.model import DEFAULT_MODEL

Options = TypeVar("Options")

_ACCEPTED: dict[Any, tuple[type, ...]] = {
    "str": (str,),
    "bool": (bool,),
    "int": (int,),
    "float": (int, float),
    "float | None": (int, float, type(None)),
}
_ACCEPTED_IN_ARRAYS: dict[Any, type] = {"tuple[str, ...]": str, "tuple[int, int]": int}

# What the truth of a source is worth. "mask": outline right to a few pixels, image/ and mask/.
# "alpha": the same, exact to the pixel. "cutout": RGBA, exact alpha, put on a background.
# "background": pictures without people. "pasted_mask": people of "mask", put on a background.
# A "solved" alpha came from matting inside the trimap of a mask. "pseudo": alpha that a network
# gave, with a trimap that is unknown where it is not believed.
KINDS = ("mask", "alpha", "solved", "cutout", "pasted_mask", "background", "pseudo")
# People without surroundings: they are put on backgrounds.
COMPOSED = ("cutout", "pasted_mask")


def outline_weight_of(kind: str) -> float:
    """What the surroundings of an outline are worth by default: masks are right to a few pixels,
    solved alphas mostly to the pixel, the others always."""
    return {"mask": 0.25, "pasted_mask": 0.25, "solved": 0.5}.get(kind, 1.0)


@dataclass(frozen=True, kw_only=True)
class Source:
    """A folder of pictures and how often it is drawn from (relative to the other sources).

    pattern: which files of the folder, as in a shell.
    outline_weight: how much the losses count the outline's surroundings; by default all of it where
    alpha is exact, and a quarter where it is a mask.
    """

    path: str
    kind: str
    weight: float
    pattern: str = "*"
    outline_weight: float | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise OptionsError(f"kind is {self.kind!r}; use one of {', '.join(KINDS)}")
        if self.weight <= 0:
            raise OptionsError(f"the weight of {self.path} is {self.weight}; it must be above 0")
        if not 0 <= self.outline_trust <= 1:
            raise OptionsError(f"outline_weight is {self.outline_weight}; use 0 to 1")

    @property
    def outline_trust(self) -> float:
        """`outline_weight`, or what it is for the kind."""
        given = self.outline_weight
        return outline_weight_of(self.kind) if given is None else given


# Of a phase.
_NOT_NEGATIVE = (
    "backbone_rate",
    "frozen_layers",
    "warmup_steps",
    "trimap_loss",
    "alpha_loss",
    "composition_loss",
    "unknown_loss",
    "laplacian_loss",
)


@dataclass(frozen=True, kw_only=True)
class Phase:
    """One stretch of training.

    train: "t_net" (trimap alone), "m_net" (raw alpha from true trimaps) or "end_to_end" (T-Net,
    M-Net and fusion together).
    steps: so many updates, each from `batch` samples, which the processes of a team share.
    crop_pixels: side of the square crops, a multiple of 32.
    learning_rate: of everything but the backbone, which learns at backbone_rate times it. It rises
    over `warmup_steps`, then falls to a fiftieth.
    frozen_layers: so many layers of the backbone, from the picture on, do not learn; 4 end at a
    quarter of the size and take a third of a step's time.
    trimap_loss ... laplacian_loss: weights of the terms in `losses.py`.
    """

    train: str
    steps: int
    batch: int
    crop_pixels: int
    learning_rate: float
    backbone_rate: float = 0.2
    frozen_layers: int = 0
    warmup_steps: int = 100
    trimap_loss: float = 1.0
    alpha_loss: float = 2.0
    composition_loss: float = 0.5
    unknown_loss: float = 0.5
    laplacian_loss: float = 0.0

    def __post_init__(self) -> None:
        if self.train not in ("t_net", "m_net", "end_to_end"):
            raise OptionsError(f"train is {self.train!r}; use t_net, m_net or end_to_end")
        if self.crop_pixels % 32 or self.crop_pixels <= 0:
            raise OptionsError(f"crop_pixels is {self.crop_pixels}; use a multiple of 32")
        if min(self.steps, self.batch) < 1:
            raise OptionsError(f"steps and batch are {self.steps} and {self.batch}; use 1 or more")
        if self.learning_rate <= 0:
            raise OptionsError(f"learning_rate is {self.learning_rate}; it must be above 0")
        for name in _NOT_NEGATIVE:
            if getattr(self, name) < 0:
                raise OptionsError(f"{name} is {getattr(self, name)}; use 0 or more")


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """A whole run, over the pictures of its sources, of manifests, or of both.

    Paths. The files `manifests`, `start_from` and `validation` and the folder `data` are relative
    to where the program runs; `background`, `backbone` and the sources' paths to `data`.

    drawn_pictures: so many figures and scenes are drawn into `data` first, to try things out.
    background: a folder of scenes for composites; without it those of the kind "background" among
    the pictures.
    backbone: an .npz of ImageNet features, start_from: a weights file, which the networks begin
    with; what both hold is start_from's.
    architecture: a name in `shm_engine.model.MODELS`. seed: of first values and of all samples.
    ema_decay: what the averaged weights, which are the result, keep of themselves at each step.
    save_every: so many steps of the run are lost at most when it is stopped. log_every: so many
    steps of a phase make a row of the log.
    validation: a list of sets as `evaluate` reads it. Measured every `validate_every` steps of the
    run and at the end of each phase (0: never at all), on at most `validation_pictures` of each set
    (0: all).
    charts: TensorBoard and curves, which need the train extra; `strips_every` so many steps (0:
    never) a picture of what the network makes of samples.
    trimap_radius_pixels: smallest and largest radius by which a sample's outline is eroded and
    dilated, in pixels of the crop.
    company: how often a composite shows more people than one, hair: how often a cut-out grows
    strands, litter: how often a scene gets a shape of another one, smear: how often a cut-out moves
    (a third as often: a person in a photograph).
    """

    phases: tuple[Phase, ...]
    data: str = "."
    drawn_pictures: int = 0
    sources: tuple[Source, ...] = ()
    manifests: tuple[str, ...] = ()
    background: str = ""
    backbone: str = ""
    start_from: str = ""
    architecture: str = DEFAULT_MODEL
    seed: int = 0
    ema_decay: float = 0.998
    save_every: int = 200
    log_every: int = 50
    validation: str = ""
    validate_every: int = 0
    validation_pictures: int = 20
    charts: bool = True
    strips_every: int = 500
    trimap_radius_pixels: tuple[int, int] = (2, 14)
    company: float = 0.3
    hair: float = 0.4
    litter: float = 0.25
    smear: float = 0.1

    def __post_init__(self) -> None:
        if not self.phases or not (self.sources or self.manifests):
            raise OptionsError("a run needs [[phases]], and [[sources]] or manifests")
        for name in ("save_every", "log_every"):
            if getattr(self, name) < 1:
                raise OptionsError(f"{name} is {getattr(self, name)}; use 1 or more")
        for name in ("drawn_pictures", "validate_every", "validation_pictures", "strips_every"):
            if getattr(self, name) < 0:
                raise OptionsError(f"{name} is {getattr(self, name)}; use 0 or more")
        if self.validate_every and not self.validation:
            raise OptionsError(
                f"validate_every is {self.validate_every}, but validation names no list of sets"
            )
        if self.seed < 0:
            raise OptionsError(f"seed is {self.seed}; use 0 or more")
        if not 0 <= self.ema_decay < 1:
            raise OptionsError(f"ema_decay is {self.ema_decay}; use 0 up to, not including, 1")
        for name in ("company", "hair", "litter", "smear"):
            if not 0 <= getattr(self, name) <= 1:
                raise OptionsError(f"{name} is {getattr(self, name)}; use 0 to 1")
        radii = self.trimap_radius_pixels
        if len(radii) != 2 or not 0 <= radii[0] <= radii[1]:
            raise OptionsError(f"trimap_radius_pixels is {radii}; use [smallest, largest]")


def read_config(path: Path, changes: Sequence[str] = ()) -> TrainingConfig:
    """The run that a TOML file describes; `changes` are lines of TOML that replace whole keys.

    Raises OptionsError with the file's name for a missing file, wrong syntax, an unknown key or a
    value out of range.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
        values |= tomllib.loads("\n".join(changes))
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
        if name in values:
            _check_value(name, values[name], option.type)
    return kind(**{name: _tuple_of(value) for name, value in values.items()})


def _check_value(name: str, value: Any, wanted: Any) -> None:
    """OptionsError unless the value is what the type of a field says, and finite."""
    accepted, inner = _ACCEPTED.get(wanted), _ACCEPTED_IN_ARRAYS.get(wanted)
    if accepted and type(value) not in accepted:
        raise OptionsError(f"{name} is {value!r}; {wanted} is needed")
    if isinstance(value, float) and not math.isfinite(value):
        raise OptionsError(f"{name} is {value}; a finite number is needed")
    is_array = isinstance(value, list) and all(type(one) is inner for one in value)
    if inner and not is_array:
        raise OptionsError(f"{name} is {value!r}; an array of {inner.__name__} is needed")


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
