"""FBCCA on the nine people of Kalunga et al.: three flickers, no training, causal filters.

Every parameter is FBCCA's default (Chen et al. 2015: 5 bands, 5 harmonics), the
band-pass that of the shipped configuration, and nothing is chosen per person.
The references are those of plain CCA on the same files.
"""

from __future__ import annotations

from pathlib import Path

import mne
import numpy as np
import pytest
from scipy.signal import butter, sosfilt
from scipy.stats import binom

from bci.decoders import FBCCA

DATA = Path(__file__).parents[2] / ".." / "shared" / "data" / "ssvep-exo"
CODES = {2: "13 Hz", 3: "21 Hz", 4: "17 Hz"}
HZ = {"13 Hz": 13.0, "17 Hz": 17.0, "21 Hz": 21.0}
REFERENCE = (0.88, 0.42, 0.98, 0.98, 0.79, 0.67, 0.99, 0.85, 0.88)

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"recordings are not at {DATA}")


def trials(subject):
    """Windows from 2 to 5 s after each onset, shape (n, 8, 768), and their labels."""
    X, y = [], []
    for path in sorted((DATA / f"subject{subject:02d}").glob("*_raw.fif")):
        raw = mne.io.read_raw_fif(path, preload=True, verbose="error")
        sfreq = raw.info["sfreq"]
        sos = butter(4, [6, 45], "bandpass", fs=sfreq, output="sos")
        filtered = sosfilt(sos, 1e6 * raw.get_data(picks="eeg"), axis=1)
        events = mne.read_events(str(path).replace("_raw.fif", "-eve.fif"), verbose="error")
        for sample, _, code in events:
            if code in CODES:
                start = sample - raw.first_samp + round(2 * sfreq)
                X.append(filtered[:, start : start + round(3 * sfreq)])
                y.append(CODES[code])
    return np.array(X), np.array(y)


def test_no_one_is_decoded_worse_than_the_reference():
    decoder = FBCCA(256.0, HZ)
    rows = []
    for subject, reference in enumerate(REFERENCE, 1):
        X, y = trials(subject)
        assert X.shape[1:] == (8, 768)
        bound = binom.ppf(0.05, len(y), reference) / len(y)
        rows.append((subject, len(y), reference, bound, decoder.score(X, y)))
    print("\nsubject  trials  reference  bound (95 %)  FBCCA")
    for subject, n, reference, bound, accuracy in rows:
        print(f"S{subject:02d}      {n:6d} {reference:10.2f} {bound:13.3f} {accuracy:6.3f}")
    mean = np.mean([row[-1] for row in rows])
    print(f"mean           {np.mean(REFERENCE):10.3f} {'':13} {mean:6.3f}")
    assert mean >= np.mean(REFERENCE) - 0.02
    assert [row for row in rows if row[-1] < row[-2]] == []


def test_probabilities_calibrated_on_one_session_hold_in_the_next():
    """Over all people, the mean probability of the answer is near the share of right ones."""
    said, right = [], []
    for subject in range(1, 10):
        X, y = trials(subject)
        half = len(y) // 2
        decoder = FBCCA(256.0, HZ).fit(X[:half], y[:half])
        for n_times in (256, 512, 768):
            proba = decoder.predict_proba(X[half:, :, :n_times])
            said.append(proba.max(axis=1).mean())
            right.append((decoder.classes_[proba.argmax(axis=1)] == y[half:]).mean())
    print(f"\nmean probability of the answer {np.mean(said):.3f}, right {np.mean(right):.3f}")
    assert np.mean(said) == pytest.approx(np.mean(right), abs=0.06)
