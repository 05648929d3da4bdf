"""How much of an artifact went, and how much of the EEG with it: one figure per epoch.

Arrays are ``(n, n_times)``, or ``(n, n_channels, n_times)`` whose channels are then one
epoch together, so that a figure is that of the whole window and a flat channel spoils
none. What the true EEG is must be known, so these are for mixtures only.

RRMSE and the decibel are those of EEGdenoiseNet [1]_, where ``0 dB`` means equal RMS but
the ratio is one of *amplitudes* with a factor of 10: its −7 to 2 dB are −14 to 4 dB of
power. Untouched, a mixture of s dB has an RRMSE of ``10^(-s/10)``, and a cleaning that
halves the RRMSE gains 3 dB.

.. [1] Zhang, Zhao, Wei, Mantini, Li, Liu (2021). EEGdenoiseNet: a benchmark dataset for
   deep learning solutions of EEG denoising. J. Neural Eng. 18, 056057.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bci.metrics import mean_interval
from bci.types import FloatArray

#: Length of the segments whose periodograms a spectrum averages, seconds.
SEGMENT_S = 1.0
#: Names of the figures, in the order of `per_epoch`; of the first two less is better.
FIGURES = ("rrmse_t", "rrmse_s", "cc", "snr_gain_db")


def rrmse_temporal(cleaned: ArrayLike, clean: ArrayLike) -> FloatArray:
    """RMS of what is wrong over RMS of the true EEG, shape (n,); 0 is perfect.

    ``RMS(cleaned - clean) / RMS(clean)``; 1 is what an output of zeros has.

    Raises
    ------
    ValueError
        Shapes differ or are no epochs, samples are not finite, or a true epoch is 0.
    """
    got, true = _alike(cleaned, clean)
    return _rms(got - true) / _rms(true)


def rrmse_spectral(cleaned: ArrayLike, clean: ArrayLike, sfreq: float) -> FloatArray:
    """RRMSE of the power spectral densities, shape (n,); 0 is perfect.

    ``RMS(PSD(cleaned) - PSD(clean)) / RMS(PSD(clean))`` over all frequencies up to half the
    sampling rate. The densities are Welch's, of segments of `SEGMENT_S` (or the whole
    epoch, where that is shorter) with a Hann window, half overlapping, each without its mean.

    Raises
    ------
    ValueError
        As `rrmse_temporal`; or the true epoch is constant, or `sfreq` not positive.
    """
    from scipy.signal import welch

    if not sfreq > 0.0:
        raise ValueError(f"a spectrum needs a sampling rate above 0 Hz, found {sfreq}")
    got, true = _alike(cleaned, clean)
    n_segment = min(round(SEGMENT_S * sfreq), true.shape[-1])
    of_got, of_true = (welch(x, sfreq, nperseg=n_segment, axis=-1)[1] for x in (got, true))
    if not np.all(_rms(of_true) > 0.0):
        raise ValueError("a true epoch is constant: it has no spectrum to compare with")
    return _rms(of_got - of_true) / _rms(of_true)


def correlation(cleaned: ArrayLike, clean: ArrayLike) -> FloatArray:
    """Pearson's correlation with the true EEG, shape (n,); 1 is perfect.

    Of several channels, each without its own mean, over all samples together. 0 where
    the cleaned epoch is constant, which tells nothing about the EEG.

    Raises
    ------
    ValueError
        As `rrmse_temporal`; or a true epoch is constant.
    """
    got, true = (x - x.mean(axis=-1, keepdims=True) for x in _alike(cleaned, clean))
    axes = tuple(range(1, true.ndim))
    of_got, of_true = _rms(got), _rms(true)
    if not np.all(of_true > 0.0):
        raise ValueError("a true epoch is constant: nothing correlates with it")
    product = np.mean(got * true, axis=axes)
    return np.divide(product, of_got * of_true, out=np.zeros(len(true)), where=of_got > 0.0)


def snr_db(noisy: ArrayLike, clean: ArrayLike) -> FloatArray:
    """``10 log10(RMS(clean) / RMS(noisy - clean))``, shape (n,); infinite where they are equal.

    The decibel of EEGdenoiseNet, half of that of power. Raises as `rrmse_temporal`.
    """
    with np.errstate(divide="ignore"):
        result: FloatArray = -10.0 * np.log10(rrmse_temporal(noisy, clean))
    return result


def snr_gain_db(cleaned: ArrayLike, noisy: ArrayLike, clean: ArrayLike) -> FloatArray:
    """`snr_db` after cleaning less that before, shape (n,); below 0 where it did harm.

    Raises
    ------
    ValueError
        As `rrmse_temporal`; or a noisy epoch equals its true one: there is nothing to gain.
    """
    before = snr_db(noisy, clean)
    if not np.all(np.isfinite(before)):
        n = int(np.count_nonzero(~np.isfinite(before)))
        raise ValueError(f"{n} of {len(before)} noisy epochs are clean: there is no SNR to gain")
    return snr_db(cleaned, clean) - before


def per_epoch(
    cleaned: ArrayLike, noisy: ArrayLike, clean: ArrayLike, sfreq: float
) -> dict[str, FloatArray]:
    """All `FIGURES` of each epoch, arrays of shape (n,); raises as the functions of each."""
    return {
        "rrmse_t": rrmse_temporal(cleaned, clean),
        "rrmse_s": rrmse_spectral(cleaned, clean, sfreq),
        "cc": correlation(cleaned, clean),
        "snr_gain_db": snr_gain_db(cleaned, noisy, clean),
    }


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over epochs, and how far it may lie from that of other people.

    Attributes
    ----------
    mean : float
        Over epochs, each counted once.
    low, high : float
        95 % interval of the mean over sources, each counted once (Student's t): epochs of
        one person are no independent trials. NaN for a single source. It is centred on the
        mean over sources, which differs from `mean` where sources have unequally many epochs.
    n, n_sources : int
        Epochs, and sources.
    """

    mean: float
    low: float
    high: float
    n: int
    n_sources: int


