"""What a pseudo-online evaluation found: the counts, the figures drawn from them, as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isnan, nan
from typing import Any

import numpy as np

from bci.benchmark.matching import FalseActivation, Trial
from bci.metrics import accuracy_interval, chance_bound, latency_percentiles
from bci.types import FloatArray

#: Key of false activations, and of silent trials, in the confusion table.
IDLE, NONE = "idle", "none"

#: (mean confidence, share of right ones, number) of the activations in one bin.
Bin = tuple[float, float, int]


@dataclass(frozen=True, slots=True)
class PseudoOnlineResult:
    """How a decoder did on continuous recordings; see `bci.benchmark.matching.RULES`.

    Attributes
    ----------
    trials, false : tuple
        Trials, and false activations, of all sessions in order.
    n_idle_right, n_idle_in_trials, n_abstained : int
    abstentions : mapping of str to int
        See `bci.benchmark.matching.Matched`.
    minutes_idle, minutes_rest : float
        Minutes outside trials, and those of them that are marked as rest.
    n_classes : int
        Labels of the decoder that are not idle.
    itrs : tuple of (float, float)
        Bit/min of each session, without and with gaze shift; NaN where not defined
        (no trial, or a single label).
    said, said_idle : tuple
        Confidence and rightness of activations; see `bci.benchmark.matching.Matched`.
    decode_ms : array, shape (n_windows,)
        Milliseconds from the push of the samples that completed a window to its decision:
        processing, window, decoder and policy.
    n_bins : int
    rules : str
        The matching rules with all their numbers.
    """

    trials: tuple[Trial, ...] = field(repr=False)
    false: tuple[FalseActivation, ...] = field(repr=False)
    n_idle_right: int
    n_idle_in_trials: int
    n_abstained: int
    abstentions: Mapping[str, int]
    minutes_idle: float
    minutes_rest: float
    n_classes: int
    itrs: tuple[tuple[float, float], ...]
    said: tuple[tuple[float, bool], ...] = field(repr=False)
    said_idle: tuple[float, ...] = field(repr=False)
    decode_ms: FloatArray = field(repr=False)
    n_bins: int
    rules: str = field(repr=False)

    # --- trials ----------------------------------------------------------------------------------

    @property
    def n_first_right(self) -> int:
        """Trials whose first activation is right."""
        return sum(t.first == t.asked for t in self.trials)

    @property
    def score(self) -> float:
        """Accuracy: share of trials whose first activation is right; NaN without trials."""
        return self.n_first_right / len(self.trials) if self.trials else nan

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval of `score`."""
        return accuracy_interval(self.n_first_right, len(self.trials))

    @property
    def chance(self) -> float:
        """What guessing would reach that answers in every trial."""
        return 1.0 / self.n_classes

    @property
    def hits(self) -> int:
        """Trials with a right activation."""
        return sum(t.hit_s is not None for t in self.trials)

    @property
    def misses(self) -> int:
        """Trials without a right activation."""
        return len(self.trials) - self.hits

    @property
    def silent(self) -> int:
        """Trials without any activation."""
        return sum(t.first is None for t in self.trials)

    @property
    def errors(self) -> int:
        """Activations with a wrong label in trials."""
        return sum(t.n_errors for t in self.trials)

    @property
    def time_to_decision_s(self) -> list[float]:
        """Seconds from marker to first activation, of the trials that have one."""
        return [t.decided_s for t in self.trials if t.decided_s is not None]

    @property
    def itr(self) -> float:
        """Mean of the sessions' ITRs, bit/min, without gaze shift; NaN where not defined."""
        return mean_of([without for without, _ in self.itrs])

    @property
    def itr_with_gaze(self) -> float:
        """Mean of the sessions' ITRs, bit/min, with gaze shift; NaN where not defined."""
        return mean_of([with_gaze for _, with_gaze in self.itrs])

    @property
    def confusion(self) -> dict[str, dict[str, int]]:
        """``[asked][first activation]`` of the trials; row "idle": the false activations."""
        asked = sorted({t.asked for t in self.trials})
        rows = {a: Counter(t.first or NONE for t in self.trials if t.asked == a) for a in asked}
        rows[IDLE] = Counter(f.label for f in self.false)
        return {label: dict(sorted(row.items())) for label, row in rows.items()}

    # --- idle time -------------------------------------------------------------------------------

    @property
    def false_per_min(self) -> float:
        """False activations per minute of idle time; NaN without idle time."""
        return len(self.false) / self.minutes_idle if self.minutes_idle > 0.0 else nan

    @property
    def false_per_min_rest(self) -> float:
        """False activations per minute of marked rest; NaN without rest."""
        in_rest = sum(f.in_rest for f in self.false)
        return in_rest / self.minutes_rest if self.minutes_rest > 0.0 else nan

    # --- calibration -----------------------------------------------------------------------------

    @property
    def reliability(self) -> list[Bin]:
        """Non-empty bins of confidence; see `reliability_curve`."""
        return reliability_curve(self.said, self.n_bins)

    @property
    def ece(self) -> float:
        """Expected calibration error of the activations in trials; NaN without any."""
        return expected_calibration_error(self.reliability)

    @property
    def ece_with_idle(self) -> float:
        """The same where false activations count too, as wrong."""
        everything = [*self.said, *((confidence, False) for confidence in self.said_idle)]
        return expected_calibration_error(reliability_curve(everything, self.n_bins))

    def details(self) -> dict[str, Any]:
        """All of it as JSON holds it: undefined figures are None."""
        percentiles = latency_percentiles(self.decode_ms.tolist())
        low, high = self.interval
        found = {
            "trials": len(self.trials),
            "first_right": self.n_first_right,
            "interval": [low, high],
            "n_classes": self.n_classes,
            "chance": self.chance,
            "chance_bound": _bound(len(self.trials), self.n_classes),
            "y_true": [t.asked for t in self.trials],
            "y_pred": [t.first or NONE for t in self.trials],
            "hits": self.hits,
            "misses": self.misses,
            "silent": self.silent,
            "errors": self.errors,
            "repeats": sum(t.n_repeats for t in self.trials),
            "false_activations": len(self.false),
            "false_in_rest": sum(f.in_rest for f in self.false),
            "false_carried": sum(f.carried for f in self.false),
            "false_late": sum(f.late for f in self.false),
            "minutes_idle": self.minutes_idle,
            "minutes_rest": self.minutes_rest,
            "false_per_min": self.false_per_min,
            "false_per_min_rest": self.false_per_min_rest,
            "idle_right": self.n_idle_right,
            "idle_in_trials": self.n_idle_in_trials,
            "abstentions": self.n_abstained,
            "abstention_reasons": dict(self.abstentions),
            "time_to_decision_s": self.time_to_decision_s,
            "itr": self.itr,
            "itr_with_gaze": self.itr_with_gaze,
            "decode_ms_p50": percentiles.get(50.0, nan),
            "decode_ms_p99": percentiles.get(99.0, nan),
            "ece": self.ece,
            "ece_with_idle": self.ece_with_idle,
            "reliability": [list(b) for b in self.reliability],
            "confusion": self.confusion,
            "rules": self.rules,
        }
        return {key: None if _is_nan(value) else value for key, value in found.items()}


