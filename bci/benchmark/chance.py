"""How far a score may come by guessing: chance with its interval, row by row and by subject."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binom, norm

from bci.benchmark.statistics import CURVES, SCOPE, prepared
from bci.types import FloatArray

LEVEL = 0.95
#: Score whose chance is not a share of right trials.
AUC = "roc_auc"


def with_chance(results: pd.DataFrame, level: float = LEVEL) -> pd.DataFrame:
    """Add to each row what guessing reaches on its test trials.

    Columns added: `chance_low` and `chance_high`, between which a guesser's score
    lies with probability `level`; `chance_bound`, the least score that guessing
    reaches with probability 1 - `level` or less; `above_chance`. NaN (False) where
    `n_test` is not known or 0.

    Accuracy is binomial [1]_, with the row's `chance` or else 1 / `n_classes`. The
    area under the ROC curve is Mann and Whitney's U over its largest value: normal
    with variance (n₁ + n₂ + 1) / (12 n₁ n₂), from the labels in `details`, or else
    as if classes were of equal size.

    References
    ----------
    .. [1] Müller-Putz, Scherer, Brunner, Leeb, Pfurtscheller (2008). Better than
       random? A closer look on BCI results. Int. J. Bioelectromagn. 10, 52.
    """
    table = results.copy()
    n = _number(table, "n_test")
    p = np.where(np.isnan(_number(table, "chance")), 1.0 / _number(table, "n_classes"),
                 _number(table, "chance"))  # fmt: skip
    low, high, bound = _binomial(n, p, level)
    is_auc = (table["metric"] == AUC).to_numpy() if "metric" in table else np.zeros(len(n), bool)
    if is_auc.any():
        smaller = _smaller_class(table, n)
        for bounds, auc in zip((low, high, bound), _normal(n, smaller, level), strict=True):
            bounds[is_auc] = auc[is_auc]
    table["chance_low"], table["chance_high"], table["chance_bound"] = low, high, bound
    score = _number(table, "score")
    table["above_chance"] = score >= bound - 1e-12  # a share of trials, rounded
    return table


def by_subject(results: pd.DataFrame, level: float = LEVEL) -> pd.DataFrame:
    """Score of each subject with chance over all of its test trials.

    Rows without a score are left out, learning curves too. Score is the mean over
    folds, then sessions; `n_sessions` and `n_test` say over how many. A fold's
    trials are tested once each, so their numbers add up.
    """
    table = prepared(results)
    table = table[~table["evaluation"].isin(CURVES)]
    for name in ("n_test", "chance", "n_classes"):
        table[name] = _number(table, name)
    keys = [*SCOPE, "dataset", "pipeline", "subject"]
    sessions = table.groupby([*keys, "session"], sort=False, dropna=False).agg(
        score=("score", "mean"), n_test=("n_test", _total), chance=("chance", "mean"),
        n_classes=("n_classes", "max"),
    )  # fmt: skip
    subjects = sessions.groupby(level=keys, sort=False, dropna=False).agg(
        score=("score", "mean"), n_sessions=("score", "size"), n_test=("n_test", _total),
        chance=("chance", "mean"), n_classes=("n_classes", "max"),
    )  # fmt: skip
    return with_chance(subjects.reset_index(), level)


def _total(values: pd.Series[float]) -> float:
    return float(values.sum(skipna=False))


def _number(table: pd.DataFrame, name: str) -> FloatArray:
    if name not in table:
        return np.full(len(table), np.nan)
    return table[name].to_numpy(dtype=np.float64, copy=True)


def _binomial(
    n: FloatArray, p: FloatArray, level: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Low, high, one-sided bound, as shares of n; more than 1 where nothing would show anything."""
    known = np.isfinite(n) & (n > 0) & np.isfinite(p)
    n = np.where(known, n, np.nan)
    tail = (1.0 - level) / 2.0
    low, high = (np.asarray(binom.ppf(q, n, p)) / n for q in (tail, 1.0 - tail))
    # ppf is the least k with P(X <= k) >= level, so k + 1 is reached with 1 - level or less
    return low, high, (np.asarray(binom.ppf(level, n, p)) + 1.0) / n


def _normal(
    n: FloatArray, smaller: FloatArray, level: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    known = np.isfinite(n) & (smaller > 0) & (smaller < n)
    ones, twos = np.where(known, smaller, np.nan), np.where(known, n - smaller, np.nan)
    sd = np.sqrt((ones + twos + 1.0) / (12.0 * ones * twos))
    half = norm.ppf(0.5 + level / 2.0) * sd
    return np.maximum(0.0, 0.5 - half), np.minimum(1.0, 0.5 + half), 0.5 + norm.ppf(level) * sd


def _smaller_class(table: pd.DataFrame, n: FloatArray) -> FloatArray:
    """Test trials of one of two classes, from the labels where they are told."""
    if "details" not in table:
        return n / 2.0
    told = [_of_first(details) for details in table["details"]]
    return np.array([half if k is None else k for k, half in zip(told, n / 2.0, strict=True)])


def _of_first(details: Any) -> float | None:
    try:
        labels = json.loads(details)["y_true"]
    except (TypeError, ValueError, KeyError):
        return None
    return float(labels.count(labels[0])) if isinstance(labels, list) and labels else None
