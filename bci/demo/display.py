"""How the demo looks in a terminal: titles, rows of a name and a text, one line a selection."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from rich.console import Console
from rich.progress import Progress
from rich.text import Text

from bci.paradigms.keyboard import Key
from bci.paradigms.timetable import Trial
from bci.types import Decision

#: Column in which the text of a row begins.
COLUMN = 15


class Selection(NamedTuple):
    """One selection: the target that the subject looked at, what was decided, and the cost."""

    wanted: str
    decision: Decision | None
    seconds: float

    @property
    def label(self) -> str | None:
        """The target selected; None where the decoder abstained."""
        return None if self.decision is None else self.decision.label

    @property
    def right(self) -> bool:
        """Whether it is the target that was wanted."""
        return self.label == self.wanted

    @property
    def right_unaided(self) -> bool:
        """Whether the decoder alone, without a prior, would have named it."""
        if self.decision is None or not self.decision.prior:
            return self.right
        alone = self.decision.proba_decoder
        return max(alone, key=alone.__getitem__) == self.wanted


class Display:
    """Writes to a console, whatever its width."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def title(self, title: str, text: str = "") -> None:
        """Begin a part."""
        self._console.print(Text.assemble("\n", (title, "bold"), f"  {text}" if text else ""))

    def row(self, name: str, *texts: str, style: str = "") -> None:
        """A name and what belongs to it; what does not fit goes on in the same column."""
        for text in texts:
            lines = textwrap.fill(
                text,
                max(self._console.width - 1, 2 * COLUMN),
                initial_indent=f"  {name}".ljust(COLUMN),
                subsequent_indent=" " * COLUMN,
                break_on_hyphens=False,
            )
            self._console.print(Text(lines, style=style), soft_wrap=True)
            name = ""

    def command(self, what: str, command: str) -> None:
        """Something to try; the command is never cut, so that it can be copied."""
        self._console.print(Text(f"  {what}"))
        self._console.print(Text(f"    {command}", style="bold"), soft_wrap=True)

    @contextmanager
    def progress(self, what: str, trials: Sequence[Trial]) -> Iterator[Iterator[Trial]]:
        """Trials one by one, with a bar where this is a terminal."""
        quiet = not self._console.is_terminal
        with Progress(console=self._console, transient=True, disable=quiet) as bar:
            yield iter(bar.track(trials, description=f"  {what}"))

    def selection(self, number: int, selection: Selection, key: Key | None, text: str) -> None:
        """One selection on one line: what was selected, whether it was right, the text so far."""
        proba = {} if selection.decision is None else selection.decision.proba
        verdict = "abstained" if key is None else "right" if selection.right else "wrong"
        caption = "–" if key is None else key.caption or "·"
        line = Text(f"  {number:3d}  {selection.label or '–':>8}  {caption:<5}  ")
        line.append(f"{verdict:<9}", style="" if selection.right else "red")
        line.append(f"  p {max(proba.values(), default=0.0):.2f}  {selection.seconds:3.1f} s  ")
        room = max(8, self._console.width - len(line) - 2)
        line.append(text if len(text) <= room else "…" + text[1 - room :], style="bold")
        line.append("▏")
        self._console.print(line, no_wrap=True, overflow="crop")
