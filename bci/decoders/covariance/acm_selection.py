"""Order, lag and classifier of augmented covariance, chosen by cross-validation.

Everything here sees training windows alone. For every order and lag the logarithms
at the mean of each fold are worked out once and serve all penalties and kernels.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn import config_context
from sklearn.model_selection import StratifiedKFold

from bci.decoders.covariance.augmented import LaggedCovariances, embedded_length
from bci.decoders.covariance.classifier import Fold
from bci.decoders.covariance.karcher import SingularCovariance, tangents
from bci.decoders.covariance.kernel_machine import Kernel, class_scores, fit_logistic, fit_svm
from bci.types import FloatArray

log = logging.getLogger(__name__)

Method = Literal["svm", "lr", "mdm"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A choice of hyper-parameters with its cross-validated score.

    Attributes
    ----------
    order, lag : int
    C : float or None
        None where the classifier has no penalty.
    kernel : "linear", "rbf" or None
    score : float
        Mean over folds of ROC-AUC (two classes) or accuracy (more).
    held_out : array, shape (n_windows, n_classes)
        Scores of each window from the fold that left it out.
    """

    order: int
    lag: int
    C: float | None
    kernel: Kernel | None
    score: float
    held_out: FloatArray


@dataclass(frozen=True, slots=True)
class Classifiers:
    """The classifiers that share one set of logarithms."""

    method: Method
    Cs: tuple[float, ...]
    kernels: tuple[Kernel, ...]

    def choices(self) -> list[tuple[float | None, Kernel | None]]:
        """Penalty and kernel of each."""
        if self.method == "mdm":
            return [(None, None)]
        if self.method == "lr":
            return [(C, None) for C in self.Cs]
        return [(C, kernel) for C in self.Cs for kernel in self.kernels]


def folds_of(codes: NDArray[np.intp], n_folds: int, random_state: Any) -> list[Fold]:
    """Stratified folds, fewer where a class has fewer windows.

    Raises
    ------
    ValueError
        A class has a single window.
    """
    fewest = int(np.bincount(codes).min())
    if fewest < 2:
        raise ValueError(
            "each class needs at least two windows, so that probabilities can be calibrated on "
            f"windows that were left out; the smallest has {fewest}"
        )
    split = StratifiedKFold(min(n_folds, fewest), shuffle=True, random_state=random_state)
    return list(split.split(np.zeros(len(codes)), codes))


def evaluate(
    spd: FloatArray,
    codes: NDArray[np.intp],
    folds: Sequence[Fold],
    point: tuple[int, int],
    classifiers: Classifiers,
    tol: float,
) -> list[Candidate]:
    """Score all classifiers on the covariances of one order and lag."""
    n_classes = int(codes.max()) + 1
    choices = classifiers.choices()
    held_out = np.empty((len(choices), len(codes), n_classes))
    if classifiers.method == "mdm":
        subsets = [train[codes[train] == k] for train, _ in folds for k in range(n_classes)]
        for i, view in enumerate(tangents(spd, subsets, tol)):
            fold, k = divmod(i, n_classes)
            test = folds[fold][1]
            held_out[0, test, k] = -np.sum(view.logs[test] ** 2, axis=(1, 2))
    else:
        views = tangents(spd, [train for train, _ in folds], tol)
        with config_context(assume_finite=True, skip_parameter_validation=True):
            for (train, test), view in zip(folds, views, strict=True):
                features = view.logs.reshape(len(spd), -1)
                gram = features @ features.T
                for row, (C, kernel) in zip(held_out, choices, strict=True):
                    row[test] = _scores(gram, codes, train, test, C, kernel, n_classes)
    return [
        Candidate(*point, *choice, mean_score(scores, codes, folds), scores)
        for choice, scores in zip(choices, held_out, strict=True)
    ]


def _scores(
    gram: FloatArray,
    codes: NDArray[np.intp],
    train: NDArray[np.intp],
    test: NDArray[np.intp],
    C: float | None,
    kernel: Kernel | None,
    n_classes: int,
) -> FloatArray:
    assert C is not None
    inner, norms = gram[np.ix_(train, train)], np.diag(gram)
    if kernel is None:
        machine = fit_logistic(inner, codes[train], C)
    else:
        machine = fit_svm(inner, codes[train], C, kernel)
    outputs = machine.outputs(gram[np.ix_(test, train)], norms[test], norms[train])
    return class_scores(outputs, n_classes, pairwise=kernel is not None)


def mean_score(scores: FloatArray, codes: NDArray[np.intp], folds: Sequence[Fold]) -> float:
    """Mean over folds of ROC-AUC (two classes) or accuracy (more), of held-out scores."""
    if scores.shape[1] == 2:
        difference = scores[:, 1] - scores[:, 0]
        return float(np.mean([_auc(difference[t], codes[t] == 1) for _, t in folds]))
    return float(np.mean([np.mean(scores[t].argmax(axis=1) == codes[t]) for _, t in folds]))


