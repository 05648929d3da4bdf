"""Alignment: windows whitened by the mean covariance of their session.

He & Wu, "Transfer learning for brain-computer interfaces: a Euclidean space data
alignment approach", IEEE Trans Biomed Eng 67(2), 399-410, 2020,
doi:10.1109/TBME.2019.2913914 (arithmetic mean); Zanini, Congedo, Jutten, Said &
Berthoumieu, "Transfer learning: a Riemannian geometry framework with applications
to brain-computer interfaces", IEEE Trans Biomed Eng 65(5), 1107-1116, 2018,
doi:10.1109/TBME.2017.2742541 (Riemannian mean).

What differs between sessions or people in the way of a mixing matrix is gone
afterwards, but for a rotation. A running whitener is moved by steps on its left
side. So it needs no inverse, and gives the same windows, whatever the mixing.
"""

from __future__ import annotations

from typing import Literal, Self

import numpy as np
from numpy.typing import ArrayLike
from pyriemann.tangentspace import TangentSpace
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from bci.decoders._checks import check_windows
from bci.decoders.covariance.estimation import (
    checked_eigenvalues,
    inverse_root,
    log_spd,
    oas,
    sample_covariances,
    signal_subspace,
)
from bci.types import FloatArray

Metric = Literal["riemann", "euclid"]


def whitener_of(covariances: FloatArray, metric: Metric) -> FloatArray:
    """Inverse square root of the mean of covariances, shape (p, p).

    Raises
    ------
    ValueError
        There is no such metric, or a covariance is singular.
    """
    if metric not in ("riemann", "euclid"):
        raise ValueError(f"metric must be 'riemann' or 'euclid', found {metric!r}")
    checked_eigenvalues(np.linalg.eigvalsh(covariances))
    space = TangentSpace(metric={"mean": metric, "map": "riemann"}).fit(covariances)
    return inverse_root(space.reference_)


def moved(whitener: FloatArray, log_step: FloatArray) -> FloatArray:
    """The whitener after its reference has moved by `log_step`, as the whitener shows it."""
    values, vectors = np.linalg.eigh(log_step)
    result: FloatArray = (vectors * np.exp(-values / 2)) @ vectors.T @ whitener
    return result


class Alignment(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Whitening by the mean covariance, of all windows or of those seen so far.

    `fit` and `transform` of one session are the batch form: unsupervised, but it
    knows the windows that come later, so a test session aligned in this way is
    transductive and must be called so. `partial_fit`, one window after the other
    from the first on, is the causal form.

    Parameters
    ----------
    metric : "riemann" or "euclid"
        Of the mean.

    Attributes
    ----------
    whitener_ : array, shape (r, n_channels)
        ``whitener_ @ window`` is the aligned window; r is the rank of the windows.
    n_windows_ : int
        Windows in the mean.
    """

    def __init__(self, metric: Metric = "riemann") -> None:
        self.metric = metric

    def fit(self, X: ArrayLike, y: ArrayLike | None = None) -> Self:
        """Take the mean of windows, shape (n_windows, n_channels, n_times).

        Raises
        ------
        ValueError
            Wrong shape, values not finite, channels that are all flat.
        """
        windows = check_windows(X)
        covariances = sample_covariances(windows)
        self._basis = _basis(covariances)
        covariances = oas(self._basis.T @ covariances @ self._basis, windows.shape[2])
        self._root = whitener_of(covariances, self.metric)
        self.n_windows_ = len(windows)
        self.whitener_ = self._root @ self._basis.T
        return self

    def partial_fit(self, X: ArrayLike, y: ArrayLike | None = None) -> Self:
        """Let windows into the mean, in their order; the first ones give the rank. As `fit`."""
        windows = check_windows(X)
        if not hasattr(self, "n_windows_"):
            self.fit(windows[:1])
            windows = windows[1:]
        spd = self._basis.T @ sample_covariances(windows) @ self._basis
        for covariance in oas(spd, windows.shape[2]):
            self.n_windows_ += 1
            seen = self._root @ covariance @ self._root.T
            if self.metric == "euclid":
                seen = np.eye(len(seen)) + (seen - np.eye(len(seen))) / self.n_windows_
                step = log_spd(seen)
            else:
                step = log_spd(seen) / self.n_windows_
            self._root = moved(self._root, step)
        self.whitener_ = self._root @ self._basis.T
        return self

    def transform(self, X: ArrayLike) -> FloatArray:
        """Aligned windows, shape (n_windows, r, n_times)."""
        check_is_fitted(self, "whitener_")
        aligned: FloatArray = self.whitener_ @ check_windows(X, self.whitener_.shape[1])
        return aligned


def _basis(covariances: FloatArray) -> FloatArray:
    basis = signal_subspace(covariances.mean(axis=0))
    if basis is None:
        return np.eye(covariances.shape[1])
    if basis.shape[1] == 0:
        raise ValueError("all channels of X are flat: there is no covariance to align by")
    return basis
