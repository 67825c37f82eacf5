"""`python -m training train | evaluate`: the door of the training package."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from shm_engine.errors import MattingError
from shm_engine.options import MatterOptions


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def commands() -> None:
    """Train and measure the networks."""


@commands.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--run", "folder", type=click.Path(path_type=Path), help="Default: runs/CONFIG.")
@click.option("--device", default=MatterOptions.device, show_default=True)
@click.option("--workers", type=click.IntRange(0), default=1, show_default=True, help="Loaders.")
@click.option("--threads", type=click.IntRange(1), help="Threads of the network; default: all.")
@click.option("--steps", type=click.IntRange(1), help="Stop after so many steps of this call.")
def train(
    config: Path,
    folder: Path | None,
    device: str,
    workers: int,
    threads: int | None,
    steps: int | None,
) -> None:
    """Train as the TOML file CONFIG says; goes on where the run's folder stands."""
    import torch

    from training.config import read_config
    from training.trainer import Trainer

    if threads is not None:
        torch.set_num_threads(threads)
    trainer = Trainer(
        read_config(config), folder or Path("runs") / config.stem, device=device, workers=workers
    )
    trainer.run(stop_after_steps=steps)


@commands.command()
@click.option(
    "--sets",
    type=click.Path(path_type=Path),
    default=Path("training/configs/val.toml"),
    show_default=True,
    help="TOML file that lists the sets.",
)
@click.option("--model", type=click.Path(path_type=Path), help="Weights; default: the shipped.")
@click.option("--device", default=MatterOptions.device, show_default=True)
@click.option("--size", default=MatterOptions.long_side_pixels, show_default=True)
def evaluate(sets: Path, model: Path | None, device: str, size: int) -> None:
    """Measure weights on pictures with known alpha; prints a Markdown table."""
    from shm_engine.matter import Matter
    from training.evaluate import evaluate_set, read_evaluation, table

    config = read_evaluation(sets)
    matter = Matter.load(model, MatterOptions(device=device, long_side_pixels=size))
    rows = [evaluate_set(matter, Path(config.data), chosen) for chosen in config.sets]
    print(f"{matter.description}\n\n{table(rows)}")


def main() -> None:
    """Run a command; an error the user can act on becomes one sentence and exit code 1."""
    try:
        commands(standalone_mode=False)
    except MattingError as error:
        print(f"training: {error}", file=sys.stderr)
        sys.exit(1)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        print("training: interrupted; the same command goes on from the last save", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
