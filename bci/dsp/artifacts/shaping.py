"""A filter that weighs frequencies as artifacts do: most slow and fastest ones, little alpha.

Covariances and thresholds of ASR are taken behind it; the output is not.

References
----------
Design: Friedlander & Porat 1984, IEEE Trans Aerosp Electron Syst 20(2):158-173. Gains:
Kothe & Jung, US patent application 14/895,440 (EEGLAB's clean_rawdata).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lstsq, toeplitz
from scipy.signal import freqz, lfilter, zpk2sos

from bci.errors import ConfigError
from bci.types import FloatArray

ORDER = 8
#: Points of the frequency response that is aimed at, 0 to half the rate.
N_POINTS = 513
FREQUENCIES_HZ = (0.0, 2.0, 3.0, 13.0, 16.0, 40.0, 80.0)
GAINS = (3.0, 0.75, 0.33, 0.33, 1.0, 1.0, 3.0)
#: Rate up to which it is designed as it is, and from which on at this one, Hz.
MAX_DESIGN_SFREQ = 256.0
#: Rate that leaves room for the gains.
MIN_SFREQ = 90.0


def shaping_filter(sfreq: float) -> FloatArray:
    """Second-order sections, shape (ORDER / 2, 6).

    Raises
    ------
    ConfigError
        The rate is below `MIN_SFREQ`.
    """
    if sfreq < MIN_SFREQ:
        raise ConfigError(
            f"asr: weighs frequencies up to 40 Hz and above, which a rate of {sfreq:g} Hz has not; "
            f"{MIN_SFREQ:g} Hz or more are needed: leave the stage out"
        )
    # eight poles cannot tell 2 Hz from 9 Hz at a high rate: designed at a lower one, on
    # frequencies bent as the bilinear transform from there bends them back
    design = min(sfreq, MAX_DESIGN_SFREQ)
    half = sfreq / 2
    hz = np.array([*FREQUENCIES_HZ[:-1], min(FREQUENCIES_HZ[-1], half - 1)])
    bent = 2 / np.pi * np.arctan(sfreq / design * np.tan(np.pi * hz / sfreq))
    b, a = yule_walker(np.append(bent, 1.0), np.array([*GAINS, GAINS[-1]]))
    zeros, poles = (_to_rate(np.roots(c).astype(complex), design / sfreq) for c in (b, a))
    gain = np.sum(b) / np.sum(a) * np.prod(1 - poles) / np.prod(1 - zeros)
    return np.ascontiguousarray(zpk2sos(zeros, poles, gain.real))


def _to_rate(roots: NDArray[np.complex128], ratio: float) -> NDArray[np.complex128]:
    """Roots at a rate, where those at `ratio` times the rate are given (bilinear transform)."""
    up, down = 1 + ratio, 1 - ratio
    mapped: NDArray[np.complex128] = (up * roots + down) / (down * roots + up)
    return mapped


def yule_walker(frequencies: FloatArray, gains: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Recursive filter of `ORDER` whose gain runs straight from point to point.

    Modified Yule-Walker equations of the autocorrelation that belongs to the gains give the
    poles; zeros are fitted to the impulse response of the minimum-phase filter with the
    power response that the poles and the causal half of the autocorrelation make.

    Parameters
    ----------
    frequencies : array, shape (n_points,)
        0 to 1 (half the rate), rising.
    gains : array, shape (n_points,)

    Returns
    -------
    b, a : array, shape (ORDER + 1,)
    """
    half = np.interp(np.linspace(0, 1, N_POINTS), frequencies, gains)
    target = np.concatenate([half, half[-2:0:-1]])
    n, n_lags = len(target), 4 * ORDER
    taper = np.hamming(2 * n_lags - 1)[n_lags - 1 :]
    lags: FloatArray = np.fft.ifft(target**2).real[:n_lags] * taper
    rows = toeplitz(lags[ORDER:-1], lags[ORDER:0:-1])
    a = _inside(np.concatenate([[1.0], lstsq(rows, -lags[ORDER + 1 :])[0]]))
    causal = _numerator(np.concatenate([[lags[0] / 2], lags[1:]]), a)
    power = 2 * freqz(causal, a, n, whole=True)[1].real
    fold = np.concatenate([[0.5], np.ones(n // 2), np.zeros(n - n // 2 - 1)])
    cepstrum = np.fft.ifft(np.log(power.astype(complex)))
    response = np.fft.ifft(np.exp(np.fft.fft(fold * cepstrum))).real
    return _numerator(response[:n_lags], a), a


def _inside(a: FloatArray) -> FloatArray:
    """Poles outside of the unit circle mirrored into it: the same gain, and stable."""
    roots: NDArray[np.complex128] = np.roots(a).astype(complex)
    out = np.abs(roots) > 1
    roots[out] = 1 / roots[out].conj()
    return np.asarray(np.poly(roots).real, np.float64)


def _numerator(response: FloatArray, a: FloatArray) -> FloatArray:
    """Zeros that with the poles `a` come nearest to an impulse response."""
    impulse = np.zeros(len(response))
    impulse[0] = 1.0
    own = lfilter([1.0], a, impulse)
    b: FloatArray = lstsq(toeplitz(own, np.eye(1, ORDER + 1)[0] * own[0]), response)[0]
    return b
