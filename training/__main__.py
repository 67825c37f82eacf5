"""`python -m training prepare | train | label | evaluate`: the door of the training package."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from shm_engine.errors import MattingError
from shm_engine.options import SMOOTHINGS, MatterOptions


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def commands() -> None:
    """Train and measure the networks."""


@commands.command()
@click.argument("sources", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), default=Path("prepared"), show_default=True)
@click.option("--alpha", help="keep, knn or closed_form, for sets of masks and alphas.")
@click.option("--validate-every", type=click.IntRange(0), help="Of a set's pictures; 0: none.")
@click.option("--processes", type=click.IntRange(1), help="Default: one a core.")
@click.option("--seed", type=click.IntRange(0), help="Of trimaps and sheets.")
@click.option("--limit", type=click.IntRange(1), help="Only the first pictures of every set.")
def prepare(  # noqa: PLR0913 - a parameter an option
    sources: tuple[Path, ...],
    out: Path,
    alpha: str | None,
    validate_every: int | None,
    processes: int | None,
    seed: int | None,
    limit: int | None,
) -> None:
    """Check raw pictures and list them in OUT/manifest.csv, with trimaps and sheets to look at.

    SOURCES are folders, or one TOML file of [[sets]]. The same command goes on where it stopped.
    """
    from training.prepare.options import read_options
    from training.prepare.pool import worker_processes
    from training.prepare.run import choose, report
    from training.prepare.run import prepare as prepare_sets

    options = choose(read_options(sources), alpha=alpha, validate_every=validate_every, seed=seed)
    with worker_processes(processes) as mapper:
        summary = prepare_sets(options, out, mapper, limit=limit)
    print(report(summary, out))


@commands.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--folder", type=click.Path(path_type=Path), help="Default: runs/CONFIG.")
@click.option("--device", default=MatterOptions.device, show_default=True)
@click.option("--workers", type=click.IntRange(0), default=1, show_default=True, help="Loaders.")
@click.option("--threads", type=click.IntRange(1), help="Threads of the network; default: all.")
@click.option("--steps", type=click.IntRange(1), help="Stop after so many steps of this call.")
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="KEY=VALUE",
    help="Replaces a key of CONFIG, written as in the file; may be repeated.",
)
def train(  # noqa: PLR0913 - a parameter an option
    config: Path,
    folder: Path | None,
    device: str,
    workers: int,
    threads: int | None,
    steps: int | None,
    changes: tuple[str, ...],
) -> None:
    """Train as the TOML file CONFIG says; goes on where the run's folder stands.

    `torchrun --nproc-per-node 2 -m training train CONFIG` trains in several processes.
    """
    import torch

    from training.config import read_config
    from training.data.drawn import draw_data
    from training.loop.distributed import joined_team
    from training.loop.trainer import Trainer

    if threads is not None:
        torch.set_num_threads(threads)
    run, folder = read_config(config, changes), folder or Path("runs") / config.stem
    with joined_team(device) as team:
        if run.drawn_pictures and team.leads:
            draw_data(Path(run.data), run.drawn_pictures, run.seed)
        team.share(None)  # the others wait for the pictures
        trainer = Trainer(run, folder, device=device, workers=workers, team=team)
        if trainer.is_complete and team.leads:
            print(f"the run in {folder} is complete; add a phase, or choose another --folder")
        trainer.run(stop_after_steps=steps)


@commands.command()
@click.option(
    "--sets",
    type=click.Path(path_type=Path),
    default=Path("training/configs/val.toml"),
    show_default=True,
    help="TOML file that lists the sets.",
)
@click.option("--only", multiple=True, metavar="SET", help="Of these sets; may be repeated.")
@click.option("--model", type=click.Path(path_type=Path), help="Weights; default: the shipped.")
@click.option("--device", default=MatterOptions.device, show_default=True)
@click.option("--size", default=MatterOptions.long_side_pixels, show_default=True)
@click.option(
    "--smooth",
    type=click.Choice(SMOOTHINGS),
    default=MatterOptions.smoothing,
    show_default=True,
    help="How hard to hold clips still.",
)
@click.option("--threads", type=click.IntRange(1), help="Threads of the network; default: all.")
@click.option(
    "--categories",
    type=click.Path(path_type=Path),
    help="CSV (set, name, categories) for a table by category; default: what SETS says.",
)
@click.option(
    "--predictions",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Measure FOLDER/SET/NAME.png, grey or RGBA, instead of weights.",
)
@click.option(
    "--write-predictions",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Write the mattes as --predictions reads them.",
)
@click.option(
    "--write-images",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Write FOLDER/SET/NAME.png for other programs to work on, and measure nothing.",
)
@click.option("--json", type=click.Path(path_type=Path), help="All figures, down to the picture.")
@click.option(
    "--worst",
    type=click.Path(path_type=Path),
    metavar="PNG",
    help="A sheet of the ten worst mattes. It shows the pictures: do not publish it.",
)
def evaluate(  # noqa: PLR0913 - a parameter an option
    sets: Path,
    only: tuple[str, ...],
    model: Path | None,
    device: str,
    size: int,
    smooth: str,
    threads: int | None,
    categories: Path | None,
    predictions: Path | None,
    write_predictions: Path | None,
    write_images: Path | None,
    json: Path | None,
    worst: Path | None,
) -> None:
    """Measure mattes on pictures and clips with known alpha; prints Markdown tables."""
    import cv2
    import torch

    from training.evaluation.scoring import Job, run

    if threads is not None:
        torch.set_num_threads(threads)
        cv2.setNumThreads(threads)
    job = Job(
        sets=sets,
        only=only,
        model=model,
        options=MatterOptions(
            device=device,
            long_side_pixels=size,
            backend="eager",
            smoothing=smooth,
            foreground="source",
        ),
        categories=categories,
        predictions=predictions,
        write_predictions=write_predictions,
        write_images=write_images,
        json=json,
        worst=worst,
    )
    print(run(job))


@commands.command()
@click.option(
    "--part",
    "parts",
    type=(click.Path(path_type=Path), float),
    multiple=True,
    required=True,
    metavar="FILE SHARE",
    help="A weights file and how much it counts; give several.",
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The file to write.")
def average(parts: tuple[tuple[Path, float], ...], out: Path) -> None:
    """Write the mean of weights that are stages of one run."""
    from training.loop.averaging import average_weights

    average_weights(parts, out)


@commands.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="For the labels.")
@click.option("--model", type=click.Path(path_type=Path), help="Weights; default: the shipped.")
@click.option("--device", default=MatterOptions.device, show_default=True)
@click.option(
    "--weight",
    type=click.FloatRange(0, min_open=True),
    default=1.0,
    show_default=True,
    help="Of all labelled pictures together.",
)
def label(folder: Path, out: Path, model: Path | None, device: str, weight: float) -> None:
    """Label the pictures in FOLDER where a network is sure of them: for self-training.

    Name OUT/manifest.csv among the manifests of a run.
    """
    from shm_engine.matter import Matter
    from training.data.label import LabelOptions, label_folder

    # Two views of one picture are no film, and colours are not wanted.
    options = MatterOptions(device=device, backend="eager", smoothing="off", foreground="source")
    matter = Matter.load(model, options)
    summary = label_folder(folder, out, matter, LabelOptions(), weight)
    for reason in summary.refused:
        print(f"left out: {reason}", file=sys.stderr)
    labelled = f"{summary.used} of {summary.found} pictures are labelled"
    print(f"{labelled} in {out / 'manifest.csv'}")


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
        goes_on = "prepare and train go on from the last save with the same command"
        print(f"training: interrupted; {goes_on}", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
