"""Figures of merit: information transfer, chance, intervals, calibration, typing speed, latency.

Chance and intervals are exact or have known coverage at the small numbers of
trials that a session has; a score is never shown without one of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import bdtrc, ndtri, stdtrit, xlog1py, xlogy

#: Seconds that the gaze takes to the next target, by convention of the SSVEP literature.
GAZE_SHIFT_S = 0.5


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


def mean_interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float]:
    """Student's t interval of a mean over subjects or sources; NaN for fewer than two."""
    n = len(values)
    if n < 2:
        return float("nan"), float("nan")
    half = float(stdtrit(n - 1, 0.5 + 0.5 * level) * np.std(values, ddof=1) / np.sqrt(n))
    mean = float(np.mean(values))
    return mean - half, mean + half


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


def correct_selections_per_minute(p: float, t: float) -> float:
    """Selections a minute that stand, where each error must be undone.

    ``60 / t · (2 p - 1)``: a wrong selection costs itself and the one that undoes
    it, which may go wrong in turn; 0 from an accuracy of one half down, where
    undoing never ends. The factor is that of the practical bit rate [1]_.

    Parameters
    ----------
    p : float
        Accuracy, 0 to 1.
    t : float
        Seconds a selection takes, gaze shift included.

    Raises
    ------
    ValueError
        An argument is out of its range.

    References
    ----------
    .. [1] Townsend, LaPallo, Boulay, Krusienski, Frye, Hauser, Schwartz, Vaughan,
       Wolpaw, Sellers (2010). A novel P300-based brain-computer interface stimulus
       presentation paradigm: moving beyond rows and columns. Clin. Neurophysiol.
       121, 1109.
    """
    if not (0.0 <= p <= 1.0 and t > 0.0):
        raise ValueError(f"no typing speed for accuracy {p}, {t} s a selection")
    return max(0.0, 60.0 / t * (2.0 * p - 1.0))


@dataclass(frozen=True, slots=True)
class SelectionReport:
    """What selections of different length come to; see `selection_report`.

    Attributes
    ----------
    n : int
        Selections.
    mean_s : float
        Mean evidence, seconds, without gaze shift.
    accuracy : float
        Of all selections, forced ones included.
    n_passed : int
        Selections that reached their threshold; the others were forced by the time.
    error_passed, error_forced : float or None
        Share of wrong ones among either; None where there is none.
    itr, itr_evidence : float
        Bit/min at the mean time, with and without gaze shift.
    correct_per_min : float
        See `correct_selections_per_minute`; with gaze shift.
    """

    n: int
    mean_s: float
    accuracy: float
    n_passed: int
    error_passed: float | None
    error_forced: float | None
    itr: float
    itr_evidence: float
    correct_per_min: float

    @property
    def forced_share(self) -> float:
        """Share of selections that did not reach their threshold."""
        return 1.0 - self.n_passed / self.n


def selection_report(
    seconds: ArrayLike,
    right: ArrayLike,
    passed: ArrayLike,
    n_classes: int,
    gaze_shift_s: float = GAZE_SHIFT_S,
) -> SelectionReport:
    """Figures of selections that took different times, as dynamic stopping makes them.

    Parameters
    ----------
    seconds : array, shape (n_selections,)
        Evidence of each, without gaze shift.
    right, passed : array of bool, shape (n_selections,)
        Whether it was right; whether it reached its threshold.
    n_classes : int
    gaze_shift_s : float

    Raises
    ------
    ValueError
        There is no selection, or shapes differ.
    """
    times = np.asarray(seconds, dtype=np.float64)
    hits, through = np.asarray(right, dtype=bool), np.asarray(passed, dtype=bool)
    if times.ndim != 1 or not len(times) or not times.shape == hits.shape == through.shape:
        raise ValueError(
            "a report needs time, outcome and threshold of at least one selection; found shapes "
            f"{times.shape}, {hits.shape}, {through.shape}"
        )
    mean_s, accuracy = float(times.mean()), float(hits.mean())
    return SelectionReport(
        n=len(times),
        mean_s=mean_s,
        accuracy=accuracy,
        n_passed=int(through.sum()),
        error_passed=_share_wrong(hits[through]),
        error_forced=_share_wrong(hits[~through]),
        itr=itr(accuracy, n_classes, mean_s + gaze_shift_s),
        itr_evidence=itr(accuracy, n_classes, mean_s),
        correct_per_min=correct_selections_per_minute(accuracy, mean_s + gaze_shift_s),
    )


def _share_wrong(hits: np.ndarray) -> float | None:
    return float(np.mean(~hits)) if len(hits) else None


def expected_calibration_error(confidence: ArrayLike, right: ArrayLike, n_bins: int = 10) -> float:
    """Mean distance between what was promised and what came, weighted by how often [1]_.

    Bins hold equally many answers, so that none is judged by a handful.

    Parameters
    ----------
    confidence : array, shape (n,)
        Probability that each answer is right, as its decoder gave it.
    right : array of bool, shape (n,)
    n_bins : int
        At most n are made.

    Raises
    ------
    ValueError
        There is no answer, or shapes differ.

    References
    ----------
    .. [1] Guo, Pleiss, Sun, Weinberger (2017). On calibration of modern neural
       networks. ICML.
    """
    promised, hits = np.asarray(confidence, dtype=np.float64), np.asarray(right, dtype=bool)
    if promised.ndim != 1 or not len(promised) or promised.shape != hits.shape or n_bins < 1:
        raise ValueError(
            f"calibration needs answers and bins; found shapes {promised.shape} and {hits.shape}, "
            f"{n_bins} bins"
        )
    order = np.argsort(promised, kind="stable")
    bins = np.array_split(order, min(n_bins, len(order)))
    gaps = [len(b) * abs(promised[b].mean() - hits[b].mean()) for b in bins]
    return float(np.sum(gaps) / len(order))


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
