"""A simulated participant with a grid of electrodes on the cortex (ECoG), who moves when cued.

For tests of the high-gamma path, where the truth is known: `rises` says how much the
broadband power of each electrode rises with each movement. Where a value comes from:

.. [Miller2007] Miller, Leuthardt, Schalk, Rao, Anderson, Moran, Miller, Ojemann. Spectral
   changes in cortical surface potentials during motor movement. J. Neurosci. 27, 2424:
   8 to 32 Hz falls over a wide area, 76 to 100 Hz rises in a small one.
.. [Miller2009] Miller, Sorensen, Ojemann, den Nijs. Power-law scaling in the brain surface
   electric potential. PLoS Comput. Biol. 5, e1000609: the power law is steep (exponent 2
   and more), and activity raises all of it alike.
.. [Miller2010] Miller, Schalk, Fetz, den Nijs, Ojemann, Rao. Cortical activity during motor
   execution, motor imagery, and imagery-based online feedback. PNAS 107, 4430: imagery
   has about a quarter of the effect of movement.

The values were set before any decoder was scored on the simulation, and "choice" marks what no
source fixes. What it leaves out: seizures, reference artifacts, bad electrodes, and that a
movement has phases.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bci.paradigms import coloured, timetable
from bci.paradigms.imagery import MOVEMENTS
from bci.paradigms.ongoing import BLOCK
from bci.paradigms.response import rise_and_fall
from bci.types import FloatArray

#: Slowest sampling that shows high gamma, Hz.
MIN_SFREQ = 250.0


@dataclass(frozen=True, slots=True)
class Cortex:
    """Amplitudes, lengths (in electrodes, 1 cm apart) and times (s) of the simulation."""

    psd_1hz: float = 3000.0  # µV²/Hz, choice: some 50 µV in all
    exponent: float = 2.0  # [Miller2009], below the knee at 75 Hz
    local_share: float = 0.5  # of the power at an electrode that is its own; choice
    common_length: float = 2.0  # choice: the rest is shared with neighbours
    rhythm_hz: float = 18.0  # of the rhythm that falls, within 8 to 32 Hz [Miller2007]
    rhythm_width_hz: float = 8.0
    rhythm_rms: float = 12.0  # µV, choice
    rhythm_fall: float = 0.5  # of its power, choice
    rhythm_spread: float = 2.5  # wide, [Miller2007]
    broadband_rise: float = 1.0  # of power in the middle of the area: twice; choice
    broadband_spread: float = 0.8  # small, [Miller2007]
    imagined: float = 0.25  # of the effect of movement [Miller2010]
    reaction: float = 0.4  # from cue to movement, choice
    build_up: float = 0.15  # choice
    drift_sd: float = 0.1  # of the logarithm of each electrode's gain, choice
    drift_time: float = 60.0  # choice
    line_hz: float = 60.0
    line_amplitude: float = 3.0  # µV, choice
    sensor_density: float = 0.05  # µV/√Hz, choice


@dataclass(frozen=True, slots=True)
class _Movement:
    label: str
    start: float
    stop: float = float("inf")


class SimulatedECoG:
    """ECoG in µV, the same for any sizes of the calls that fetch it.

    Parameters
    ----------
    labels : sequence of str
        Movements that have an area under the grid, the first above the second; others are
        cued in vain.
    strength : float
        Of the answers to cues, as a multiple of those of a movement; 0: none at all.
    imagined : bool
        Whether movements are imagined.
    sfreq : float
        Hz, 250 or more.
    n_rows, n_columns : int
        Of the grid, 1 cm apart; electrodes are named "G1", "G2" and on, row by row.
    seed : int
        Of where the areas lie and of all that is random.
    typical : Cortex

    Attributes
    ----------
    ch_names : tuple of str
    rises : mapping of str to array, shape (n_channels,)
        Rise of each electrode's own broadband power with each movement, as a share of it.
    position : int
        Index of the next sample.

    Raises
    ------
    ValueError
        An argument is out of its range.
    """

    def __init__(
        self,
        labels: Sequence[str] = MOVEMENTS,
        *,
        strength: float = 1.0,
        imagined: bool = False,
        sfreq: float = 1000.0,
        n_rows: int = 6,
        n_columns: int = 8,
        seed: int = 0,
        typical: Cortex | None = None,
    ) -> None:
        if not (strength >= 0.0 and sfreq >= MIN_SFREQ and n_rows >= 1 and n_columns >= 1):
            raise ValueError(
                f"strength {strength} must be 0 or more, sfreq {sfreq} at least {MIN_SFREQ:g} Hz, "
                f"and the grid of {n_rows} × {n_columns} must hold an electrode"
            )
        p = self._p = Cortex() if typical is None else typical
        self.sfreq = float(sfreq)
        n = n_rows * n_columns
        self.ch_names = tuple(f"G{i + 1}" for i in range(n))
        rows, columns = np.divmod(np.arange(n), n_columns)
        places = np.stack([rows, columns], axis=1).astype(np.float64)
        effect = strength * (p.imagined if imagined else 1.0)
        areas = _areas(labels, n_rows, n_columns, np.random.default_rng([seed, 0]))
        near = {label: np.sum((places - area) ** 2, axis=1) for label, area in areas.items()}
        self.rises: Mapping[str, FloatArray] = {
            label: effect * p.broadband_rise * np.exp(-d / (2 * p.broadband_spread**2))
            for label, d in near.items()
        }
        self._falls = {
            label: min(1.0, effect) * p.rhythm_fall * np.exp(-d / (2 * p.rhythm_spread**2))
            for label, d in near.items()
        }
        apart = np.linalg.norm(places[:, None] - places, axis=2)
        self._mixing = np.linalg.cholesky(np.exp(-apart / p.common_length))
        law = coloured.power_law(p.exponent, p.psd_1hz, 1.0, self.sfreq)
        self._common, self._local = (coloured.Colour(law, self.sfreq, n) for _ in range(2))
        # two sections: the skirts of one would reach the band where power rises
        rhythm = coloured.rhythm(p.rhythm_hz, p.rhythm_width_hz, self.sfreq, 2)
        self._rhythm = coloured.Colour(rhythm, self.sfreq, n)
        self._drift = coloured.Colour(coloured.wander(p.drift_time, self.sfreq), self.sfreq, n)
        self._noise = np.random.default_rng([seed, 1])
        self._drift.state[0, :, 0] = self._noise.standard_normal(n)  # stationary from the start
        self._line = p.line_amplitude * np.random.default_rng([seed, 2]).standard_normal(n)
        self._movements: list[_Movement] = []
        self.position = 0
        self._seen = 0  # index of the newest marker
        self._start = -BLOCK
        for _ in range(int(np.ceil(6.0 * self.sfreq / BLOCK))):  # nothing is left of their start
            self._ongoing()
        self._parts = self._ongoing()
        self._total: FloatArray | None = None  # of the current block with all markers seen

    def see(self, value: str, index: int | None = None) -> None:
        """Show the person a marker: ``cue/<label>`` or ``imagery_off``; others mean nothing.

        Parameters
        ----------
        value : str
        index : int or None
            Its sample; None: the next one. It may lie ahead, but not before the marker
            seen last.

        Raises
        ------
        ValueError
            `index` lies among samples already generated, or before the last marker.
        """
        at = self.position if index is None else index
        if at < self.position:
            raise ValueError(
                f"'{value}' at sample {at} comes too late: {self.position} samples are generated"
            )
        if at < self._seen:
            raise ValueError(f"'{value}' at sample {at} follows a marker at sample {self._seen}")
        self._seen, self._total = at, None
        delayed = at + self._p.reaction * self.sfreq
        label = timetable.cued_label(value)
        if label is not None or value == timetable.IMAGERY_OFF:
            if self._movements and self._movements[-1].stop == float("inf"):
                self._movements[-1] = replace(self._movements[-1], stop=delayed)
            if label is not None and label in self.rises:
                self._movements.append(_Movement(label, delayed))

    def generate(self, n: int) -> FloatArray:
        """Generate the next `n` samples, shape (n, n_channels), µV."""
        result = np.empty((n, len(self.ch_names)))
        done = 0
        while done < n:
            if self.position >= self._start + BLOCK:
                self._start += BLOCK
                self._parts, self._total = self._ongoing(), None
            if self._total is None:
                self._total = self._block()
            at = self.position - self._start
            step = min(n - done, BLOCK - at)
            result[done : done + step] = self._total[at : at + step]
            self.position += step
            done += step
        return result

    def _ongoing(self) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Next block of what is shared, the electrodes' own, the rhythm, and noise with gain."""
        p, n = self._p, len(self.ch_names)
        common, local, rhythm, drift, sensor = self._noise.standard_normal((5, n, BLOCK))
        gain = np.exp(p.drift_sd * self._drift(drift))
        return (
            gain * np.sqrt(1.0 - p.local_share) * (self._mixing @ self._common(common)),
            gain * np.sqrt(p.local_share) * self._local(local),
            gain * p.rhythm_rms * self._rhythm(rhythm),
            p.sensor_density * np.sqrt(0.5 * self.sfreq) * sensor,
        )

    def _block(self) -> FloatArray:
        """The current block with all markers seen so far, shape (BLOCK, n_channels)."""
        p, common, local, rhythm, sensor = self._p, *self._parts
        t = np.arange(self._start, self._start + BLOCK) / self.sfreq
        rise, kept = np.ones_like(local), np.ones_like(local)
        for movement in self._movements:
            if movement.start >= self._start + BLOCK:
                break
            start, stop = movement.start / self.sfreq, movement.stop / self.sfreq
            course = rise_and_fall(t, start, stop, p.build_up)
            rise += np.outer(self.rises[movement.label], course)
            kept -= np.outer(self._falls[movement.label], course)
        faded = self._start - 12.0 * p.build_up * self.sfreq
        self._movements = [m for m in self._movements if m.stop > faded]
        hum = np.outer(self._line, np.sin(2 * np.pi * p.line_hz * t))
        total = common + np.sqrt(rise) * local + np.sqrt(np.maximum(kept, 0.0)) * rhythm
        return np.ascontiguousarray((total + hum + sensor).T)


def _areas(
    labels: Sequence[str], n_rows: int, n_columns: int, rng: np.random.Generator
) -> dict[str, FloatArray]:
    """Middle (row, column) of each movement's area: bands of the grid from top to bottom."""
    height = n_rows / len(labels) if labels else 0.0
    return {
        label: np.array(
            [(i + rng.uniform(0.3, 0.7)) * height - 0.5, rng.uniform(0.25, 0.75) * (n_columns - 1)]
        )
        for i, label in enumerate(labels)
    }
