"""Commands that score decoders."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bci.cli.app import app, say
from bci.errors import ConfigError


@app.command()
def benchmark(
    config: Annotated[Path, typer.Argument(help="The benchmark's YAML.", metavar="CONFIG")],
    out: Annotated[Path, typer.Option(help="Folder of the results; for --deploy, of the model.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the work only.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Do again what is done.")] = False,
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes; all cores if unset.")] = None,
    scheduler: Annotated[
        str | None, typer.Option(help="Address of a Dask scheduler, e.g. tcp://10.0.0.1:8786.")
    ] = None,
    deploy: Annotated[
        str | None, typer.Option(help="Train this pipeline and write the model instead.")
    ] = None,
    subject: Annotated[str | None, typer.Option(help="With --deploy: whose data.")] = None,
    dataset: Annotated[str | None, typer.Option(help="With --deploy: which data set.")] = None,
) -> None:
    """Score decoders offline, epoched as MOABB does and as they run live; writes a report.

    Or, by the 'kind' of the YAML, methods that remove artifacts (denoise), and what they are
    worth to decoders (denoise_decoders).

    A run that was stopped goes on where it stopped; what is unchanged is not repeated.

    Example: [bold]bci benchmark configs/benchmark/simulated.yaml --out results[/bold]
    """
    from bci.benchmark import main

    if deploy is not None:
        main.deploy(config, out, deploy, subject, dataset, say)
    elif subject is not None or dataset is not None:
        raise ConfigError("--subject and --dataset go with --deploy only")
    elif not main.run(config, out, scheduler, jobs, force, dry_run, say):
        raise typer.Exit(1)


@app.command(name="deep-protocol")
def deep_protocol(
    config: Annotated[Path, typer.Argument(help="Data set and training.", metavar="CONFIG")],
    out: Annotated[Path, typer.Option(help="Folder of the scores and of the training so far.")],
) -> None:
    """Evaluate the deep network for SSVEP as its paper does; the paper's table beside the result.

    A run that was stopped goes on where it stopped.

    Example: [bold]bci deep-protocol configs/deep_protocol/simulated.yaml --out deep[/bold]
    """
    from bci import logs
    from bci.benchmark import deep_study

    logs.configure()
    deep_study.run(config, out, say)
