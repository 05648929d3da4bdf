"""The command line: parses, calls, prints.

Everything heavy is imported inside the command that needs it, so that
``bci --help`` answers at once. Exit codes: 0 ok, 2 wrong use or configuration,
1 failure, 130 stopped by Ctrl-C; errors meant for the user are one line,
without a traceback.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from bci.errors import BciError, ConfigError, MissingDependency, SourceError

if TYPE_CHECKING:
    import threading

    from bci.benchmark.graz import GrazResult
    from bci.config import Config
    from bci.logs import TerminalHandler
    from bci.paradigms.frequencies import Flicker
    from bci.session import Session

app = typer.Typer(
    name="bci",
    help="Real-time EEG: acquire, clean, decode while it streams, and spell.\n\n"
    "Start here, with no hardware: [bold]bci demo[/bold]",
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
#: A status line in the terminal is renewed so often, seconds.
STATUS_S = 1.0


def say(text: str) -> None:
    """Print for the user; in a terminal long lines are wrapped at words."""
    sys.stdout.write(_wrapped(text, sys.stdout) + "\n")  # which a spinner redirects
    sys.stdout.flush()


def _wrapped(text: str, stream: TextIO) -> str:
    """Text as it fits the terminal, later lines under the last column of the first."""
    if not stream.isatty():
        return text
    width = shutil.get_terminal_size().columns
    lines = []
    for line in text.splitlines():
        columns = [match.end() for match in re.finditer(" {2,}", line[: width // 2])]
        lines.append(
            textwrap.fill(
                line, width, subsequent_indent=" " * max(columns, default=2),
                break_long_words=False, break_on_hyphens=False,
            )
        )  # fmt: skip
    return "\n".join(lines)


@contextmanager
def _busy(what: str) -> Iterator[None]:
    """Show in a terminal that long work is under way."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = SpinnerColumn(), TextColumn(what), TimeElapsedColumn()
    with Progress(
        *columns, console=console, transient=True, redirect_stdout=sys.stdout.isatty(),
        disable=not console.is_terminal,
    ) as progress:  # fmt: skip
        progress.add_task(what, total=None)
        yield


def _load(path: Path, overrides: list[str] | None) -> Config:
    from bci import config

    return config.load(path, overrides or ())


@app.command()
def demo(
    phrase: Annotated[str, typer.Option(help="What the simulated subject spells.")] = "HELLO BCI",
    snr: Annotated[
        float,
        typer.Option(
            min=0.0,
            max=100.0,
            help="Signal-to-noise ratio of the simulated answer; 1: as in the literature, 0: none.",
        ),
    ] = 1.0,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same decisions.")] = 1,
    out: Annotated[Path, typer.Option(help="Folder for recording and decisions.")] = Path(
        "bci-demo"
    ),
    realtime: Annotated[
        bool, typer.Option("--realtime", help="At the pace of life: about 3 minutes.")
    ] = False,
    keyboard: Annotated[
        str | None,
        typer.Option(help="With words and language: 'en_12', or a YAML file of one's own."),
    ] = None,
) -> None:
    """Spell a phrase with the simulated subject: no hardware, screen, network or file needed.

    Example: [bold]bci demo --snr 0.5 --seed 3[/bold]
    """
    with _busy("starting"):
        from bci.demo import Demo

    Demo(phrase, snr=snr, seed=seed, out=out, realtime=realtime, keyboard=keyboard).run()


@app.command()
def run(config: ConfigFile, overrides: Overrides = None, seconds: Seconds = None) -> None:
    """Run a session headless: acquire, decode, record, serve the API, until Ctrl-C or SIGTERM.

    The log goes to standard error: text in a terminal, else one JSON object a line.

    Example: [bold]bci run configs/speller_simulated.yaml --for 30[/bold]
    """
    _run_session(_load(config, overrides), seconds)


