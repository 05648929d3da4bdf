"""Curves of a report: learning, transfer rate, reliability."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from bci.benchmark.report.data import Panel, colours, labels, subject_point
from bci.benchmark.report.rows import CURVES, ONLINE, Row, grouped, known, scored, spoken
from bci.benchmark.report.svg import N_COLOURS, Figure, Scale, shorten
from bci.metrics import GAZE_SHIFT_S, accuracy_interval, itr, mean_interval, mean_itr

_W, _H = 268.0, 190.0


@dataclass(frozen=True, slots=True)
class Knot:
    """A value with its interval at one place of a curve."""

    x: float
    y: float
    low: float
    high: float


Curve = tuple[Knot, ...]


@dataclass(frozen=True)
class Facet:
    """Curves of one pipeline: every subject's, and their mean with its interval.

    `second` is a mean drawn dashed, told in the caption.
    """

    pipeline: str
    colour: int
    subjects: Mapping[str, Curve]
    mean: Curve
    second: Curve = ()

    @classmethod
    def of(
        cls, pipeline: str, colour: int, subjects: Mapping[str, Curve], second: Curve = ()
    ) -> Facet:
        """With the mean over subjects."""
        return cls(pipeline, colour, subjects, _mean(list(subjects.values())), second)


@dataclass(frozen=True)
class Facets:
    """The pipelines on one data set, drawn side by side on the same axes."""

    title: str
    x_label: str
    y_label: str
    y_range: tuple[float, float]
    percent: bool
    facets: tuple[Facet, ...]
    chance: float = math.nan


def learning_curves(rows: Sequence[Row]) -> Iterator[Facets]:
    """Score against minutes of training data, by data set."""
    number, name = colours(rows), labels(rows)
    good = [row for row in scored(rows) if row.evaluation_kind == CURVES and row.minutes_train >= 0]
    for title, of_set in _by_evaluation(good).items():
        metric = next((row.metric for row in of_set if row.metric), "accuracy")
        facets = tuple(
            Facet.of(
                name[pipeline], number[pipeline], _by_subject(some, partial(_learning, metric))
            )
            for pipeline, some in grouped(of_set, lambda row: row.pipeline).items()
        )
        chance = next(iter(known(row.chance for row in of_set)), math.nan)
        lows = [k.low for f in facets for c in f.subjects.values() for k in c]
        floor = max(0.0, math.floor(10 * min([*lows, *known([chance])])) / 10)
        percent = metric != "roc_auc"
        label = "accuracy, %" if percent else "area under the ROC curve"
        yield Facets(
            title, "minutes of training data", label, (floor, 1.0), percent, facets, chance
        )


def transfer_rates(rows: Sequence[Row]) -> Iterator[Facets]:
    """Transfer rate against window length, where rows tell accuracy and several lengths."""
    number, name = colours(rows), labels(rows)
    for title, of_set in rated(rows).items():
        facets = []
        for pipeline, some in grouped(of_set, lambda row: row.pipeline).items():
            bare = _by_subject(some, partial(_rates, 0.0))
            with_gaze = _by_subject(some, partial(_rates, GAZE_SHIFT_S))
            second = _mean(list(bare.values()))
            facets.append(Facet.of(name[pipeline], number[pipeline], with_gaze, second))
        tops = [k.high for f in facets for c in f.subjects.values() for k in c]
        tops += [k.y for f in facets for k in f.second]
        y_range = (0.0, 1.05 * max([*tops, 1.0]))
        yield Facets(title, "window, s", "bit/min", y_range, False, tuple(facets))


def rated(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Rows that transfer rates are told of: accuracies at several window lengths, by title."""
    good = [
        _accuracy(row)
        for row in scored(rows)
        if row.evaluation_kind not in (CURVES, ONLINE) and row.window_s > 0 and row.n_classes >= 2
    ]
    found = _by_evaluation([row for row in good if row.metric == "accuracy"])
    return {k: some for k, some in found.items() if len({row.window_s for row in some}) > 1}


