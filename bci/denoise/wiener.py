"""The best linear filter that training pairs know: the baseline of learned denoisers.

An FIR filter, or one with all channels and lags for each channel, whose output has the
least squared distance to the clean epochs. It knows nothing but second moments of signal
and artifact (Wiener 1949), so what a network does better than this it owes to something
else than spectra and correlations.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike
from scipy.linalg import solve

from bci.types import FloatArray

#: Seconds of the filter: for single channels, and for several, where lags multiply.
LENGTH_S, LENGTH_SEVERAL_S = 0.5, 0.05
#: Added to the diagonal of the normal equations, relative to its mean: for rounding only.
RIDGE = 1e-9
#: Rows of the normal equations that are worked on at once.
_ROWS = 2**16


class WienerFilter:
    """A linear filter fitted by least squares; centred, so not causal: a bound, no stage.

    Parameters
    ----------
    length_s : float or None
        Length of the filter, half before and half after the sample that it cleans,
        rounded up to an odd number of taps. None: `LENGTH_S` for single channels,
        `LENGTH_SEVERAL_S` for several.

    Attributes
    ----------
    taps_ : array, shape (n_channels, n_channels, n_taps)
        ``cleaned[i, t] = Σ_j Σ_k taps_[i, j, k] noisy[j, t + k - n_taps // 2]``, zeros beyond
        an epoch's ends.
    """

    def __init__(self, length_s: float | None = None) -> None:
        self.length_s = length_s

    def fit(self, noisy: ArrayLike, clean: ArrayLike, sfreq: float) -> WienerFilter:
        """Fit to pairs; each counts the same, divided by the noisy one's RMS as networks see it.

        The least squares are exact for finite epochs: the ends are fitted as they are cleaned.

        Parameters
        ----------
        noisy, clean : arrays, shape (n, n_times) or (n, n_channels, n_times)
            Microvolts.
        sfreq : float
            Hz.

        Raises
        ------
        ValueError
            Shapes differ, samples are not finite, a noisy epoch is 0, the filter is longer
            than an epoch, or there are fewer samples than weights.
        """
        x, target = _epochs(noisy), _epochs(clean)
        n, n_channels, n_times = x.shape
        default = LENGTH_S if n_channels == 1 else LENGTH_SEVERAL_S
        length_s = default if self.length_s is None else self.length_s
        n_taps = 2 * round(0.5 * length_s * sfreq) + 1
        if x.shape != target.shape:
            raise ValueError(f"pairs differ in shape: noisy {x.shape}, clean {target.shape}")
        if n_taps > n_times or n * n_times < n_channels * n_taps:
            raise ValueError(
                f"a filter of {n_taps} taps and {n_channels} channels cannot be fitted to {n} "
                f"epochs of {n_times} samples; shorten 'length_s' ({length_s:g} s) or give more"
            )
        scale = np.sqrt(np.mean(x**2, axis=(1, 2), keepdims=True))
        if not np.all(scale > 0.0):
            raise ValueError("a noisy epoch is 0 throughout; leave it out")
        size = n_channels * n_taps
        gram, cross = np.zeros((size, size)), np.zeros((size, n_channels))
        step = max(1, _ROWS // n_times)
        for at in range(0, n, step):
            part = slice(at, at + step)
            rows = _lagged(x[part] / scale[part], n_taps)
            gram += rows.T @ rows
            aims = target[part] / scale[part]
            cross += rows.T @ aims.transpose(0, 2, 1).reshape(-1, n_channels)
        gram[np.diag_indices(size)] += RIDGE * np.trace(gram) / size
        weights = solve(gram, cross, assume_a="pos")
        self.taps_: FloatArray = weights.T.reshape(n_channels, n_channels, n_taps)
        return self

    def clean(self, noisy: ArrayLike) -> FloatArray:
        """Clean epochs, same shape.

        Raises
        ------
        ValueError
            It is not fitted, or to another number of channels.
        """
        if not hasattr(self, "taps_"):
            raise ValueError("the Wiener filter is not fitted; call fit(noisy, clean, sfreq) first")
        x = _epochs(noisy)
        n_channels, _, n_taps = self.taps_.shape
        if x.shape[1] != n_channels:
            raise ValueError(f"fitted to {n_channels} channels, found {x.shape[1]}")
        weights = self.taps_.reshape(n_channels, -1).T
        result, step = np.empty_like(x), max(1, _ROWS // x.shape[2])
        for at in range(0, len(x), step):
            part = slice(at, at + step)
            out = _lagged(x[part], n_taps) @ weights
            result[part] = out.reshape(-1, x.shape[2], n_channels).transpose(0, 2, 1)
        return result.reshape(np.shape(noisy))


def _lagged(x: FloatArray, n_taps: int) -> FloatArray:
    """All lags of all channels for each sample, shape (n * n_times, n_channels * n_taps)."""
    half = n_taps // 2
    padded = np.pad(x, ((0, 0), (0, 0), (half, half)))
    windows = sliding_window_view(padded, n_taps, axis=-1)
    return windows.transpose(0, 2, 1, 3).reshape(-1, x.shape[1] * n_taps)


def _epochs(x: ArrayLike) -> FloatArray:
    given = np.asarray(x, dtype=np.float64)
    if given.ndim not in (2, 3) or not given.size:
        raise ValueError(
            "epochs are arrays (n, n_times) or (n, n_channels, n_times), not empty; found shape "
            f"{given.shape}"
        )
    if not np.isfinite(given).all():
        raise ValueError("epochs hold samples that are not finite; leave them out")
    return given if given.ndim == 3 else given[:, None, :]
