"""Curves of a report: learning, transfer rate, reliability."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bci.benchmark.report_data import CURVES, Panel, colours, first, groups, scored, spoken
from bci.benchmark.report_intervals import mean_interval, score_interval
from bci.benchmark.report_svg import Figure, Scale, shorten
from bci.metrics import accuracy_interval, itr

#: Seconds of gaze shift that the SSVEP literature adds to each selection.
GAZE_S = 0.5
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


def learning_curves(frame: pd.DataFrame) -> Iterator[Facets]:
    """Score against minutes of training data, by data set."""
    rows = scored(frame[(frame["evaluation"] == CURVES) & frame["minutes_train"].notna()])
    number = colours(frame)
    for (dataset,), of_set in groups(rows, "dataset"):
        metric = str(first(of_set["metric"], "accuracy"))
        facets = tuple(
            _facet(
                pipeline, number[pipeline],
                {s: _learning(r, metric) for (s,), r in groups(of_pipeline, "subject")},
            )
            for (pipeline,), of_pipeline in groups(of_set, "pipeline")
        )  # fmt: skip
        chance = float(first(of_set["chance"], math.nan))
        lows = [k.low for f in facets for c in f.subjects.values() for k in c]
        floor = max(0.0, math.floor(10 * min([*lows, chance if chance > 0 else 1.0])) / 10)
        percent = metric != "roc_auc"
        label = "accuracy, %" if percent else "area under the ROC curve"
        yield Facets(
            dataset, "minutes of training data", label, (floor, 1.0), percent, facets, chance
        )


def transfer_rates(frame: pd.DataFrame) -> Iterator[Facets]:
    """Transfer rate against window length, where rows tell accuracy and length."""
    rows = scored(frame[(frame["metric"] == "accuracy") & ~frame["evaluation"].isin((CURVES,))])
    rows = rows[(rows["window_s"] > 0) & (rows["n_classes"] >= 2)]
    number = colours(frame)
    for (dataset, evaluation), of_set in groups(rows, "dataset", "evaluation"):
        facets = []
        for (pipeline,), of_pipeline in groups(of_set, "pipeline"):
            by_subject = {s: _rates(r, GAZE_S) for (s,), r in groups(of_pipeline, "subject")}
            bare = [_rates(r, 0.0) for _, r in groups(of_pipeline, "subject")]
            facets.append(_facet(pipeline, number[pipeline], by_subject, _mean(bare)))
        tops = [k.high for f in facets for c in f.subjects.values() for k in c]
        tops += [k.y for f in facets for k in f.second]
        yield Facets(
            f"{dataset} · {spoken(evaluation)}", "window, s", "bit/min",
            (0.0, 1.05 * max([*tops, 1.0])), False, tuple(facets),
        )  # fmt: skip


def reliability(panel: Panel) -> Facets | None:
    """Accuracy against confidence of online decisions, ten bins over all subjects.

    None where no decision had a confidence.
    """
    facets = []
    for lane in panel.lanes:
        rows = panel.rows[panel.rows["pipeline"] == lane.pipeline]
        curve = _reliability([d.get("reliability") or [] for d in rows["parsed"]])
        facets.append(Facet(lane.pipeline, lane.colour, {}, curve))
    if not any(facet.mean for facet in facets):
        return None
    return Facets(
        panel.dataset, "confidence, %", "decisions that were right, %", (0.0, 1.0), True,
        tuple(facets),
    )  # fmt: skip


def draw_facet(facets: Facets, facet: Facet, *, diagonal: bool = False) -> Figure:
    """One pipeline's curves; the other pipelines' means in grey behind them."""
    left, top = 50.0, 34.0
    figure = Figure(left + _W + 12, top + _H + 44, f"{facets.title}: {facet.pipeline}")
    x = Scale(*_x_range(facets, diagonal), left, left + _W)
    y = Scale(*facets.y_range, top + _H, top)
    _axes(figure, facets, x, y, diagonal)
    figure.text(left, 22, shorten(facet.pipeline, 34), "name", title=facet.pipeline)
    if not diagonal:
        for other in facets.facets:
            if other is not facet:
                figure.path([(x(k.x), y(k.y)) for k in other.mean], "ghost")
    for name, curve in facet.subjects.items():
        figure.path([(x(k.x), y(k.y)) for k in curve], f"thin s{facet.colour % 7}")
        for k in curve:
            figure.line(x(k.x), y(k.low), x(k.x), y(k.high), "whisker")
            told = f"{name}: {_tell(facets, k.y)} ({_tell(facets, k.low)}–{_tell(facets, k.high)})"
            figure.dot(x(k.x), y(k.y), facet.colour, f"{told} at {k.x:g}")
    figure.path([(x(k.x), y(k.y)) for k in facet.second], f"dashed s{facet.colour % 7}")
    figure.path([(x(k.x), y(k.y)) for k in facet.mean], f"thick s{facet.colour % 7}")
    for k in facet.mean:
        if math.isfinite(k.low):
            figure.line(x(k.x), y(k.low), x(k.x), y(k.high), f"bar strong s{facet.colour % 7}")
        figure.mark(x(k.x), y(k.y), facet.colour, r=3.6, title=f"{_tell(facets, k.y)} at {k.x:g}")
    if "SIMULATED" in facets.title:
        figure.text(left + _W - 4, top + 14, "SIMULATED", "sim", "end")
    return figure


def _facet(
    pipeline: str, colour: int, subjects: Mapping[str, Curve], second: Curve = ()
) -> Facet:
    return Facet(pipeline, colour, subjects, _mean(list(subjects.values())), second)


def _mean(curves: Sequence[Curve]) -> Curve:
    """Mean of curves where two or more have a knot; t interval over subjects."""
    places = Counter(k.x for curve in curves for k in curve)
    knots = []
    for x in sorted(place for place, n in places.items() if n >= 2):
        values = [k.y for curve in curves for k in curve if k.x == x]
        knots.append(Knot(x, float(np.mean(values)), *mean_interval(values)))
    return tuple(knots)


def _learning(rows: pd.DataFrame, metric: str) -> Curve:
    """One subject's curve; repeats share trials, so the interval counts one test set only."""
    knots = []
    minutes = rows["minutes_train"].round(2)
    for x, group in rows.groupby(minutes, sort=True):
        y = float(group["score"].mean())
        n = int(group["n_test"].fillna(0).max())
        knots.append(Knot(float(str(x)), y, *score_interval(metric, y, 0, n)))
    return tuple(knots)


def _rates(rows: pd.DataFrame, gaze_s: float) -> Curve:
    knots = []
    for length, group in rows.groupby("window_s", sort=True):
        seconds, p = float(str(length)), float(group["score"].mean())
        n, m = int(group["n_test"].fillna(0).sum()), int(group["n_classes"].iloc[0])
        ends = accuracy_interval(round(p * n), n)
        low, y, high = (itr(v, m, seconds + gaze_s) for v in (ends[0], p, ends[1]))
        knots.append(Knot(seconds, y, low, high))
    return tuple(knots)


def _reliability(tables: Sequence[Sequence[Sequence[float]]]) -> Curve:
    entries = [entry for table in tables for entry in table if len(entry) == 3 and entry[2] > 0]
    knots = []
    for decile in range(10):
        here = [e for e in entries if min(9, int(10 * e[0])) == decile]
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


def _tell(facets: Facets, value: float) -> str:
    return f"{100 * value:.1f}" if facets.percent else f"{value:.3g}"


def _tick(facets: Facets, value: float) -> str:
    return f"{100 * value:.0f}" if facets.percent else f"{value:g}"
