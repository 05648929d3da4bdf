"""When to stop looking: a threshold on the posterior whose realised error is the stated one.

A growing window is looked at again and again, and the posterior that first
passes a threshold is the luckiest of several. So its own promise, 1 - posterior,
is checked on trials that the decoder was not fitted on:

1. Cross-validation gives each calibration trial its posterior at every look.
2. For each of many thresholds the trials are stopped where they first pass it.
   A logistic regression from the log-odds of the posterior there to right or
   wrong says what a posterior is worth *at a stop*. Each trial weighs 1, however
   often it stops; the targets are those of the rule of succession, as in
   `bci.decoders.temperature`: n trials without an error stand for 1 in n + 2.
3. The errors counted among the trials that pass a threshold are too few to be
   trusted, and the curve's shape may be wrong. So they are taken together: the
   curve counts like 1 / target more trials, as many as it takes to see one error
   where the rate is the target (choice). The threshold is the lowest at which, and
   above which, the error so estimated stays within the target. That walk from the
   strictest threshold to the first failure is the fixed sequence of [1]_, without
   its confidence level: what is stated is the error to be expected, not a bound.
4. Waiting has an end: the latest look with which the rule does not credibly
   transfer less, on these trials, than the best fixed length: by two jackknife
   standard errors of the difference. Of many lengths the best looks better than it
   is, so that asking for a plain "not less" would cut trials short for nothing.

Where one of these steps fails, the length is fixed, and the rule says why.

.. [1] Angelopoulos, Bates, Candès, Jordan, Lei (2021). Learn then test: calibrating
   predictive algorithms to achieve risk control. arXiv:2110.01052.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold

from bci.decoders.stopping import StoppingRule
from bci.metrics import GAZE_SHIFT_S, SelectionReport, itr, selection_report
from bci.types import FloatArray

#: Folds of the cross-validation, where there are trials enough.
N_FOLDS = 5
#: Thresholds that are tried between chance and the strictest, in equal steps of log-odds (choice).
N_THRESHOLDS = 60
STRICTEST = 0.9999
#: Standard errors by which a difference is credible (choice).
N_ERRORS = 2.0


@dataclass(frozen=True, slots=True)
class Trajectories:
    """The best label's posterior at each look of trials that the decoder was not fitted on.

    Attributes
    ----------
    posterior : array, shape (n_trials, n_looks)
        Probability of the most probable label.
    right : array of bool, shape (n_trials, n_looks)
        Whether that label is the true one.
    looks : tuple of int
        Length of each look in samples, increasing.
    sfreq : float
        Hz.
    n_classes : int
    """

    posterior: FloatArray
    right: NDArray[np.bool_]
    looks: tuple[int, ...]
    sfreq: float
    n_classes: int

    def __len__(self) -> int:
        return len(self.posterior)


def trajectories(
    decoder: Any, X: ArrayLike, y: ArrayLike, looks: Sequence[int], sfreq: float
) -> Trajectories:
    """Posteriors of trials by a fitted decoder that never saw them.

    Parameters
    ----------
    decoder : estimator
        With `predict_proba` for windows of any length.
    X : array, shape (n_trials, n_channels, n_times)
    y : array of labels, shape (n_trials,)
    looks : sequence of int
        Samples of each look, none above n_times.
    sfreq : float
        Hz.
    """
    windows, labels = np.asarray(X), np.asarray(y)
    proba = np.stack([decoder.predict_proba(windows[..., :n]) for n in looks], axis=1)
    best = np.asarray(decoder.classes_)[proba.argmax(axis=2)]
    return Trajectories(
        proba.max(axis=2), best == labels[:, np.newaxis], tuple(looks), sfreq, proba.shape[2]
    )


def cross_validated(
    estimator: Any, X: ArrayLike, y: ArrayLike, looks: Sequence[int], sfreq: float, n_folds: int
) -> Trajectories:
    """As `trajectories`, each trial by a clone fitted on the other folds.

    Folds are stratified and in order of time: with every label once a block they
    are blocks.
    """
    windows, labels = np.asarray(X), np.asarray(y)
    parts, order = [], []
    for train, test in StratifiedKFold(n_folds).split(windows, labels):
        fitted = clone(estimator).fit(windows[train], labels[train])
        parts.append(trajectories(fitted, windows[test], labels[test], looks, sfreq))
        order.append(test)
    found, back = joined(parts), np.argsort(np.concatenate(order))
    return replace(found, posterior=found.posterior[back], right=found.right[back])


def joined(parts: Sequence[Trajectories]) -> Trajectories:
    """All trials of `parts`, which have the same looks and classes."""
    return replace(
        parts[0],
        posterior=np.concatenate([part.posterior for part in parts]),
        right=np.concatenate([part.right for part in parts]),
    )


def n_folds(y: ArrayLike) -> int:
    """Folds into which trials with the labels `y` can be parted, `N_FOLDS` at most."""
    return min(N_FOLDS, int(np.unique(np.asarray(y), return_counts=True)[1].min()))


def stopped(
    trials: Trajectories, threshold: float, looks: Sequence[int] | None = None
) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Column of the look at which each trial is decided, and whether it passed the threshold.

    Parameters
    ----------
    trials : Trajectories
    threshold : float
    looks : sequence of int or None
        Samples of the looks that are taken, the last of which decides; None: all.
    """
    columns = (
        np.arange(len(trials.looks)) if looks is None else np.searchsorted(trials.looks, looks)
    )
    above = trials.posterior[:, columns] >= threshold
    passed = np.asarray(above.any(axis=1))
    return columns[np.where(passed, above.argmax(axis=1), len(columns) - 1)], passed


