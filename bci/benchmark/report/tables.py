"""Tables of a report: built once, told as HTML and as Markdown."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from bci.benchmark.dynamic import pooled
from bci.benchmark.folds import ALL_SESSIONS
from bci.benchmark.report.curves import session_rate
from bci.benchmark.report.data import Lane, Panel, labels
from bci.benchmark.report.forest import tell_effect, tell_p
from bci.benchmark.report.rows import ONLINE, Row, grouped, known, natural, scored, spoken
from bci.benchmark.report.statistics import Compared, Effect, Pair
from bci.html import Table
from bci.metrics import GAZE_SHIFT_S

_MAX_REASON = 400
_MAX_COLUMNS = 6


def what_was_run(rows: Sequence[Row]) -> Table:
    """Data sets with subjects, sessions and what became of the work."""
    lines = []
    for dataset, some in grouped(rows, lambda row: row.dataset).items():
        n_classes = known(row.n_classes for row in some)
        lines.append((
            dataset,
            next((row.paradigm for row in some if row.paradigm), "–"),
            _list(spoken(name) for name in dict.fromkeys(row.evaluation for row in some)),
            _list(sorted({row.pipeline for row in some}, key=natural)),
            str(len({row.subject for row in some})),
            str(len({(row.subject, row.session) for row in some if row.session != ALL_SESSIONS})),
            f"{max(n_classes):.0f}" if n_classes else "–",
            str(len(some)),
            str(len(some) - len(scored(some))),
        ))  # fmt: skip
    columns = ("data set", "paradigm", "evaluations", "pipelines", "subjects", "sessions")
    return Table("", (*columns, "classes", "scores asked", "failed"), tuple(lines), 4)


def overview(panels: Sequence[Panel]) -> Table:
    """Mean, its interval, the range and who beats chance, for every pipeline."""
    rows = []
    for panel in panels:
        low, high = panel.band
        for lane in panel.lanes:
            values = [p.value for p in lane.points]
            tell = panel.tell
            rows.append((
                panel.title,
                lane.label,
                "accuracy, %" if panel.as_percent else "ROC-AUC",
                f"{len(values)} of {lane.n_asked}",
                tell(lane.mean),
                _of_mean(panel, lane),
                f"{tell(min(values))} – {tell(max(values))}" if values else "–",
                f"{sum(p.solid for p in lane.points)} of {len(values)}",
                f"{tell(panel.chance)} ({_between(tell, low, high)})",
            ))  # fmt: skip
    columns = ("data set and evaluation", "pipeline", "metric", "subjects", "mean")
    more = (
        "95 % interval of the mean",
        "worst – best subject",
        "above chance",
        "chance (95 % band)",
    )
    return Table("", columns + more, tuple(rows), 2)


def _of_mean(panel: Panel, lane: Lane) -> str:
    """Interval of the mean, or of the only subject's score."""
    if len(lane.points) != 1:
        return _between(panel.tell, *lane.interval)
    only = lane.points[0]
    return f"{_between(panel.tell, only.low, only.high)} (one subject)"


def by_subject(panel: Panel) -> tuple[Table, ...]:
    """Every subject's score with its interval, by pipeline; few pipelines to a table."""
    lanes = panel.lanes
    parts = [lanes[k : k + _MAX_COLUMNS] for k in range(0, len(lanes), _MAX_COLUMNS)]
    return tuple(_by_subject(panel, part) for part in parts)


def _by_subject(panel: Panel, lanes: Sequence[Lane]) -> Table:
    points = [{p.name: p for p in lane.points} for lane in lanes]
    rows = []
    for subject in panel.subjects:
        cells = []
        for of_lane in points:
            point = of_lane.get(subject)
            if point is None:
                cells.append("–")
                continue
            note = f" ({point.note})" if point.note else ""
            interval = _between(panel.tell, point.low, point.high)
            cells.append(f"{panel.tell(point.value)} [{interval}]{note}")
        rows.append((subject, *cells))
    title = f"{panel.title}: {panel.unit} [95 % interval]"
    return Table(title, ("subject", *(lane.label for lane in lanes)), tuple(rows))


