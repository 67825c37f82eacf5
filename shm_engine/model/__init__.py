"""The networks, by name. To add one: a file here and a row in MODELS."""

from __future__ import annotations

from collections.abc import Callable

from shm_engine.model.shm import SemanticHumanMatting

MODELS: dict[str, Callable[[], SemanticHumanMatting]] = {"shm_mobilenetv2": SemanticHumanMatting}
DEFAULT_MODEL = "shm_mobilenetv2"