def evaluate(
    trials: Trajectories, threshold: float, looks: Sequence[int] | None = None
) -> SelectionReport:
    """What a threshold and looks give on trials: times, errors, transfer, typing speed."""
    at, passed = stopped(trials, threshold, looks)
    seconds = np.asarray(trials.looks)[at] / trials.sfreq
    right = trials.right[np.arange(len(trials)), at]
    return selection_report(seconds, right, passed, trials.n_classes)


def fit_stopping(trials: Trajectories, target_error: float) -> StoppingRule:
    """Choose when to stop; see the module.

    Parameters
    ----------
    trials : Trajectories
        Of calibration trials, none of which the decoder was fitted on.
    target_error : float
        Between 0 and 1: error among decisions that pass the threshold.
    """
    looks = trials.looks
    lengths = [evaluate(trials, 1.0 - target_error, (n,)) for n in looks]
    best = int(np.argmax([report.itr for report in lengths]))

    def rule(threshold: float, at: tuple[int, ...], because: str | None) -> StoppingRule:
        return StoppingRule(
            target_error=target_error, threshold=threshold, looks=at, sfreq=trials.sfreq,
            fixed_because=because, expected=evaluate(trials, threshold, at),
            best_fixed=lengths[best],
        )  # fmt: skip

    def fixed(because: str) -> StoppingRule:
        return rule(1.0 - target_error, (looks[best],), because)

    if 1.0 / (len(trials) + 2) > target_error:
        return fixed(f"{len(trials)} trials cannot show an error of {100 * target_error:g} %")
    error_at = _error_at_a_stop(trials)
    reason = f"no posterior stands for an error of {100 * target_error:g} %"
    for k in range(len(looks), 0, -1):
        threshold = _lowest(trials, looks[:k], error_at, target_error)
        if threshold is None:
            continue
        gain, error = _gain(trials, (threshold, looks[:k]), (0.5, (looks[best],)))
        if gain >= -N_ERRORS * error:
            return rule(threshold, looks[:k], None)
        reason = f"stopping early would transfer {-gain:.1f} bit/min less"
    return fixed(reason)


def _gain(
    trials: Trajectories, one: tuple[float, Sequence[int]], other: tuple[float, Sequence[int]]
) -> tuple[float, float]:
    """Transfer that one threshold with its looks gains over another, bit/min; standard error."""
    whole, *parts = _transfers(trials, *one) - _transfers(trials, *other)
    return float(whole), float(np.sqrt((len(trials) - 1) * np.var(parts)))


