"""Figures of merit: information transfer, chance, intervals, typing speed, latency.

Chance and intervals are exact or have known coverage at the small numbers of
trials that a session has; a score is never shown without one of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from scipy.special import bdtrc, ndtri, xlog1py, xlogy


def itr(p: float, n_classes: int, t: float) -> float:
    """Information transfer rate, bit/min [1]_.

    ``(60 / t) · [log2 M + p log2 p + (1 - p) log2((1 - p) / (M - 1))]``, and 0
    below chance (p < 1/M). It assumes equally likely targets, errors spread
    evenly, and a trial that always takes `t`.

    Parameters
    ----------
    p : float
        Accuracy, 0 to 1.
    n_classes : int
        Number of targets, M ≥ 2.
    t : float
        Seconds a selection takes, gaze shift included: evidence + 0.5 s in the
        SSVEP literature.

    Raises
    ------
    ValueError
        An argument is out of its range.

    References
    ----------
    .. [1] Wolpaw, Birbaumer, McFarland, Pfurtscheller, Vaughan (2002).
       Brain-computer interfaces for communication and control. Clin.
       Neurophysiol. 113, 767.
    """
    if not (0.0 <= p <= 1.0 and n_classes >= 2 and t > 0.0):
        raise ValueError(f"no transfer rate for accuracy {p}, {n_classes} classes, {t} s a trial")
    if p < 1.0 / n_classes:
        return 0.0
    nats = (
        np.log(n_classes) + xlogy(p, p) + xlog1py(1.0 - p, -p) - (1.0 - p) * np.log(n_classes - 1)
    )
    return max(0.0, float(60.0 / t * nats / np.log(2.0)))


def mean_itr(accuracies: Iterable[float], n_classes: int, t: float) -> float:
    """Mean over blocks of each block's `itr`, bit/min.

    Not the rate at the mean accuracy, which is lower (the rate is convex in p);
    publications report the former. Raises ValueError where there is no block.
    """
    rates = [itr(p, n_classes, t) for p in accuracies]
    if not rates:
        raise ValueError("a mean transfer rate needs the accuracy of at least one block")
    return float(np.mean(rates))


def accuracy_interval(hits: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Two-sided Wilson interval of a proportion, ``(low, high)``.

    Its coverage stays near `level` at small n and at accuracies near 1, where
    the textbook's normal interval fails [1]_. ``(0, 1)`` for n = 0.

    References
    ----------
    .. [1] Brown, Cai, DasGupta (2001). Interval estimation for a binomial
       proportion. Statist. Sci. 16, 101.
    """
    _check_counts(hits, n, level)
    if n == 0:
        return 0.0, 1.0
    z = float(ndtri(0.5 + 0.5 * level))
    p, shrink = hits / n, 1.0 + z * z / n
    centre = (p + z * z / (2 * n)) / shrink
    half = z / shrink * float(np.sqrt(p * (1 - p) / n + z * z / (4 * n * n)))
    low = 0.0 if hits == 0 else centre - half
    high = 1.0 if hits == n else centre + half
    return low, high


def chance_bound(n: int, n_classes: int, level: float = 0.95) -> int:
    """Fewest hits of `n` that guessing among `n_classes` reaches with probability ≤ 1 − level.

    One-sided, exact binomial; 100 trials of 4 classes: 33. ``n + 1`` where not
    even n hits would show anything [1]_.

    References
    ----------
    .. [1] Müller-Putz, Scherer, Brunner, Leeb, Pfurtscheller (2008). Better than
       random? A closer look on BCI results. Int. J. Bioelectromagn. 10, 52.
    """
    _check_counts(0, n, level)
    if n_classes < 2:
        raise ValueError(f"chance needs 2 classes or more, found {n_classes}")
    hits = np.arange(1, n + 1)
    at_least = bdtrc(hits - 1, n, 1.0 / n_classes)  # P(X ≥ hits), falling
    return 1 + int(np.count_nonzero(at_least > 1.0 - level))


def chance_p_value(hits: int, n: int, n_classes: int) -> float:
    """Probability that guessing among `n_classes` gets `hits` or more of `n` right."""
    _check_counts(hits, n, 0.5)
    return 1.0 if hits == 0 else float(bdtrc(hits - 1, n, 1.0 / n_classes))


def n_correct(text: str, phrase: str) -> int:
    """Count the characters of `text` that are right: the beginning it shares with `phrase`."""
    shared = 0
    for typed, wanted in zip(text, phrase, strict=False):
        if typed != wanted:
            break
        shared += 1
    return shared


def correct_characters_per_minute(text: str, phrase: str, seconds: float) -> float:
    """Correctly typed characters per minute; errors cost what deleting them took.

    A character counts when it and all before it are right; the selections that
    corrected mistakes count in `seconds` like every other.

    Raises
    ------
    ValueError
        `seconds` is not positive.
    """
    if not seconds > 0.0:
        raise ValueError(f"typing speed over {seconds} s is not defined")
    return 60.0 * n_correct(text, phrase) / seconds


def latency_percentiles(
    latencies_ms: Sequence[float], percents: Sequence[float] = (50.0, 99.0)
) -> dict[float, float]:
    """Percentiles of latencies, ``{percent: milliseconds}``; empty where nothing was measured."""
    values = np.asarray(latencies_ms, dtype=np.float64)
    if values.size == 0:
        return {}
    return dict(zip(percents, np.percentile(values, percents).tolist(), strict=True))


def _check_counts(hits: int, n: int, level: float) -> None:
    if not (0 <= hits <= n and 0.0 < level < 1.0):
        raise ValueError(f"{hits} hits of {n} at level {level} is not a proportion")
