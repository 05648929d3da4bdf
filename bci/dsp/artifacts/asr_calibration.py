"""What artifact subspace reconstruction learns from clean signal: covariance and thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bci.dsp.artifacts.clean_stretches import STEPS, Windows, clean_amplitude, clean_windows
from bci.dsp.bad_channels import BadChannels, Judge
from bci.errors import CalibrationFailed
from bci.types import FloatArray

Method = Literal["euclid", "riemann"]

#: Clean samples for each channel, at least: a covariance of fewer is mostly chance.
SAMPLES_PER_CHANNEL = 10
#: Directions with less variance than this share of the largest hold no signal.
RANK_TOLERANCE = 1e-9
#: Riemannian mean: samples of a covariance for each dimension, so that it is well conditioned.
SAMPLES_PER_DIMENSION = 4
#: An offset of a channel this many times its spread: nothing has taken it away.
MAX_OFFSET = 3.0


@dataclass(frozen=True, slots=True)
class Clean:
    """What clean signal is like, behind the shaping filter.

    Attributes
    ----------
    covariance : array, shape (n_channels, n_channels)
        µV².
    components : array, shape (n_channels, n_channels)
        Its eigenvectors, in columns.
    mean, sd : array, shape (n_channels,)
        Of each component's root mean square over windows, µV.
    """

    covariance: FloatArray
    components: FloatArray
    mean: FloatArray
    sd: FloatArray

    @property
    def rank(self) -> int:
        """Dimensions that have signal."""
        power = np.linalg.eigvalsh(self.covariance)
        return int(np.sum(power > RANK_TOLERANCE * power[-1]))


def learn(
    x: FloatArray,
    shaped: FloatArray,
    usable: NDArray[np.bool_],
    sfreq: float,
    window_s: float,
    method: Method,
    names: Sequence[str],
) -> tuple[Clean, float]:
    """Find the clean windows of a stretch of EEG, and learn from them.

    Parameters
    ----------
    x : array, shape (n_samples, n_channels)
        µV, high-passed.
    shaped : array of the same shape
        Behind the shaping filter.
    usable : array of bool, shape (n_samples,)
    sfreq, window_s : float
    method : "euclid" or "riemann"
        How covariances of windows are averaged: geometric median, or Riemannian mean.
    names : sequence of str
        Of the channels, for messages.

    Returns
    -------
    clean : Clean
    clean_s : float
        Seconds that it was learnt from.

    Raises
    ------
    CalibrationFailed
        A channel is defect or has an offset, or too little of the signal is clean.
    """
    length_s = len(x) / sfreq
    if not usable.any():
        raise CalibrationFailed(
            f"asr: all of {length_s:.1f} s to calibrate on are rejected by flags (gaps, samples "
            "that are no number, amplitude); look at the signal and at the stages before asr"
        )
    _check_channels(x[usable], sfreq, names)
    windows = clean_windows(x, usable, sfreq, window_s, "asr")
    clean_s = windows.seconds(sfreq)
    if clean_s * sfreq < SAMPLES_PER_CHANNEL * len(names):
        raise CalibrationFailed(
            f"asr: {clean_s:.1f} s of {length_s:.1f} s are clean, which is "
            f"{clean_s * sfreq / len(names):.1f} samples for each of {len(names)} channels, and "
            f"{SAMPLES_PER_CHANNEL} are needed; calibrate on more seconds (calibration_s)"
        )
    covariance = _average(windows.covariances(shaped), windows, method)
    _, components = np.linalg.eigh(covariance)
    mean, sd = clean_amplitude(windows.rms(shaped @ components))
    return Clean(covariance, components, mean, sd), clean_s


def _check_channels(x: FloatArray, sfreq: float, names: Sequence[str]) -> None:
    """Refuse channels that would teach nothing, or something wrong."""
    judge = Judge(BadChannels(noisy_uv=None, line_hz=None), len(x), sfreq)
    defects = judge.defects(x)
    for defect in ("flat", "railed"):
        if defects[defect].any():
            bad = ", ".join(names[i] for i in np.flatnonzero(defects[defect]).tolist())
            raise CalibrationFailed(
                f"asr: {bad} {'are' if ',' in bad else 'is'} {defect} in the signal to calibrate "
                "on; mend the electrode, put the stage bad_channels before asr, or leave the "
                "channel out (channels.pick)"
            )
    offset = np.abs(np.median(x, axis=0)) / x.std(axis=0)
    worst = int(offset.argmax())
    if offset[worst] > MAX_OFFSET:
        raise CalibrationFailed(
            f"asr: {names[worst]} has an offset of {np.median(x[:, worst]):.0f} µV; put a highpass "
            "of 0.5 Hz or 1 Hz before asr"
        )


def _average(covariances: FloatArray, windows: Windows, method: Method) -> FloatArray:
    if method == "euclid":
        return geometric_median(covariances)
    return _riemannian_mean(covariances, STEPS * windows.step)


def geometric_median(x: FloatArray, tolerance: float = 1e-8, max_iter: int = 500) -> FloatArray:
    """Array from which the sum of Euclidean distances to all is least.

    Weiszfeld's iteration; `tolerance` is relative.

    Parameters
    ----------
    x : array, shape (n, ...)
    """
    flat = x.reshape(len(x), -1)
    median = flat.mean(axis=0)
    least = 1e-12 * max(float(np.linalg.norm(median)), np.finfo(float).tiny)  # on a point itself
    for _ in range(max_iter):
        weights = 1.0 / np.maximum(np.linalg.norm(flat - median, axis=1), least)
        before, median = median, weights @ flat / weights.sum()
        if np.linalg.norm(median - before) <= tolerance * np.linalg.norm(median):
            break
    result: FloatArray = median.reshape(x.shape[1:])
    return result


def _riemannian_mean(covariances: FloatArray, n_samples: int) -> FloatArray:
    """Affine-invariant mean, in the subspace that has signal.

    Neighbouring windows are put together until each covariance is of enough samples: the
    mean of ill-conditioned ones is pulled towards zero.
    """
    from pyriemann.classification import MDM  # its means themselves have moved house

    power, vectors = np.linalg.eigh(covariances.mean(axis=0))
    signal = vectors[:, power > RANK_TOLERANCE * power[-1]]
    together = -(-SAMPLES_PER_DIMENSION * signal.shape[1] // n_samples)
    n = len(covariances) // together
    if n < 2:
        raise CalibrationFailed(
            f"asr: method riemann averages covariances of {together} windows each, and "
            f"{len(covariances)} windows are clean; calibrate on more seconds (calibration_s), or "
            "set method to euclid"
        )
    covariances = covariances[: n * together].reshape(n, together, *covariances.shape[1:])
    inside = signal.T @ covariances.mean(axis=1) @ signal
    mean = MDM(metric="riemann").fit(inside, np.zeros(n)).covmeans_[0]
    result: FloatArray = signal @ mean @ signal.T
    return result
