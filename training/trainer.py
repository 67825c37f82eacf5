"""The training loop: phases in order, saved and resumed at any step; knows no metric.

A run folder holds `state.pt` (everything a resumed run needs), `weights.safetensors` (the averaged
weights, ready for the engine) and `log.jsonl` (one line per report).
"""

from __future__ import annotations

import json
import math
import pickle
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader

from shm_engine.checkpoint import save_checkpoint
from shm_engine.errors import CheckpointError, MattingError, OptionsError
from shm_engine.files import replacing
from shm_engine.matter import choose_device
from shm_engine.model import MODELS
from shm_engine.preprocess import Preprocessing
from training.config import Phase, TrainingConfig
from training.dataset import MattingDataset, Sample
from training.phases import OBJECTIVES
from training.pretrained import freeze_batch_norm, load_backbone

_GRADIENT_NORM = 5.0

# What loading raises for a file that is of another kind, cut, or of another run.
_NOT_A_STATE = (
    pickle.UnpicklingError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)


@dataclass
class Progress:
    """Where a run stands: the phase, the steps done in it, the samples drawn in all."""

    phase: int = 0
    step: int = 0
    samples: int = 0


class Trainer:
    """A run in a folder. `run()` goes on where the folder's state says, or starts."""

    def __init__(
        self, config: TrainingConfig, folder: Path, *, device: str = "cpu", workers: int = 1
    ) -> None:
        self.config = config
        self.folder = folder
        self.device = choose_device(device)
        self.workers = workers
        self.preprocessing = Preprocessing()
        self.progress = Progress()
        torch.manual_seed(config.seed)
        if config.architecture not in MODELS:
            raise OptionsError(f"there is no network called {config.architecture!r}")
        model = MODELS[config.architecture]()
        if config.backbone:
            load_backbone(model.t_net.backbone, Path(config.data) / config.backbone)
        self.model = model.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = AveragedModel(
            self.model, multi_avg_fn=get_ema_multi_avg_fn(config.ema_decay), use_buffers=True
        )
        self.optimiser = self._optimiser(config.phases[0])
        if self._state_path.exists():
            self._resume()

    def run(self, *, stop_after_steps: int | None = None) -> None:
        """Train to the end of the last phase, or for some steps of this call."""
        if self.progress.phase == len(self.config.phases):
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        left = math.inf if stop_after_steps is None else stop_after_steps
        while self.progress.phase < len(self.config.phases) and left > 0:
            left -= self._run_phase(self.config.phases[self.progress.phase], left)
        self.save()

    def save(self) -> None:
        """Write state and weights, each whole or not at all."""
        state = {
            "identity": self._identity,
            "progress": vars(self.progress),
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }
        with replacing(self._state_path) as temporary:
            torch.save(state, temporary)
        save_checkpoint(
            self.folder / "weights.safetensors",
            self.average.module,
            self.config.architecture,
            self.preprocessing,
        )

    @property
    def _state_path(self) -> Path:
        return self.folder / "state.pt"

    @property
    def _identity(self) -> list[str]:
        """What may not change between the parts of a run. Phases may: some can be added."""
        return [self.config.architecture, str(self.config.seed), str(self.config.sources)]

    def _resume(self) -> None:
        try:
            state = torch.load(self._state_path, map_location=self.device, weights_only=True)
            if state["identity"] != self._identity:
                raise ValueError("other architecture, seed or sources")
            self.progress = Progress(**state["progress"])
            self.model.load_state_dict(state["model"])
            self.average.load_state_dict(state["average"])
            phases = self.config.phases
            phase = phases[min(self.progress.phase, len(phases) - 1)]
            if self.progress.step > phase.steps:
                raise ValueError(f"step {self.progress.step} of {phase.steps}")
            self.optimiser = self._optimiser(phase)
            if self.progress.step > 0:  # a phase begins with a fresh one, also one added later
                self.optimiser.load_state_dict(state["optimiser"])
        except _NOT_A_STATE as error:
            raise CheckpointError(
                f"{self._state_path} does not belong to this run; train into another folder",
                path=self._state_path,
            ) from error

    def _run_phase(self, phase: Phase, most_steps: float) -> int:
        """Steps done in this call; moves on to the next phase when this one is complete."""
        steps = int(min(phase.steps - self.progress.step, most_steps))
        report = _Report(self.folder / "log.jsonl", self.config.log_every)
        for batch in self._batches(phase, steps):
            waited = report.start()
            for group in self.optimiser.param_groups:
                group["lr"] = group["peak"] * learning_rate_factor(self.progress.step, phase)
            terms = self._step(batch, phase)
            self.progress.step += 1
            self.progress.samples += phase.batch
            report.add(self.progress, phase, terms, waited)
            if self.progress.step % self.config.save_every == 0:
                self.save()
        if self.progress.step == phase.steps:
            self.progress.phase += 1
            self.progress.step = 0
            if self.progress.phase < len(self.config.phases):
                self.optimiser = self._optimiser(self.config.phases[self.progress.phase])
        return steps

    def _step(self, batch: Sample, phase: Phase) -> dict[str, float]:
        self.model.train()
        freeze_batch_norm(self.model.t_net.backbone)
        batch = Sample(*(tensor.to(self.device, non_blocking=True) for tensor in batch))
        with torch.autocast(self.device.type, torch.bfloat16):
            loss, terms = OBJECTIVES[phase.train](self.model, batch, phase, self.preprocessing)
        if not torch.isfinite(loss):
            raise MattingError(
                f"the loss is no longer a number at step {self.progress.step} of {phase.train}; "
                "resume with a lower learning rate"
            )
        self.optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), _GRADIENT_NORM)
        self.optimiser.step()
        self.average.update_parameters(self.model)
        return terms

    def _batches(self, phase: Phase, steps: int) -> DataLoader[Sample]:
        if self.workers:
            # A fork copies OpenCV's pool without its threads: a loader would wait for ever.
            cv2.setNumThreads(1)
        dataset = MattingDataset(
            self.config,
            crop_pixels=phase.crop_pixels,
            first=self.progress.samples,
            count=steps * phase.batch,
        )
        return DataLoader(
            dataset,
            batch_size=phase.batch,
            num_workers=self.workers,
            prefetch_factor=4 if self.workers else None,
            pin_memory=self.device.type == "cuda",
            worker_init_fn=_one_thread,
        )

    def _optimiser(self, phase: Phase) -> torch.optim.AdamW:
        backbone = list(self.model.t_net.backbone.parameters())
        inside = {id(parameter) for parameter in backbone}
        rest = [p for p in self.model.parameters() if id(p) not in inside]
        groups: list[dict[str, Any]] = [
            {"params": backbone, "peak": phase.learning_rate * phase.backbone_rate},
            {"params": rest, "peak": phase.learning_rate},
        ]
        return torch.optim.AdamW(groups, lr=phase.learning_rate, weight_decay=1e-4)


