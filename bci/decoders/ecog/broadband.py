"""Broadband power of windows, relative to that of the training.

Miller, Schalk, Fetz, den Nijs, Ojemann & Rao, PNAS 107, 4430, 2010,
doi:10.1073/pnas.0913697107: high-pass at 50 Hz, square, low-pass at 10 Hz.

Bafana, arXiv 2311.13507, 2023, divides by the mean over the whole recording, trials of the
test among it. Here the mean is that of the windows given to `fit`, and nothing else.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import signal
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from bci.decoders._checks import check_windows
from bci.types import FloatArray

ORDER = 3
#: Of the mean power in training: what is less counts as so much.
FLOOR = 1e-3


class HighGammaPower(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """From windows of a signal to the course of their broadband power, shape as they were.

    Filters run forwards and backwards over each window by itself; the live form, which is
    causal, is `bci.dsp.broadband.BroadbandPower`.

    Parameters
    ----------
    sfreq : float
        Sampling rate of the windows, Hz.
    highpass_hz : float or None
        What counts is the power above; None: windows hold power over a baseline already, as
        the live form gives it, and are left as they are.
    lowpass_hz : float
        How fast it may change.

    Attributes
    ----------
    baseline_ : array, shape (n_channels,)
        Mean power of the training windows; 1 for a flat channel.
    """

    def __init__(
        self, sfreq: float, highpass_hz: float | None = 50.0, lowpass_hz: float = 10.0
    ) -> None:
        self.sfreq = sfreq
        self.highpass_hz = highpass_hz
        self.lowpass_hz = lowpass_hz

    def fit(self, X: ArrayLike, y: Any = None) -> HighGammaPower:
        """Learn the mean power of each channel from windows, (n_windows, n_channels, n_times).

        Raises
        ------
        ValueError
            Wrong shape, values not finite, a cut-off that does not fit the sampling rate.
        """
        windows = check_windows(X)
        self.baseline_ = np.ones(windows.shape[1])
        if self.highpass_hz is not None:
            mean = self._power(windows).mean(axis=(0, 2))
            self.baseline_ = np.where(mean > 0.0, mean, 1.0)
        return self

    @classmethod
    def restored(
        cls, sfreq: float, highpass_hz: float | None, baseline: FloatArray
    ) -> HighGammaPower:
        """One that has learned `baseline` already."""
        power = cls(sfreq, highpass_hz)
        power.baseline_ = baseline
        return power

    def transform(self, X: ArrayLike) -> FloatArray:
        """Power over that of the training, shape as `X`; not negative."""
        check_is_fitted(self, "baseline_")
        windows = check_windows(X, len(self.baseline_))
        if self.highpass_hz is None:
            return windows
        relative: FloatArray = self._power(windows) / self.baseline_[:, None]
        return relative

    def _power(self, windows: FloatArray) -> FloatArray:
        assert self.highpass_hz is not None
        half = self.sfreq / 2
        if not 0 < self.lowpass_hz < half or not 0 < self.highpass_hz < half:
            raise ValueError(
                f"highpass_hz {self.highpass_hz:g} and lowpass_hz {self.lowpass_hz:g} must lie "
                f"between 0 and half the sampling rate of {self.sfreq:g} Hz"
            )
        high = _forth_and_back(windows, self.highpass_hz, "highpass", self.sfreq)
        power = _forth_and_back(high**2, self.lowpass_hz, "lowpass", self.sfreq)
        return np.maximum(power, 0.0)  # the low-pass may swing below


def log_means(power: FloatArray, n_parts: int) -> FloatArray:
    """Logarithm of mean power in equal parts of each window, (n_windows, n_channels, n_parts)."""
    parts = np.array_split(power, n_parts, axis=2)
    means = np.stack([part.mean(axis=2) for part in parts], axis=2)
    logs: FloatArray = np.log(np.maximum(means, FLOOR))
    return logs


def _forth_and_back(x: FloatArray, hz: float, kind: str, sfreq: float) -> FloatArray:
    sos = signal.butter(ORDER, hz, kind, fs=sfreq, output="sos")
    pad = min(3 * (2 * len(sos) + 1), x.shape[2] - 1)
    filtered: FloatArray = signal.sosfiltfilt(sos, x, axis=-1, padlen=pad)
    return filtered
