"""SVM and logistic regression on a Gram matrix: features are multiplied out once for all.

Both find weights that are combinations of the training features, so that inner products are
all they need. For logistic regression the features are replaced by as many coordinates
as there are windows, with the same inner products.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC

from bci.types import FloatArray

Kernel = Literal["linear", "rbf"]


@dataclass(frozen=True, slots=True)
class KernelMachine:
    """A fitted classifier as combinations of training windows.

    Attributes
    ----------
    coefficients : array, shape (n_outputs, n_train)
        Outputs are one for two classes, else one for each class (logistic regression)
        or for each pair of classes (SVM), positive for the later class.
    intercept : array, shape (n_outputs,)
    gamma : float or None
        Of the rbf kernel; None: linear.
    """

    coefficients: FloatArray
    intercept: FloatArray
    gamma: float | None

    def outputs(self, gram: FloatArray, new: FloatArray, train: FloatArray) -> FloatArray:
        """Outputs for new windows, shape (n_new, n_outputs).

        Parameters
        ----------
        gram : array, shape (n_new, n_train)
            Inner products of features.
        new, train : array
            Squared norms of features.
        """
        kernel = gram if self.gamma is None else rbf(gram, new, train, self.gamma)
        outputs: FloatArray = kernel @ self.coefficients.T + self.intercept
        return outputs


def rbf(gram: FloatArray, new: FloatArray, train: FloatArray, gamma: float) -> FloatArray:
    """Radial basis kernel from inner products and squared norms."""
    squares = new[:, None] + train - 2.0 * gram
    kernel: FloatArray = np.exp(-gamma * np.maximum(squares, 0.0))
    return kernel


def scale_gamma(gram: FloatArray) -> float:
    """scikit-learn's ``gamma="scale"`` for features that sum to zero."""
    return float(len(gram) / np.trace(gram))


def fit_svm(gram: FloatArray, codes: NDArray[np.intp], C: float, kernel: Kernel) -> KernelMachine:
    """Support vector machine, one against one, as scikit-learn's `SVC`.

    Parameters
    ----------
    gram : array, shape (n_train, n_train)
    codes : array of int, shape (n_train,)
        Class of each window, all from 0 on present.
    """
    gamma = scale_gamma(gram) if kernel == "rbf" else None
    norms = np.diag(gram)
    matrix = gram if gamma is None else rbf(gram, norms, norms, gamma)
    svc = SVC(kernel="precomputed", C=C).fit(matrix, codes)
    n_classes = int(codes.max()) + 1
    if n_classes == 2:
        coefficients = np.zeros((1, len(gram)))
        coefficients[0, svc.support_] = svc.dual_coef_[0]
        return KernelMachine(coefficients, np.array(svc.intercept_), gamma)
    pairs = list(combinations(range(n_classes), 2))
    coefficients = np.zeros((len(pairs), len(gram)))
    owner = codes[svc.support_]
    for row, (i, j) in zip(coefficients, pairs, strict=True):
        # libsvm keeps for a vector of class i its weight against j > i in row j - 1
        of_i, of_j = owner == i, owner == j
        row[svc.support_[of_i]] = -svc.dual_coef_[j - 1, of_i]
        row[svc.support_[of_j]] = -svc.dual_coef_[i, of_j]
    return KernelMachine(coefficients, -svc.intercept_, gamma)


def fit_logistic(gram: FloatArray, codes: NDArray[np.intp], C: float) -> KernelMachine:
    """Logistic regression with an L2 penalty; arguments as in `fit_svm`."""
    values, vectors = np.linalg.eigh(gram)
    kept = values > 1e-12 * values[-1]
    roots, vectors = np.sqrt(values[kept]), vectors[:, kept]
    regression = LogisticRegression(C=C, max_iter=1000).fit(vectors * roots, codes)
    return KernelMachine(
        (regression.coef_ / roots) @ vectors.T, np.array(regression.intercept_), None
    )


def class_scores(outputs: FloatArray, n_classes: int, *, pairwise: bool) -> FloatArray:
    """One score for each class, shape (n_windows, n_classes), from a machine's outputs.

    Outputs for pairs (`pairwise`) are counted as votes; what the machine was sure of
    decides between equals, as in scikit-learn's ``decision_function_shape="ovr"``.
    """
    if n_classes == 2:
        return np.concatenate([-outputs, outputs], axis=1) / 2
    if not pairwise:
        return outputs
    votes = np.zeros((len(outputs), n_classes))
    sureness = np.zeros_like(votes)
    for output, (i, j) in zip(outputs.T, combinations(range(n_classes), 2), strict=True):
        votes[:, i] += output <= 0
        votes[:, j] += output > 0
        sureness[:, i] -= output
        sureness[:, j] += output
    return votes + sureness / (3 * (np.abs(sureness) + 1))  # type: ignore[no-any-return]