def by_source(values: ArrayLike, sources: Sequence[str] | NDArray[np.str_]) -> Estimate:
    """Summarise a figure of epochs whose sources, the people recorded, are known.

    Parameters
    ----------
    values : array, shape (n,)
    sources : sequence of str, shape (n,)

    Raises
    ------
    ValueError
        There is no epoch, or the lengths differ.
    """
    figures, names = np.asarray(values, dtype=np.float64), np.asarray(sources)
    if figures.ndim != 1 or not len(figures) or figures.shape != names.shape:
        raise ValueError(
            f"a mean by source needs one source for each epoch, found shapes {figures.shape} and "
            f"{names.shape}"
        )
    means = [float(figures[names == name].mean()) for name in np.unique(names)]
    return Estimate(float(figures.mean()), *mean_interval(means), len(figures), len(means))


def _rms(x: FloatArray) -> FloatArray:
    result: FloatArray = np.sqrt(np.mean(x**2, axis=tuple(range(1, x.ndim))))
    return result


def _alike(cleaned: ArrayLike, clean: ArrayLike) -> tuple[FloatArray, FloatArray]:
    got, true = (np.asarray(x, dtype=np.float64) for x in (cleaned, clean))
    if got.shape != true.shape or true.ndim not in (2, 3) or not true.size:
        raise ValueError(
            "epochs to compare are arrays (n, n_times) or (n, n_channels, n_times) of one shape; "
            f"found {got.shape} and {true.shape}"
        )
    for what, x in (("cleaned", got), ("true", true)):
        if n := int(np.count_nonzero(~np.isfinite(x))):
            raise ValueError(f"{n} samples of the {what} epochs are not finite; leave them out")
    if n := int(np.count_nonzero(_rms(true) == 0.0)):
        raise ValueError(f"{n} of {len(true)} true epochs are 0 throughout: no error is relative")
    return got, true
