"""From a results frame to what a report shows: scores by subject, with intervals.

A subject's score is the mean over folds, then over sessions, as MOABB averages;
its interval comes from the test trials of all of them. A mean over subjects
never stands without them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from bci.benchmark.chance import Interval, beats_chance, chance_band
from bci.benchmark.report.intervals import score_interval
from bci.benchmark.report.rows import (
    CURVES,
    ONLINE,
    PARTITIONS,
    Row,
    grouped,
    known,
    natural,
    scored,
    spoken,
)
from bci.metrics import mean_interval


@dataclass(frozen=True, slots=True)
class Point:
    """A subject's value with its interval.

    `solid` marks a score that guessing rarely reaches; `n` are its test trials;
    `note` says what is missing.
    """

    name: str
    value: float
    low: float
    high: float
    n: int = 0
    solid: bool = True
    note: str = ""


@dataclass(frozen=True, slots=True)
class Lane:
    """What one pipeline reached, subject by subject.

    `colour` is the pipeline's number in the whole report; `n_asked` counts the
    subjects that it was asked to score, failures included.
    """

    pipeline: str
    points: tuple[Point, ...]
    colour: int
    n_asked: int
    seen: str = ""

    @property
    def label(self) -> str:
        """Name, and what of the test it saw beyond the window that it answers."""
        return f"{self.pipeline} ({self.seen})" if self.seen else self.pipeline

    @property
    def mean(self) -> float:
        """Mean over subjects; nan where there is none."""
        return float(np.mean([p.value for p in self.points])) if self.points else math.nan

    @property
    def interval(self) -> Interval:
        """95 % interval of the mean over subjects."""
        return mean_interval([p.value for p in self.points])


@dataclass(frozen=True)
class Panel:
    """One data set under one evaluation: pipelines to be compared.

    `band` is where 95 % of guessers score with as many trials as the subject
    with the fewest had.
    """

    dataset: str
    evaluation: str
    metric: str
    window_s: float
    chance: float
    band: Interval
    lanes: tuple[Lane, ...]
    subjects: tuple[str, ...]
    rows: tuple[Row, ...] = field(repr=False)

    def of(self, lane: Lane) -> list[Row]:
        """Rows with a score of one pipeline."""
        return [row for row in self.rows if row.pipeline == lane.pipeline and row.good]

    @property
    def title(self) -> str:
        """Data set, evaluation and, where several were tried, window length."""
        window = f" · {self.window_s:g} s windows" if math.isfinite(self.window_s) else ""
        return f"{self.dataset} · {spoken(self.evaluation)}{window}"

    @property
    def as_percent(self) -> bool:
        """Accuracies are told in percent, areas under the curve from 0 to 1."""
        return self.metric != "roc_auc"

    @property
    def unit(self) -> str:
        """What the score is."""
        return "accuracy, %" if self.as_percent else "area under the ROC curve"

    def tell(self, value: float) -> str:
        """A score in the panel's unit."""
        if not math.isfinite(value):
            return "–"
        return f"{100 * value:.1f}" if self.as_percent else f"{value:.3f}"


def colours(rows: Iterable[Row]) -> dict[str, int]:
    """A number for each pipeline, the same in every figure."""
    names = sorted({row.pipeline for row in rows}, key=natural)
    return {name: k for k, name in enumerate(names)}


def labels(rows: Iterable[Row]) -> dict[str, str]:
    """Every pipeline's name, with what of the test it saw beyond the window that it answers."""
    by_name = grouped(rows, lambda row: row.pipeline)
    seen = {name: _seen(some) for name, some in by_name.items()}
    return {name: f"{name} ({seen[name]})" if seen[name] else name for name in by_name}


def _seen(rows: Iterable[Row]) -> str:
    return next((row.seen for row in rows if row.seen), "")


def panels(rows: Sequence[Row], *, online: bool = False) -> Iterator[Panel]:
    """Panels of the epoched evaluations, or of the pseudo-online one, in order."""
    number = colours(rows)
    own = [
        row
        for row in rows
        if row.evaluation_kind != CURVES and (row.evaluation_kind == ONLINE) == online
    ]
    for of_set in grouped(own, lambda row: (row.dataset, row.evaluation)).values():
        lengths = sorted({row.window_s for row in of_set if math.isfinite(row.window_s)})
        for length in lengths if len(lengths) > 1 else [math.nan]:
            part = [row for row in of_set if math.isnan(length) or row.window_s == length]
            if scored(part):
                yield _panel(length, part, number)


def subject_point(name: str, rows: Sequence[Row], metric: str, chance: float) -> Point:
    """Score of one subject: mean over folds, then over sessions; interval from its trials."""
    good = scored(rows)
    sessions = grouped(good, lambda row: row.session).values()
    score = float(np.mean([np.mean([row.score for row in of_one]) for of_one in sessions]))
    n, positive = count_trials(good)
    low, high = score_interval(metric, score, positive, n)
    note = "" if len(good) == len(rows) else f"{len(good)} of {len(rows)} folds"
    solid = beats_chance(metric, score, chance, positive, n)
    return Point(name, score, low, high, n, solid, note)


def count_trials(rows: Sequence[Row]) -> tuple[int, int]:
    """Test trials of one subject's rows, and how many are of the class that sorts last.

    Folds within a session test every trial once. Elsewhere rows of one session
    may share their test: the largest counts, and no trial twice.
    """
    n = 0.0
    for (kind, _), some in grouped(rows, lambda r: (r.evaluation_kind, r.session)).items():
        tested = [row.n_test for row in some]
        n += sum(tested) if kind in PARTITIONS else max(tested)
    truth = [str(y) for row in rows for y in row.details.get("y_true") or ()]
    share = truth.count(max(truth)) / len(truth) if truth else 0.0
    return round(n), round(share * n)


def _panel(window_s: float, rows: Sequence[Row], number: Mapping[str, int]) -> Panel:
    good = scored(rows)
    metric = next((row.metric for row in good if row.metric), "accuracy")
    chance = next(iter(known(row.chance for row in good)), math.nan)
    subjects = tuple(sorted({row.subject for row in rows}, key=natural))
    lanes = []
    for pipeline, some in grouped(rows, lambda row: row.pipeline).items():
        points = tuple(
            subject_point(subject, of_subject, metric, chance)
            for subject, of_subject in grouped(some, lambda row: row.subject).items()
            if scored(of_subject)
        )
        lanes.append(Lane(pipeline, points, number[pipeline], len(subjects), _seen(some)))
    dataset, evaluation = rows[0].dataset, rows[0].evaluation
    band = _band(good, metric, chance)
    return Panel(
        dataset, evaluation, metric, window_s, chance, band, tuple(lanes), subjects, tuple(rows)
    )


def _band(good: Sequence[Row], metric: str, chance: float) -> Interval:
    """The widest band of chance among subjects and pipelines."""
    by_one = grouped(good, lambda row: (row.pipeline, row.subject)).values()
    counts = [count for count in map(count_trials, by_one) if count[0] > 0]
    n, positive = min(counts, default=(0, 0))
    return chance_band(metric, chance, positive, n)
