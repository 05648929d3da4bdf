"""Deciding with a trained SSVEP network, without torch.

The network (`models.ssvep_dnn`) has one non-linearity. When nothing is dropped,
all before it is linear, and all behind it is: sub-band filters, combination of
sub-bands, of channels, and of two neighbouring samples become two small
matrices; the filter of ten taps and the last layer become one. That leaves a
twentieth of the arithmetic, and the same scores.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.decoders.deep.subbands import subband_matrices
from bci.types import FloatArray

#: Parameters of one network by name; see `models.ssvep_dnn.SSVEPNetConfig.shapes`.
Weights = Mapping[str, NDArray[np.floating[Any]]]


class FoldedNetwork:
    """One network, from raw windows to scores.

    Parameters
    ----------
    weights : mapping
        Of one network, without the leading axis of models.
    sfreq : float
        Hz.
    n_times : int
        Length of its windows, samples.

    Attributes
    ----------
    filters : array, shape (n_filters, n_channels)
        The combinations of channels.
    """

    def __init__(self, weights: Weights, sfreq: float, n_times: int) -> None:
        w = {name: np.asarray(value, np.float64) for name, value in weights.items()}
        self.n_times, half = n_times, n_times // 2
        bands = subband_matrices(sfreq, w["band_weight"].shape[1], n_times)
        self._band = np.tensordot(w["band_weight"][0], bands, 1)
        self.filters = w["channel_weight"]
        # two neighbouring samples of all channels → n_filters
        time = np.moveaxis(w["time_weight"], 2, 0)  # (2, filter out, filter in)
        self._early, self._late = time @ self.filters
        self._bias = (w["time_bias"] + time.sum(axis=0) @ w["channel_bias"])[:, None]
        # filter of ten taps, then the last layer
        n_classes, n_filters = len(w["class_bias"]), len(self.filters)
        last = w["class_weight"].reshape(n_classes, n_filters, half)
        taps = w["fir_weight"].shape[2]
        before = (taps - 1) // 2
        padded = np.zeros((n_classes, n_filters, half + taps - 1))
        for tap in range(taps):
            padded[..., tap : tap + half] += np.einsum(
                "mft,fg->mgt", last, w["fir_weight"][..., tap], optimize=True
            )
        inside = padded[..., before : before + half]
        self._last = np.ascontiguousarray(inside.reshape(n_classes, -1).T)
        self._last_bias = w["class_bias"] + np.einsum("mft,f->m", last, w["fir_bias"])

    def banded(self, X: FloatArray) -> FloatArray:
        """Windows after the sub-bands and their combination; shape as `X`.

        `X` has shape (n_windows, n_channels, n_times).
        """
        return X @ self._band

    def scores(self, X: FloatArray) -> FloatArray:
        """Scores before the softmax, shape (n_windows, n_classes).

        `X` has shape (n_windows, n_channels, n_times), microvolts.
        """
        x = self.banded(X)
        half = self.n_times // 2
        hidden = self._early @ x[..., 0 : 2 * half : 2]
        hidden += self._late @ x[..., 1 : 2 * half : 2]
        hidden += self._bias
        np.maximum(hidden, 0.0, out=hidden)
        scores: FloatArray = hidden.reshape(len(X), len(self._last)) @ self._last
        scores += self._last_bias
        return scores
