"""What each of the processes does that test_distributed starts: DATA FOLDER SETS.

Trains in one go, in pieces, and, for a comparison with one process, without what makes the share of
a batch differ from the batch: batch norms use stored statistics, layers compute in float32.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import torch

from tests.training.conftest import PHASES, drawn_config
from training.config import TrainingConfig
from training.loop.distributed import ALONE, Team, joined_team
from training.loop.phases import OBJECTIVES, Objective
from training.loop.trainer import Trainer


def comparable(data: Path) -> TrainingConfig:
    """No term that is a mean over a region: that is larger in one share than in the other."""
    phases = tuple(replace(phase, batch=4, unknown_loss=0.0) for phase in PHASES)
    return drawn_config(data, phases=phases)


def with_stored_statistics(objective: Objective) -> Objective:
    return lambda model, *others: objective(model.eval(), *others)


def begin(config: TrainingConfig, folder: Path, team: Team = ALONE) -> Trainer:
    return Trainer(config, folder, workers=0, team=team)


def finish(run: Trainer) -> dict[str, torch.Tensor]:
    run.run()
    return run.model.state_dict()


def finish_comparably(run: Trainer) -> dict[str, torch.Tensor]:
    run.precision = torch.float32
    return finish(run)


def main(data: Path, folder: Path, sets: str) -> None:
    torch.set_num_threads(1)
    watched = drawn_config(data, validation=sets, validate_every=2)
    with joined_team("cpu") as team:
        found = {"whole": finish(begin(watched, folder / "whole", team))}
        begin(watched, folder / "pieces", team).run(stop_after_steps=3)
        found["pieces"] = finish(begin(watched, folder / "pieces", team))
        for name, objective in OBJECTIVES.items():
            OBJECTIVES[name] = with_stored_statistics(objective)
        together = begin(comparable(data), folder / "comparable", team)
        found["comparable"] = finish_comparably(together)
    if team.leads:
        alone = begin(comparable(data), folder / "alone")
        found["start"] = {name: value.clone() for name, value in alone.model.state_dict().items()}
        found["alone"] = finish_comparably(alone)
    torch.save(found, folder / f"rank {team.rank}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