def pool(results: Sequence[PseudoOnlineResult]) -> PseudoOnlineResult:
    """Several sessions as one: counts are added, the ITR is the mean of the sessions' ITRs.

    Raises
    ------
    ValueError
        There is no result, or they were judged by other rules.
    """
    if len({r.rules for r in results}) != 1:
        raise ValueError("results can be pooled only where there are some, judged by one rule")
    first = results[0]
    return PseudoOnlineResult(
        tuple(t for r in results for t in r.trials),
        tuple(f for r in results for f in r.false),
        sum(r.n_idle_right for r in results),
        sum(r.n_idle_in_trials for r in results),
        sum(r.n_abstained for r in results),
        dict(sum((Counter(r.abstentions) for r in results), Counter())),
        sum(r.minutes_idle for r in results),
        sum(r.minutes_rest for r in results),
        first.n_classes,
        tuple(pair for r in results for pair in r.itrs),
        tuple(s for r in results for s in r.said),
        tuple(s for r in results for s in r.said_idle),
        np.concatenate([r.decode_ms for r in results]),
        first.n_bins,
        first.rules,
    )


def reliability_curve(said: Iterable[tuple[float, bool]], n_bins: int = 10) -> list[Bin]:
    """Confidence against accuracy in bins of equal width over 0 to 1; empty bins are left out.

    Guo, Pleiss, Sun, Weinberger (2017). On calibration of modern neural networks. ICML.

    Parameters
    ----------
    said : iterable of (float, bool)
        Probability of what was said, and whether it was right; NaN is left out.
    """
    pairs = np.array([(p, right) for p, right in said if not isnan(p)], float).reshape(-1, 2)
    # bins (a, b], so that a probability of exactly 1 is in the last one
    number = np.clip(np.ceil(pairs[:, 0] * n_bins).astype(int) - 1, 0, n_bins - 1)
    curve = []
    for k in np.unique(number):
        confidence, right = pairs[number == k].T
        curve.append((float(confidence.mean()), float(right.mean()), len(right)))
    return curve


def expected_calibration_error(curve: Sequence[Bin]) -> float:
    """Mean distance of accuracy from confidence, weighted by the bins' numbers; NaN if empty."""
    n = sum(count for _, _, count in curve)
    return sum(count * abs(right - said) for said, right, count in curve) / n if n else nan


def _bound(n: int, n_classes: int) -> int | None:
    return chance_bound(n, n_classes) if n and n_classes >= 2 else None


def mean_of(values: Sequence[float]) -> float:
    """Mean of the values that are numbers; NaN where there is none."""
    numbers = [v for v in values if not isnan(v)]
    return sum(numbers) / len(numbers) if numbers else nan


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and isnan(value)
