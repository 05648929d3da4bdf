"""Training on recordings of several people, or days: whose each window is.

A decoder whose `fit` takes `subjects` is told; to one that does not, all windows are
one person's.
"""

from __future__ import annotations

from inspect import signature
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bci.types import FloatArray


def takes_subjects(estimator: Any) -> bool:
    """Whether `fit` asks whose the windows are."""
    return "subjects" in signature(estimator.fit).parameters


def subjects_for(estimator: Any, people: ArrayLike, sessions: ArrayLike) -> NDArray[Any] | None:
    """What an estimator is to be told; None: nothing, for it does not ask or all is one's.

    Parameters
    ----------
    estimator : scikit-learn estimator
        Where `per_session` is true, sessions of one person count as people do.
    people, sessions : array of str, shape (n_windows,)
        Whose each window is, and of which session of that person.
    """
    if not takes_subjects(estimator):
        return None
    whose = np.asarray(people, dtype=str)
    if getattr(estimator, "per_session", False):
        whose = np.char.add(np.char.add(whose, " "), np.asarray(sessions, dtype=str))
    return whose if len(np.unique(whose)) > 1 else None


def fit_to(estimator: Any, X: FloatArray, y: ArrayLike, subjects: ArrayLike | None) -> Any:
    """Fit, and tell it the subjects where there are some."""
    return estimator.fit(X, y) if subjects is None else estimator.fit(X, y, subjects)
