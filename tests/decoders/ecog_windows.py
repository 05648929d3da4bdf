"""Windows of noise whose broadband power tells the classes apart, for tests of ECoG decoders."""

from __future__ import annotations

import numpy as np

SFREQ = 250.0


def moved(seed, n_windows=40, n_channels=5, rise=1.5, n_times=250):
    """White noise; with "tongue" channel 1 has more power, with "hand" channel 0."""
    rng = np.random.default_rng(seed)
    codes = rng.permutation(np.arange(n_windows) % 2)
    X = 10 * rng.standard_normal((n_windows, n_channels, n_times)) + 50.0
    X[np.arange(n_windows), codes] *= np.sqrt(1 + rise)
    return X, np.array(["hand", "tongue"])[codes]