@app.command()
def gui(
    config: Annotated[
        Path | None, typer.Argument(help="Start this session at once.", metavar="[CONFIG]")
    ] = None,
    attach: Annotated[
        str | None, typer.Option(help="Watch a running engine, e.g. http://127.0.0.1:8765.")
    ] = None,
    token: Annotated[str | None, typer.Option(help="With --attach: the engine's token.")] = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="Show itself: the simulated subject calibrates, types.")
    ] = False,
    phrase: Annotated[str, typer.Option(help="With --demo: what is typed.")] = "HELLO",
    leave: Annotated[bool, typer.Option("--exit", help="With --demo: close at its end.")] = False,
    screenshots: Annotated[
        Path | None, typer.Option(help="With --demo: folder for a picture of each page; closes.")
    ] = None,
    overrides: Overrides = None,
) -> None:
    """Open the desktop application: live plots, calibration, speller.

    Example, with no hardware: [bold]bci gui --demo[/bold]
    """
    if demo:
        if config is not None or attach is not None or overrides:
            raise ConfigError("--demo has a session of its own; leave CONFIG, --set, --attach out")
        raise typer.Exit(
            _application().demo(
                phrase, Path("bci-demo", "recordings"), screenshots,
                leave=leave or screenshots is not None,
            )
        )  # fmt: skip
    if leave or screenshots is not None:
        raise ConfigError("--exit and --screenshots go with --demo")
    if attach is not None and (config is not None or overrides):
        raise ConfigError("--attach watches an engine as it runs; leave CONFIG and --set out")
    if token is not None and attach is None:
        raise ConfigError("--token goes with --attach")
    if overrides and config is None:
        raise ConfigError("--set changes a configuration: name its file")
    settings = None if config is None else _load(config, overrides)
    raise typer.Exit(_application().main(settings, config, attach, token))


def _application() -> Any:
    """The desktop application, which lies above this package and is found by its name only."""
    from importlib import import_module

    try:
        return import_module("gui.app")
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in ("bci", "gui"):
            raise
        raise MissingDependency(
            f"the desktop application needs the package '{package}', which is not installed; "
            "install it with: pip install 'neuroloop[gui]'"
        ) from error
    except ImportError as error:  # a library of the system
        raise MissingDependency(
            f"Qt cannot be loaded ({error}); bci doctor says which packages it needs here"
        ) from error


