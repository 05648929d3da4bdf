"""The command line: parses, calls, prints.

Everything heavy is imported inside the command that needs it, so that
``bci --help`` answers at once. Exit codes: 0 ok, 2 wrong use or configuration,
1 failure; errors meant for the user are one line, without a traceback.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bci.errors import BciError, ConfigError

if TYPE_CHECKING:
    from bci.config import Config

app = typer.Typer(
    name="bci",
    help="Real-time EEG: acquire, clean, decode while it streams, and spell.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode="rich",
)
config_app = typer.Typer(no_args_is_help=True, help="Check configurations; print their schema.")
app.add_typer(config_app, name="config")

ConfigFile = Annotated[Path, typer.Argument(help="The session's YAML.", metavar="CONFIG")]
RecordingFile = Annotated[Path, typer.Argument(help="A recording.", metavar="FILE")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", help="Override one setting, e.g. --set source.name=EEG-1 (repeatable)."),
]
Seconds = Annotated[
    float | None, typer.Option("--for", min=0.0, help="Stop after this many seconds.")
]


def say(text: str) -> None:
    """Print one line for the user."""
    typer.echo(text)


def _load(path: Path, overrides: list[str] | None) -> Config:
    from bci import config

    return config.load(path, overrides or ())


@app.command()
def demo(
    phrase: Annotated[str, typer.Option(help="What the simulated subject spells.")] = "HELLO BCI",
    snr: Annotated[
        float,
        typer.Option(
            min=0.0, help="Power of the brain's answer, 1: as in the literature; 0: none."
        ),
    ] = 1.0,
    seed: Annotated[int, typer.Option(help="The same seed gives the same decisions.")] = 1,
    out: Annotated[Path, typer.Option(help="Folder for recording and decisions.")] = Path(
        "bci-demo"
    ),
    realtime: Annotated[bool, typer.Option("--realtime", help="At the pace of life.")] = False,
) -> None:
    """Spell a phrase with the simulated subject: no hardware, screen, network or file needed.

    Example: [bold]bci demo --snr 0.5 --seed 3[/bold]
    """
    from bci.demo import Demo

    Demo(phrase, snr=snr, seed=seed, out=out, realtime=realtime).run()


@app.command()
def run(config: ConfigFile, overrides: Overrides = None, seconds: Seconds = None) -> None:
    """Run a session headless: acquire, decode, record, serve the API, until SIGINT or SIGTERM.

    Example: [bold]bci run configs/ssvep_lsl.yaml --set participant.id=P007[/bold]
    """
    _run_session(_load(config, overrides), seconds)


@app.command()
def record(config: ConfigFile, overrides: Overrides = None, seconds: Seconds = None) -> None:
    """Record a session's streams without decoding them.

    Example: [bold]bci record configs/imagery.yaml --for 600[/bold]
    """
    settings = _load(config, overrides)
    from bci.config import Recording

    _run_session(
        settings.model_copy(
            update={
                "decoder": None,
                "outputs": (),
                "recording": settings.recording or Recording(),
            }
        ),
        seconds,
    )


def _run_session(config: Config, seconds: float | None) -> None:
    import signal
    import threading

    from bci import logs
    from bci.session import Session

    logs.configure()
    sys.setswitchinterval(0.0005)  # a thread that holds the interpreter lets the decoder in sooner
    asked_to_stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: asked_to_stop.set())
    session = Session(config)
    session.start()
    try:
        session.run_until(asked_to_stop, seconds)
    finally:
        session.stop()
    if session.error is not None:
        raise session.error


@app.command()
def replay(
    file: RecordingFile,
    config: Annotated[Path | None, typer.Option(help="Decode it with this configuration.")] = None,
    lsl: Annotated[bool, typer.Option("--lsl", help="Stream it over LSL instead.")] = False,
    speed: Annotated[float, typer.Option(min=0.01, help="Times real speed, with --lsl.")] = 1.0,
    name: Annotated[str | None, typer.Option(help="Name of the LSL stream.")] = None,
    chunk: Annotated[int | None, typer.Option(min=1, help="Samples pushed at once.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write the decisions here, one JSON a line.")
    ] = None,
    overrides: Overrides = None,
) -> None:
    """Replay a recording: decode it as fast as it goes, or stream it over LSL.

    A session's own recording is replayed with its event log, and gives the
    decisions that it gave live.

    Example: [bold]bci replay rec_raw.fif --config configs/ssvep_exo.yaml[/bold]
    """
    from bci import replay as replaying

    if lsl:
        replaying.over_lsl(file, speed=speed, name=name, chunk=chunk, report=say)
    elif config is None:
        raise ConfigError("say how to decode the recording (--config FILE), or stream it (--lsl)")
    else:
        replaying.decode(file, _load(config, overrides), chunk=chunk, out=out, report=say)


@app.command()
def train(
    config: ConfigFile,
    recordings: Annotated[list[Path], typer.Argument(help="Labelled recordings.", metavar="FILE…")],
    out: Annotated[Path, typer.Option(help="Folder of the model artifact to write.")],
    decoder: Annotated[str | None, typer.Option(help="Kind to train instead.")] = None,
    from_sample: Annotated[int, typer.Option(min=0, help="Leave out earlier samples.")] = 0,
    overrides: Overrides = None,
) -> None:
    """Train the configuration's decoder on labelled recordings; writes a model artifact.

    Example: [bold]bci train configs/imagery.yaml run1.xdf run2.xdf --out models/imagery[/bold]
    """
    from bci.calibration.training import train as fit

    fit(
        _load(config, overrides), recordings, out, decoder=decoder, from_sample=from_sample,
        report=say,
    )  # fmt: skip


@app.command()
def streams(
    wait: Annotated[float, typer.Option(min=0.1, help="Seconds to look for streams.")] = 1.0,
) -> None:
    """List the LSL streams that can be seen from here.

    Example: [bold]bci streams --wait 3[/bold]
    """
    from rich.console import Console
    from rich.table import Table

    from bci.lsl import available_streams

    found = available_streams(wait)
    if not found:
        say(
            "no LSL stream can be seen. Is the sender running, in this network, and not behind "
            "a firewall (UDP 16571, TCP/UDP 16572-16604)?"
        )
        raise typer.Exit(1)
    table = Table("name", "type", "channels", "rate / Hz", "format", "source id", "host")
    for s in found:
        table.add_row(
            s.name, s.type, str(s.n_channels), f"{s.sfreq:g}" if s.sfreq else "irregular",
            s.channel_format, s.source_id, s.hostname,
        )  # fmt: skip
    Console().print(table)


@app.command()
def doctor() -> None:
    """Check this machine: LSL, BrainFlow, Qt, disk, clock, CPU; a remedy for each trouble.

    Example: [bold]bci doctor[/bold]
    """
    from bci.doctor import examine

    if not examine(say):
        raise typer.Exit(1)


@app.command()
def verify(file: RecordingFile) -> None:
    """Re-open a recording and count it against its ledger: samples, gaps, rate, damage.

    Example: [bold]bci verify sub-P001_ses-001_task-bci_run-001_eeg.xdf[/bold]
    """
    from bci.recording.verify import verify as check

    report = check(file)
    say(str(report))
    if not report.ok:
        raise typer.Exit(1)


@app.command()
def salvage(
    file: RecordingFile,
    out: Annotated[Path | None, typer.Option(help="File to write.")] = None,
) -> None:
    """Rebuild a valid recording from a cut or damaged one; the original is left alone.

    Example: [bold]bci salvage cut.xdf --out whole.xdf[/bold]
    """
    from bci.recording.salvage import salvage as rebuild

    say(str(rebuild(file, out)))


@app.command()
def export(
    file: RecordingFile,
    bids: Annotated[Path, typer.Option(help="Root folder of the BIDS data set.")],
    anonymize: Annotated[
        bool, typer.Option("--anonymize", help="Shift dates; leave out serial numbers.")
    ] = False,
) -> None:
    """Export a session's recording to a BIDS data set.

    Example: [bold]bci export recordings/sub-P001 --bids my-dataset --anonymize[/bold]
    """
    from bci.recording.export import export_bids

    for written in export_bids(file, bids, anonymize=anonymize):
        say(f"wrote {written}")


@config_app.command("check")
def config_check(config: ConfigFile, overrides: Overrides = None) -> None:
    """Say whether a configuration is right; if not, where and why.

    Example: [bold]bci config check configs/ssvep_lsl.yaml[/bold]
    """
    settings = _load(config, overrides)
    decoder = settings.decoder.kind if settings.decoder is not None else "none"
    say(
        f"{config}: ok (source {settings.source.kind}, {len(settings.processing)} processing "
        f"stages, decoder {decoder}, {len(settings.outputs)} outputs)"
    )


@config_app.command("schema")
def config_schema() -> None:
    """Print the JSON schema of configurations, for editors.

    Example: [bold]bci config schema > bci.schema.json[/bold]
    """
    import json

    from bci.config import schema

    say(json.dumps(schema(), indent=2))


def main() -> Any:
    """Entry point of the command `bci`."""
    # One thread for BLAS, set before numpy loads: with two, a decision's p99 was seen at 60 ms.
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(variable, "1")
    try:
        return app()
    except BciError as error:
        typer.echo(f"bci: {error}", err=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(0)


if __name__ == "__main__":
    main()
