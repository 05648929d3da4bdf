"""Steps that pipelines of a benchmark need and no library has in this form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import signal
from sklearn.base import BaseEstimator, TransformerMixin

from bci.types import FloatArray


class FilterBank(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Band-pass filters on each epoch, the bands stacked as channels.

    Butterworth filters run forwards and backwards over each epoch for itself, so
    the epoch's ends hold edges of the filters; where the continuous recording is
    there, `filters` of the data set does it without. Filter-bank tangent space is
    ``FilterBank``, ``pyriemann.estimation.BlockCovariances(block_size=n_channels)``,
    ``pyriemann.tangentspace.TangentSpace``; without blocks it is the extended
    covariance of [1]_.

    Parameters
    ----------
    bands : sequence of (low, high)
        Hz.
    sfreq : float
        Sampling rate of the epochs, Hz.
    order : int
        Of each pass; both together have twice the order.

    References
    ----------
    .. [1] Congedo, Barachant, Andreev (2013). A new generation of brain-computer
       interface based on Riemannian geometry. arXiv:1310.8115.
    """

    def __init__(self, bands: Sequence[tuple[float, float]], sfreq: float, order: int = 4) -> None:
        self.bands = bands
        self.sfreq = sfreq
        self.order = order

    def fit(self, X: FloatArray, y: Any = None) -> FilterBank:
        """Design the filters; nothing is learnt from the data."""
        for low, high in self.bands:
            if not 0 < low < high < self.sfreq / 2:
                raise ValueError(
                    f"band {low:g} to {high:g} Hz does not lie between 0 and {self.sfreq / 2:g} Hz"
                )
        self.sos_ = [
            signal.butter(self.order, band, "bandpass", fs=self.sfreq, output="sos")
            for band in self.bands
        ]
        return self

    def transform(self, X: FloatArray) -> FloatArray:
        """Filter epochs.

        Parameters
        ----------
        X : array, shape (n_epochs, n_channels, n_times)

        Returns
        -------
        array, shape (n_epochs, n_bands * n_channels, n_times)
        """
        bands = [signal.sosfiltfilt(sos, X, axis=-1) for sos in self.sos_]
        return np.concatenate(bands, axis=1)
