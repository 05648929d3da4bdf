"""The command line: parses, calls, prints.

Everything heavy is imported inside the command that needs it, so that
``bci --help`` answers at once. Exit codes: 0 ok, 2 wrong use or configuration,
1 failure, 130 stopped by Ctrl-C; errors meant for the user are one line,
without a traceback.
"""

from __future__ import annotations

import io
import os
import sys
from typing import Any

import typer

# commands stand in --help in the order of these imports
# isort: off
from bci.cli import sessions, training, machine, files, evaluation  # noqa: F401

# isort: on
from bci.cli.app import app, wrapped
from bci.errors import BciError

__all__ = ["app", "main"]


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
        typer.echo(wrapped(f"bci: {error}", sys.stderr), err=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