def _transfers(trials: Trajectories, threshold: float, looks: Sequence[int]) -> FloatArray:
    """Transfer on all trials, and then without one trial each, bit/min; shape (1 + n_trials,)."""
    at, _ = stopped(trials, threshold, looks)
    seconds = np.asarray(trials.looks)[at] / trials.sfreq + GAZE_SHIFT_S
    right = trials.right[np.arange(len(trials)), at].astype(float)
    p, t = ([v.mean(), *(v.sum() - v) / (len(v) - 1)] for v in (right, seconds))
    return np.array([itr(a, trials.n_classes, b) for a, b in zip(p, t, strict=True)])


def _thresholds(n_classes: int) -> FloatArray:
    chance, strictest = 1.0 / n_classes, logit(STRICTEST)
    thresholds = expit(np.linspace(strictest, logit(chance), N_THRESHOLDS))
    return np.append(thresholds[:-1], chance * (1.0 - 1e-9))  # strictest first; all pass the last


def _error_at_a_stop(trials: Trajectories) -> Callable[[FloatArray], FloatArray]:
    """What a posterior at which a trial was stopped is worth, as probability of an error."""
    stops = [
        (np.flatnonzero(passed), at[passed])
        for at, passed in (stopped(trials, t) for t in _thresholds(trials.n_classes))
    ]
    trial, at = (np.concatenate(part) for part in zip(*stops, strict=True))
    x, right = _log_odds(trials.posterior[trial, at]), trials.right[trial, at]
    weight = 1.0 / np.bincount(trial, minlength=len(trials))[trial]
    n, n_right = float(weight.sum()), float(weight[right].sum())
    target = np.where(right, (n_right + 1.0) / (n_right + 2.0), 1.0 / (n - n_right + 2.0))
    model = LogisticRegression(C=1e6).fit(  # every stop as a right and a wrong one, by its target
        np.concatenate([x, x])[:, np.newaxis],
        np.repeat([True, False], len(x)),
        sample_weight=np.concatenate([weight * target, weight * (1.0 - target)]),
    )
    slope, intercept = float(model.coef_[0, 0]), float(model.intercept_[0])
    return lambda posterior: np.asarray(expit(-(intercept + slope * _log_odds(posterior))))


def _lowest(
    trials: Trajectories,
    looks: Sequence[int],
    error_at: Callable[[FloatArray], FloatArray],
    target_error: float,
) -> float | None:
    """The lowest threshold at and above which the estimated error keeps the target."""
    found, weight = None, 1.0 / target_error
    for threshold in _thresholds(trials.n_classes):
        at, passed = stopped(trials, threshold, looks)
        stop = np.flatnonzero(passed), at[passed]
        if not len(stop[0]):
            continue
        predicted = error_at(trials.posterior[stop]).mean()
        n_wrong = np.count_nonzero(~trials.right[stop])
        if (n_wrong + weight * predicted) / (len(stop[0]) + weight) > target_error:
            break
        found = float(threshold)
    return found


def _log_odds(posterior: FloatArray) -> FloatArray:
    certain = 1e-9  # log-odds of a posterior that is rounded to 1
    return np.asarray(logit(np.clip(posterior, certain, 1.0 - certain)))


def in_words(rule: StoppingRule) -> str:
    """A rule in two lines: what it does, and what that gives on the calibration trials."""
    found, fixed = rule.expected, rule.best_fixed
    if rule.fixed_because is not None:
        return (
            f"stopping: at a fixed length of {rule.longest_s:.2f} s, because {rule.fixed_because}\n"
            f"  in calibration {_figures(found)}"
        )
    error = "none" if found.error_passed is None else f"{100 * found.error_passed:.1f} %"
    return (
        f"stopping: at a posterior of {rule.threshold:.3f}, for an error of "
        f"{100 * rule.target_error:g} %, looking {len(rule.looks)} times from "
        f"{rule.looks[0] / rule.sfreq:.2f} to {rule.longest_s:.2f} s\n"
        f"  in calibration {_figures(found)}; error {error} among the {found.n_passed} of "
        f"{found.n} that passed; best fixed length {fixed.mean_s:.2f} s with {fixed.itr:.1f} "
        "bit/min"
    )


def _figures(report: SelectionReport) -> str:
    return (
        f"{report.mean_s:.2f} s on average, accuracy {report.accuracy:.3f}, {report.itr:.1f} "
        f"bit/min, {report.correct_per_min:.1f} correct selections/min with undo"
    )
