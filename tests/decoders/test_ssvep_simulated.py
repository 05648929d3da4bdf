"""The trained decoders of steady-state responses on simulated people.

What is asserted follows from the method; everything else is only printed:
pytest tests/decoders/test_ssvep_simulated.py -s
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from scipy import signal
from scipy.special import log_softmax
from scipy.stats import binom
from sklearn.base import clone

from bci.decoders import FBCCA, TDCA, TRCA, ExtendedCCA, MultiStimulusCCA
from bci.paradigms.speller import TARGETS_12, SpellerTimetable
from bci.paradigms.subject import SimulatedSubject
from bci.paradigms.timetable import CUE, STIM_ON

SFREQ = 250.0
HZ = {target.label: target.frequency_hz for target in TARGETS_12}
PHASES = {target.label: target.phase for target in TARGETS_12}
LATENCY_S = 0.14  # of the visual system: windows begin so much after the flicker
N_TRAINING, N_BLOCKS, SUBJECTS = 4, 8, range(2)
RUNGS = {
    "FBCCA": FBCCA(SFREQ, HZ),
    "eCCA": ExtendedCCA(SFREQ, HZ),
    "ms-CCA": MultiStimulusCCA(SFREQ, HZ, phases=PHASES),
    "TRCA": TRCA(SFREQ, ensemble=False),
    "eTRCA": TRCA(SFREQ),
    "TDCA": TDCA(SFREQ, HZ),
}


@cache
def session(seed, locked):
    """Windows of 1 s in order of time, and their labels; 12 trials a block.

    Mains hum is notched out, since trials on a grid of whole mains periods repeat
    it, and TRCA finds what repeats. Not `locked`: every trial has a target of its own,
    with the frequency of its label and a phase drawn anew.
    """
    table = SpellerTimetable(tuple(HZ), N_BLOCKS, stim_s=1.2, seed=seed)
    trials = list(table.trials())
    targets = list(TARGETS_12)
    if not locked:
        rng = np.random.default_rng(seed)
        known = {target.label: target for target in TARGETS_12}
        targets = [
            replace(known[trial.label], label=str(i), phase=rng.uniform(0, 2 * np.pi))
            for i, trial in enumerate(trials)
        ]
    person = SimulatedSubject(targets, seed=seed)
    onsets = []
    for i, trial in enumerate(trials):
        for marker in trial.markers:
            cue = marker.value.startswith(CUE) and not locked
            person.see(f"{CUE}{i}" if cue else marker.value, round(marker.t * SFREQ))
            if marker.value == STIM_ON:
                onsets.append(round((marker.t + LATENCY_S) * SFREQ))
    data = person.generate(round(trials[-1].stop_s * SFREQ))
    data = signal.lfilter(*signal.iirnotch(50, 35, SFREQ), data, axis=0)
    X = np.stack([data[onset : onset + 250].T for onset in onsets])
    return X, np.array([trial.label for trial in trials])


@cache
def scored(name, locked):
    """Fitted decoder, test windows and number of the true class, for each subject."""
    found, n = [], N_TRAINING * len(HZ)
    for seed in SUBJECTS:
        X, y = session(seed, locked)
        fitted = clone(RUNGS[name]).fit(X[:n], y[:n])
        found.append((fitted, X[n:], np.searchsorted(fitted.classes_, y[n:])))
    return found


def hits(name, n_times, locked=True):
    """Right answers, and of how many."""
    found = [
        fitted.scores(X[..., :n_times]).argmax(axis=1) == codes
        for fitted, X, codes in scored(name, locked)
    ]
    return int(np.sum(found)), np.size(found)


def test_with_locked_phase_templates_beat_fbcca_in_short_windows():
    found = {name: [hits(name, n_times)[0] for n_times in (75, 125)] for name in RUNGS}
    n = len(SUBJECTS) * (N_BLOCKS - N_TRAINING) * len(HZ)
    print(f"\nsimulated, right of {n} at 0.3 and 0.5 s: {found}")
    for name in ("eCCA", "ms-CCA", "TRCA", "eTRCA", "TDCA"):
        assert found[name][1] > found["FBCCA"][1], name


@pytest.mark.parametrize("name", ["TRCA", "eTRCA"])
def test_with_a_new_phase_in_each_trial_trca_is_at_chance(name):
    right, n = hits(name, 250, locked=False)
    low, high = binom.interval(0.99, n, 1 / len(HZ))
    assert low <= right <= high


def expected_calibration_error(proba, codes, n_bins=10):
    """Mean distance of confidence and accuracy, over bins with equally many windows."""
    confidence, right = proba.max(axis=1), proba.argmax(axis=1) == codes
    bins = np.array_split(np.argsort(confidence), n_bins)
    gaps = [abs(confidence[b].mean() - right[b].mean()) * len(b) for b in bins]
    return sum(gaps) / len(codes)


@pytest.mark.parametrize("name", RUNGS)
def test_calibrated_probabilities_are_not_worse_than_the_heuristic(name):
    for n_times in (125, 250):
        length_s = n_times / SFREQ
        mine, plain, codes = [], [], []
        for fitted, X, truth in scored(name, True):
            scores = fitted.scores(X[..., :n_times])
            mine.append(log_softmax(fitted.inverse_temperature(length_s) * scores, axis=1))
            untaught = clone(fitted).inverse_temperature(length_s)
            plain.append(log_softmax(untaught * scores, axis=1))
            codes.append(truth)
        truth = np.concatenate(codes)
        losses, errors = [], []
        for found in (np.concatenate(mine), np.concatenate(plain)):
            losses.append(-found[np.arange(len(truth)), truth].mean())
            errors.append(expected_calibration_error(np.exp(found), truth))
        print(
            f"\nsimulated, {name}, {length_s:g} s: log-loss {losses[0]:.3f} calibrated, "
            f"{losses[1]:.3f} heuristic; expected calibration error {errors[0]:.3f} and "
            f"{errors[1]:.3f}"
        )
        # to chance: of plain TRCA the heuristic is about as good as a fitted factor
        assert losses[0] <= losses[1] + 0.01
