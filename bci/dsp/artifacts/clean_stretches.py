"""Finding clean stretches: windows whose amplitude is that of undisturbed EEG in most channels.

References
----------
Distribution of clean amplitudes: Mullen et al. 2015, IEEE Trans Biomed Eng 62(11):2553-2567;
its fit: Kothe & Jung, US patent application 14/895,440 (EEGLAB's clean_rawdata).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gamma, gammaincinv

from bci.errors import CalibrationFailed
from bci.types import FloatArray

#: Windows overlap by two thirds: each is this many steps long.
STEPS = 3
#: Quantiles of clean amplitudes between which the density is fitted.
QUANTILES = (0.022, 0.6)
#: Least share of windows that are clean, most that have too little amplitude (loose electrode).
MIN_CLEAN, MAX_DROPOUT = 0.25, 0.1
#: Step of the search over quantiles, and shapes of the density that are tried (2: Gaussian).
GRID = 0.01
SHAPES = np.linspace(1.7, 3.5, 13)
#: A channel is disturbed in a window outside of these z-scores ...
Z_RANGE = (-3.5, 5.5)
#: ... and a window is, when more than this share of its channels are.
MAX_BAD_CHANNELS = 0.1
#: Windows from which on a distribution can be fitted.
MIN_WINDOWS = 20


@dataclass(frozen=True, slots=True)
class Windows:
    """Overlapping windows of a stretch of signal.

    Attributes
    ----------
    step : int
        Samples from one window to the next; each has `STEPS` times as many.
    starts : array of int, shape (n_windows,)
        First sample of each.
    """

    step: int
    starts: NDArray[np.intp]

    @classmethod
    def over(cls, usable: NDArray[np.bool_], sfreq: float, window_s: float) -> Windows:
        """Windows of some `window_s` with no unusable sample."""
        step = max(1, round(window_s * sfreq / STEPS))
        starts = np.arange(0, len(usable) - STEPS * step + 1, step)
        bad = np.concatenate([[0], np.cumsum(~usable)])
        return cls(step, starts[bad[starts + STEPS * step] == bad[starts]])

    def where(self, kept: NDArray[np.bool_]) -> Windows:
        """Those of `kept`, shape (n_windows,)."""
        return Windows(self.step, self.starts[kept])

    def rms(self, x: FloatArray) -> FloatArray:
        """Root mean square, shape (n_windows, n_channels), of x (n_samples, n_channels)."""
        n = self.n_steps(len(x))
        power = np.square(x[: n * self.step]).reshape(n, self.step, -1).sum(axis=1)
        return np.sqrt(self._sums(power) / (STEPS * self.step))

    def covariances(self, x: FloatArray) -> FloatArray:
        """Mean of x xᵀ, shape (n_windows, n_channels, n_channels)."""
        n = self.n_steps(len(x))
        steps = x[: n * self.step].reshape(n, self.step, -1)
        return self._sums(steps.swapaxes(1, 2) @ steps) / (STEPS * self.step)

    def n_steps(self, n_samples: int) -> int:
        """Whole steps in so many samples."""
        return n_samples // self.step

    def _sums(self, steps: FloatArray) -> FloatArray:
        first = self.starts // self.step
        sums: FloatArray = np.add.reduce([steps[first + i] for i in range(STEPS)])
        return sums

    def seconds(self, sfreq: float) -> float:
        """Length of what they cover together, seconds."""
        if len(self.starts) == 0:
            return 0.0
        apart = np.minimum(np.diff(self.starts), STEPS * self.step)
        return float(apart.sum() + STEPS * self.step) / sfreq

    def mask(self, n_samples: int) -> NDArray[np.bool_]:
        """Samples that lie in a window."""
        edges = np.zeros(n_samples + 1, int)
        np.add.at(edges, self.starts, 1)
        np.add.at(edges, self.starts + STEPS * self.step, -1)
        mask: NDArray[np.bool_] = np.cumsum(edges[:-1]) > 0
        return mask


def clean_windows(
    x: FloatArray,
    usable: NDArray[np.bool_],
    sfreq: float,
    window_s: float,
    asked_by: str,
    max_bad_channels: float = MAX_BAD_CHANNELS,
) -> Windows:
    """Windows in which (nearly) every channel has the amplitude of undisturbed EEG.

    Parameters
    ----------
    x : array, shape (n_samples, n_channels)
        High-passed EEG, µV.
    usable : array of bool, shape (n_samples,)
    sfreq : float
    window_s : float
    asked_by : str
        Kind of the stage, for the message.
    max_bad_channels : float
        A window is disturbed when more than this share of its channels are (rounded, one at
        least).

    Raises
    ------
    CalibrationFailed
        There are too few windows to tell, or too few are clean.
    """
    windows = Windows.over(usable, sfreq, window_s)
    length_s = len(x) / sfreq
    _enough(windows, f"{asked_by}: of {length_s:.1f} s to calibrate on, ", " without a flag")
    rms = windows.rms(x)
    mean, sd = clean_amplitude(rms)
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.where(sd > 0, (rms - mean) / sd, np.inf)
    allowed = max(1, round(max_bad_channels * x.shape[1]))
    high, low = (z > Z_RANGE[1]).sum(axis=1), (z < Z_RANGE[0]).sum(axis=1)
    clean = windows.where((high <= allowed) & (low <= allowed))
    _enough(clean, f"{asked_by}: of {length_s:.1f} s to calibrate on, ", " clean")
    return clean


def _enough(windows: Windows, before: str, what: str) -> None:
    if len(windows.starts) < MIN_WINDOWS:
        raise CalibrationFailed(
            f"{before}{len(windows.starts)} windows are{what}, and {MIN_WINDOWS} are needed; "
            "calibrate on more seconds (calibration_s) of quiet sitting, with all electrodes in "
            "place"
        )


def clean_amplitude(rms: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean and standard deviation of the amplitude of clean windows, each shape (n_channels,).

    Among all windows those of clean EEG are taken to be a generalized Gaussian bump at the
    low end: below it at most `MAX_DROPOUT` of the windows, and at least `MIN_CLEAN` of them
    in it. Of each interval of sorted values that could be its `QUANTILES` the histogram is
    compared with the density of each shape; the least Kullback-Leibler divergence wins.

    Parameters
    ----------
    rms : array, shape (n_windows, n_channels)
    """
    ordered = np.ascontiguousarray(np.sort(rms, axis=0).T)  # (n_channels, n_windows)
    n_channels, n = ordered.shape
    low, high = QUANTILES
    widest = high - low
    firsts = np.round(n * np.arange(low, low + MAX_DROPOUT + GRID / 10, GRID)).astype(int)
    widths = np.round(n * np.arange(widest, MIN_CLEAN * widest - GRID / 10, -GRID)).astype(int)
    best = np.full(n_channels, np.inf)
    bottom, top = np.zeros(n_channels), np.zeros(n_channels)
    shape = np.zeros(n_channels, int)
    limits = _limits()
    for width in np.unique(widths[widths >= 4])[::-1]:
        inside = ordered[:, firsts[:, None] + np.arange(width)]  # (n_channels, n_firsts, width)
        span = inside[..., -1] - inside[..., 0]
        divergence = _divergences(inside, span, limits) + np.log(width)
        flat = divergence.reshape(n_channels, -1)
        at = flat.argmin(axis=1)
        least = flat[np.arange(n_channels), at]
        first, k = np.divmod(at, len(SHAPES))
        better = least < best
        best[better], shape[better] = least[better], k[better]
        bottom[better] = ordered[better, firsts[first[better]]]
        top[better] = ordered[better, firsts[first[better]] + width - 1]
    scale = (top - bottom) / (limits[shape, 1] - limits[shape, 0])
    beta = SHAPES[shape]
    return bottom - limits[shape, 0] * scale, scale * np.sqrt(gamma(3 / beta) / gamma(1 / beta))


