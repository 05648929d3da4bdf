"""The sections of a report, in the order in which they are read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from bci.benchmark.report import permutation, tables
from bci.benchmark.report.confusion import confusions
from bci.benchmark.report.curves import (
    Facets,
    draw_facet,
    learning_curves,
    rated,
    reliability,
    transfer_rates,
)
from bci.benchmark.report.data import Panel, labels, panels
from bci.benchmark.report.forest import MAX_PAIRS, forests
from bci.benchmark.report.online import false_lanes, online_tables, rules, time_lanes
from bci.benchmark.report.plots import (
    pair_plot,
    pairs,
    score_axis,
    strips,
    value_axis,
)
from bci.benchmark.report.rows import Row
from bci.benchmark.report.statistics import Compared, compared
from bci.benchmark.report.svg import Figure
from bci.html import Block, Section, Table
from bci.metrics import GAZE_SHIFT_S

if TYPE_CHECKING:
    from bci.benchmark.statistics import Comparison

_STRIPS = (
    "Every mark is one subject: the mean over folds, then over sessions. Its bar is the 95 % "
    "interval that its test trials allow (Wilson's for an accuracy, Newcombe's for an area under "
    "the ROC curve). A filled mark is above what guessing reaches with a probability of 5 %, a "
    "hollow one is not; the dashed line is chance. The diamond with the thick bar is the mean "
    "over subjects with its 95 % t interval. Subjects stand in the same order in all lanes."
)


@dataclass(frozen=True)
class Content:
    """Everything that is reported, in the forms that both HTML and Markdown take."""

    rows: tuple[Row, ...]
    panels: tuple[Panel, ...]
    online: tuple[Panel, ...]
    compared: tuple[Compared, ...]
    remarks: tuple[str, ...]

    @classmethod
    def of(cls, rows: tuple[Row, ...], comparison: Comparison | None) -> Content:
        """Take results apart."""
        online = tuple(panels(rows, online=True))
        remarks = () if comparison is None else tuple(comparison.notes)
        return cls(rows, tuple(panels(rows)), online, compared(comparison, labels(rows)), remarks)


def sections(
    content: Content, config_yaml: str, environment: Mapping[str, Any]
) -> Iterator[Section]:
    """All sections; those without blocks have nothing to show."""
    rows = content.rows
    yield Section("run", "What was run", "", _tables(tables.what_was_run(rows)))
    yield Section(
        "overview", "Overview", "", _tables(tables.overview((*content.panels, *content.online)))
    )
    yield Section("scores", "Scores by subject", _STRIPS, tuple(map(_scores, content.panels)))
    yield Section("pairs", "Pipelines against each other", _PAIRS, _pairs(content.panels))
    yield Section("effects", "Effects and significance", _EFFECTS, tuple(_effects(content)))
    permuted = _tables(*permutation.permutation_tests(rows))
    yield Section("permutation", "Permutation tests", permutation.TEXT, permuted)
    matrices = tuple(b for p in (*content.panels, *content.online) for b in _matrices(p))
    yield Section("confusion", "Confusion matrices", _MATRICES, matrices)
    rates = tuple(_rates(content.rows))
    yield Section("itr", "Transfer rate against window length", _RATES, rates)
    stopped = _tables(*tables.stopping(rows))
    yield Section("stopping", "Dynamic stopping", _STOPPING, stopped)
    learning = tuple(_facets(f) for f in learning_curves(rows))
    yield Section("learning", "Learning curves", _LEARNING, learning)
    online = (*(b for panel in content.online for b in _online(panel)), *_rules(content.online))
    yield Section("online", "Pseudo-online", _ONLINE, online)
    yield Section("latency", "Latency", _LATENCY, _tables(tables.latency(rows)))
    yield Section("failures", "Failures", "", _tables(tables.failures(rows)))
    yield Section("notes", "Remarks", "", _tables(tables.notes(rows)))
    yield Section("environment", "Environment", "", _tables(tables.settings(environment)))
    config = (Block(code=config_yaml),) if config_yaml.strip() else ()
    yield Section("configuration", "Configuration", "", config)


_PAIRS = (
    "Each mark is a subject with the 95 % intervals of both scores; below the diagonal the "
    "pipeline of the horizontal axis is better. Dashed: chance."
)
_EFFECTS = (
    "Sessions are averaged by subject first. Effect: mean over subjects of the difference, "
    "divided by its standard deviation, with a 95 % interval. p: one-sided, permutation of signs "
    "below 20 subjects and Wilcoxon's signed ranks from there on, not corrected in the figures. "
    "Over all data sets (diamond): effects and p values weighted by the square root of the number "
    "of subjects (Stouffer). A star in a figure: transductive, or it adapts."
)
_MATRICES = (
    "Shade: share of the true class; numbers: decisions of all folds, sessions and subjects "
    "together; single subjects are above. Pseudo-online: the first activation of a trial, none "
    "where it stayed silent; idle: the false activations."
)
_RATES = (
    "Information transfer rate after Wolpaw et al. (2002). Thin lines: subjects, the mean of their "
    "sessions' rates, with the rate at both ends of their accuracy's 95 % interval; "
    f"{GAZE_SHIFT_S:g} s of gaze shift are added to each window. Thick: the mean of the subjects' "
    "rates (not the rate of their mean accuracy) with its 95 % t interval; dashed: the same "
    "without gaze shift; grey: the other pipelines."
)
_STOPPING = (
    "Each trial is decided at the first look whose posterior reaches a threshold, or at the last; "
    "threshold and looks are calibrated in the training of each fold. Error among passed: of "
    "decisions that reached the threshold, and of how many. Times are without, rates with "
    f"{GAZE_SHIFT_S:g} s of gaze shift; correct a minute: an error costs a selection more, to undo "
    "it. Best fixed: the length with the highest rate in training."
)
_LEARNING = (
    "Thin lines: subjects, mean of the repeats, with the 95 % interval that one test set of each "
    "session allows (repeats share trials). Thick: mean over subjects with its 95 % t interval; "
    "grey: the other pipelines."
)
_ONLINE = (
    "Continuous recordings through the live pipeline, sample by sample, idle time included. An "
    "activation outside trials is false; the rules are stated at the end."
)
_LATENCY = (
    "Median (least – greatest) over scores. Window by window: the decoder alone, in the "
    "benchmark's process. As live: from the push of a window's last samples to its decision."
)


def _tables(*found: Table) -> tuple[Block, ...]:
    return tuple(Block(tables=(t,)) for t in found if t.rows)


def _scores(panel: Panel) -> Block:
    figure = strips(panel.title, panel.lanes, score_axis(panel)).markup()
    return Block("", (figure,), _band(panel), tables.by_subject(panel), "Numbers by subject")


def _band(panel: Panel) -> str:
    low, high = (panel.tell(v) for v in panel.band)
    law = "rank statistic, normal approximation" if panel.metric == "roc_auc" else "binomial"
    told = (
        f"Shaded: where 95 % of guessers score with as many trials as the subject with the "
        f"fewest had, {low} to {high} ({law})."
    )
    return told if low != "–" else ""


def _pairs(found: Sequence[Panel]) -> tuple[Block, ...]:
    blocks = []
    for panel in found:
        drawn = pairs(panel) if len(panel.subjects) > 1 else ()  # one mark tells nothing
        if not drawn:
            continue
        n = sum(bool(lane.points) for lane in panel.lanes)
        only = (
            f"More than {MAX_PAIRS} pairs: only those with the best mean are drawn."
            if n * (n - 1) // 2 > MAX_PAIRS
            else ""
        )
        plots = tuple(pair_plot(panel, one, two).markup() for one, two in drawn)
        blocks.append(Block(f"{panel.title}: {panel.unit}", plots, only, small=True))
    return tuple(blocks)


def _effects(content: Content) -> Iterator[Block]:
    for found in content.compared:
        figures = tuple(figure.markup() for figure in forests(found))
        drawn = found.leading(MAX_PAIRS)
        hidden = len(found.pairs) - len(drawn)
        caption = f"{hidden} more pairs stand in the table only." if hidden else ""
        (table,) = tables.comparisons((found,))
        yield Block(found.title, figures, caption, (replace(table, title=""),), "Numbers", True)
    if content.compared and content.remarks:
        yield Block("What was left out", code="\n".join(content.remarks))


def _matrices(panel: Panel) -> Iterator[Block]:
    figures = tuple(figure.markup() for figure in confusions(panel))
    if figures:
        yield Block(panel.title, figures, small=True)


def _facets(facets: Facets, *, diagonal: bool = False, heading: str = "") -> Block:
    drawn: list[Figure] = [
        draw_facet(facets, facet, diagonal=diagonal)
        for facet in facets.facets
        if facet.subjects or facet.mean
    ]
    return Block(heading or facets.title, tuple(f.markup() for f in drawn), small=True)


def _rates(rows: Sequence[Row]) -> Iterator[Block]:
    for facets, of_set in zip(transfer_rates(rows), rated(rows).values(), strict=True):
        numbers = tuple(tables.transfer_rate(of_set))
        yield replace(_facets(facets), tables=numbers, fold="Numbers by subject")


def _online(panel: Panel) -> Iterator[Block]:
    figure = strips(panel.title, panel.lanes, score_axis(panel)).markup()
    yield Block("", (figure,), _band(panel))
    for label, lanes, caption in (
        (
            "false activations a minute of idle time", false_lanes(panel),
            "Every mark is one subject with the exact 95 % Poisson interval of its rate.",
        ),
        (
            "time to decision, s", time_lanes(panel),
            "Every mark is one subject's median; its bar holds the middle 80 % of its trials.",
        ),
    ):  # fmt: skip
        if any(lane.points for lane in lanes):
            drawn = strips(f"{panel.title}: {label}", lanes, value_axis(label, lanes, 2))
            yield Block("", (drawn.markup(),), caption)
    yield Block(tables=online_tables(panel), fold="Numbers by subject")
    curves = reliability(panel)
    if curves is not None:
        heading = f"{panel.title}: is a confidence what it says?"
        yield _facets(curves, diagonal=True, heading=heading)


def _rules(panels: Sequence[Panel]) -> Iterator[Block]:
    for text, titles in rules(panels).items():
        yield Block(f"Rules of {', '.join(titles)}", code=text)
