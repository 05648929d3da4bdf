"""Recursive least squares in blocks: the same solution as sample by sample, at each block's end.

Between two solutions the weights stand still, which lets numpy do a block at once. The
normal equations are kept rather than their inverse: that costs a small solution a block,
and cannot lose its symmetry or blow up while the regressors are silent.

References
----------
Haykin, Adaptive Filter Theory, chapter "Method of least squares", exponential weighting.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bci.types import FloatArray


class BlockLeastSquares:
    """Least squares of signals on regressors, older samples counting less and less.

    Parameters
    ----------
    n_regressors, n_signals : int
    forgetting : float
        What a sample's weight is multiplied by from one sample to the next, in (0, 1].
    ridge : float
        Added to the regressors' summed squares, in their squared unit: where they are
        small against it the weights go to zero.
    prior : float or array, shape (n_regressors,)
        The same at the start only, forgotten like a sample: keeps the first weights small.

    Attributes
    ----------
    weights : array, shape (n_regressors, n_signals)
        Zero until the first block.
    """

    def __init__(
        self,
        n_regressors: int,
        n_signals: int,
        forgetting: float,
        ridge: float,
        prior: FloatArray | float = 0.0,
    ) -> None:
        self.weights: FloatArray = np.zeros((n_regressors, n_signals))
        self._forgetting = forgetting
        self._aged: FloatArray = np.empty((0, 1))  # weights of the samples of a block
        self._ridge = ridge * np.eye(n_regressors)
        self._squares: FloatArray = np.diag(np.broadcast_to(prior, n_regressors).astype(float))
        self._products: FloatArray = np.zeros((n_regressors, n_signals))

    def update(self, regressors: FloatArray, signals: FloatArray) -> None:
        """Take a block in: shapes (n_samples, n_regressors) and (n_samples, n_signals)."""
        n = len(regressors)
        if len(self._aged) != n:
            self._aged = self._forgetting ** np.arange(n - 1.0, -1.0, -1.0)[:, None]
        aged = regressors * self._aged
        old = self._forgetting**n
        self._squares = old * self._squares + aged.T @ regressors
        self._products = old * self._products + aged.T @ signals
        weights = np.linalg.solve(self._squares + self._ridge, self._products)
        self.weights = np.asarray(weights, np.float64)


def predicted(regressors: FloatArray, weights: FloatArray) -> FloatArray:
    """``regressors @ weights``, to the last digit the same for any number of samples."""
    out = np.zeros((len(regressors), weights.shape[1]))
    for regressor, row in zip(regressors.T, weights, strict=True):
        out += regressor[:, None] * row
    return out


def stretches(start: int, stop: int, length: int) -> Iterator[tuple[int, int]]:
    """Cut ``[start, stop)`` at the multiples of `length`."""
    while start < stop:
        end = min(start - start % length + length, stop)
        yield start, end
        start = end