@app.command()
def record(config: ConfigFile, overrides: Overrides = None, seconds: Seconds = None) -> None:
    """Record a session's streams without decoding them, until Ctrl-C or SIGTERM.

    Example: [bold]bci record configs/speller_simulated.yaml --for 30[/bold]
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
    import logging
    import signal
    import threading
    import time

    from bci import logs
    from bci.session import Session

    log, terminal = logging.getLogger("bci"), logs.configure()
    sys.setswitchinterval(0.0005)  # a thread that holds the interpreter lets the decoder in sooner
    asked_to_stop, started = threading.Event(), threading.Event()

    def stop(*_: Any) -> None:
        asked_to_stop.set()
        if not started.is_set():
            raise KeyboardInterrupt  # whatever start waits for, such as a stream

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    session = Session(config)
    try:
        session.start()
        started.set()
        began = time.monotonic()
        _watch(session, asked_to_stop, began, seconds, terminal)
    except KeyboardInterrupt:
        log.info("stopped before it started")
    finally:
        session.stop()
        if terminal is not None:
            terminal.show("")
    if started.is_set():
        log.info("%s", logs.summary(session.status(), time.monotonic() - began))
    if session.error is not None:
        raise session.error
    if config.paradigm is not None and session.record is not None:
        from bci.benchmark import graz

        _print_graz(graz.of_run(config, session.record.paths))


def _print_graz(result: GrazResult | None) -> None:
    for line in ["no run with feedback was finished"] if result is None else result.lines():
        say(line)


def _watch(
    session: Session,
    asked_to_stop: threading.Event,
    began: float,
    seconds: float | None,
    terminal: TerminalHandler | None,
) -> None:
    """Until the session ends, is asked to stop or has run `seconds`; shows its status."""
    from time import monotonic

    from bci.logs import status_line

    while not (asked_to_stop.is_set() or session.done.is_set()):
        lasted = monotonic() - began
        left = STATUS_S if seconds is None else seconds - lasted
        if left <= 0:
            return
        session.run_until(asked_to_stop, min(STATUS_S, left))
        if terminal is not None:
            width = shutil.get_terminal_size().columns
            terminal.show(status_line(session.status(), monotonic() - began, width))


@app.command()
def replay(
    file: RecordingFile,
    config: Annotated[Path | None, typer.Option(help="Decode it with this configuration.")] = None,
    lsl: Annotated[bool, typer.Option("--lsl", help="Stream it over LSL instead.")] = False,
    speed: Annotated[
        float | None, typer.Option(min=0.01, help="With --lsl: times real speed, else 1.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="With --lsl: name of the stream.")] = None,
    chunk: Annotated[int | None, typer.Option(min=1, help="Samples pushed at once.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write the decisions to this file, one JSON a line.")
    ] = None,
    overrides: Overrides = None,
) -> None:
    """Replay a recording: decode it as fast as it goes, or stream it over LSL.

    A session's own recording is replayed with its event log, and gives the
    decisions that it gave live.

    Example, after bci demo:
    [bold]bci replay bci-demo/demo_eeg.xdf --config bci-demo/demo_config.yaml[/bold]
    """
    if lsl == (config is not None):
        raise ConfigError(
            "say either how to decode the recording (--config FILE), or to stream it (--lsl)"
        )
    _refuse_unused(
        "--config" if config else "--lsl",
        {"--speed": speed, "--name": name} if config else {"--out": out, "--set": overrides},
    )
    with _busy("loading"):
        from bci import replay as replaying
    if config is None:
        replaying.over_lsl(file, speed=speed or 1.0, name=name, chunk=chunk, report=say)
        return
    settings = _load(config, overrides)
    with _busy("decoding"):
        recording, found = replaying.decode(file, settings, chunk=chunk, out=out, report=say)
    if settings.paradigm is not None:
        from bci.benchmark import graz

        _print_graz(graz.of_replay(settings, recording, found))


def _refuse_unused(mode: str, options: dict[str, Any]) -> None:
    """Options that would have no effect are a mistake."""
    given = [name for name, value in options.items() if value]
    if given:
        raise ConfigError(f"{', '.join(given)} has no effect with {mode}; leave it out")


@app.command()
def train(
    config: ConfigFile,
    recordings: Annotated[list[Path], typer.Argument(help="Labelled recordings.", metavar="FILE")],
    out: Annotated[Path, typer.Option(help="Folder of the model to write; must not exist.")],
    decoder: Annotated[
        str | None, typer.Option(help="Kind to train; else the configuration's.")
    ] = None,
    from_sample: Annotated[
        int, typer.Option(min=0, help="Leave out markers before this sample.")
    ] = 0,
    subject: Annotated[
        list[str] | None,
        typer.Option(
            help="Whose a recording is: once for each, in their order; else from file names."
        ),
    ] = None,
    adapt_to: Annotated[
        Path | None,
        typer.Option(help="A recording of somebody new, for a decoder that adapts without labels."),
    ] = None,
    overrides: Overrides = None,
) -> None:
    """Train the configuration's decoder on labelled recordings; writes a model.

    Recordings of several people make decoders for somebody new, of those kinds that tell
    people apart: recentred, deep_ssvep, deep_ssvep_ensemble, source_free.

    Example: [bold]bci train configs/imagery.yaml run1.xdf run2.xdf --out models/imagery[/bold]
    """
    settings = _load(config, overrides)
    with _busy("training"):
        from bci.calibration.training import train as fit

        fit(
            settings, recordings, out, decoder=decoder, from_sample=from_sample,
            people=subject or (), adapt_to=adapt_to, report=say,
        )  # fmt: skip


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
    settings = _load(config, overrides)
    with _busy("comparing"):
        from bci.calibration.climb import climb

        climb(settings, recording, out=out, current=current, look=look, held=hold or (), report=say)


@app.command()
def streams(
    wait: Annotated[float, typer.Option(min=0.1, max=60.0, help="Seconds to look.")] = 1.0,
) -> None:
    """List the LSL streams that can be seen from here.

    Example: [bold]bci streams --wait 3[/bold]
    """
    from rich.console import Console
    from rich.table import Table

    from bci.lsl import available_streams

    with _busy("looking for streams"):
        found = available_streams(wait)
    if not found:
        raise SourceError(
            f"no LSL stream can be seen within {wait:g} s; is the sender running, in this network, "
            "and not behind a firewall (UDP 16571, TCP and UDP 16572-16604)? bci doctor checks "
            "this machine"
        )
    table = Table("name", "type", "channels", "rate", "format", "source id", "host", box=None)
    for column in table.columns:
        column.overflow = "fold"  # a name that is cut cannot be copied
    for s in found:
        table.add_row(
            s.name, s.type, str(s.n_channels), f"{s.sfreq:g} Hz" if s.sfreq else "irregular",
            s.channel_format, s.source_id, s.hostname,
        )  # fmt: skip
    Console(highlight=False, width=None if sys.stdout.isatty() else 200).print(table)


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


@app.command()
def doctor() -> None:
    """Check this machine: LSL, BrainFlow, MNE, Qt, OpenGL, disk, clock, CPU; with remedies.

    Example: [bold]bci doctor[/bold]
    """
    with _busy("examining"):
        from bci.doctor import examine

        well = examine(say)
    if not well:
        raise typer.Exit(1)


@app.command()
def verify(file: RecordingFile) -> None:
    """Re-open a recording and count it against its ledger: samples, gaps, rate, damage.

    Example, after bci demo: [bold]bci verify bci-demo/demo_eeg.xdf[/bold]
    """
    with _busy("verifying"):
        from bci.recording.verify import verify as check

        report = check(file)
    say(str(report))
    if not report.ok:
        raise typer.Exit(1)


@app.command()
def report(
    recording: Annotated[Path, typer.Argument(help="A session's recording.", metavar="RECORDING")],
    out: Annotated[
        Path | None, typer.Option(help="Page to write; else beside the recording.")
    ] = None,
) -> None:
    """Tell a session on one page: text, accuracy, speed, quality, drops, latency, settings.

    Example, after bci demo: [bold]bci report bci-demo/demo_eeg.xdf --out report.html[/bold]
    """
    with _busy("reading"):
        from bci.report import write_report

        page = write_report(recording, out)
    say(f"wrote {page}")


@app.command()
def salvage(
    file: RecordingFile,
    out: Annotated[
        Path | None, typer.Option(help="File to write; else FILE's name with _salvaged.")
    ] = None,
) -> None:
    """Rebuild a valid recording from a cut or damaged one; the original is left alone.

    Example, after bci demo: [bold]bci salvage bci-demo/demo_eeg.xdf --out whole.xdf[/bold]
    """
    with _busy("salvaging"):
        from bci.recording.salvage import salvage as rebuild

        result = rebuild(file, out)
    say(str(result))


@app.command()
def export(
    file: Annotated[
        Path, typer.Argument(help="A session's recording, or a folder of them.", metavar="FILE")
    ],
    bids: Annotated[Path, typer.Option(help="Root folder of the BIDS data set.")],
    anonymize: Annotated[
        bool, typer.Option("--anonymize", help="Shift dates; leave out serial numbers.")
    ] = False,
) -> None:
    """Export a session's recordings to a BIDS data set.

    Example: [bold]bci export recordings/sub-P001 --bids my-dataset --anonymize[/bold]
    """
    with _busy("exporting"):
        from bci.recording.export import export_bids

        for written in export_bids(file, bids, anonymize=anonymize):
            say(f"wrote {written}")


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


@config_app.command("check")
def config_check(config: ConfigFile, overrides: Overrides = None) -> None:
    """Say whether a configuration is right; if not, where and why.

    Example: [bold]bci config check configs/ssvep_lsl.yaml[/bold]
    """
    settings = _load(config, overrides)
    decoder = "none" if settings.decoder is None else settings.decoder.kind
    stages, outputs = (
        ", ".join(part.kind for part in parts) or "none"
        for parts in (settings.processing, settings.outputs)
    )
    say(
        f"{config}: ok\n"
        f"  source      {settings.source.kind}\n"
        f"  processing  {stages}\n"
        f"  windows     {settings.window.kind}, {settings.window.length_s:g} s\n"
        f"  decoder     {decoder}\n"
        f"  outputs     {outputs}\n"
        f"  recording   {settings.recording.root if settings.recording else 'none'}"
    )


@config_app.command("schema")
def config_schema() -> None:
    """Print the JSON schema of configurations, for editors.

    Example: [bold]bci config schema > bci.schema.json[/bold]
    """
    import json

    from bci.config import schema

    dialect = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    typer.echo(json.dumps({**dialect, **schema()}, indent=2))


def main() -> Any:
    """Entry point of the command `bci`."""
    # One thread for BLAS, set before numpy loads: with two, a decision's p99 was seen at 60 ms.
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(variable, "1")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that lacks a letter is no failure
    try:
        return app()
    except BciError as error:
        typer.echo(_wrapped(f"bci: {error}", sys.stderr), err=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
