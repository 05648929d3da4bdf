"""Commands that make decoders, cleaners and flicker: train, ladder, plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bci.cli.app import ConfigFile, Overrides, RecordingFile, app, busy, load, say
from bci.errors import ConfigError

if TYPE_CHECKING:
    from bci.config import Config
    from bci.paradigms.frequencies import Flicker


class Kind(StrEnum):
    """What `train` trains."""

    DECODER = "decoder"
    CLEANING = "cleaning"
    DENOISER = "denoiser"


@app.command()
def train(
    config: Annotated[
        Path, typer.Argument(help="The session's YAML, or that of a denoiser.", metavar="CONFIG")
    ],
    recordings: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Recordings (decoder: labelled; denoiser: none).",
            metavar="FILE",
            show_default=False,
        ),
    ] = None,
    *,
    out: Annotated[Path, typer.Option(help="Folder of the model to write; must not exist.")],
    kind: Annotated[
        Kind, typer.Option(help="What to train: the decoder, stages that clean, or a denoiser.")
    ] = Kind.DECODER,
    decoder: Annotated[
        str | None, typer.Option(help="Decoder: kind to train; else the configuration's.")
    ] = None,
    from_sample: Annotated[
        int, typer.Option(min=0, help="Leave out what comes before this sample.")
    ] = 0,
    subject: Annotated[
        list[str] | None,
        typer.Option(
            help="Whose a recording is: once for each, in their order; else from file names."
        ),
    ] = None,
    bypass: Annotated[
        list[int] | None,
        typer.Option(min=0, help="A stage of 'processing', from 0, to train without (repeatable)."),
    ] = None,
    adapt_to: Annotated[
        Path | None,
        typer.Option(help="A recording of somebody new, for a decoder that adapts without labels."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Denoiser: go on with a training that was stopped.")
    ] = False,
    overrides: Overrides = None,
) -> None:
    """Train the configuration's decoder on labelled recordings, or what cleans the signal.

    Recordings of several people make decoders for somebody new, of those kinds that tell
    people apart: recentred, deep_ssvep, deep_ssvep_ensemble, source_free.

    Stages that mend the signal are judged on held-out trials, with and without them; one that
    shows no gain is by-passed, in the model and in sessions that load it, unless it says
    [bold]keep: true[/bold] in the configuration.

    Example: [bold]bci train configs/imagery.yaml run1.xdf run2.xdf --out models/imagery[/bold]

    Example: [bold]bci train --kind cleaning session.yaml run1.xdf --out cleaning/anna[/bold]

    Example: [bold]bci train --kind denoiser configs/denoiser/eog.yaml --out models/eog[/bold]
    """
    decoders_own = {
        "--decoder": decoder, "--subject": subject, "--bypass": bypass, "--adapt-to": adapt_to,
    }  # fmt: skip
    if kind is Kind.DENOISER:
        _refuse(kind, {"FILE": recordings, "--from-sample": from_sample, **decoders_own})
        _train_denoiser(config, out, overrides, resume)
        return
    _refuse(kind, {"--resume": resume})
    if not recordings:
        raise ConfigError(f"--kind {kind} is trained on recordings; name one FILE or more")
    if kind is Kind.CLEANING:
        _refuse(kind, decoders_own)
        _train_cleaning(load(config, overrides), recordings, out, from_sample)
        return
    settings = load(config, overrides)
    with busy("training"):
        from bci.calibration.training import train as fit

        fit(
            settings, recordings, out, decoder=decoder, from_sample=from_sample,
            people=subject or (), bypassed=bypass or (), adapt_to=adapt_to, report=say,
        )  # fmt: skip


def _train_denoiser(config: Path, out: Path, overrides: list[str] | None, resume: bool) -> None:
    with busy("training"):
        from bci.calibration.denoising import train as fit

        fit(config, out, overrides=overrides, resume=resume, report=say)


def _train_cleaning(config: Config, recordings: list[Path], out: Path, from_sample: int) -> None:
    if len(recordings) != 1:
        raise ConfigError(
            f"cleaning is calibrated on one recording, and {len(recordings)} are named; choose one"
        )
    with busy("calibrating"):
        from bci.calibration.cleaning import train as fit

        fit(config, recordings[0], out, from_sample=from_sample, report=say)


def _refuse(kind: Kind, options: Mapping[str, Any]) -> None:
    """Raise ConfigError where something is given that is meant for another kind."""
    given = [name for name, value in options.items() if value]
    if given:
        raise ConfigError(f"{given[0]} does not go with --kind {kind}; leave it out")


@app.command()
def ladder(
    config: ConfigFile,
    recording: RecordingFile,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the findings and the model; must not exist.")
    ] = None,
    current: Annotated[
        str | None, typer.Option(help="Rung in use; else the configuration's decoder.")
    ] = None,
    look: Annotated[
        int, typer.Option(min=1, help="Which look at the session this is; later ones ask more.")
    ] = 1,
    hold: Annotated[
        list[str] | None, typer.Option(help="A rung that must not take over (repeatable).")
    ] = None,
    overrides: Overrides = None,
) -> None:
    """Compare the rungs of a configuration's ladder on a session's recording.

    Example: [bold]bci ladder session.yaml recording.xdf --out next[/bold]
    """
    settings = load(config, overrides)
    with busy("comparing"):
        from bci.calibration.climb import climb

        climb(settings, recording, out=out, current=current, look=look, held=hold or (), report=say)


@app.command()
def plan(
    refresh: Annotated[float, typer.Argument(help="Measured refresh rate, Hz.", metavar="HZ")],
    targets: Annotated[int, typer.Option(help="Number of targets.")] = 12,
    low: Annotated[float, typer.Option(help="Lowest frequency, Hz.")] = 9.25,
    high: Annotated[float, typer.Option(help="Highest frequency, Hz.")] = 14.75,
    wish: Annotated[
        list[float] | None,
        typer.Option(help="A wished frequency, Hz (repeatable); instead of number and range."),
    ] = None,
    locked: Annotated[
        bool, typer.Option("--locked", help="Whole frames per cycle, not a sampled sinusoid.")
    ] = False,
    step_pi: Annotated[
        float, typer.Option(help="Phase from one target to the next, in multiples of pi.")
    ] = 0.5,
    window: Annotated[float, typer.Option(help="Longest window of the decoder, seconds.")] = 1.0,
    harmonics: Annotated[int, typer.Option(help="Harmonics that the decoder uses.")] = 5,
    share: Annotated[
        float, typer.Option(help="Share of the screen that flickers, all targets together, 0 to 1.")
    ] = 1.0,
) -> None:
    """Plan SSVEP targets: what the screen can show, what collides, what the decoder must know.

    Example: [bold]bci plan 59.94 --locked --targets 4 --low 7 --high 15[/bold]
    """
    from bci.paradigms import collisions, frequencies

    method: frequencies.Method = "locked" if locked else "sampled"
    wished = wish or frequencies.spread(refresh, targets, low, high, method)
    flickers = frequencies.plan(refresh, wished, method=method, step_pi=step_pi)
    found = collisions.findings(
        flickers, refresh, window_s=window, n_harmonics=harmonics, flicker_share=share
    )
    _print_plan(flickers)
    for finding in found or ["nothing collides"]:
        say(f"- {finding}")
    say(f"\n{frequencies.decoder_yaml(flickers)}")


def _print_plan(flickers: Sequence[Flicker]) -> None:
    import math

    from rich.console import Console
    from rich.table import Table

    table = Table("target", "wished Hz", "shown Hz", "phase / pi", "frames on + off", box=None)
    for number, f in enumerate(flickers, start=1):
        frames = "any" if f.frames is None else f"{f.frames[0]} + {f.frames[1]}"
        table.add_row(
            str(number), f"{f.wished_hz:.6g}", f"{f.frequency_hz:.6f}", f"{f.phase / math.pi:.4g}",
            frames,
        )  # fmt: skip
    Console(highlight=False).print(table)