def comparisons(found: Sequence[Compared]) -> tuple[Table, ...]:
    """Effects and p values of all pairs, by data set and over all; a table by evaluation."""
    columns = ("better", "worse", "data set", "subjects", "effect", "95 %")
    return tuple(
        Table(
            compared.title,
            (*columns, "p, one-sided", "p, corrected (Holm)"),
            tuple(_effect(pair, effect) for pair in compared.pairs for effect in pair.effects),
            3,
        )
        for compared in found
    )


def _effect(pair: Pair, effect: Effect) -> tuple[str, ...]:
    finite = math.isfinite(effect.low)
    return (
        pair.one, pair.two, effect.dataset, str(effect.n_subjects), tell_effect(effect.effect),
        f"{effect.low:+.2f} to {effect.high:+.2f}" if finite else "–",
        tell_p(effect.p), tell_p(effect.p_corrected),
    )  # fmt: skip


def transfer_rate(rows: Sequence[Row]) -> Iterator[Table]:
    """Bit/min by subject and window length, with and without gaze shift; a table by pipeline."""
    lengths = sorted({row.window_s for row in rows})
    for pipeline, some in grouped(rows, lambda row: row.pipeline).items():
        by_length: dict[float, list[tuple[float, float]]] = {length: [] for length in lengths}
        lines = []
        for subject, own in grouped(some, lambda row: row.subject).items():
            cells = []
            for length, found in by_length.items():
                here = [row for row in own if row.window_s == length]
                if here:
                    found.append((session_rate(here, GAZE_SHIFT_S), session_rate(here, 0.0)))
                cells.append("{:.1f} / {:.1f}".format(*found[-1]) if here else "–")
            lines.append((subject, *cells))
        means = [
            "{:.1f} / {:.1f}".format(*np.mean(found, axis=0)) if found else "–"
            for found in by_length.values()
        ]
        title = (
            f"{labels(some)[pipeline]}: bit/min, with {GAZE_SHIFT_S:g} s of gaze shift / without"
        )
        columns = ("subject", *(f"{length:g} s" for length in lengths))
        yield Table(title, columns, (*lines, ("mean", *means)))


def stopping(rows: Sequence[Row]) -> Iterator[Table]:
    """Dynamic stopping beside the best fixed length, by subject; a table by pipeline."""
    name = labels(rows)
    told = [row for row in scored(rows) if row.details.get("stopping")]
    by_work = grouped(told, lambda row: (row.dataset, row.evaluation, row.window_s, row.pipeline))
    for (dataset, evaluation, window_s, pipeline), some in by_work.items():
        lines: list[tuple[str, ...]] = []
        rates = []
        target = some[0].details["stopping"]["target_error"]
        for subject, own in grouped(some, lambda row: row.subject).items():
            found = pooled([row.details["stopping"] for row in own], int(own[0].n_classes))
            moving, fixed = found.dynamic, found.fixed
            wrong = moving.error_passed
            rates.append((moving.itr, fixed.itr))
            lines.append((
                subject, f"{moving.mean_s:.2f}",
                "–" if wrong is None else f"{100 * wrong:.1f} of {moving.n_passed}",
                f"{100 * moving.accuracy:.1f}", f"{moving.itr:.1f}",
                f"{moving.correct_per_min:.1f}",
                f"{fixed.mean_s:.2f} / {100 * fixed.accuracy:.1f} / {fixed.itr:.1f}",
            ))  # fmt: skip
        moving_mean, fixed_mean = np.mean(rates, axis=0)
        lines.append(
            ("mean", *("" for _ in range(3)), f"{moving_mean:.1f}", "", f"{fixed_mean:.1f}")
        )
        title = (
            f"{dataset} · {spoken(evaluation)}: {name[pipeline]}, up to {window_s:g} s, for an "
            f"error of {100 * target:g} %"
        )
        columns = (
            "subject", "mean time, s", "error among passed, %", "accuracy, %", "bit/min",
            "correct/min", "best fixed: s / accuracy, % / bit/min",
        )  # fmt: skip
        yield Table(title, columns, tuple(lines))


