"""Commands that run a session: live, in a window, or again from its recording."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bci.cli.app import ConfigFile, Overrides, RecordingFile, Seconds, app, busy, load, say
from bci.errors import ConfigError, MissingDependency

if TYPE_CHECKING:
    import threading

    from bci.benchmark.graz import GrazResult
    from bci.config import Config
    from bci.logs import TerminalHandler
    from bci.session import Session

#: A status line in the terminal is renewed so often, seconds.
STATUS_S = 1.0


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
    with busy("starting"):
        from bci.demo import Demo

    Demo(phrase, snr=snr, seed=seed, out=out, realtime=realtime, keyboard=keyboard).run()


@app.command()
def run(config: ConfigFile, overrides: Overrides = None, seconds: Seconds = None) -> None:
    """Run a session headless: acquire, decode, record, serve the API, until Ctrl-C or SIGTERM.

    The log goes to standard error: text in a terminal, else one JSON object a line.

    Example: [bold]bci run configs/speller_simulated.yaml --for 30[/bold]
    """
    _run_session(load(config, overrides), seconds)


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
    settings = None if config is None else load(config, overrides)
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
    settings = load(config, overrides)
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
    with busy("loading"):
        from bci import replay as replaying
    if config is None:
        replaying.over_lsl(file, speed=speed or 1.0, name=name, chunk=chunk, report=say)
        return
    settings = load(config, overrides)
    with busy("decoding"):
        recording, found = replaying.decode(file, settings, chunk=chunk, out=out, report=say)
    if settings.paradigm is not None:
        from bci.benchmark import graz

        _print_graz(graz.of_replay(settings, recording, found))


def _refuse_unused(mode: str, options: dict[str, Any]) -> None:
    """Options that would have no effect are a mistake."""
    given = [name for name, value in options.items() if value]
    if given:
        raise ConfigError(f"{', '.join(given)} has no effect with {mode}; leave it out")
