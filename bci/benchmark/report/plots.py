"""Figures of scores: strips by subject, and pairs of pipelines."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

from bci.benchmark.chance import UNKNOWN, Interval
from bci.benchmark.report.data import Lane, Panel, Point
from bci.benchmark.report.forest import MAX_PAIRS
from bci.benchmark.report.rows import known
from bci.benchmark.report.svg import CHARACTER, N_COLOURS, Figure, Scale, shorten

WIDTH = 900.0
_SIDE = 196.0
_BOLD = 1.13 * CHARACTER


@dataclass(frozen=True)
class Axis:
    """What the x axis of a strip shows, and how its values are told."""

    label: str
    low: float
    high: float
    tell: Callable[[float], str]
    chance: float = math.nan
    band: Interval = UNKNOWN


def score_axis(panel: Panel) -> Axis:
    """From a round value below all intervals to 1."""
    values = [p.low for lane in panel.lanes for p in lane.points]
    values += known((*panel.band, panel.chance, *(lane.interval[0] for lane in panel.lanes)))
    low = max(0.0, math.floor(10 * min(values, default=0.0) - 0.3) / 10)
    return Axis(panel.unit, low, 1.0, panel.tell, panel.chance, panel.band)


def value_axis(label: str, lanes: Sequence[Lane], digits: int) -> Axis:
    """From zero to a little beyond the highest interval."""
    high = max((p.high for lane in lanes for p in lane.points if p.high < math.inf), default=1.0)
    return Axis(label, 0.0, max(1.05 * high, 1e-3), lambda value: f"{value:.{digits}f}")


def strips(title: str, lanes: Sequence[Lane], axis: Axis) -> Figure:
    """One lane for each pipeline, in it every subject with an interval, and the mean's."""
    left = 20 + _BOLD * max((min(len(lane.label), 30) for lane in lanes), default=0)
    heights = [_lane_height(lane) for lane in lanes]
    top, bottom = 46.0, 46.0 + sum(heights)
    figure = Figure(WIDTH, bottom + 44, f"{title}: {axis.label} by subject")
    scale = Scale(axis.low, axis.high, left, WIDTH - 192)
    figure.text(0, 16, shorten(title, 96), "title", title=title)
    _chance(figure, scale, axis, top, bottom)
    for tick in scale.ticks():
        figure.line(scale(tick), top, scale(tick), bottom, "grid")
        figure.text(scale(tick), bottom + 17, _short(axis, tick), "tick", "middle")
    figure.text((scale.start + scale.stop) / 2, bottom + 37, axis.label, "axis", "middle")
    y = top
    for lane, height in zip(lanes, heights, strict=True):
        _lane(figure, scale, axis, lane, y, height)
        y += height
        figure.line(0, y, WIDTH, y, "rule")
    return figure


def pairs(panel: Panel) -> list[tuple[Lane, Lane]]:
    """Pipelines to set against each other: all pairs, or the best with the rest where many."""
    lanes = [lane for lane in panel.lanes if lane.points]
    all_pairs = list(combinations(lanes, 2))
    if len(all_pairs) <= MAX_PAIRS:
        return all_pairs
    best = max(lanes, key=lambda lane: lane.mean)
    return [(best, lane) for lane in lanes if lane is not best]


def pair_plot(panel: Panel, one: Lane, two: Lane) -> Figure:
    """Each subject a mark with both intervals; below the diagonal the first wins."""
    axis = score_axis(panel)
    simulated = "SIMULATED" in panel.dataset
    left, top = 46.0, 58.0 if simulated else 40.0
    figure = Figure(left + _SIDE + 8, top + _SIDE + 42, f"{one.label} against {two.label}")
    x = Scale(axis.low, axis.high, left, left + _SIDE)
    y = Scale(axis.low, axis.high, top + _SIDE, top)
    _frame(figure, x, y, axis)
    shared = _shared(one, two)
    for a, b in shared:
        figure.line(x(a.low), y(b.value), x(a.high), y(b.value), "whisker")
        figure.line(x(a.value), y(b.low), x(a.value), y(b.high), "whisker")
    for a, b in shared:
        told = f"{a.name}: {axis.tell(a.value)} against {axis.tell(b.value)}"
        figure.mark(x(a.value), y(b.value), one.colour, title=told)
    figure.text(left, top - 28, _wins(one, shared), "small", title=one.label)
    figure.text(left, top - 12, _wins(two, [(b, a) for a, b in shared]), "small", title=two.label)
    name_one, name_two = shorten(one.label, 27), shorten(two.label, 27)
    figure.text(left + _SIDE / 2, top + _SIDE + 34, name_one, "axis", "middle", one.label)
    figure.text_up(12, top + _SIDE / 2, name_two, "axis", title=two.label)
    if simulated:
        figure.text(left, 12, "SIMULATED", "sim")
    return figure


