"""Progress with the time that is left: a bar on a terminal, lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

#: Seconds between two lines where there is no terminal.
EVERY_S = 15.0


class Progress:
    """Counts what is done of `total`.

    Parameters
    ----------
    what : str
        What is being done.
    total : int
    say : callable
        Takes a line of text, where there is no terminal.
    """

    def __init__(self, what: str, total: int, say: Callable[[str], None]) -> None:
        self.what, self.total, self.say = what, total, say
        self.done = self.failed = 0
        self._bar: Any = None

    def __enter__(self) -> Progress:
        self._start = self._told = time.monotonic()
        if self.total and sys.stderr.isatty():
            self._bar = _bar()
            self._bar.start()
            self._task = self._bar.add_task(self.what, total=self.total, failed="")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def advance(self, n: int, n_failed: int = 0) -> None:
        """Count `n` more, some of which failed."""
        self.done += n
        self.failed += n_failed
        if self._bar is not None:
            failed = f"{self.failed} failed" if self.failed else ""
            self._bar.update(self._task, advance=n, failed=failed)
        elif time.monotonic() - self._told > EVERY_S:
            self._told = time.monotonic()
            left = (self._told - self._start) * (self.total / self.done - 1)
            failed = f", {self.failed} failed" if self.failed else ""
            self.say(f"{self.what}: {self.done} of {self.total}{failed}, {_minutes(left)} left")


def _bar() -> Any:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bar

    columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()]
    columns += [TextColumn("[red]{task.fields[failed]}"), TimeElapsedColumn()]
    return Bar(*columns, TextColumn("left"), TimeRemainingColumn(), console=Console(stderr=True))


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