def latency(rows: Sequence[Row]) -> Table:
    """Time to train a fold and to decode a window, by data set and pipeline."""
    lines = []
    by_work = grouped(
        scored(rows), lambda row: (row.dataset, row.pipeline, row.evaluation_kind == ONLINE)
    )
    for (dataset, pipeline, live), some in by_work.items():
        took, p50 = known(row.time for row in some), known(row.predict_ms_p50 for row in some)
        if took or p50:
            lines.append((
                dataset, pipeline, "as live" if live else "window by window", str(len(some)),
                _spread(took, 3), _spread(p50), _spread(known(row.predict_ms_p99 for row in some)),
            ))  # fmt: skip
    columns = ("data set", "pipeline", "decoded", "scores", "training, s")
    return Table("", (*columns, "decoding p50, ms", "decoding p99, ms"), tuple(lines), 3)


def failures(rows: Sequence[Row]) -> Table:
    """What gave no score, and why; equal reasons on one line."""
    failed = [row for row in rows if not row.good]
    lines = []
    by_reason = grouped(failed, lambda row: (row.dataset, row.evaluation, row.pipeline, row.error))
    for (dataset, evaluation, pipeline, reason), some in by_reason.items():
        where = dict.fromkeys(f"{row.subject}/{row.session}" for row in some)
        told = _clip(reason) or "no score, and no reason was given"
        lines.append((
            dataset, spoken(evaluation), pipeline, _list(where, 12), told, str(len(some))
        ))  # fmt: skip
    columns = ("data set", "evaluation", "pipeline", "subject/session", "reason", "scores")
    return Table("", columns, tuple(lines), 5)


def notes(rows: Sequence[Row]) -> Table:
    """What the engine remarked on scores that it gave: left-out twins, warnings."""
    told: Counter[tuple[str, ...]] = Counter()
    for row in scored(rows):
        for remark in (row.details.get("note"), *(row.details.get("warnings") or ())):
            if remark:
                text = _clip(" ".join(str(remark).split()))
                told[row.dataset, spoken(row.evaluation), row.pipeline, text] += 1
    lines = tuple((*key, str(n)) for key, n in told.items())
    return Table("", ("data set", "evaluation", "pipeline", "remark", "scores"), lines, 4)


def settings(values: Mapping[str, Any]) -> Table:
    """Nested settings, one a line, with dotted names."""
    return Table("", ("what", "value"), tuple(_flat(values)), 2)


def _flat(values: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        name = f"{path}.{key}" if path else str(key)
        if isinstance(value, Mapping):
            yield from _flat(value, name)
        elif isinstance(value, list | tuple):
            yield name, ", ".join(map(str, value))
        else:
            yield name, str(value)


def _spread(values: Sequence[float], digits: int = 2) -> str:
    """Median (least – greatest)."""
    if not values:
        return "–"
    told = (f"{value:.{digits}f}" for value in (np.median(values), min(values), max(values)))
    return "{} ({}–{})".format(*told)


def _between(tell: Any, low: float, high: float) -> str:
    if not (math.isfinite(low) and math.isfinite(high)):
        return "–"
    return f"{tell(min(1.0, max(0.0, low)))}–{tell(min(1.0, max(0.0, high)))}"


def _list(names: Iterable[str], most: int = 100) -> str:
    found = list(names)
    rest = f" and {len(found) - most} more" if len(found) > most else ""
    return ", ".join(found[:most]) + rest


def _clip(text: str) -> str:
    return text if len(text) <= _MAX_REASON else f"{text[:_MAX_REASON]}…"
