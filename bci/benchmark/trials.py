"""Trials of a session: counted, cut into folds and blocks, never torn apart.

An epoch is told by its label and the number of the trial that it was cut from.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

Indices = NDArray[np.int64]


def stratified(
    y: NDArray[Any], trials: Indices, n_folds: int, seed: int
) -> list[tuple[Indices, Indices]]:
    """Stratified shuffled folds; by trials where a trial has several epochs."""
    if len(np.unique(trials)) == len(trials):
        return list(StratifiedKFold(n_folds, shuffle=True, random_state=seed).split(y, y))
    splitter = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
    return list(splitter.split(y, y, trials))


def blocked(trials: Indices, n_folds: int) -> list[tuple[Indices, Indices]]:
    """Folds that are stretches of time, each of as many trials, to one.

    Parameters
    ----------
    trials : array, shape (n_epochs,)
        In order of time.
    n_folds : int
    """
    number = {trial: n for n, trial in enumerate(dict.fromkeys(trials.tolist()))}
    fold = np.array([number[trial] * n_folds // len(number) for trial in trials.tolist()])
    return [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(n_folds)]


def trials_of_classes(y: NDArray[np.str_], trials: Indices) -> Counter[str]:
    """Count the trials of each class."""
    return Counter(label for _, label in {*zip(trials.tolist(), y.tolist(), strict=True)})


def blocks(y: NDArray[np.str_], trials: Indices) -> Indices:
    """For each epoch, how often its class had been shown before its trial.

    Parameters
    ----------
    y, trials : arrays, shape (n_epochs,)
        In order of time.
    """
    found = np.zeros(len(y), dtype=np.int64)
    for label in np.unique(y):
        of_class = np.flatnonzero(y == label)
        order = {t: n for n, t in enumerate(dict.fromkeys(trials[of_class].tolist()))}
        found[of_class] = [order[t] for t in trials[of_class].tolist()]
    return found


def too_few(y: NDArray[np.str_], trials: Indices, where: str, n_folds: int = 2) -> str:
    """Why epochs cannot be cut into folds that hold every class; "" where they can."""
    found = trials_of_classes(y, trials)
    if len(found) < 2:
        return f"{where} has one class only: {', '.join(found) or 'none'}"
    fewest = min(found.values())
    label = min(k for k, n in found.items() if n == fewest)
    if fewest < 2:
        return f"class '{label}' has one trial in {where}: it cannot be trained on and tested on"
    if fewest < n_folds:
        return (
            f"class '{label}' has {fewest} trials in {where}, fewer than the {n_folds} folds; "
            f"set 'folds' to {fewest} at most"
        )
    return ""
