"""Whether responses begin at the same phase in every trial.

Template methods (TRCA, TDCA and their kin) average trials, which adds up only
what is phase-locked to the markers. Where the flicker runs on a clock of its own,
nothing is. Inter-trial phase coherence tells: the length of the mean of a trial's
unit phasors at the stimulus frequency (Tallon-Baudry, Bertrand, Delpuech &
Pernier, J Neurosci 16, 4240, 1996). It is held against two yardsticks:

- random phases. The chance level depends on the number of trials and on how alike
  the channels are, so it is found by turning each trial by a random phase, all
  channels alike;
- locked phases. A sinusoid in noise scatters its phase even when it is locked: with
  γ, the ratio of their powers, the mean phasor has length
  ``√(πγ)/2 · exp(-γ/2) · [I0(γ/2) + I1(γ/2)]``. γ is known without phases, from the
  bins beside the frequency.

Responses count as locked when chance is excluded, and when they have at least half
of the squared coherence that locked ones of their strength would have: with many
trials a trace of locking is significant, but of no use to a template.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ive

from bci.types import FloatArray

N_TURNS = 1999
#: Repetitions (trials of a class beyond its first, over all classes) that it takes.
FEWEST_REPEATS = 8
#: Share of the squared coherence of locked responses from which on they count as locked.
LEAST_SHARE = 0.5
#: Bins on each side of a frequency that its noise is taken from.
N_NEIGHBOURS = 3


@dataclass(frozen=True, slots=True)
class PhaseLocking:
    """What was measured, and what follows.

    Attributes
    ----------
    coherence : mapping of str to float
        For each label the inter-trial coherence, root mean square over channels and
        harmonics, 0 to 1.
    p : mapping of str to float
        Probability of so much at some frequency with random phases, corrected for
        the number of frequencies (the largest of them counts in every turn).
    overall, chance, expected : float
        Root mean square over all frequencies; the 95 % point of its chance level;
        what it would be on average if responses of the same strength were locked.
    p_overall : float
        Probability of `overall` with random phases.
    n_trials : int
    locked : bool or None
        None: too few trials to tell.
    """

    coherence: Mapping[str, float]
    p: Mapping[str, float]
    overall: float
    chance: float
    expected: float
    p_overall: float
    n_trials: int
    locked: bool | None

    def __str__(self) -> str:
        if self.locked is None:
            return (
                "Whether responses are phase-locked to the markers cannot be told from "
                f"{self.n_trials} trials; decoders with templates wait."
            )
        says = "are phase-locked" if self.locked else "are not phase-locked"
        return (
            f"The responses {says} to the markers: inter-trial coherence {self.overall:.2f}, "
            f"where chance reaches {self.chance:.2f} and locked responses of this strength "
            f"{self.expected:.2f} (p {_told(self.p_overall)}, {self.n_trials} trials at "
            f"{len(self.coherence)} frequencies); decoders with templates are "
            f"{'admitted' if self.locked else 'left out'}."
        )


def _told(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"= {p:.3f}"


def measure(
    X: FloatArray,
    y: NDArray[np.str_],
    sfreq: float,
    frequencies: Mapping[str, float],
    *,
    n_harmonics: int = 2,
    level: float = 0.05,
    seed: int = 0,
) -> PhaseLocking:
    """Measure the inter-trial phase coherence at each stimulus frequency.

    Parameters
    ----------
    X : array, shape (n_trials, n_channels, n_times)
        Windows that begin at the same time after their markers.
    y : array of str, shape (n_trials,)
    sfreq : float
        Hz.
    frequencies : mapping of label to float
        Hz; trials of other labels are left out.
    n_harmonics : int
        Multiples of each frequency, as far as they lie below 0.45 of the rate.
    level : float
        Probability below which chance is excluded.
    seed : int
        Of the random phases.
    """
    rng = np.random.default_rng(seed)
    squared: dict[str, float] = {}
    turned, unbiased, of_locked, expected = [], [], [], []
    n_trials = n_repeats = 0
    for label, hz in frequencies.items():
        trials = X[y == label]
        n = len(trials)
        n_trials, n_repeats = n_trials + n, n_repeats + max(0, n - 1)
        if n < 2:
            continue
        highest = max(1, min(n_harmonics, int(0.45 * sfreq / hz)))
        phasors, snr = _spectrum(trials, sfreq, hz * np.arange(1.0, highest + 1.0))
        squared[label] = float(np.mean(np.abs(phasors.mean(axis=0)) ** 2))
        unbiased.append((n * squared[label] - 1.0) / (n - 1.0))
        of_locked.append(float(np.mean(_locked_coherence(snr) ** 2)))
        expected.append((1.0 + (n - 1.0) * of_locked[-1]) / n)
        turned.append(_turned(phasors, rng))
    if n_repeats < FEWEST_REPEATS:
        return PhaseLocking({}, {}, np.nan, np.nan, np.nan, np.nan, n_trials, None)
    by_class = np.array(turned)  # (n_classes, N_TURNS), squared coherence
    largest, overall = by_class.max(axis=0), by_class.mean(axis=0)
    mean = float(np.mean(list(squared.values())))
    p_overall = _p(mean, overall)
    return PhaseLocking(
        coherence={label: float(np.sqrt(value)) for label, value in squared.items()},
        p={label: _p(value, largest) for label, value in squared.items()},
        overall=float(np.sqrt(mean)),
        chance=float(np.sqrt(np.quantile(overall, 0.95))),
        expected=float(np.sqrt(np.mean(expected))),
        p_overall=p_overall,
        n_trials=n_trials,
        locked=p_overall < level and bool(np.mean(unbiased) >= LEAST_SHARE * np.mean(of_locked)),
    )


def _spectrum(
    trials: FloatArray, sfreq: float, hz: NDArray[np.floating[Any]]
) -> tuple[NDArray[np.complex128], FloatArray]:
    """Unit phasors, shape (n_trials, n_channels, n_frequencies), and γ without trials."""
    n_trials, n_channels, n_times = trials.shape
    bins = np.arange(-N_NEIGHBOURS, N_NEIGHBOURS + 1) * sfreq / n_times
    waves = np.outer(np.arange(n_times) / sfreq, (hz[:, None] + bins).ravel())
    centred = trials - trials.mean(axis=2, keepdims=True)
    amplitude = centred @ np.exp(-2j * np.pi * waves)
    amplitude = amplitude.reshape(n_trials, n_channels, len(hz), len(bins))
    power = np.mean(np.abs(amplitude) ** 2, axis=0)
    at = power[..., N_NEIGHBOURS]
    noise = (power.sum(axis=-1) - at) / (2 * N_NEIGHBOURS)
    snr = np.maximum(at / np.where(noise > 0, noise, np.inf) - 1.0, 0.0)
    middle = amplitude[..., N_NEIGHBOURS]
    size = np.abs(middle)
    return middle / np.where(size > 0, size, 1.0), snr


def _locked_coherence(snr: FloatArray) -> FloatArray:
    """Length of the mean phasor of a sinusoid in complex Gaussian noise."""
    half = snr / 2
    length: FloatArray = np.sqrt(np.pi * snr) / 2 * (ive(0, half) + ive(1, half))
    return length


def _turned(phasors: NDArray[np.complex128], rng: np.random.Generator) -> FloatArray:
    """Mean squared coherence with random phases, `N_TURNS` times."""
    n_trials, _, n_frequencies = phasors.shape
    turns = np.exp(2j * np.pi * rng.random((N_TURNS, n_trials, n_frequencies)))
    means = np.einsum("rif,icf->rcf", turns, phasors, optimize=True) / n_trials
    squared: FloatArray = np.mean(np.abs(means) ** 2, axis=(1, 2))
    return squared


def _p(value: float, null: FloatArray) -> float:
    return float((1 + np.count_nonzero(null >= value)) / (1 + len(null)))
