"""A simulated imagery session whose covariances drift, the drift being fixed beforehand.

The simulated subject is as it is. What drifts is how its channels are mixed into
the recorded ones: at time u (0 at the start, 1 at the end) by ``expm(u * drift)``.
Each drift was fixed before a decoder was scored on it and not changed afterwards:
`MIXING` first, and `GAINS` when decoders had been found not to hold against that.
How to recentre was chosen on people 0 to 5; the test has others.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy import signal
from scipy.linalg import expm

from bci.paradigms.imagery import ImageryTimetable
from bci.paradigms.subject import CENTRAL, SimulatedSubject
from bci.paradigms.timetable import CUE

SFREQ = 250.0
N_CALIBRATION, N_SESSION = 80, 200
#: From cue + 0.5 s on, two seconds: as configs/imagery.yaml has it.
OFFSET, LENGTH = 125, 500

#: By the end, electrodes of the left hemisphere have gained 65 % in amplitude, and those of
#: the right have lost 40 %: gels dry unevenly.
GAINS = np.diag([0.5, -0.5, 0.5, 0.5, 0.0, -0.5, -0.5, 0.5, -0.5])

#: A harder drift: by the end every channel has leaked into every other one. Generator drawn
#: at random; amplitudes along its directions change by up to e^±1.
MIXING = np.random.default_rng(20260).standard_normal((len(CENTRAL), len(CENTRAL)))
MIXING /= np.linalg.norm(MIXING, 2)


@cache
def epochs(seed):
    """Windows, shape (n, 9, 500), and labels of one person: calibration, then the session."""
    n_blocks = (N_CALIBRATION + N_SESSION) // 10
    subject = SimulatedSubject(ch_names=CENTRAL, sfreq=SFREQ, seed=seed)
    trials = list(ImageryTimetable(n_blocks=n_blocks, seed=seed).trials())
    onsets = []
    for trial in trials:
        for marker in trial.markers:
            index = round(marker.t * SFREQ)
            subject.see(marker.value, index)
            if marker.value.startswith(CUE):
                onsets.append(index)
    raw = subject.generate(round((trials[-1].stop_s + 1) * SFREQ))
    sos = signal.butter(4, (8, 32), "bandpass", fs=SFREQ, output="sos")
    filtered = signal.sosfilt(sos, raw, axis=0).T
    X = np.stack([filtered[:, o + OFFSET : o + OFFSET + LENGTH] for o in onsets])
    return X, np.array([trial.label for trial in trials])


def calibration(seed):
    """Windows and labels before any drift."""
    X, y = epochs(seed)
    return X[:N_CALIBRATION], y[:N_CALIBRATION]


def session(seed, drift=None, share=0.5):
    """Windows and labels of the session, mixed more and more by the generator `drift`.

    `share` of the trials are of the hand "left"; trials too many of one are left out.
    """
    X, y = epochs(seed)
    X, y = X[N_CALIBRATION:], y[N_CALIBRATION:]
    u = np.linspace(0.0, 1.0, len(X))
    if drift is not None:
        X = np.stack([expm(t * drift) @ x for t, x in zip(u, X, strict=True)])
    lefts, rights = (y == "left").nonzero()[0], (y == "right").nonzero()[0]
    if share > 0.5:  # drop rights evenly
        n = round(len(lefts) * (1 - share) / share)
        rights = rights[np.linspace(0, len(rights) - 1, n).round().astype(int)]
    kept = np.sort(np.concatenate([lefts, rights]))
    return X[kept], y[kept]


def accuracy(decoder, X, y, labels=False):
    """Share of windows decided right, each before it is learnt from; then with its label."""
    right = 0
    for window, label in zip(X, y, strict=True):
        right += decoder.predict(window[np.newaxis])[0] == label
        if hasattr(decoder, "update") and decoder.update(window) and labels:
            decoder.update(window, label)
    return right / len(y)


def rewarded(bandit, X, y, wrong=0.0, seed=0):
    """Share of windows decided right, each before it is told "right" or "wrong", the true one.

    Of the rewards a share of `wrong` is turned round, drawn by `seed`.
    """
    rng, right = np.random.default_rng(seed), 0
    for window, label in zip(X, y, strict=True):
        decided = bandit.predict(window[np.newaxis])[0]
        hit = bool(decided == label)
        right += hit
        told = hit != (rng.random() < wrong)
        if bandit.update(window):
            bandit.reward(window, decided, told)
    return right / len(y)
