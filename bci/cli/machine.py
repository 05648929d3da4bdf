"""Commands about this machine and its configurations."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from bci.cli.app import ConfigFile, Overrides, app, busy, config_app, load, say
from bci.errors import SourceError


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

    with busy("looking for streams"):
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
def doctor() -> None:
    """Check this machine: LSL, BrainFlow, MNE, Qt, OpenGL, disk, clock, CPU; with remedies.

    Example: [bold]bci doctor[/bold]
    """
    with busy("examining"):
        from bci.doctor import examine

        well = examine(say)
    if not well:
        raise typer.Exit(1)


@config_app.command("check")
def config_check(config: ConfigFile, overrides: Overrides = None) -> None:
    """Say whether a configuration is right; if not, where and why.

    Example: [bold]bci config check configs/ssvep_lsl.yaml[/bold]
    """
    settings = load(config, overrides)
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
