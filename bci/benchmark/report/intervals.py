"""Intervals that stand beside every score of a report; those of guessing: `bci.benchmark.chance`.

Each returns ``(low, high)`` at 95 % unless told otherwise.
"""

from __future__ import annotations

import math

from scipy.optimize import brentq
from scipy.special import ndtri
from scipy.stats import chi2

from bci.benchmark.chance import UNKNOWN, Interval, both_classes
from bci.metrics import accuracy_interval


def score_interval(metric: str, score: float, n_positive: int, n: int) -> Interval:
    """Interval of one subject's score from `n` test trials; Wilson's for accuracy.

    ``(0, 1)``, all that is known, where `n` is 0.

    Parameters
    ----------
    metric : str
        "roc_auc", or anything else for a proportion of hits.
    score : float
        0 to 1.
    n_positive : int
        Trials of the positive class; half of `n` where 0. Used for "roc_auc" only.
    n : int
        Test trials, each counted once.
    """
    if n <= 0:
        return 0.0, 1.0
    if metric == "roc_auc":
        return auc_interval(score, *both_classes(n_positive, n))
    return accuracy_interval(round(score * n), n)


def auc_interval(auc: float, n_positive: int, n_negative: int, level: float = 0.95) -> Interval:
    """Interval of an area under the ROC curve, by Newcombe's score-like method 5 [1]_.

    Solves ``(θ - auc)² = z² V(θ)`` with the variance of exponential scores at θ,
    so it has width at auc = 1 and stays inside 0 to 1.

    References
    ----------
    .. [1] Newcombe (2006). Confidence intervals for an effect size measure based
       on the Mann–Whitney statistic. Part 2. Stat. Med. 25, 559.
    """
    z, half = float(ndtri(0.5 + 0.5 * level)), 0.5 * (n_positive + n_negative)

    def excess(theta: float) -> float:
        spread = 1 + (half - 1) * ((1 - theta) / (2 - theta) + theta / (1 + theta))
        variance = theta * (1 - theta) * spread / (n_positive * n_negative)
        return abs(theta - auc) - z * math.sqrt(max(0.0, variance))

    aside = 1e-9  # the variance is 0 at both ends: at an area of 1, θ = 1 is no lower bound
    low = 0.0 if auc <= 0 else float(brentq(excess, 0.0, auc * (1 - aside)))
    high = 1.0 if auc >= 1 else float(brentq(excess, auc + (1 - auc) * aside, 1.0))
    return low, high


def rate_interval(count: int, duration: float, level: float = 0.95) -> Interval:
    """Exact (Garwood) interval of a Poisson rate, `count` events in `duration`."""
    if not duration > 0:
        return UNKNOWN
    tail = 0.5 * (1 - level)
    low = 0.0 if count == 0 else float(chi2.ppf(tail, 2 * count)) / 2
    return low / duration, float(chi2.ppf(1 - tail, 2 * count + 2)) / 2 / duration
