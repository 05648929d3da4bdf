"""Commands about recordings: count, tell, rebuild, export."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bci.cli.app import RecordingFile, app, busy, say


@app.command()
def verify(file: RecordingFile) -> None:
    """Re-open a recording and count it against its ledger: samples, gaps, rate, damage.

    Example, after bci demo: [bold]bci verify bci-demo/demo_eeg.xdf[/bold]
    """
    with busy("verifying"):
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
    with busy("reading"):
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
    with busy("salvaging"):
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
    with busy("exporting"):
        from bci.recording.export import export_bids

        for written in export_bids(file, bids, anonymize=anonymize):
            say(f"wrote {written}")
