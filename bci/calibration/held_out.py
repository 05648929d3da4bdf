"""How a decoder that is trained does on what it was not trained on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.model_selection import LeaveOneGroupOut, StratifiedKFold

from bci.decoders import AdaptiveDecoder
from bci.decoders.manifest import Score
from bci.decoders.subjects import fit_to, takes_subjects
from bci.metrics import accuracy_interval
from bci.types import FloatArray

STRATIFIED = "{}-fold stratified, in order of time, one window a trial"

Split = tuple[NDArray[np.intp], NDArray[np.intp]]


def score(
    estimator: Any,
    X: FloatArray,
    y: NDArray[Any],
    n_folds: int,
    people: NDArray[Any] | None = None,
    subjects: NDArray[Any] | None = None,
) -> Score:
    """Accuracy on held-out windows, one window a trial, so that no trial is on both sides.

    A decoder that asks whose its windows are is for somebody new: where there are several
    people, each is left out in turn, and an adaptive decoder learns from that person's
    windows as it goes, without labels. Otherwise folds are stratified.

    Parameters
    ----------
    estimator : scikit-learn estimator
    X : array, shape (n_windows, n_channels, n_times)
    y : array of str, shape (n_windows,)
    n_folds : int
        Of the stratified ones.
    people, subjects : array of str, shape (n_windows,), or None
        Whose each window is; and what the estimator is told of that.

    Raises
    ------
    ValueError
        The decoder cannot be trained.
    """
    parts, method = splits(estimator, y, n_folds, people)
    several = for_somebody_new(estimator, people)
    n_right = sum(int(hits(estimator, X, y, p, several, subjects).sum()) for p in parts)
    return accuracy(n_right, len(y), method)


def for_somebody_new(estimator: Any, people: NDArray[Any] | None) -> bool:
    """Whether the question is how the decoder does on a person it does not know."""
    return people is not None and len(np.unique(people)) > 1 and takes_subjects(estimator)


def splits(
    estimator: Any, y: NDArray[Any], n_folds: int, people: NDArray[Any] | None = None
) -> tuple[Iterator[Split], str]:
    """Windows to train on and windows held out, one after the other; and the method in words."""
    if for_somebody_new(estimator, people):
        method = "each person left out in turn, one window a trial"
        if hasattr(estimator, "update"):
            method += ", adapting without labels"
        return LeaveOneGroupOut().split(y, y, people), method
    return StratifiedKFold(n_folds).split(y, y), STRATIFIED.format(n_folds)


def hits(
    estimator: Any,
    X: FloatArray,
    y: NDArray[Any],
    split: Split,
    as_it_goes: bool,
    subjects: NDArray[Any] | None = None,
) -> NDArray[np.bool_]:
    """Which held-out windows of a split are decoded right; see `score`.

    `as_it_goes`: an adaptive decoder learns from them meanwhile, without labels.
    """
    train, test = split
    told = None if subjects is None else subjects[train]
    fitted = fit_to(clone(estimator), X[train], y[train], told)
    found = _as_it_goes(fitted, X[test]) if as_it_goes else fitted.predict(X[test])
    right: NDArray[np.bool_] = np.asarray(found == y[test], dtype=bool)
    return right


def accuracy(n_right: int, n: int, method: str) -> Score:
    """A score with its interval."""
    low, high = accuracy_interval(n_right, n)
    return Score(metric="accuracy", value=n_right / n, low=low, high=high, n=n, method=method)


def _as_it_goes(decoder: Any, X: FloatArray) -> NDArray[Any]:
    if not isinstance(decoder, AdaptiveDecoder):
        found: NDArray[Any] = decoder.predict(X)
        return found
    labels = []
    for window in X:
        labels.append(decoder.predict(window[np.newaxis])[0])  # type: ignore[attr-defined]
        decoder.update(window)
    return np.array(labels)
