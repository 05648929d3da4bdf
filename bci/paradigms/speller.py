"""SSVEP speller: which target flickers how, and when.

Frequencies and phases follow joint frequency-phase modulation (JFPM): equal
steps in frequency go with equal steps in phase, so that targets close in
frequency are far apart in phase.

.. [1] Chen, Wang, Nakanishi, Gao, Jung, Gao (2015). High-speed spelling with a
   noninvasive brain-computer interface. PNAS 112, E6058.
.. [2] Nakanishi, Wang, Wang, Jung (2015). A comparison study of canonical
   correlation analysis based methods for detecting steady-state visual evoked
   potentials. PLOS ONE 10, e0140703.
.. [3] Wang, Chen, Gao, Gao (2017). A benchmark dataset for SSVEP-based
   brain-computer interfaces. IEEE TNSRE 25, 1746.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

import numpy as np

from bci.paradigms.timetable import CUE, STIM_OFF, STIM_ON, TimedMarker, Trial

if TYPE_CHECKING:
    from bci.paradigms.frequencies import Flicker


@dataclass(frozen=True, slots=True)
class Target:
    """A flickering field; luminance is ``(1 + sin(2π f t + phase)) / 2`` from `stim_on` on.

    Attributes
    ----------
    label : str
        The frequency as text ("9.25 Hz"): the class that a decoder names.
    frequency_hz : float
    phase : float
        Radians, 0 to 2π.
    row, column : int
        Place on the screen, from the top left.
    """

    label: str
    frequency_hz: float
    phase: float
    row: int
    column: int


def jfpm_grid(
    n_rows: int, n_columns: int, first_hz: float, step_hz: float, step_pi: float
) -> tuple[Target, ...]:
    """Targets in reading order; frequency and phase grow down the columns.

    Parameters
    ----------
    n_rows, n_columns : int
    first_hz : float
        Frequency of the top left target, Hz.
    step_hz, step_pi : float
        Step from one target to the next below it, in Hz and in multiples of π.
    """
    targets = []
    for row in range(n_rows):
        for column in range(n_columns):
            step = column * n_rows + row
            frequency = round(first_hz + step * step_hz, 6)
            phase = math.pi * math.fmod(step * step_pi, 2.0)
            targets.append(Target(f"{frequency:g} Hz", frequency, phase, row, column))
    return tuple(targets)


def retuned(grid: Sequence[Target], flickers: Mapping[str, Flicker]) -> tuple[Target, ...]:
    """Targets at the places of `grid` that flicker otherwise; the slowest takes the slowest's.

    Parameters
    ----------
    grid : sequence of Target
    flickers : mapping of str to Flicker
        Label: how it flickers; as many as there are places.
    """
    order = sorted(range(len(grid)), key=lambda i: grid[i].frequency_hz)
    slowest_first = sorted(flickers.items(), key=lambda item: item[1].frequency_hz)
    place = dict(zip(order, slowest_first, strict=True))
    return tuple(
        Target(place[i][0], place[i][1].frequency_hz, place[i][1].phase, old.row, old.column)
        for i, old in enumerate(grid)
    )


#: 12 targets, 9.25 to 14.75 Hz in steps of 0.5 Hz, phases in steps of 0.5 π [2]_.
TARGETS_12 = jfpm_grid(4, 3, 9.25, 0.5, 0.5)

#: 40 targets, 8 to 15.8 Hz in steps of 0.2 Hz, phases in steps of 0.5 π [3]_.
TARGETS_40 = jfpm_grid(5, 8, 8.0, 0.2, 0.5)


@dataclass(frozen=True, slots=True)
class SpellerTimetable:
    """Blocks of cued trials: every target once a block, in an order drawn from the seed.

    A trial is cue, flicker, rest: 0.5 s for the gaze to reach the target, the
    flicker, 0.5 s of blank screen, as in [3]_.

    Attributes
    ----------
    labels : tuple of str
        Labels of the targets.
    n_blocks : int or None
        None: endless.
    cue_s, stim_s, rest_s : float
        Duration of the three parts, seconds.
    start_s : float
        Start of the first cue, seconds.
    seed : int
        0 or more.
    """

    labels: tuple[str, ...]
    n_blocks: int | None = None
    cue_s: float = 0.5
    stim_s: float = 2.0
    rest_s: float = 0.5
    start_s: float = 1.0
    seed: int = 0

    @property
    def trial_s(self) -> float:
        """Duration of one trial, seconds: the time that a selection costs."""
        return self.cue_s + self.stim_s + self.rest_s

    def trial(self, label: str, start_s: float) -> Trial:
        """Plan one trial for `label` that starts at `start_s`.

        For spelling, where the next trial depends on the last decision.
        """
        on = start_s + self.cue_s
        off = on + self.stim_s
        shown = (
            TimedMarker(start_s, CUE + label),
            TimedMarker(on, STIM_ON),
            TimedMarker(off, STIM_OFF),
        )
        return Trial(label, start_s, off + self.rest_s, shown)

    def trials(self) -> Iterator[Trial]:
        """Trials in order of time; the same at every call."""
        n_labels = len(self.labels)
        for block in count() if self.n_blocks is None else range(self.n_blocks):
            order = np.random.default_rng([self.seed, block]).permutation(n_labels)
            for place, which in enumerate(order):
                start = self.start_s + (block * n_labels + place) * self.trial_s
                yield self.trial(self.labels[which], start)
