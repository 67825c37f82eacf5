"""The training loop: phases in order, saved and resumed at any step; knows no metric.

A run folder holds `state.pt` (everything a resumed run needs), `weights.safetensors` (the averaged
weights, ready for the engine), `best.safetensors` (those with the lowest validation score),
`log.jsonl` (see `log`), and with charts `tensorboard/` and `curves.png`.

A resumed run is the uninterrupted one, bit for bit on a CPU: samples follow from their index,
torch's generators are saved, validation leaves both alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from shm_engine.checkpoint import save_checkpoint
from shm_engine.errors import MattingError, OptionsError
from shm_engine.model import MODELS
from shm_engine.model.shm import SemanticHumanMatting
from shm_engine.preprocess import Preprocessing, normalise
from training.config import Phase, TrainingConfig
from training.data.dataset import MattingDataset, Sample
from training.loop.distributed import (
    ALONE,
    Share,
    Team,
    check_shares,
    gradients,
    running_statistics,
)
from training.loop.loading import load_batches
from training.loop.log import Row
from training.loop.optimiser import (
    make_optimiser,
    make_scaler,
    restore_optimiser,
    set_learning_rate,
    training_precision,
    update,
)
from training.loop.phases import OBJECTIVES
from training.loop.pretrained import freeze_batch_norm, load_backbone, load_weights
from training.loop.report import Report, open_report
from training.loop.state import (
    Progress,
    belonging_to_the_run,
    check_identity,
    identity_of,
    random_state,
    read_state,
    restore_random_state,
    write_state,
)
from training.loop.strips import STRIPS, draw_strips
from training.loop.validation import Best, Validation


class Trainer:
    """A run in a folder. `run()` goes on where the folder's state says, or starts."""

    def __init__(
        self,
        config: TrainingConfig,
        folder: Path,
        *,
        device: str = "cpu",
        workers: int = 1,
        team: Team = ALONE,
    ) -> None:
        check_shares(config.phases, team)
        self.config = config
        self.folder = folder
        self.team = team
        self.device = team.choose_device(device)
        self.workers = workers
        self.preprocessing = Preprocessing()
        self.progress = Progress()
        self.validation = Validation(config) if config.validate_every else None
        if self.validation and team.leads:
            self.validation.find_pictures()
        self.best = Best()
        self.precision = training_precision(self.device)
        self.scaler = make_scaler(self.device, self.precision)
        self.model = _first_model(config).to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        torch.manual_seed(config.seed + team.rank)
        self.average = AveragedModel(
            self.model, multi_avg_fn=get_ema_multi_avg_fn(config.ema_decay), use_buffers=True
        )
        self.optimiser = make_optimiser(self.model, config.phases[0])
        # Read by one and sent to the others: their machines may not see the folder.
        state = team.share(read_state(self._state_path) if team.leads else None)
        if state is not None:
            self._resume(state)

    def run(self, *, stop_after_steps: int | None = None) -> None:
        """Train to the end of the last phase, or for some steps of this call."""
        if self.is_complete:
            return
        left = math.inf if stop_after_steps is None else stop_after_steps
        with open_report(self.folder, self.config, self.steps_done, self.team) as report:
            while not self.is_complete and left > 0:
                left -= self._run_phase(self.config.phases[self.progress.phase], left, report)
            report.flush()
            self.save()

    def save(self) -> None:
        """Write state and weights, each whole or not at all; every process of a team must call."""
        random = self.team.gather(random_state(self.device))
        if not self.team.leads:
            return
        state = {
            "identity": identity_of(self.config),
            "progress": vars(self.progress),
            "best": vars(self.best),
            "random": random,
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.scaler.state_dict(),
        }
        write_state(self._state_path, state)
        self._write_weights("weights.safetensors")

    @property
    def is_complete(self) -> bool:
        """Whether all phases are done."""
        return self.progress.phase >= len(self.config.phases)

    @property
    def steps_done(self) -> int:
        """Steps of all phases so far."""
        return self._steps_before + self.progress.step

    @property
    def _steps_before(self) -> int:
        return sum(phase.steps for phase in self.config.phases[: self.progress.phase])

    @property
    def _state_path(self) -> Path:
        return self.folder / "state.pt"

    def _resume(self, state: Any) -> None:
        with belonging_to_the_run(self._state_path):
            check_identity(state["identity"], self.config, self._state_path)
            self.progress = Progress(**state["progress"])
            self.model.load_state_dict(state["model"])
            self.average.load_state_dict(state["average"])
            phases = self.config.phases
            phase = phases[min(self.progress.phase, len(phases) - 1)]
            if self.progress.step > phase.steps:
                raise ValueError(f"step {self.progress.step} of {phase.steps}")
            self.optimiser = make_optimiser(self.model, phase)
            if self.progress.step > 0:  # a phase begins with a fresh one, also one added later
                restore_optimiser(self.optimiser, state["optimiser"])
            if state["scaler"]:  # empty where it was not needed
                self.scaler.load_state_dict(state["scaler"])
            best = Best(**state["best"])
            if self.validation is None or best.pictures == self.validation.pictures:
                self.best = best
            if self.team.rank < len(state["random"]):  # not if the team has grown
                restore_random_state(state["random"][self.team.rank], self.device)

    def _run_phase(self, phase: Phase, most_steps: float, report: Report) -> int:
        """Steps done in this call; moves on to the next phase when this one is complete."""
        steps = int(min(phase.steps - self.progress.step, most_steps))
        for batch in report.total.waiting_for(self._batches(phase, steps)):
            with report.total.working():
                rate = set_learning_rate(self.optimiser, self.progress.step, phase)
                terms = self._step(batch, phase)
            self.progress.step += 1
            self.progress.samples += phase.batch
            report.add(self._place(phase), terms, rate)
            self._after_step(batch, phase, report)
        if self.progress.step == phase.steps:
            self.progress.phase += 1
            self.progress.step = 0
            if self.team.leads:
                self._write_weights(f"phase_{self.progress.phase}.safetensors")
            if not self.is_complete:
                self.optimiser = make_optimiser(self.model, self.config.phases[self.progress.phase])
        return steps

    def _step(self, batch: Sample, phase: Phase) -> dict[str, float]:
        """Learn from this process's share of a batch; the loss terms of the whole batch."""
        self.model.train()
        freeze_batch_norm(self.model.t_net.backbone)
        batch = Sample(*(tensor.to(self.device, non_blocking=True) for tensor in batch))
        with torch.autocast(self.device.type, self.precision):
            loss, terms = OBJECTIVES[phase.train](self.model, batch, phase, self.preprocessing)
        self.optimiser.zero_grad()
        self.scaler.scale(loss).backward()
        figures = torch.tensor([loss.item(), *terms.values()], device=self.device)
        self.team.average_([*gradients(self.model), *running_statistics(self.model), figures])
        whole_loss, *values = figures.tolist()
        # After the exchange: so every process of a team sees it and ends.
        if not math.isfinite(whole_loss):
            raise MattingError(
                f"the loss is no longer a number at step {self.progress.step} of {phase.train}; "
                "resume with a lower learning rate"
            )
        update(self.model, self.optimiser, self.scaler)
        self.average.update_parameters(self.model)
        return dict(zip(terms, values, strict=True))

    def _after_step(self, batch: Sample, phase: Phase, report: Report) -> None:
        """What is due now: a row of the log, picture strips, a validation, a save."""
        done, ends = self.steps_done, self.progress.step == phase.steps
        if ends or self.progress.step % self.config.log_every == 0:
            report.flush()
        if report.board and self.config.strips_every and done % self.config.strips_every == 0:
            report.board.show(self._strips(batch), done)
        saves = done % self.config.save_every == 0
        if self.validation and (ends or self.validation.is_due(done)):
            saves = True
            if self.team.leads:
                self._validate(self.validation, phase, report)
        if saves:
            self.save()

    def _validate(self, validation: Validation, phase: Phase, report: Report) -> None:
        weights = self._write_weights("weights.safetensors")
        verdict = validation.measure(weights, self.device)
        if verdict.score < self.best.score:
            self.best = Best(verdict.score, validation.pictures)
            self._write_weights("best.safetensors")
        report.validated(self._place(phase), verdict, self.best.score)

    def _write_weights(self, name: str) -> Path:
        path = self.folder / name
        save_checkpoint(path, self.average.module, self.config.architecture, self.preprocessing)
        return path

    @torch.no_grad()
    def _strips(self, batch: Sample) -> torch.Tensor:
        image = normalise(batch.image[:STRIPS].to(self.device) / 255, self.preprocessing)
        network = self.average.module.eval()
        with torch.autocast(self.device.type, self.precision):
            return draw_strips(batch, network(image).alpha)

    def _place(self, phase: Phase) -> Row:
        return {
            "phase": phase.train,
            "step": self.progress.step,
            "of": phase.steps,
            "steps_done": self.steps_done,
        }

    def _batches(self, phase: Phase, steps: int) -> Iterator[Sample]:
        dataset = MattingDataset(
            self.config,
            crop_pixels=phase.crop_pixels,
            first=self.progress.samples,
            count=steps * phase.batch,
        )
        share = Share(steps, phase.batch, self.team)
        pinned = self.device.type == "cuda"
        return load_batches(dataset, share, workers=self.workers, pinned=pinned)


def _first_model(config: TrainingConfig) -> SemanticHumanMatting:
    """The network as the run begins: seeded, with what it is given to start from."""
    if config.architecture not in MODELS:
        raise OptionsError(f"there is no network called {config.architecture!r}")
    torch.manual_seed(config.seed)
    model = MODELS[config.architecture]()
    if config.backbone:
        load_backbone(model.t_net.backbone, Path(config.data) / config.backbone)
    if config.start_from:
        load_weights(model, config.architecture, Path(config.start_from))
    return model
