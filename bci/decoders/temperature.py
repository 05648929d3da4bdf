"""Scores into probabilities with one parameter."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from bci.types import FloatArray


def fit_inverse_temperature(scores: FloatArray, codes: NDArray[np.intp]) -> float:
    """β ≥ 0 for which ``softmax(β · scores)`` fits the labels best.

    Multinomial logistic regression with a single weight. The targets are those
    of the rule of succession, ``(n + 1) / (n + 2)`` for the true class, as in
    Platt (1999), so that a few windows without an error don't give certainty.

    Parameters
    ----------
    scores : array, shape (n_windows, n_classes)
    codes : array of int, shape (n_windows,)
        Column of the true class.
    """
    n, n_classes = scores.shape
    error = 1.0 / (n + 2)
    targets = np.full(scores.shape, error / (n_classes - 1))
    targets[np.arange(n), codes] = 1.0 - error
    below = scores - scores.max(axis=1, keepdims=True)
    agreement = float(np.sum(targets * below))

    def loss(log_beta: float) -> float:
        beta = np.exp(log_beta)
        return float(np.log(np.exp(beta * below).sum(axis=1)).sum() - beta * agreement)

    found = minimize_scalar(loss, bounds=(np.log(1e-3), np.log(1e4)), method="bounded")
    return float(np.exp(found.x))
