"""The pseudo-online part of a report: what a user would have met."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bci.benchmark.report.data import Lane, Panel, Point
from bci.benchmark.report.intervals import rate_interval
from bci.benchmark.report.rows import Row, grouped
from bci.html import Table


@dataclass(frozen=True)
class Counts:
    """What one subject's decisions came to, all sessions together.

    `decided_s` are the times to decision; rates are weighted by their sessions;
    `thresholds` are those that were chosen for the sessions on others.
    """

    hits: int
    misses: int
    n: int
    false: int
    minutes_idle: float
    false_in_rest: int
    minutes_rest: float
    abstentions: int
    reasons: Counter[str]
    silent: int
    decided_s: tuple[float, ...]
    itr: float
    itr_with_gaze: float
    ece: float
    thresholds: tuple[float, ...]


def counts(rows: Sequence[Row]) -> Counts:
    """Sum up the sessions of one subject and pipeline; ITR as the mean of the sessions'."""
    details = [row.details for row in rows]

    def total(key: str) -> float:
        return float(sum(_real(d.get(key), 0.0) for d in details))

    hits, misses = int(total("hits")), int(total("misses"))
    n = round(sum(row.n_test for row in rows)) or hits + misses
    itr, itr_with_gaze, ece = (
        _mean([d.get(key) for d in details]) for key in ("itr", "itr_with_gaze", "ece")
    )
    return Counts(
        hits, misses, n, int(total("false_activations")), total("minutes_idle"),
        int(total("false_in_rest")), total("minutes_rest"), int(total("abstentions")),
        sum((Counter(d.get("abstention_reasons") or {}) for d in details), Counter()),
        int(total("silent")),
        tuple(float(s) for d in details for s in d.get("time_to_decision_s") or ()),
        itr, itr_with_gaze, ece,
        tuple(float(d["threshold"]) for d in details if "threshold" in d),
    )  # fmt: skip


def online_tables(panel: Panel) -> tuple[Table, Table]:
    """Every subject under every pipeline: what came of the trials, and of idle time."""
    trials, idle = [], []
    for lane in panel.lanes:
        found = _counts(panel, lane)
        for point in lane.points:
            c, who = found[point.name], (lane.label, point.name)
            low, high = panel.tell(point.low), panel.tell(point.high)
            trials.append((
                *who, f"{panel.tell(point.value)} [{low}–{high}]", f"{c.hits} of {c.n}",
                f"{c.misses} ({c.silent})", _times(c.decided_s),
                f"{_told(c.itr_with_gaze, 1)} / {_told(c.itr, 1)}", _told(c.ece, 3),
            ))  # fmt: skip
            idle.append((
                *who, _false(c.false, c.minutes_idle), _false(c.false_in_rest, c.minutes_rest),
                _abstentions(c), ", ".join(f"{t:g}" for t in c.thresholds) or "fixed",
            ))  # fmt: skip
    of_trials = (
        "pipeline", "subject", "accuracy, % [95 %]", "hits", "misses (silent)",
        "time to decision, s", "bit/min with / without gaze shift", "ECE",
    )  # fmt: skip
    of_idle = (
        "pipeline", "subject", "false activations a minute [95 %]", "in marked rest a minute",
        "abstentions", "threshold",
    )  # fmt: skip
    return (
        Table(f"{panel.title}: trials", of_trials, tuple(trials), 2),
        Table(f"{panel.title}: idle time", of_idle, tuple(idle), 2),
    )


def false_lanes(panel: Panel) -> tuple[Lane, ...]:
    """False activations a minute by subject, with the exact Poisson interval."""

    def point(subject: str, c: Counts) -> Point | None:
        if not c.minutes_idle > 0:
            return None
        low, high = rate_interval(c.false, c.minutes_idle)
        return Point(subject, c.false / c.minutes_idle, low, high)

    return _lanes(panel, point)


def time_lanes(panel: Panel) -> tuple[Lane, ...]:
    """Median time to decision by subject, with the span of the middle 80 %."""

    def point(subject: str, c: Counts) -> Point | None:
        if not c.decided_s:
            return None
        low, middle, high = np.percentile(c.decided_s, (10, 50, 90)).tolist()
        return Point(subject, middle, low, high)

    return _lanes(panel, point)


def rules(panels: Sequence[Panel]) -> dict[str, tuple[str, ...]]:
    """The rules that decisions were judged by, as the results state them, and whose they are."""
    found: dict[str, dict[str, None]] = {}
    for panel in panels:
        for row in panel.rows:
            if text := row.details.get("rules"):
                found.setdefault(str(text).strip(), {})[panel.title] = None
    return {text: tuple(titles) for text, titles in found.items()}


def _counts(panel: Panel, lane: Lane) -> dict[str, Counts]:
    by_subject = grouped(panel.of(lane), lambda row: row.subject)
    return {subject: counts(rows) for subject, rows in by_subject.items()}


def _lanes(panel: Panel, point: Callable[[str, Counts], Point | None]) -> tuple[Lane, ...]:
    lanes = []
    for lane in panel.lanes:
        found = [point(subject, c) for subject, c in _counts(panel, lane).items()]
        lanes.append(replace(lane, points=tuple(p for p in found if p is not None)))
    return tuple(lanes)


def _false(n: int, minutes: float) -> str:
    if not minutes > 0:
        return "–"
    low, high = rate_interval(n, minutes)
    return f"{n / minutes:.2f} [{low:.2f}–{high:.2f}], {n} in {minutes:.1f} min"


def _abstentions(c: Counts) -> str:
    reasons = ", ".join(f"{reason} {n}" for reason, n in c.reasons.most_common())
    return f"{c.abstentions} ({reasons})" if reasons else str(c.abstentions)


def _times(seconds: Sequence[float]) -> str:
    if not seconds:
        return "–"
    low, middle, high = np.percentile(seconds, (10, 50, 90))
    return f"{middle:.2f} ({low:.2f}–{high:.2f})"


def _real(value: Any, default: float) -> float:
    good = isinstance(value, int | float) and math.isfinite(value)
    return float(value) if good else default


def _mean(values: Sequence[Any]) -> float:
    found = [v for v in (_real(value, math.nan) for value in values) if math.isfinite(v)]
    return float(np.mean(found)) if found else math.nan


def _told(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if math.isfinite(value) else "–"
