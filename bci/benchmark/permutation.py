"""How often a pipeline scores as well when labels mean nothing.

Labels are shuffled among the trials of a session, the pipeline is trained and tested with
them in the same folds, and p is the share of shufflings whose mean over folds reaches that of
the labels as they are, these counted in: test 1 of Ojala & Garriga, "Permutation tests
for studying classifier performance", JMLR 11, 1833-1863, 2010. It assumes that any order of
the labels could have been drawn, which blocks of one class are not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.benchmark import pipelines, scoring
from bci.benchmark.config import PipelineSettings
from bci.benchmark.folds import Fold
from bci.benchmark.pipelines import Context
from bci.benchmark.trials import Indices


def permuted_scores(
    settings: PipelineSettings,
    context: Context,
    fold: Fold,
    X: Any,
    y: NDArray[Any],
    n: int,
) -> list[float | None]:
    """Scores of a fold under `n` shufflings, each the same in all folds of a session.

    None where the shuffled labels leave one class on a side.

    Parameters
    ----------
    settings, context
        As `bci.benchmark.pipelines.rest` takes them.
    fold : Fold
    X, y : arrays
        What the pipeline learns from, of the whole session.
    n : int
    """
    metric = "roc_auc" if len(context.classes) == 2 else "accuracy"
    found: list[float | None] = []
    for k in range(n):
        labels = shuffled(y, fold.trials, (context.seed, k))
        train, test = labels[fold.train], labels[fold.test]
        if len(np.unique(train)) < len(context.classes) or len(np.unique(test)) < 2:
            found.append(None)
            continue
        fitted = scoring.fit(
            pipelines.rest(settings, context), settings.grid, X[fold.train], train,
            fold.trials[fold.train], metric=metric, seed=context.seed,
        )  # fmt: skip
        found.append(scoring.score(scoring.answer(fitted, X[fold.test]), test, metric))
    return found


def shuffled(y: NDArray[Any], trials: Indices, seed: Sequence[int]) -> NDArray[Any]:
    """Labels shuffled among trials; epochs of one trial keep one label."""
    _, first, of_epoch = np.unique(trials, return_index=True, return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(first))
    labels: NDArray[Any] = y[first][order][of_epoch]
    return labels


def p_value(scores: Sequence[float], permuted: Sequence[Sequence[float | None]]) -> float:
    """Share of shufflings that score as well.

    Parameters
    ----------
    scores : sequence of float
        Of each fold.
    permuted : sequence of sequences
        Of each fold, what `permuted_scores` gave.
    """
    under = np.array(permuted, dtype=np.float64)
    means = under[:, np.isfinite(under).all(axis=0)].mean(axis=0)
    reached = int(np.count_nonzero(means >= np.mean(scores) - 1e-12))
    return (1 + reached) / (1 + len(means))