def _accuracy(row: Row) -> Row:
    """The row with its accuracy as score, where its answers tell it."""
    truth, said = row.details.get("y_true"), row.details.get("y_pred")
    if row.metric == "accuracy" or not truth or not said:
        return row
    hits = [one == other for one, other in zip(truth, said, strict=True)]
    return replace(row, score=sum(hits) / len(hits), metric="accuracy", chance=1 / row.n_classes)


def session_rate(rows: Sequence[Row], gaze_s: float) -> float:
    """Mean over one subject's sessions of each session's transfer rate, bit/min.

    All rows are of one window length; a session's accuracy is the mean over its folds.
    """
    accuracies = [
        float(np.mean([row.score for row in some]))
        for some in grouped(rows, lambda row: row.session).values()
    ]
    return mean_itr(accuracies, int(rows[0].n_classes), rows[0].window_s + gaze_s)


def reliability(panel: Panel) -> Facets | None:
    """Accuracy against confidence of online decisions, ten bins over all subjects.

    None where no decision had a confidence.
    """
    facets = []
    for lane in panel.lanes:
        curve = _reliability([row.details.get("reliability") or [] for row in panel.of(lane)])
        facets.append(Facet(lane.label, lane.colour, {}, curve))
    if not any(facet.mean for facet in facets):
        return None
    return Facets(
        panel.dataset, "confidence, %", "decisions that were right, %", (0.0, 1.0), True,
        tuple(facets),
    )  # fmt: skip


def draw_facet(facets: Facets, facet: Facet, *, diagonal: bool = False) -> Figure:
    """One pipeline's curves; the other pipelines' means in grey behind them."""
    left, top, stroke = 50.0, 34.0, f"s{facet.colour % N_COLOURS}"
    figure = Figure(left + _W + 12, top + _H + 44, f"{facets.title}: {facet.pipeline}")
    x = Scale(*_x_range(facets, diagonal), left, left + _W)
    y = Scale(*facets.y_range, top + _H, top)
    _axes(figure, facets, x, y, diagonal)
    figure.text(left, 22, shorten(facet.pipeline, 34), "name", title=facet.pipeline)
    if not diagonal:
        for other in facets.facets:
            if other is not facet:
                figure.path([(x(k.x), y(k.y)) for k in other.mean], "ghost")
    for place, (name, curve) in enumerate(facet.subjects.items()):
        aside = _aside(place, len(facet.subjects))
        figure.path([(x(k.x) + aside, y(k.y)) for k in curve], f"thin {stroke}")
        for k in curve:
            at = x(k.x) + aside
            figure.line(at, y(k.low), at, y(k.high), "whisker")
            told = f"{name}: {_tell(facets, k.y)} ({_tell(facets, k.low)}–{_tell(facets, k.high)})"
            figure.dot(at, y(k.y), facet.colour, f"{told} at {k.x:g}")
    figure.path([(x(k.x), y(k.y)) for k in facet.second], f"dashed {stroke}")
    figure.path([(x(k.x), y(k.y)) for k in facet.mean], f"thick {stroke}")
    for k in facet.mean:
        if math.isfinite(k.low):
            figure.line(x(k.x), y(k.low), x(k.x), y(k.high), f"bar strong {stroke}")
        figure.mark(x(k.x), y(k.y), facet.colour, r=3.6, title=f"{_tell(facets, k.y)} at {k.x:g}")
    if "SIMULATED" in facets.title:
        figure.text(left + _W - 4, top + 14, "SIMULATED", "sim", "end")
    return figure


