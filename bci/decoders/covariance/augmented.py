"""Augmented covariance: covariance of channels beside delayed copies of themselves.

Carrara & Papadopoulo, "Classification of BCI-EEG based on augmented covariance matrix",
arXiv 2302.04508, 2023.

Order p and lag τ (samples) make of a window ``x`` of T samples the stack of
``x[kτ : T - (p - k)τ]``, k = 0 … p-1. Its covariance consists of p² blocks, and the
blocks ``(i, j)`` of one difference ``j - i`` are sums of the same products
``x(t) x(t + (j - i)τ)ᵀ`` over ranges that differ at their ends alone. So the products
are summed once, piece by piece, and every block of every order is a sum of
pieces; nothing is subtracted, so that no digits are lost beside a burst.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, TransformerMixin

from bci.decoders._checks import check_windows
from bci.types import FloatArray


def embedded_length(n_times: int, order: int, lag: int) -> int:
    """Samples that are left of a window; order 1 takes all of them."""
    return n_times if order == 1 else n_times - order * lag


def check_embedding(n_times: int, order: int, lag: int) -> None:
    """Complain of an order and a lag that a window of `n_times` samples cannot have.

    Raises
    ------
    ValueError
        They are no positive whole numbers, or fewer than two samples are left.
    """
    for name, value in (("order", order), ("lag", lag)):
        if isinstance(value, bool) or value != int(value) or value < 1:
            raise ValueError(f"{name} must be a whole number of at least 1, found {value!r}")
    if embedded_length(n_times, order, lag) < 2:
        raise ValueError(
            f"order {order} and lag {lag} use up {order * lag} samples, the windows have "
            f"{n_times}; take longer windows, a lower order or a shorter lag"
        )


class LaggedCovariances:
    """Augmented covariances of one lag and many orders from one set of sums.

    Parameters
    ----------
    X : array, shape (n_windows, n_channels, n_times)
        Checked already.
    lag : int
        Samples.
    orders : sequence of int
        Those that will be asked for.
    """

    def __init__(self, X: FloatArray, lag: int, orders: Sequence[int]) -> None:
        n_times = X.shape[2]
        for order in orders:
            check_embedding(n_times, order, lag)
        x = X - X.mean(axis=2, keepdims=True)  # no covariance changes, offsets cost no digits
        self._lag, self._n_times = lag, n_times
        longest = max(orders)
        ends = {self._bounds(order, i)[side] for order in orders for i in range(order)
                for side in (0, 1)}  # fmt: skip
        self._cuts = sorted(ends)
        pieces = list(zip(self._cuts[:-1], self._cuts[1:], strict=True))
        self._first = np.stack([x[:, :, a:b].sum(axis=2) for a, b in pieces], axis=1)
        self._second = [
            np.stack([_products(x, a, b, d * lag) for a, b in pieces], axis=1)
            for d in range(longest)
        ]

    def _bounds(self, order: int, i: int) -> tuple[int, int]:
        start = i * self._lag
        return start, start + embedded_length(self._n_times, order, self._lag)

    def of(self, order: int) -> FloatArray:
        """Covariances, shape (n_windows, order · n_channels, order · n_channels)."""
        n_windows, _, n_channels = self._first.shape
        n = embedded_length(self._n_times, order, self._lag)
        ranges = [
            slice(*(self._cuts.index(cut) for cut in self._bounds(order, i))) for i in range(order)
        ]
        first = np.stack([self._first[:, r].sum(axis=1) for r in ranges], axis=1)
        blocks = np.empty((n_windows, order, n_channels, order, n_channels))
        for i in range(order):
            for j in range(i, order):
                second = self._second[j - i][:, ranges[i]].sum(axis=1)
                second -= first[:, i, :, None] * first[:, j, None, :] / n
                blocks[:, i, :, j] = second / (n - 1)
                if i != j:
                    blocks[:, j, :, i] = blocks[:, i, :, j].swapaxes(1, 2)
        size = order * n_channels
        return blocks.reshape(n_windows, size, size)


def _products(x: FloatArray, start: int, stop: int, delay: int) -> FloatArray:
    """Sum of ``x(t) x(t + delay)ᵀ`` over ``[start, stop)``, as far as the window goes."""
    stop = min(stop, x.shape[2] - delay)
    early, late = x[:, :, start:stop], x[:, :, start + delay : stop + delay]
    if stop <= start:
        return np.zeros((len(x), x.shape[1], x.shape[1]))
    sums: FloatArray = early @ late.swapaxes(1, 2)
    return sums


def augmented_covariances(X: FloatArray, order: int, lag: int) -> FloatArray:
    """Covariances of augmented windows; see `AugmentedCovariance`."""
    return LaggedCovariances(X, lag, [order]).of(order)


class AugmentedCovariance(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Windows to augmented covariances (mean removed, divided by one less than the samples).

    Parameters
    ----------
    order : int
        Copies of the channels, the undelayed one included; 1: the plain covariance.
    lag : int
        Delay between copies, samples. It means another time at another sampling rate.
    """

    def __init__(self, order: int = 1, lag: int = 1) -> None:
        self.order = order
        self.lag = lag

    def fit(self, X: ArrayLike, y: object = None) -> AugmentedCovariance:
        """Check windows, shape (n_windows, n_channels, n_times); nothing is learnt.

        Raises
        ------
        ValueError
            Wrong shape, values not finite, or windows too short for order and lag.
        """
        check_embedding(check_windows(X).shape[2], self.order, self.lag)
        return self

    def transform(self, X: ArrayLike) -> FloatArray:
        """Shape (n_windows, order · n_channels, order · n_channels).

        Raises
        ------
        ValueError
            As `fit`.
        """
        return augmented_covariances(check_windows(X), self.order, self.lag)

    def __sklearn_is_fitted__(self) -> bool:
        return True
