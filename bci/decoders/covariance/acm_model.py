"""What a trained classifier of augmented covariances keeps: a few arrays by name.

::

    whiteners     (1, d, d), or one for each class (mdm): make a mean the identity;
                  upper triangular, which takes half the work of a decision
    intercept     (n_outputs,)                    svm, lr
    weights       (n_outputs, d, d)               of linear outputs, on the logarithm of
                                                  the whitened covariance
    support       (n_support, d·(d + 1)/2)        kernel rbf: logarithms of training windows,
                                                  off-diagonal entries once, times √2
    norms         (n_support,)                    their squared norms
    coefficients  (n_outputs, n_support)
    gamma         (1,)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.blas import dtrmm

from bci.decoders.covariance.acm_selection import Method
from bci.decoders.covariance.estimation import triangles
from bci.decoders.covariance.karcher import logarithms_of, whitener_of_mean
from bci.decoders.covariance.kernel_machine import Kernel, class_scores, fit_logistic, fit_svm, rbf
from bci.types import FloatArray


def fit_model(
    spd: FloatArray,
    codes: NDArray[np.intp],
    method: Method,
    C: float | None,
    kernel: Kernel | None,
) -> dict[str, FloatArray]:
    """Learn from covariances, shape (n_windows, d, d), and the numbers of their classes.

    Raises
    ------
    ValueError
        A covariance is singular.
    """
    if method == "mdm":
        classes = range(int(codes.max()) + 1)
        return {"whiteners": np.stack([triangular_whitener(spd[codes == k]) for k in classes])}
    assert C is not None
    whitener = triangular_whitener(spd)
    logs = _logarithms(spd, whitener)
    features = logs.reshape(len(logs), -1)
    gram = features @ features.T
    machine = fit_logistic(gram, codes, C) if kernel is None else fit_svm(gram, codes, C, kernel)
    model = {"whiteners": whitener[None], "intercept": machine.intercept}
    if machine.gamma is None:
        return model | {"weights": np.tensordot(machine.coefficients, logs, axes=1)}
    used = np.any(machine.coefficients != 0, axis=0)
    support = triangles(logs[used])
    return model | {
        "support": support,
        "norms": np.sum(support**2, axis=1),
        "coefficients": np.ascontiguousarray(machine.coefficients[:, used]),
        "gamma": np.array([machine.gamma]),
    }


def scores_of(
    model: dict[str, FloatArray], spd: FloatArray, n_classes: int, *, pairwise: bool
) -> FloatArray:
    """One score for each class, shape (n_windows, n_classes).

    `pairwise`: outputs are those of pairs of classes (svm).

    Raises
    ------
    ValueError
        A covariance is singular.
    """
    if len(spd) == 0:
        return np.empty((0, n_classes))
    if "intercept" not in model:
        squares = [np.sum(_logarithms(spd, w) ** 2, axis=(1, 2)) for w in model["whiteners"]]
        return -np.stack(squares, axis=1)
    logs = _logarithms(spd, model["whiteners"][0])
    if "support" in model:
        features = triangles(logs)
        norms = np.sum(features**2, axis=1), model["norms"]
        kernel = rbf(features @ model["support"].T, *norms, float(model["gamma"][0]))
        outputs = kernel @ model["coefficients"].T
    else:
        weights = model["weights"].reshape(len(model["weights"]), -1)
        outputs = logs.reshape(len(logs), -1) @ weights.T
    return class_scores(outputs + model["intercept"], n_classes, pairwise=pairwise)


def triangular_whitener(spd: FloatArray) -> FloatArray:
    """Upper triangular; any whitener is one of these, turned."""
    return np.asarray(np.linalg.qr(whitener_of_mean(spd), mode="r"))


def _logarithms(spd: FloatArray, whitener: FloatArray) -> FloatArray:
    """Logarithms of covariances, shape (n, d, d), whitened by an upper triangular matrix."""
    logs = [logarithms_of(_whitened(covariance, whitener)[np.newaxis]) for covariance in spd]
    return logs[0] if len(logs) == 1 else np.concatenate(logs)


def _whitened(covariance: FloatArray, whitener: FloatArray) -> FloatArray:
    left = dtrmm(1.0, whitener.T, covariance.T, lower=1, trans_a=1)
    both: FloatArray = dtrmm(1.0, whitener.T, left, lower=1, side=1, overwrite_b=1)
    return both.T  # symmetric; in numpy's order
