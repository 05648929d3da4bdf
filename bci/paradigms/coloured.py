"""Filters that colour white noise, with carried state and known spectra."""

from __future__ import annotations

import numpy as np
from scipy import signal

from bci.types import FloatArray


class Colour:
    """A recursive filter over rows of unit white noise.

    Parameters
    ----------
    sos : array, shape (n_sections, 6)
    sfreq : float
        Hz.
    n_rows : int
        Independent signals that are filtered side by side.
    """

    def __init__(self, sos: FloatArray, sfreq: float, n_rows: int) -> None:
        self.sos = np.ascontiguousarray(sos)
        self.sfreq = sfreq
        self.state = np.zeros((len(sos), n_rows, 2))

    def __call__(self, white: FloatArray) -> FloatArray:
        """Filter the next samples of all rows, shape (n_rows, n_times)."""
        coloured, self.state = signal.sosfilt(self.sos, white, axis=-1, zi=self.state)
        result: FloatArray = coloured
        return result

    def psd(self, frequencies: FloatArray) -> FloatArray:
        """One-sided power spectral density of the output, per Hz."""
        response = signal.sosfreqz(self.sos, frequencies, fs=self.sfreq)[1]
        density: FloatArray = 2.0 / self.sfreq * np.abs(response) ** 2
        return density


def power_law(exponent: float, psd_1hz: float, knee_hz: float, sfreq: float) -> FloatArray:
    """Sections whose output has the PSD ``psd_1hz / f^exponent`` above the knee.

    Real poles and zeros alternate at equal distances on the logarithmic
    frequency axis, so that the slope lies between that of none and that of one
    pole [1]_. For exponents of 1 to 2 the PSD is within 0.4 dB of the wanted one from 2 Hz to
    a sixth of the sampling rate, and flattens above (2 to 4 dB too much at 45 % of it).

    References
    ----------
    .. [1] Kasdin (1995). Discrete simulation of colored noise and stochastic
       processes and 1/f^α power law noise generation. Proc. IEEE 83, 802.
    """
    n_pairs = 10
    ratio = (0.5 * sfreq / knee_hz) ** (1.0 / n_pairs)
    corners = knee_hz * ratio ** np.arange(n_pairs)
    poles = np.exp(-2.0 * np.pi * corners / sfreq)
    zeros = np.exp(-2.0 * np.pi * corners * ratio ** (0.5 * exponent) / sfreq)
    sos = signal.zpk2sos(zeros, poles, 1.0)
    fitted = np.geomspace(2.0, 0.16 * sfreq, 50)
    wanted = psd_1hz / fitted**exponent
    excess = np.mean(np.log(Colour(sos, sfreq, 1).psd(fitted) / wanted))
    sos[0, :3] *= np.exp(-0.5 * excess)
    result: FloatArray = sos
    return result


def rhythm(centre_hz: float, width_hz: float, sfreq: float, n_sections: int = 1) -> FloatArray:
    """Sections whose output is a rhythm of unit variance, each `width_hz` wide at half power.

    One falls off as 1/f in amplitude; several are narrower, and steeper far away.
    """
    b, a = signal.iirpeak(centre_hz, centre_hz / width_hz, fs=sfreq)
    return _unit_variance(np.concatenate([signal.tf2sos(b, a)] * n_sections), sfreq)


def band(low_hz: float, high_hz: float, sfreq: float) -> FloatArray:
    """Sections whose output is noise of unit variance between two frequencies."""
    high = min(high_hz, 0.45 * sfreq)
    return _unit_variance(
        signal.butter(2, [low_hz, high], "bandpass", fs=sfreq, output="sos"), sfreq
    )


def wander(time_s: float, sfreq: float) -> FloatArray:
    """One section whose output is an Ornstein-Uhlenbeck process of unit variance."""
    keep = np.exp(-1.0 / (time_s * sfreq))
    return np.array([[np.sqrt(1.0 - keep * keep), 0.0, 0.0, 1.0, -keep, 0.0]])


def _unit_variance(sos: FloatArray, sfreq: float) -> FloatArray:
    power = np.mean(np.abs(signal.sosfreqz(sos, 1 << 15, fs=sfreq)[1]) ** 2)
    sos[0, :3] /= np.sqrt(power)
    return sos
