"""Extended covariance: narrow bands around each stimulus, in the tangent space.

Kalunga, Chevallier, Barthélemy, Djouani, Monacelli & Hamam, "Online SSVEP-based
BCI using Riemannian geometry", Neurocomputing 191, 55-68, 2016,
doi:10.1016/j.neucom.2016.01.007, after Congedo, Barachant & Andreev,
arXiv:1310.8115, 2013.

The window is band-passed around each stimulus frequency (and its harmonics), and
the bands are stacked as if they were further channels. Bands that do not overlap
are uncorrelated in the long run: what a window shows of covariance between them
is chance. So those blocks of the extended covariance are taken as 0. It is then a
row of small matrices, and its logarithm the row of their logarithms.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, ClassVar, Literal

import numpy as np
from pyriemann.tangentspace import TangentSpace
from scipy import signal

from bci.decoders.covariance.classifier import Learned
from bci.decoders.covariance.estimation import oas, sample_covariances, signal_subspace
from bci.decoders.ssvep.filterbank import FilterBank
from bci.decoders.ssvep.phase_free import PhaseFree, PhaseFreeSettings
from bci.types import FloatArray

#: Half the width of each band, Hz.
HALF_WIDTH_HZ = 1.0
ORDER = 2
#: The log-Euclidean mean needs no iterations, and there are many bands.
METRIC = {"mean": "logeuclid", "map": "riemann"}


@lru_cache(maxsize=32)
def _filters(sfreq: float, centres: tuple[float, ...]) -> tuple[FloatArray, ...]:
    edges = [(max(f - HALF_WIDTH_HZ, f / 2), f + HALF_WIDTH_HZ) for f in centres]
    return tuple(signal.butter(ORDER, e, "bandpass", fs=sfreq, output="sos") for e in edges)


class ExtendedCovariance(PhaseFree):
    """Logistic regression on covariances in narrow bands around the stimuli.

    A window is filtered by itself, forth and back, whatever its length.

    Parameters
    ----------
    sfreq : float
        Sampling rate of the windows, Hz.
    frequencies : mapping of label to float
        Stimulus frequencies, Hz. Classes are those of `fit`: one without a flicker
        (rest) may be among them.
    n_harmonics : int
        Bands around so many multiples of each frequency; fewer where not all of
        them fit for every class.
    C : float
        Inverse strength of the L2 penalty.
    high_hz : float
        What harmonics must stay below; at most 0.9 of half the sampling rate.
    channels : sequence of int or None
        Which channels of the windows to use; None: all.
    """

    kind: ClassVar[str] = "extended_covariance"

    def __init__(
        self,
        sfreq: float,
        frequencies: Mapping[Any, float],
        n_harmonics: int = 2,
        *,
        C: float = 1.0,
        high_hz: float = 90.0,
        channels: Sequence[int] | None = None,
    ) -> None:
        self.sfreq = sfreq
        self.frequencies = frequencies
        self.n_harmonics = n_harmonics
        self.C = C
        self.high_hz = high_hz
        self.channels = channels

    def _shortest(self, n_channels: int, bank: FilterBank) -> int:
        return max(4 * ORDER + 2, round(0.1 * self.sfreq))

    def _measure(self, windows: FloatArray) -> FloatArray:
        """Covariances, shape (n_windows, n_bands, n_channels, n_channels)."""
        n_times = windows.shape[2]
        found = []
        for sos in _filters(self.sfreq, self._centres()):
            pad = min(3 * (2 * len(sos) + 1), n_times - 1)
            found.append(sample_covariances(signal.sosfiltfilt(sos, windows, padlen=pad)))
        shape = (len(windows), len(found), *2 * windows.shape[1:2])
        covariances = np.stack(found, axis=1).reshape(shape)
        if len(covariances) and not np.all(np.trace(covariances, axis1=2, axis2=3) > 0):
            raise ValueError("all channels of a window are flat: there is no power to decode")
        return oas(covariances, n_times)

    def _learn(self, measured: FloatArray) -> dict[str, FloatArray]:
        basis = signal_subspace(measured.mean(axis=(0, 1)))
        learned = {} if basis is None else {"basis": basis}
        blocks = self._in_subspace(measured, learned)
        whiteners = []
        for block in blocks.swapaxes(0, 1):
            mean = TangentSpace(metric=METRIC).fit(block).reference_
            values, vectors = np.linalg.eigh(mean)
            whiteners.append((vectors / np.sqrt(values)) @ vectors.T)
        return {**learned, "whiteners": np.stack(whiteners)}

    def _features(self, measured: FloatArray, learned: Learned) -> FloatArray:
        whiteners = learned["whiteners"]
        spd = whiteners @ self._in_subspace(measured, learned) @ whiteners
        values, vectors = np.linalg.eigh(spd)
        floor = 1e-14 * np.maximum(values[..., -1:], 1e-300)  # rounding, not a measurement
        logs = (vectors * np.log(np.maximum(values, floor))[..., None, :]) @ vectors.swapaxes(2, 3)
        rows, columns = np.triu_indices(logs.shape[-1])
        scale = np.where(rows == columns, 1.0, np.sqrt(2.0))  # the length of the vector stays
        features: FloatArray = (logs[..., rows, columns] * scale).reshape(
            len(logs), len(whiteners) * len(rows)
        )
        return features

    @staticmethod
    def _in_subspace(covariances: FloatArray, learned: Learned) -> FloatArray:
        if "basis" not in learned:
            return covariances
        basis = learned["basis"]
        reduced: FloatArray = basis.T @ covariances @ basis
        return reduced


class ExtendedCovarianceSettings(PhaseFreeSettings):
    """Steady-state responses by covariance in narrow bands; to be trained."""

    decoder: ClassVar[type[ExtendedCovariance]] = ExtendedCovariance

    kind: Literal["extended_covariance"] = "extended_covariance"
