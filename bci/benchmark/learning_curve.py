"""Growing training sets against one test set, in the order of MOABB's learning curves."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import GroupShuffleSplit, StratifiedShuffleSplit

from bci.benchmark.evaluations import LearningCurve
from bci.benchmark.trials import Indices

Split = tuple[Indices, Indices]


def splits(
    y: NDArray[np.str_], trials: Indices, minutes: float, evaluation: LearningCurve, seed: int
) -> list[Split]:
    """Each random split with each size of its training that there are trials for.

    Parameters
    ----------
    y, trials : arrays, shape (n_epochs,)
    minutes : float
        Minutes of EEG in one epoch.
    evaluation : LearningCurve
    seed : int

    Raises
    ------
    ValueError
        There are too few trials for a split.
    """
    return [
        (part, test)
        for train, test in _shuffled(y, trials, evaluation, seed)
        for part in _beginnings(y, trials, train, minutes, evaluation)
    ]


def _shuffled(
    y: NDArray[np.str_], trials: Indices, evaluation: LearningCurve, seed: int
) -> list[Split]:
    """Random splits; whole trials stay together, in random order."""
    sizes = {"n_splits": evaluation.repeats, "test_size": evaluation.test_size}
    if len(np.unique(trials)) == len(trials):
        return list(StratifiedShuffleSplit(**sizes, random_state=seed).split(y, y))
    shuffle = np.random.RandomState(seed)  # the subset is a beginning, and that must be random
    return [
        (_by_trial(shuffle, train, trials), test)
        for train, test in GroupShuffleSplit(**sizes, random_state=seed).split(y, y, trials)
    ]


def _by_trial(shuffle: np.random.RandomState, train: Indices, trials: Indices) -> Indices:
    order = shuffle.permutation(np.unique(trials[train]))
    rank = {trial: place for place, trial in enumerate(order.tolist())}
    return train[np.argsort([rank[t] for t in trials[train].tolist()], kind="stable")]


def _beginnings(
    y: NDArray[np.str_], trials: Indices, train: Indices, minutes: float, evaluation: LearningCurve
) -> Iterator[Indices]:
    """Growing beginnings of a training set; sizes beyond it are left out."""
    labels = y[train]
    for n in evaluation.trials_per_class or []:
        firsts = [_first_trials(np.flatnonzero(labels == c), trials[train], n) for c in set_of(y)]
        if all(places is not None for places in firsts):
            yield train[np.concatenate([places for places in firsts if places is not None])]
    for wanted in evaluation.minutes or []:
        n = int(np.ceil(round(wanted / minutes, 9)))
        if n <= len(train) and len(set_of(labels[:n])) > 1:
            yield train[:n]


def set_of(labels: NDArray[np.str_]) -> list[str]:
    """Labels that occur, sorted."""
    found: list[str] = np.unique(labels).tolist()
    return found


def _first_trials(places: Indices, trials: Indices, n: int) -> Indices | None:
    """Places of the epochs of the first `n` trials among `places`; None where there are fewer."""
    order = list(dict.fromkeys(trials[places].tolist()))
    if len(order) < n:
        return None
    chosen: Indices = places[np.isin(trials[places], order[:n])]
    return chosen