def _by_evaluation(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Rows by data set and evaluation; a learning curve under its kind's name needs none."""
    return grouped(
        rows,
        lambda row: (
            row.dataset if row.evaluation == CURVES else f"{row.dataset} · {spoken(row.evaluation)}"
        ),
    )


def _by_subject(rows: Sequence[Row], curve: Callable[[Sequence[Row]], Curve]) -> dict[str, Curve]:
    return {s: curve(some) for s, some in grouped(rows, lambda row: row.subject).items()}


def _mean(curves: Sequence[Curve]) -> Curve:
    """Mean of curves where two or more have a knot; t interval over subjects."""
    places = Counter(k.x for curve in curves for k in curve)
    knots = []
    for x in sorted(place for place, n in places.items() if n >= 2):
        values = [k.y for curve in curves for k in curve if k.x == x]
        knots.append(Knot(x, float(np.mean(values)), *mean_interval(values)))
    return tuple(knots)


def _learning(metric: str, rows: Sequence[Row]) -> Curve:
    """One subject's curve; repeats share trials, so the interval counts a session's once."""
    knots = []
    for x, some in sorted(grouped(rows, lambda row: round(row.minutes_train, 2)).items()):
        point = subject_point("", some, metric, math.nan)
        knots.append(Knot(x, point.value, point.low, point.high))
    return tuple(knots)


def _rates(gaze_s: float, rows: Sequence[Row]) -> Curve:
    """One subject's transfer rates, with those at both ends of its accuracy's interval."""
    knots = []
    for seconds, some in sorted(grouped(rows, lambda row: row.window_s).items()):
        point, rate = subject_point("", some, "accuracy", math.nan), session_rate(some, gaze_s)
        m = int(some[0].n_classes)
        low, high = (itr(p, m, seconds + gaze_s) for p in (point.low, point.high))
        # the mean of the sessions' rates is above the rate of their mean accuracy
        knots.append(Knot(seconds, rate, min(low, rate), max(high, rate)))
    return tuple(knots)


def _reliability(tables: Sequence[Sequence[Sequence[float]]]) -> Curve:
    entries = [entry for table in tables for entry in table if len(entry) == 3 and entry[2] > 0]
    knots = []
    for decile in range(10):
        here = [e for e in entries if max(0, math.ceil(10 * e[0]) - 1) == decile]
        n = round(sum(e[2] for e in here))
        if n:
            hits = round(sum(e[1] * e[2] for e in here))
            confidence = sum(e[0] * e[2] for e in here) / n
            knots.append(Knot(confidence, hits / n, *accuracy_interval(min(hits, n), n)))
    return tuple(knots)


def _x_range(facets: Facets, diagonal: bool) -> tuple[float, float]:
    places = [k.x for f in facets.facets for c in (*f.subjects.values(), f.mean) for k in c]
    return (0.0, 1.0) if diagonal else (0.0, 1.06 * max(places, default=1.0))


def _axes(figure: Figure, facets: Facets, x: Scale, y: Scale, diagonal: bool) -> None:
    for tick in y.ticks(5):
        figure.line(x.start, y(tick), x.stop, y(tick), "grid")
        figure.text(x.start - 6, y(tick) + 4, _tick(facets, tick), "tick", "end")
    for tick in x.ticks(5):
        label = f"{100 * tick:.0f}" if diagonal else f"{tick:g}"
        figure.text(x(tick), y.start + 16, label, "tick", "middle")
    if diagonal:
        figure.line(x.start, y.start, x.stop, y.stop, "zero")
    if math.isfinite(facets.chance):
        figure.line(x.start, y(facets.chance), x.stop, y(facets.chance), "chance")
        figure.text(x.stop - 4, y(facets.chance) - 4, "chance", "small", "end")
    figure.line(x.start, y.start, x.stop, y.start, "zero")
    figure.text((x.start + x.stop) / 2, y.start + 36, facets.x_label, "axis", "middle")
    figure.text_up(12, (y.start + y.stop) / 2, facets.y_label, "axis")


def _aside(place: int, n: int) -> float:
    """Pixels that subject `place` of `n` stands aside, so that intervals don't hide each other."""
    return (place - (n - 1) / 2) * min(2.4, 16.0 / n)


def _tell(facets: Facets, value: float) -> str:
    return f"{100 * value:.1f}" if facets.percent else f"{value:.3g}"


def _tick(facets: Facets, value: float) -> str:
    return f"{100 * value:.0f}" if facets.percent else f"{value:g}"
