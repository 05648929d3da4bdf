"""Motor imagery: the Graz timetable.

A fixation cross, two seconds later an arrow that tells the hand, imagery until
the cross disappears, then a pause of random length, so that the next trial
cannot be foreseen.

.. [1] Pfurtscheller, Neuper (2001). Motor imagery and direct brain-computer
   communication. Proc. IEEE 89, 1123.
.. [2] Brunner, Leeb, Müller-Putz, Schlögl, Pfurtscheller (2008). BCI
   Competition 2008, Graz data set A: fixation at 0 s, cue at 2 s, imagery to 6 s.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

import numpy as np

from bci.paradigms.timetable import (
    CUE,
    FIXATION,
    IMAGERY_OFF,
    IMAGERY_ON,
    TimedMarker,
    Trial,
)

#: The two hands, in the alphabetical order that decoders keep their classes in.
HANDS = ("left", "right")

#: Movements of the ECoG recordings of Miller et al. (PNAS 107, 4430, 2010).
MOVEMENTS = ("hand", "tongue")


@dataclass(frozen=True, slots=True)
class ImageryTimetable:
    """Blocks of cued trials, balanced within each block, in an order drawn from the seed.

    Attributes
    ----------
    labels : tuple of str
        What is cued.
    n_blocks : int or None
        None: endless.
    trials_per_label : int
        Trials of each label in one block.
    fixation_s : float
        From the cross to the cue, seconds.
    imagery_s : float
        From the cue, at which imagery begins, to the cross going away, seconds.
    pause_s : tuple of float
        Shortest and longest pause after a trial, seconds.
    start_s : float
        Start of the first trial, seconds.
    seed : int
        0 or more.
    """

    labels: tuple[str, ...] = HANDS
    n_blocks: int | None = None
    trials_per_label: int = 5
    fixation_s: float = 2.0
    imagery_s: float = 4.0
    pause_s: tuple[float, float] = (1.5, 2.5)
    start_s: float = 1.0
    seed: int = 0

    def trials(self) -> Iterator[Trial]:
        """Trials in order of time; the same at every call."""
        start = self.start_s
        for block in count() if self.n_blocks is None else range(self.n_blocks):
            rng = np.random.default_rng([self.seed, block])
            order = rng.permutation(np.repeat(np.arange(len(self.labels)), self.trials_per_label))
            pauses = rng.uniform(*self.pause_s, len(order))
            for which, pause in zip(order, pauses, strict=True):
                trial = self._trial(self.labels[which], start, float(pause))
                yield trial
                start = trial.stop_s

    def _trial(self, label: str, start_s: float, pause_s: float) -> Trial:
        cue = start_s + self.fixation_s
        off = cue + self.imagery_s
        shown = (
            TimedMarker(start_s, FIXATION),
            TimedMarker(cue, CUE + label),
            TimedMarker(cue, IMAGERY_ON),
            TimedMarker(off, IMAGERY_OFF),
        )
        return Trial(label, start_s, off + pause_s, shown)
