"""Forest plots: how much better one pipeline is than another, with what certainty."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence

from bci.benchmark.report.statistics import Compared, Effect, Pair
from bci.benchmark.report.svg import Figure, Scale, shorten

#: More pairs than this, and only those with the pipeline that wins most are drawn.
MAX_PAIRS = 15
_WIDTH, _LEFT, _RIGHT, _ROW = 548.0, 190.0, 366.0, 22.0
#: Effects beyond this are drawn at the edge; their numbers stand beside them.
_REACH = 10.0

#: What `Lane.label` adds to a name.
_SEEN = re.compile(r" \((transductive|adapts, [^)]*)\)$")

#: What a row is called, its name in full, and what it shows.
Line = tuple[str, str, Effect]


def forests(compared: Compared) -> Iterator[Figure]:
    """One figure for each pair, or one for all pairs where each has but one data set."""
    pairs = compared.leading(MAX_PAIRS)
    if compared.several:
        for pair in pairs:
            rows = [(shorten(e.dataset, 28), e.dataset, e) for e in pair.effects]
            title = f"{shorten(pair.one, 26)} against {shorten(pair.two, 26)}"
            yield _forest(title, rows, pair.one, pair.two)
    else:
        by_set: dict[str, list[Line]] = {}
        for pair in pairs:
            effect = pair.overall
            by_set.setdefault(effect.dataset, []).append((*_names(pair), effect))
        for dataset, rows in by_set.items():
            yield _forest(dataset, rows, "first better", "second better")


def tell_p(p: float) -> str:
    """A p value, never told finer than it can be trusted."""
    if not math.isfinite(p):
        return "–"
    return "<0.0001" if p < 1e-4 else f"{p:.2g}" if p < 0.1 else f"{p:.2f}"


def tell_effect(effect: float) -> str:
    """An effect with its sign; infinite where the difference is the same in every subject."""
    if math.isnan(effect):
        return "–"
    return f"{effect:+.2f}" if math.isfinite(effect) else ("+∞" if effect > 0 else "-∞")


def _forest(title: str, rows: Sequence[Line], one: str, two: str) -> Figure:
    top, bottom = 50.0, 50.0 + _ROW * len(rows)
    figure = Figure(_WIDTH, bottom + 54, f"effects: {title}")
    ends = [abs(v) for _, _, e in rows for v in (e.effect, e.low, e.high) if math.isfinite(v)]
    reach = max(1.0, min(_REACH, 1.05 * max(ends, default=1.0)))
    scale = Scale(-reach, reach, _LEFT, _RIGHT)
    for tick in scale.ticks(5):
        css = "zero" if abs(tick) < 1e-9 else "grid"
        figure.line(scale(tick), top, scale(tick), bottom, css)
        figure.text(scale(tick), bottom + 16, f"{tick:g}", "tick", "middle")
    figure.text(0, 14, shorten(title, 56), "title", title=title)
    for x, heading, anchor in (
        (380, "effect", "start"), (438, "p", "start"), (_WIDTH - 6, "subjects", "end"),
    ):  # fmt: skip
        figure.text(x, 40, heading, "small", anchor)
    figure.text(scale(0) - 8, bottom + 34, f"← {shorten(two, 26)}", "axis", "end", two)
    figure.text(scale(0) + 8, bottom + 34, f"{shorten(one, 26)} →", "axis", "start", one)
    for k, line in enumerate(rows):
        _row(figure, scale, line, top + _ROW * (k + 0.5))
    return figure


def _names(pair: Pair) -> tuple[str, str]:
    """A pair's names as they fit, a star for what saw of the test, and in full."""
    short = (shorten(_SEEN.sub("*", n), 13) for n in (pair.one, pair.two))
    return " − ".join(short), f"{pair.one} − {pair.two}"


def _row(figure: Figure, scale: Scale, line: Line, y: float) -> None:
    shown, name, effect = line
    figure.text(0, y + 4, shown, "name" if effect.pooled else "", title=name)
    if math.isfinite(effect.low):
        css = "bar strong" if effect.pooled else "bar"
        figure.line(scale(effect.low), y, scale(effect.high), y, css)
    told = f"{name}: effect {tell_effect(effect.effect)}, p = {tell_p(effect.p)}"
    if effect.pooled and math.isfinite(effect.effect):
        figure.mean(scale(effect.effect), y, told)
    elif not math.isnan(effect.effect):
        inside = abs(effect.effect) <= scale.high
        figure.mark(scale(effect.effect), y, 0, solid=inside, title=told)
    for x, number in ((380, tell_effect(effect.effect)), (438, tell_p(effect.p))):
        figure.text(x, y + 4, number)
    figure.text(_WIDTH - 6, y + 4, str(effect.n_subjects), anchor="end")