def _auc(scores: FloatArray, positive: NDArray[np.bool_]) -> float:
    """Area under the ROC curve, from ranks."""
    n = int(positive.sum())
    above = float(rankdata(scores)[positive].sum()) - n * (n + 1) / 2
    return above / (n * (len(scores) - n))


def best(candidates: Sequence[Candidate]) -> Candidate:
    """Highest score; among equals the first by lag, order, penalty and kernel as given.

    Raises
    ------
    SingularCovariance
        There are none: no order and lag gave covariances of full rank.
    """
    if not candidates:
        raise SingularCovariance
    # scores that differ by rounding are equal
    return max(candidates, key=lambda candidate: round(candidate.score, 12))


class Search:
    """Scores points (order, lag) on the windows of one training set, none of them twice.

    Parameters
    ----------
    X : array, shape (n_windows, n_channels, n_times)
    codes : array of int, shape (n_windows,)
    folds : sequence of (train, test)
    orders, lags : sequence of int
        Points whose windows would be too short for a covariance of full rank are left out.
    classifiers : Classifiers
    tol : float
        Of the means, see `bci.decoders.covariance.karcher.tangents`.

    Raises
    ------
    ValueError
        No order and lag is left.
    """

    def __init__(
        self,
        X: FloatArray,
        codes: NDArray[np.intp],
        folds: Sequence[Fold],
        orders: Sequence[int],
        lags: Sequence[int],
        classifiers: Classifiers,
        tol: float,
    ) -> None:
        _, n_channels, n_times = X.shape
        self._X, self._codes, self._folds = X, codes, folds
        self._classifiers, self._tol = classifiers, tol
        self.lags = lags
        self.fitting: dict[int, list[int]] = {
            lag: [p for p in orders if embedded_length(n_times, p, lag) > p * n_channels]
            for lag in lags
        }
        left_out = len(orders) * len(lags) - sum(map(len, self.fitting.values()))
        if left_out == len(orders) * len(lags):
            raise ValueError(
                f"windows of {n_times} samples and {n_channels} channels are too short for every "
                f"order of {list(orders)} and lag of {list(lags)}: n_times - order·lag must be "
                "more than order·n_channels"
            )
        if left_out:
            log.info(
                "%d of %d orders and lags need longer windows", left_out, len(orders) * len(lags)
            )
        self._sums: dict[int, LaggedCovariances] = {}
        self._found: dict[tuple[int, int], list[Candidate]] = {}

    def score(self, order: int, lag: int) -> list[Candidate]:
        """Candidates of a point, none where a covariance is singular.

        Order 1 has no lag and is scored once.
        """
        if order == 1:
            lag = min(self.lags)
        if (order, lag) not in self._found:
            if lag not in self._sums:  # of one lag at a time: they take memory
                self._sums = {lag: LaggedCovariances(self._X, lag, self.fitting[lag])}
            spd = self._sums[lag].of(order)
            try:
                found = evaluate(
                    spd, self._codes, self._folds, (order, lag), self._classifiers, self._tol
                )
            except SingularCovariance as error:
                log.info("order %d and lag %d are left out: %s", order, lag, error)
                found = []
            self._found[order, lag] = found
        return self._found[order, lag]

    def grid(self) -> list[Candidate]:
        """All points."""
        return [
            c for lag in self.lags for order in self.fitting[lag] for c in self.score(order, lag)
        ]

    def budget(self, n_points: int) -> list[Candidate]:
        """At most `n_points` points: a coarse lattice, then neighbours of the best, in turn."""
        orders = sorted({p for fitting in self.fitting.values() for p in fitting})
        lags = sorted(self.lags)
        n_coarse = max(1, int((n_points / 2) ** 0.5))
        points = self._possible(_spread(orders, n_coarse), _spread(lags, n_coarse))
        tried: dict[tuple[int, int], float] = {}
        while points and len(tried) < n_points:
            for order, lag in points[: n_points - len(tried)]:
                found = self.score(order, lag)
                tried[order, lag] = max((c.score for c in found), default=-np.inf)
            points = []
            for order, lag in sorted(tried, key=lambda point: (-tried[point], *point)):
                i, j = orders.index(order), lags.index(lag)
                near = self._possible(orders[max(0, i - 1) : i + 2], lags[max(0, j - 1) : j + 2])
                points = [point for point in near if point not in tried]
                if points:
                    break
        return [c for order, lag in sorted(tried, key=_by_lag) for c in self.score(order, lag)]

    def _possible(self, orders: list[int], lags: list[int]) -> list[tuple[int, int]]:
        return [
            (order, lag)
            for lag in lags
            for order in orders
            if order in self.fitting[lag] and (order > 1 or lag == min(self.lags))
        ]


def _by_lag(point: tuple[int, int]) -> tuple[int, int]:
    return point[1], point[0]


def _spread(values: list[int], n: int) -> list[int]:
    """`n` of the values, evenly from the first to the last."""
    return sorted({values[round(i)] for i in np.linspace(0, len(values) - 1, n)})