def _limits() -> FloatArray:
    """Where a standard generalized Gaussian of each shape has its `QUANTILES`, (n_shapes, 2)."""
    off = np.array(QUANTILES) - 0.5
    inner = gammaincinv(1 / SHAPES[:, None], 2 * np.abs(off))
    limits: FloatArray = np.sign(off) * inner ** (1 / SHAPES[:, None])
    return limits


def _divergences(inside: FloatArray, span: FloatArray, limits: FloatArray) -> FloatArray:
    """Divergence of each interval from each shape, (n_channels, n_firsts, n_shapes)."""
    n_channels, n_firsts, width = inside.shape
    n_bins = max(2, round(3 * np.log2(1 + width / 2)))
    with np.errstate(divide="ignore", invalid="ignore"):
        scaled = (inside - inside[..., :1]) * (n_bins / span)[..., None]
    tied = span <= 0  # values that stick together have no distribution
    scaled[tied] = 0.0
    bins = np.minimum(scaled.astype(int), n_bins - 1)
    rows = np.arange(n_channels * n_firsts)[:, None] * n_bins
    counts = np.bincount(
        (bins.reshape(-1, width) + rows).ravel(), minlength=n_channels * n_firsts * n_bins
    )
    log_q = np.log(counts.reshape(n_channels, n_firsts, n_bins) + 0.01)
    middles = (np.arange(n_bins) + 0.5) / n_bins
    at = limits[:, :1] + middles * (limits[:, 1:] - limits[:, :1])
    p = np.exp(-(np.abs(at) ** SHAPES[:, None]))
    p /= p.sum(axis=1, keepdims=True)
    divergence: FloatArray = np.sum(p * np.log(p), axis=1) - log_q @ p.T
    divergence[tied] = np.inf
    return divergence