def learning_rate_factor(step: int, phase: Phase) -> float:
    """A half cosine from 1 down to 0.02, times a linear warm-up."""
    warm = min(1.0, (step + 1) / max(1, min(phase.warmup_steps, phase.steps)))
    cosine = 0.5 * (1 + math.cos(math.pi * step / phase.steps))
    return warm * (0.02 + 0.98 * cosine)


def _one_thread(_: int) -> None:
    cv2.setNumThreads(1)


class _Report:
    """Mean terms and speed over every `every` steps, to the terminal and a file."""

    def __init__(self, path: Path, every: int) -> None:
        self._path = path
        self._every = every
        self._rows: list[dict[str, float]] = []
        self._waited = 0.0
        self._begin = self._idle_since = time.monotonic()

    def start(self) -> float:
        """Seconds spent waiting for the batch that has just come."""
        return time.monotonic() - self._idle_since

    def add(self, progress: Progress, phase: Phase, terms: dict[str, float], waited: float) -> None:
        self._rows.append(terms)
        self._waited += waited
        now = time.monotonic()
        if len(self._rows) >= self._every or progress.step == phase.steps:
            spent = now - self._begin
            row: dict[str, Any] = {
                "phase": phase.train,
                "step": progress.step,
                "of": phase.steps,
                "seconds_per_step": round(spent / len(self._rows), 3),
                "waiting": round(self._waited / spent, 3),
            }
            for name in terms:
                row[name] = round(sum(r[name] for r in self._rows) / len(self._rows), 5)
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
            print("  ".join(f"{key} {value}" for key, value in row.items()), flush=True)
            self._rows, self._waited, self._begin = [], 0.0, now
        self._idle_since = time.monotonic()
