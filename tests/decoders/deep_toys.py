"""People with a phase-locked response of their own, and networks that train in a second."""

from __future__ import annotations

import numpy as np

SFREQ = 100.0
FREQUENCIES = {"9 Hz": 9.0, "12 Hz": 12.0, "15 Hz": 15.0}
LABELS = sorted(FREQUENCIES)

#: A network and a training for a test's patience; what they reach says nothing about real data.
QUICK = {
    "n_filters": 16,
    "n_epochs": (30, 30),
    "dropout": ((0.1, 0.1, 0.5), (0.2, 0.2, 0.5)),
    "learning_rate": 5e-3,
    "device": "cpu",
    "n_parallel": 8,
}


def blocks_of(seed, n_subjects=3, n_blocks=6, amplitude=1.0, n_channels=4, n_times=44):
    """Windows in white noise of 5 µV: X, y, subjects and blocks, each subject's in order."""
    rng = np.random.default_rng(seed)
    t = np.arange(n_times) / SFREQ
    X, y, subjects, blocks = [], [], [], []
    for subject in range(n_subjects):
        topography = 1.0 + 0.5 * rng.standard_normal(n_channels)
        lag = 0.4 * rng.standard_normal()
        for block in range(n_blocks):
            for label in rng.permutation(LABELS):
                wave = np.sin(2 * np.pi * FREQUENCIES[label] * t + FREQUENCIES[label] + lag)
                noise = rng.standard_normal((n_channels, n_times))
                X.append(5.0 * (noise + amplitude * np.outer(topography, wave)))
                y.append(label)
                subjects.append(f"S{subject}")
                blocks.append(block)
    return np.array(X), np.array(y), np.array(subjects), np.array(blocks)
