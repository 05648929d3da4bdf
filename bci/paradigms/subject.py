"""A simulated participant: an EEG generator that sees the markers a person would see.

For tests, demonstration and rehearsal without hardware. The person is drawn
from the seed; `bci.paradigms.physiology` says where every value comes from.
The decoder gets samples and nothing else: which target was attended is known
to the one who sent the cue.

What it leaves out, so that nobody takes it for a brain: flicker beside the
attended target evokes nothing, the response is equally strong at all
frequencies, there is no transient response to onset, no eye movement potential,
no alpha blocking, and nobody tires or learns. Figures reached on it say that
software works, not how well a person would do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from bci.paradigms import scalp
from bci.paradigms.ongoing import BLOCK, Ongoing
from bci.paradigms.physiology import Physiology, decibel, draw_person
from bci.paradigms.response import FlickerResponse, RolandicRhythms
from bci.paradigms.speller import Target
from bci.types import FloatArray

#: The nine channels of the SSVEP literature.
OCCIPITAL = ("Pz", "PO5", "PO3", "POz", "PO4", "PO6", "O1", "Oz", "O2")

#: Nine channels over the hand areas.
CENTRAL = ("FC3", "FC4", "C5", "C3", "Cz", "C4", "C6", "CP3", "CP4")

#: Parts of the signal that come from the brain, and the others; their sum is the signal.
BRAIN = ("background", "alpha", "rolandic", "ssvep")
ARTIFACTS = ("drift", "sensor", "line", "blinks", "emg")


class SimulatedSubject:
    """EEG in µV, the same for any sizes of the calls that fetch it.

    Parameters
    ----------
    targets : sequence of Target
        The flickering targets that the person knows; empty: none.
    snr : float
        Signal-to-noise ratio of the brain's responses, as a multiple of a typical
        person's: 1 is typical, 0.5 has half the SNR (−3 dB), 0 no response at all
        (no SSVEP, no rolandic rhythm). `ssvep_snr_db` and `mu_snr_db` say what it
        comes to: power of the steady SSVEP at Oz, or of the resting mu rhythm at
        C3, over the power of aperiodic activity and alpha there, 3 to 100 Hz.
    sfreq : float
        Hz, 100 or more.
    ch_names : sequence of str
        Labels of the 10-05 system.
    seed : int
        Of the person and of all that is random, 0 or more.
    typical : Physiology
        The population that the person is drawn from.

    Raises
    ------
    ConfigError
        A channel is not in the 10-05 system.
    ValueError
        Another argument is out of its range.
    """

    def __init__(
        self,
        targets: Sequence[Target] = (),
        *,
        snr: float = 1.0,
        sfreq: float = 250.0,
        ch_names: Sequence[str] = OCCIPITAL,
        seed: int = 0,
        typical: Physiology | None = None,
    ) -> None:
        p = Physiology() if typical is None else typical
        if not (snr >= 0.0 and sfreq >= 100.0 and ch_names):
            raise ValueError(
                f"snr {snr} must be 0 or more, sfreq {sfreq} at least 100 Hz, and ch_names "
                f"{ch_names} not empty"
            )
        self.ssvep_snr_db, self.mu_snr_db = decibel(snr * p.ssvep_snr), decibel(snr * p.mu_snr)
        self.sfreq, self.ch_names = float(sfreq), tuple(ch_names)
        self.electrodes = scalp.positions(self.ch_names)
        self.person = draw_person(p, np.random.default_rng([seed, 0]))
        body = (self.electrodes, self.sfreq)
        behaviour = [np.random.default_rng([seed, stream]) for stream in (5, 6)]
        self._ongoing = Ongoing(*body, p, self.person, seed)
        ssvep, mu = (
            snr * typical_snr * self._ongoing.power(site)
            for typical_snr, site in ((p.ssvep_snr, "Oz"), (p.mu_snr, "C3"))
        )
        self._flicker = FlickerResponse(targets, *body, ssvep, p, self.person, behaviour[0])
        self._rolandic = RolandicRhythms(
            *body, mu, p, self.person, behaviour[1], np.random.default_rng([seed, 7])
        )
        self.position = 0  #: index of the next sample
        self._seen = 0  # index of the newest marker
        self._start = -BLOCK
        self._fixed: dict[str, FloatArray] = {}
        self._parts: dict[str, FloatArray] | None = None
        self._total = np.empty((0, len(self.ch_names)))

    def see(self, value: str, index: int | None = None) -> None:
        """Show the person a marker.

        Parameters
        ----------
        value : str
            ``cue/<label>``, ``stim_on``, ``stim_off``, ``imagery_off``; what means nothing to
            the person changes nothing.
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
        self._seen = at
        self._flicker.see(value, at)
        self._rolandic.see(value, at)
        self._parts = None

    def generate(self, n: int) -> FloatArray:
        """Generate the next `n` samples, shape (n, n_channels), µV."""
        result = np.empty((n, len(self.ch_names)))
        for target, source in self._stretches(n):
            result[target] = self._total[source]
        return result

    def generate_parts(self, n: int) -> dict[str, FloatArray]:
        """As `generate`, by parts (`BRAIN` and `ARTIFACTS`); added in order they are the signal."""
        result = {name: np.empty((n, len(self.ch_names))) for name in (*BRAIN, *ARTIFACTS)}
        for target, source in self._stretches(n):
            assert self._parts is not None
            for name, part in result.items():
                part[target] = self._parts[name][source]
        return result

    def _stretches(self, n: int) -> Iterator[tuple[slice, slice]]:
        """Where the next `n` samples go, and where they stand in the current block."""
        done = 0
        while done < n:
            if self.position >= self._start + BLOCK:
                self._next_block()
            if self._parts is None:
                self._answer()
            at = self.position - self._start
            step = min(n - done, BLOCK - at)
            yield slice(done, done + step), slice(at, at + step)
            self.position += step
            done += step

    def _next_block(self) -> None:
        self._start += BLOCK
        self._fixed = self._ongoing.next()
        self._rolandic.advance()
        self._parts = None

    def _answer(self) -> None:
        """Compute the block with all events seen so far."""
        parts = {
            **self._fixed,
            "rolandic": self._rolandic.block(self._start),
            "ssvep": self._flicker.block(self._start),
        }
        self._parts = {name: parts[name] for name in (*BRAIN, *ARTIFACTS)}
        total = np.zeros((BLOCK, len(self.ch_names)))
        for part in self._parts.values():
            total += part
        self._total = total