def _lane_height(lane: Lane) -> float:
    return max(46.0, _step(lane) * len(lane.points) + 28)


def _step(lane: Lane) -> float:
    n = len(lane.points)
    return 9.0 if n <= 12 else 6.5 if n <= 25 else 4.5


def _lane(figure: Figure, scale: Scale, axis: Axis, lane: Lane, top: float, height: float) -> None:
    middle, right = top + height / 2, scale.stop + 14
    figure.text(0, middle + 4, shorten(lane.label, 30), "name", title=lane.label)
    first = top + 9 if len(lane.points) > 1 else middle
    for k, point in enumerate(lane.points):
        _point(figure, scale, axis, lane.colour, point, first + _step(lane) * k)
    if len(lane.points) > 1:
        low, high = lane.interval
        told = f"mean {axis.tell(lane.mean)} ({_between(axis, low, high)})"
        y = top + height - 11
        figure.line(scale(low), y, scale(high), y, f"bar strong s{lane.colour % N_COLOURS}")
        figure.mean(scale(lane.mean), y, told)
    elif lane.points:
        only = lane.points[0]
        told = f"{axis.tell(only.value)} ({_between(axis, only.low, only.high)})"
    else:
        told = "no score"
    figure.text(right, middle, told)
    n = f"{len(lane.points)} of {lane.n_asked} subject{'s' * (lane.n_asked != 1)}"
    figure.text(right, middle + 15, n, "small")


def _point(figure: Figure, scale: Scale, axis: Axis, colour: int, point: Point, y: float) -> None:
    if math.isfinite(point.low) and math.isfinite(point.high):
        figure.line(scale(point.low), y, scale(point.high), y, "bar")
    told = f"{point.name}: {axis.tell(point.value)} ({_between(axis, point.low, point.high)})"
    if point.n:
        told += f", n = {point.n}"
    if point.note:
        told += f", {point.note}"
    figure.mark(scale(point.value), y, colour, solid=point.solid, title=told)


def _between(axis: Axis, low: float, high: float) -> str:
    top = 1.0 if axis.high == 1.0 else math.inf
    return f"{axis.tell(max(0.0, low))}–{axis.tell(min(top, high))}"


def _short(axis: Axis, tick: float) -> str:
    return f"{100 * tick:.0f}" if axis.label.endswith("%") else f"{tick:g}"


def _chance(figure: Figure, scale: Scale, axis: Axis, top: float, bottom: float) -> None:
    if not math.isfinite(axis.chance):
        return
    low, high = axis.band
    if math.isfinite(low):
        figure.rect(scale(low), top, scale(high) - scale(low), bottom - top, "band")
    x = scale(axis.chance)
    figure.line(x, top - 4, x, bottom, "chance")
    side = "start" if x < (scale.start + scale.stop) / 2 else "end"
    figure.text(x, top - 9, f"chance {axis.tell(axis.chance)}", "small", side)


def _frame(figure: Figure, x: Scale, y: Scale, axis: Axis) -> None:
    for tick in x.ticks(5):
        figure.line(x(tick), y.start, x(tick), y.stop, "grid")
        figure.line(x.start, y(tick), x.stop, y(tick), "grid")
        figure.text(x(tick), y.start + 16, _short(axis, tick), "tick", "middle")
        figure.text(x.start - 6, y(tick) + 4, _short(axis, tick), "tick", "end")
    figure.line(x.start, y.start, x.stop, y.stop, "zero")
    if math.isfinite(axis.chance):
        figure.line(x(axis.chance), y.start, x(axis.chance), y.stop, "chance")
        figure.line(x.start, y(axis.chance), x.stop, y(axis.chance), "chance")


def _shared(one: Lane, two: Lane) -> list[tuple[Point, Point]]:
    others = {point.name: point for point in two.points}
    return [(p, others[p.name]) for p in one.points if p.name in others]


def _wins(lane: Lane, shared: Sequence[tuple[Point, Point]]) -> str:
    n = sum(a.value > b.value for a, b in shared)
    return f"{shorten(lane.label, 20)}: better in {n} of {len(shared)}"
