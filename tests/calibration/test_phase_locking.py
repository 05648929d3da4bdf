"""Phase locking: found where it is, not found where it is not, and its yardsticks."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from bci.calibration.phase_locking import _locked_coherence, measure
from bci.paradigms.speller import TARGETS_12, SpellerTimetable
from bci.paradigms.subject import SimulatedSubject
from bci.paradigms.timetable import STIM_ON

SFREQ = 200.0
HZ = {"a": 9.0, "b": 11.0, "c": 14.0}


def draw(seed, n_per_class=6, amplitude=0.5, spread=0.0):
    """Noise and sinusoids whose phase is fixed, or spread over ``± spread·π``."""
    rng = np.random.default_rng(seed)
    y = np.tile(list(HZ), n_per_class)
    t = np.arange(300) / SFREQ
    X = rng.standard_normal((len(y), 4, len(t)))
    for window, label in zip(X, y, strict=True):
        phase = 1.0 + rng.uniform(-np.pi, np.pi) * spread
        window += amplitude * np.sin(2 * np.pi * HZ[label] * t + phase)
    return X, y


def test_coherence_is_the_length_of_the_mean_phasor():
    X, y = draw(0)
    found = measure(X, y, SFREQ, HZ, n_harmonics=1)
    t = np.arange(300) / SFREQ
    for label, hz in HZ.items():
        squares = []
        for channel in range(4):
            phasors = []
            for window in X[y == label]:
                x = window[channel] - window[channel].mean()
                z = np.sum(x * np.cos(2 * np.pi * hz * t)) - 1j * np.sum(
                    x * np.sin(2 * np.pi * hz * t)
                )
                phasors.append(z / abs(z))
            squares.append(abs(np.mean(phasors)) ** 2)
        assert found.coherence[label] == pytest.approx(np.sqrt(np.mean(squares)))


def test_fixed_phases_are_locked_and_phases_drawn_anew_are_not():
    locked = measure(*draw(1), SFREQ, HZ)
    assert locked.locked
    assert max(locked.p.values()) < 0.05
    assert str(locked).startswith("The responses are phase-locked to the markers: inter-trial")
    drawn = measure(*draw(1, spread=1.0), SFREQ, HZ)
    assert drawn.locked is False
    assert drawn.overall < drawn.chance < drawn.expected
    assert "are not phase-locked" in str(drawn)
    assert str(drawn).endswith("decoders with templates are left out.")


@pytest.mark.parametrize("jitter", [0, 30])
def test_the_simulated_subject(jitter):
    """Simulated; windows that begin up to 0.12 s late or early have no phase in common."""
    subject = SimulatedSubject(TARGETS_12, snr=1.0, seed=3, sfreq=250.0)
    table = SpellerTimetable(tuple(t.label for t in TARGETS_12), 3, stim_s=2.0, seed=1)
    onsets, y, data = [], [], []
    for trial in table.trials():
        for marker in trial.markers:
            index = round(marker.t * 250)
            data.append(subject.generate(index - subject.position))
            subject.see(marker.value)
            if marker.value == STIM_ON:
                onsets.append(index)
        y.append(trial.label)
    samples = np.concatenate([*data, subject.generate(500)])
    rng = np.random.default_rng(0)
    starts = np.array(onsets) + 40 + rng.integers(-jitter, jitter + 1, len(onsets))
    X = np.stack([samples[s : s + 450].T for s in starts])
    found = measure(X, np.array(y), 250.0, {t.label: t.frequency_hz for t in TARGETS_12})
    assert found.locked == (jitter == 0)


def test_noise_is_called_locked_no_more_often_than_said():
    n_locked = sum(bool(measure(*draw(s, amplitude=0.0), SFREQ, HZ).locked) for s in range(60))
    assert n_locked <= binom.ppf(0.999, 60, 0.05)


def test_a_trace_of_locking_is_no_use():
    """Significant with 60 trials a class, but far from what locked responses would show."""
    found = measure(*draw(2, n_per_class=60, amplitude=2.0, spread=0.75), SFREQ, HZ, n_harmonics=1)
    assert found.p_overall < 0.01
    assert found.overall < 0.5 * found.expected
    assert found.locked is False


def test_what_locked_responses_would_show():
    rng = np.random.default_rng(3)
    noise = rng.standard_normal((2, 200_000)) / np.sqrt(2)
    for snr in (0.1, 1.0, 9.0, 400.0):
        z = np.sqrt(snr) + noise[0] + 1j * noise[1]
        expected = abs(np.mean(z / np.abs(z)))
        assert _locked_coherence(np.array(snr)) == pytest.approx(expected, abs=5e-3)
    assert _locked_coherence(np.array(0.0)) == 0.0


def test_too_few_trials_say_nothing():
    X, y = draw(4, n_per_class=3)
    found = measure(X, y, SFREQ, HZ)
    assert found.locked is None
    assert "cannot be told from 9 trials" in str(found)
    assert measure(X, y, SFREQ, {}).locked is None
    X, y = draw(5)
    assert measure(np.zeros_like(X), y, SFREQ, HZ).locked is False
