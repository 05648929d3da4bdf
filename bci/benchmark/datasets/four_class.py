"""The simulated participant of four-class imagery: left, right, both feet, and rest.

`bci.paradigms.subject.SimulatedSubject` knows the hands. Here the foot areas are
added to it, by the same model with the same values: they lie side by side in the
midline, both show under Cz, and imagery of the feet desynchronises both. At rest
nothing is imagined.

.. [1] Pfurtscheller, Brunner, Schlögl, Lopes da Silva (2006). Mu rhythm
   (de)synchronization and EEG single-trial classification of different motor
   imagery tasks. NeuroImage 31, 153. doi:10.1016/j.neuroimage.2005.12.003
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bci.paradigms.ongoing import BLOCK, Ongoing
from bci.paradigms.physiology import Physiology
from bci.paradigms.response import RolandicRhythms
from bci.paradigms.subject import CENTRAL, SimulatedSubject
from bci.paradigms.timetable import CUE, cued_label
from bci.types import FloatArray


class FootRhythms(RolandicRhythms):
    """Mu and beta of the two foot areas, which `cue/feet` desynchronises."""

    SITES = ("Cz", "Cz")

    def see(self, value: str, index: int) -> None:
        """Take notice of a marker at sample `index`; cues of other movements mean nothing."""
        label = cued_label(value)
        if label is None:
            super().see(value, index)
        elif label == "feet":
            super().see(CUE + "right", index)


class FourClassSubject:
    """As `SimulatedSubject`, with feet."""

    def __init__(
        self, *, snr: float, sfreq: float, seed: int, ch_names: tuple[str, ...] = CENTRAL
    ) -> None:
        self._rest = SimulatedSubject(snr=snr, sfreq=sfreq, ch_names=ch_names, seed=seed)
        both = Physiology()
        both = replace(both, erd_ipsilateral=both.erd_contralateral)  # left and right foot alike
        ongoing = Ongoing(self._rest.electrodes, sfreq, both, self._rest.person, seed)
        power = 0.5 * snr * both.mu_snr * ongoing.power("C3")  # of each of the two
        behaviour, noise = (np.random.default_rng([seed, stream]) for stream in (8, 9))
        self._feet = FootRhythms(
            self._rest.electrodes, sfreq, power, both, self._rest.person, behaviour, noise
        )
        self.ch_names = self._rest.ch_names
        self._start = -BLOCK

    @property
    def position(self) -> int:
        """Index of the next sample."""
        return self._rest.position

    def see(self, value: str, index: int | None = None) -> None:
        """Show the person a marker; see `SimulatedSubject.see`."""
        self._feet.see(value, self.position if index is None else index)
        self._rest.see(value, index)

    def generate(self, n: int) -> FloatArray:
        """Generate the next `n` samples, shape (n, n_channels), µV."""
        start, stop = self.position, self.position + n
        result = self._rest.generate(n)
        for block in range(start // BLOCK * BLOCK, stop, BLOCK):
            if block > self._start:
                self._feet.advance()
                self._start = block
            a, b = max(start, block), min(stop, block + BLOCK)
            result[a - start : b - start] += self._feet.block(block)[a - block : b - block]
        return result
