"""Sub-bands of a short window, for the deep network.

Band r passes 8r to 90 Hz: Chebyshev type I of first order at each edge, 1 dB of
ripple, run forth and back. A window is cut to its length *before* it is
filtered: filtered first, its end would know the samples that come after it.

For a window of given length all this, odd extension included, is linear, so it
is one matrix.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy import signal

from bci.types import FloatArray

LOWEST_HZ = 8.0
HIGHEST_HZ = 90.0

#: Samples of odd extension, as MATLAB's filtfilt has it for two poles (SciPy: 9).
PAD = 6


def subband_edges(sfreq: float, n_bands: int) -> tuple[tuple[float, float], ...]:
    """(low, high) of each band, Hz.

    Raises
    ------
    ValueError
        They do not fit below half the sampling rate.
    """
    top = min(HIGHEST_HZ, 0.9 * sfreq / 2)  # a filter needs room below the Nyquist frequency
    if n_bands < 1 or LOWEST_HZ * n_bands + 4.0 > top:
        most = int((top - 4.0) // LOWEST_HZ)
        raise ValueError(
            f"at a sampling rate of {sfreq:g} Hz there is room for 1 to {most} sub-bands of 8, 16, "
            f"... to {top:g} Hz; asked for {n_bands}"
        )
    return tuple((LOWEST_HZ * r, top) for r in range(1, n_bands + 1))


@lru_cache(maxsize=32)
def subband_matrices(sfreq: float, n_bands: int, n_times: int) -> FloatArray:
    """Matrices H with ``window @ H[r]`` in band r + 1, shape (n_bands, n_times, n_times).

    Raises
    ------
    ValueError
        As `subband_edges`, or the window is too short for the filters' extension.
    """
    edges = subband_edges(sfreq, n_bands)
    if n_times <= PAD:
        raise ValueError(
            f"a window of {n_times} samples is too short for the sub-bands: they need {PAD + 1} "
            f"({(PAD + 1) / sfreq:.3g} s)"
        )
    unit = np.eye(n_times)
    matrices = [
        signal.filtfilt(*signal.cheby1(1, 1.0, band, "bandpass", fs=sfreq), unit, padlen=PAD)
        for band in edges
    ]
    stacked: FloatArray = np.stack(matrices)
    stacked.flags.writeable = False
    return stacked


def subbands(X: FloatArray, sfreq: float, n_bands: int) -> FloatArray:
    """Sub-bands of windows, shape (n_windows, n_bands, n_channels, n_times).

    `X` has shape (n_windows, n_channels, n_times), microvolts, and is cut to the
    length that is wanted already. Raises ValueError as `subband_matrices`.
    """
    banded: FloatArray = X[:, None] @ subband_matrices(sfreq, n_bands, X.shape[-1])
    return banded
