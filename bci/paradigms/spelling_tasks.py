"""What a speller's run is for: calibration, copying a phrase, or writing freely."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from bci.paradigms.keyboard import Keyboard
from bci.paradigms.speller import SpellerTimetable


class Task(Protocol):
    """What is wanted next, and when it is enough; `n` counts the trials that are done.

    Attributes
    ----------
    types : bool
        Whether selections do what their key says.
    ends_early : bool
        Whether the flicker ends with the decision.
    idle_after : int or None
        After so many trials in a row without a decision the speller falls asleep: the
        next selection only wakes it.
    phrase : str or None
        What is to be written, where that is known.
    """

    @property
    def types(self) -> bool: ...  # noqa: D102
    @property
    def ends_early(self) -> bool: ...  # noqa: D102
    @property
    def idle_after(self) -> int | None: ...  # noqa: D102
    @property
    def phrase(self) -> str | None: ...  # noqa: D102

    def wanted(self, n: int, keyboard: Keyboard) -> str | None:
        """Label of the target to look at in the next trial; None: the participant knows."""
        ...

    def over(self, n: int, keyboard: Keyboard) -> str:
        """Why the run is over; empty while it is not."""
        ...

    def break_after(self, n: int) -> str:
        """What to say in the break that is due now; empty where none is."""
        ...


@dataclass(frozen=True, slots=True)
class Calibration:
    """Blocks of cued trials of a fixed length, with a break after each.

    Attributes
    ----------
    labels : tuple of str
        Of the targets; each is cued once in a block.
    n_blocks : int
    seed : int
        Of the order.
    """

    labels: tuple[str, ...]
    n_blocks: int
    seed: int = 0
    _order: tuple[str, ...] = field(init=False, repr=False, compare=False)

    types = False
    ends_early = False
    idle_after = None
    phrase = None

    def __post_init__(self) -> None:
        table = SpellerTimetable(self.labels, self.n_blocks, seed=self.seed)
        object.__setattr__(self, "_order", tuple(trial.label for trial in table.trials()))

    def wanted(self, n: int, keyboard: Keyboard) -> str | None:
        """See `Task`."""
        return self._order[n]

    def over(self, n: int, keyboard: Keyboard) -> str:
        """See `Task`."""
        return "all blocks are done" if n >= len(self._order) else ""

    def break_after(self, n: int) -> str:
        """See `Task`."""
        block, rest = divmod(n, len(self.labels))
        return "" if rest else f"block {block} of {self.n_blocks} is done: rest your eyes"


@dataclass(frozen=True, slots=True)
class Copying:
    """A phrase is written that the screen tells; what is wrong is taken back first.

    Attributes
    ----------
    phrase : str
        As the keyboard writes it (`Keyboard.spellable`).
    patience : int
        It is given up after so many trials for each that is needed.
    """

    phrase: str
    patience: int = 3

    types = True
    ends_early = True
    idle_after = None

    def wanted(self, n: int, keyboard: Keyboard) -> str | None:
        """See `Task`."""
        return keyboard.targets_for(self.phrase)[0]

    def over(self, n: int, keyboard: Keyboard) -> str:
        """See `Task`."""
        if keyboard.text == self.phrase:
            return "the phrase is written"
        needed = len(Keyboard(keyboard.layout, words=keyboard.words).targets_for(self.phrase))
        if n >= self.patience * needed:
            return f"given up after {n} selections, where {needed} would have done"
        return ""

    def break_after(self, n: int) -> str:
        """See `Task`."""
        return ""


@dataclass(frozen=True, slots=True)
class FreeSpelling:
    """The participant writes what it likes; who looks away is waited for.

    Attributes
    ----------
    idle_after : int or None
        See `Task`. It takes a decision that may abstain (``at_longest: abstain``).
    """

    idle_after: int | None = 3

    types = True
    ends_early = True
    phrase = None

    def wanted(self, n: int, keyboard: Keyboard) -> str | None:
        """See `Task`."""
        return None

    def over(self, n: int, keyboard: Keyboard) -> str:
        """See `Task`."""
        return ""

    def break_after(self, n: int) -> str:
        """See `Task`."""
        return ""
