"""The commands' common part: the application, options, and how the user is spoken to."""

from __future__ import annotations

import re
import shutil
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

if TYPE_CHECKING:
    from bci.config import Config

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


def say(text: str) -> None:
    """Print for the user; in a terminal long lines are wrapped at words."""
    sys.stdout.write(wrapped(text, sys.stdout) + "\n")  # which a spinner redirects
    sys.stdout.flush()


def wrapped(text: str, stream: TextIO) -> str:
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
def busy(what: str) -> Iterator[None]:
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


def load(path: Path, overrides: list[str] | None) -> Config:
    """Read a session's YAML, with settings overridden."""
    from bci import config

    return config.load(path, overrides or ())
