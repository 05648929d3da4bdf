"""How far a score may come by guessing: the one place that says so for epochs and reports."""

from __future__ import annotations

import math

from scipy.special import ndtri
from scipy.stats import binom

Interval = tuple[float, float]

UNKNOWN: Interval = (math.nan, math.nan)


def chance_band(
    metric: str, chance: float, n_positive: int, n: int, level: float = 0.95
) -> Interval:
    """Where `level` of a guesser's scores lie, given `n` test trials.

    Exact binomial for an accuracy [1]_; for the area under the ROC curve the null
    distribution of Mann and Whitney's U over its largest value, normal with variance
    ``(n₁ + n₂ + 1) / (12 n₁ n₂)``. Unknown where `n` is 0.

    Parameters
    ----------
    metric : str
        "roc_auc", or anything else for a proportion of hits.
    chance : float
        Score that guessing reaches on average.
    n_positive : int
        Trials of the positive class; half of `n` where 0. Used for "roc_auc" only.
    n : int
        Test trials, each counted once.
    level : float

    References
    ----------
    .. [1] Müller-Putz, Scherer, Brunner, Leeb, Pfurtscheller (2008). Better than
       random? A closer look on BCI results. Int. J. Bioelectromagn. 10, 52.
    """
    if n <= 0 or not 0 < chance < 1:
        return UNKNOWN
    tail = 0.5 * (1 - level)
    if metric == "roc_auc":
        half = float(ndtri(1 - tail)) * _auc_sd(n_positive, n)
        return max(0.0, chance - half), min(1.0, chance + half)
    return float(binom.ppf(tail, n, chance)) / n, float(binom.ppf(1 - tail, n, chance)) / n


def beats_chance(
    metric: str, score: float, chance: float, n_positive: int, n: int, level: float = 0.95
) -> bool:
    """Whether guessing reaches `score` with a probability of at most 1 - `level` (one-sided).

    Parameters as those of `chance_band`; False where `n` is 0.
    """
    if n <= 0 or not 0 < chance < 1:
        return False
    if metric == "roc_auc":
        return score > chance + float(ndtri(level)) * _auc_sd(n_positive, n)
    return bool(binom.sf(round(score * n) - 1, n, chance) <= 1 - level)


def both_classes(n_positive: int, n: int) -> tuple[int, int]:
    """Trials of both classes, as if of equal size where they aren't known."""
    positive = n_positive if 0 < n_positive < n else max(1, n // 2)
    return positive, max(1, n - positive)


def _auc_sd(n_positive: int, n: int) -> float:
    positive, negative = both_classes(n_positive, n)
    return math.sqrt((positive + negative + 1) / (12 * positive * negative))
