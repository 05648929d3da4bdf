"""Windows with a rhythm whose power tells the classes apart, for tests of imagery decoders."""

from __future__ import annotations

import numpy as np

SFREQ = 128.0


def rhythms(seed, n_windows=60, n_channels=6, n_classes=2, strength=0.8):
    """Mixed noise; in class k the sources k, k + K, … have a stronger 10 Hz rhythm."""
    rng = np.random.default_rng(seed)
    y = np.arange(n_windows) % n_classes
    t = np.arange(256) / SFREQ
    waves = np.sin(2 * np.pi * (10 * t + rng.random((n_windows, n_channels, 1))))
    gain = strength * (np.arange(n_channels) % n_classes == y[:, None])
    sources = rng.standard_normal((n_windows, n_channels, 256)) + gain[..., None] * waves
    fixed = np.random.default_rng(n_channels)
    mixing = fixed.standard_normal((n_channels, n_channels)) + 2 * np.eye(n_channels)
    return 5 * mixing @ sources, np.array(["feet", "left", "right"])[:n_classes][y]


def average_referenced(X):
    return X - X.mean(axis=1, keepdims=True)
