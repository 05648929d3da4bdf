"""Fit on one side of a fold, answer on the other, and score as MOABB scores.

ROC-AUC for two classes, accuracy for more. A grid is searched inside the
training fold by 3-fold cross-validation, so that no score chose its own
parameters.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, roc_auc_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline

from bci.benchmark.trials import Indices, stratified
from bci.decoders.subjects import fit_to
from bci.types import FloatArray

#: Folds of the search for hyper-parameters.
N_INNER_FOLDS = 3


@dataclass(frozen=True)
class Answers:
    """What a fitted estimator says of windows.

    Attributes
    ----------
    labels : array, shape (n_windows,)
    proba : array, shape (n_windows, n_classes), or None
        None where the estimator gives no probabilities.
    ranking : array, shape (n_windows,), or None
        For two classes: grows with the second, the decision function if there is one.
    classes : array
    """

    labels: NDArray[Any]
    proba: FloatArray | None = field(repr=False)
    ranking: FloatArray | None = field(repr=False)
    classes: NDArray[Any]

    def __getitem__(self, chosen: Any) -> Answers:
        """Answers for some of the windows."""
        proba = None if self.proba is None else self.proba[chosen]
        ranking = None if self.ranking is None else self.ranking[chosen]
        return Answers(self.labels[chosen], proba, ranking, self.classes)


def answer(estimator: Any, X: Any) -> Answers:
    """Ask a fitted estimator; the transformers of a pipeline run once for all questions."""
    last = getattr(estimator, "best_estimator_", estimator)
    if isinstance(last, Pipeline):
        for _, step in last.steps[:-1]:
            X = step.transform(X)
        last = last.steps[-1][1]
    proba = last.predict_proba(X) if hasattr(last, "predict_proba") else None
    classes = np.asarray(last.classes_)
    ranking = None
    if len(classes) == 2:
        if hasattr(last, "decision_function"):
            ranking = last.decision_function(X)
        elif proba is not None:
            ranking = proba[:, 1]
    return Answers(np.asarray(last.predict(X)), proba, ranking, classes)


def answer_and_adapt(
    decoder: Any, X: FloatArray, y: NDArray[Any], sessions: Indices, *, labels: bool
) -> Answers:
    """Ask an adaptive decoder window by window, and let it learn from each after its answer.

    Parameters
    ----------
    decoder : AdaptiveDecoder
    X, y : arrays
        The test, in order of time within each session.
    sessions : array of int, shape (n_windows,)
        Each starts with the decoder as training left it.
    labels : bool
        Each label is told after its answer; else it learns without.
    """
    found = []
    for number, window in enumerate(X):
        if number == 0 or sessions[number] != sessions[number - 1]:
            decoder.rollback()
        found.append(answer(decoder, window[np.newaxis]))
        if decoder.update(window) and labels:
            decoder.update(window, y[number])
    decoder.rollback()

    return joined(found)


def joined(parts: Sequence[Answers]) -> Answers:
    """Answers to several parts of a test, one after the other."""

    def all_of(values: list[Any]) -> Any:
        return None if any(value is None for value in values) else np.concatenate(values)

    return Answers(
        np.concatenate([part.labels for part in parts]),
        all_of([part.proba for part in parts]),
        all_of([part.ranking for part in parts]),
        parts[0].classes,
    )


def score(answers: Answers, y: NDArray[Any], metric: str) -> float:
    """Score answers.

    Raises
    ------
    ValueError
        An area under the curve of a test with one class, or of an estimator without a ranking.
    """
    if metric == "accuracy":
        return float(accuracy_score(y, answers.labels))
    if len(np.unique(y)) < 2:
        raise ValueError(f"the test has one class only, {y[0]}: it has no ROC-AUC")
    if answers.ranking is None:
        raise ValueError("it gives neither probabilities nor a decision function for a ROC-AUC")
    return float(roc_auc_score(y, answers.ranking))


def fit(
    estimator: Any,
    grid: dict[str, list[Any]],
    X: Any,
    y: NDArray[Any],
    trials: Indices,
    *,
    metric: str,
    seed: int,
    subjects: NDArray[Any] | None = None,
) -> Any:
    """Fit, after a search of the grid inside these data where there is one.

    Where no class has three trials there are as many inner folds as trials.

    Parameters
    ----------
    estimator : scikit-learn estimator
    grid : dict
        Parameter: values.
    X, y : arrays
        The training fold.
    trials : array of int
        Epochs of one trial stay on one side of the inner folds as well.
    metric : "roc_auc" or "accuracy"
    seed : int
    subjects : array of str or None
        Whose each epoch is, for an estimator that asks.
    """
    if not grid:
        return fit_to(estimator, X, y, subjects)
    fullest = max(len(np.unique(trials[y == label])) for label in np.unique(y))
    if fullest < 2:
        raise ValueError("a search of hyper-parameters needs two training trials of a class")
    inner = stratified(y, trials, min(N_INNER_FOLDS, fullest), seed)
    search = GridSearchCV(estimator, grid, cv=inner, scoring=metric, error_score="raise")
    return search.fit(X, y) if subjects is None else search.fit(X, y, subjects=subjects)


def batch_free(estimator: Any, X: Any, together: Answers) -> bool:
    """Whether a window's answer is the same alone as among the other test windows.

    If not, the estimator adapts to the test windows (centres them, aligns them):
    its score is transductive and must be called so.
    """
    alone = answer(estimator, X[:1])
    for one, other in ((alone.proba, together.proba), (alone.ranking, together.ranking)):
        if one is not None and other is not None:
            return bool(np.allclose(one[0], other[0], rtol=1e-3, atol=1e-4))
    return bool(alone.labels[0] == together.labels[0])


def latencies_ms(estimator: Any, X: Any, n: int) -> list[float]:
    """Milliseconds that each of the first `n` windows takes by itself."""
    found = []
    for i in range(min(n, len(X))):
        start = time.perf_counter()
        answer(estimator, X[i : i + 1])
        found.append(1e3 * (time.perf_counter() - start))
    return found


class Warned:
    """Collects warnings of estimators, to be told with the scores instead of printed."""

    def __enter__(self) -> list[str]:
        self._messages: list[str] = []
        self._context = warnings.catch_warnings(record=True)
        self._caught: Any = self._context.__enter__()
        warnings.simplefilter("default")
        return self._messages

    def __exit__(self, *error: Any) -> None:
        self._context.__exit__(*error)
        told = [f"{w.category.__name__}: {str(w.message).splitlines()[0]}" for w in self._caught]
        self._messages.extend(dict.fromkeys(told))


def whole(fitted: Any, prefix: list[tuple[str, Any]]) -> Any:
    """The estimator of windows: stateless steps before what was fitted behind them."""
    best = getattr(fitted, "best_estimator_", fitted)
    if not prefix:
        return best
    return Pipeline([*prefix, *best.steps])
