"""What a report shows of a comparison between pipelines: each pair once, the better one first."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from bci.benchmark.report.rows import named, natural, spoken
from bci.benchmark.statistics import SCOPE

if TYPE_CHECKING:
    import pandas as pd

    from bci.benchmark.statistics import Comparison


@dataclass(frozen=True, slots=True)
class Effect:
    """How much better one pipeline is than another, on a data set or over several.

    `effect` is the mean difference over the standard deviation of differences,
    NaN where it is not defined; `low` and `high` are its 95 % interval; `p` is
    one-sided, `p_corrected` after Holm.
    """

    dataset: str
    n_subjects: int
    effect: float
    low: float
    high: float
    p: float
    p_corrected: float
    pooled: bool = False


@dataclass(frozen=True)
class Pair:
    """Pipeline `one` against `two`: data set by data set, then over all where there are several."""

    one: str
    two: str
    effects: tuple[Effect, ...]

    @property
    def overall(self) -> Effect:
        """The effect over all data sets, or on the only one."""
        return self.effects[-1]


@dataclass(frozen=True)
class Compared:
    """All pairs of one evaluation that are compared with each other."""

    title: str
    pairs: tuple[Pair, ...]

    @property
    def several(self) -> bool:
        """Whether any pair was compared on more than one data set."""
        return any(len(pair.effects) > 1 for pair in self.pairs)

    def leading(self, most: int) -> tuple[Pair, ...]:
        """Every pair; where there are more than `most`, those with the pipeline that wins most."""
        if len(self.pairs) <= most:
            return self.pairs
        wins = Counter(pair.one for pair in self.pairs)
        best = max(sorted(wins, key=natural), key=lambda name: wins[name])
        return tuple(pair for pair in self.pairs if best in (pair.one, pair.two))


def compared(
    comparison: Comparison | None, labels: Mapping[str, str] | None = None
) -> tuple[Compared, ...]:
    """Bring a comparison into the order of the report; nothing of None.

    `labels` says how pipelines are called there, where not by their names.
    """
    if comparison is None or comparison.pairs.empty:
        return ()
    over_all = {_key(row): row for row in comparison.combined.to_dict("records")}
    found, called = [], labels or {}
    scopes = comparison.pairs.groupby(SCOPE, sort=False, dropna=False)
    for scope, rows in scopes:
        evaluation, metric, simulated, window_s = scope
        pairs = tuple(
            replace(p, one=called.get(p.one, p.one), two=called.get(p.two, p.two))
            for p in _pairs(rows, over_all)
        )
        unit = {"roc_auc": "ROC-AUC"}.get(str(metric), str(metric))
        window = f"{window_s:g} s windows" if window_s == window_s else ""
        title = ", ".join(filter(None, (spoken(str(evaluation)), window, unit)))
        found.append(Compared(named(title, bool(simulated)), pairs))
    return tuple(sorted(found, key=lambda c: ("SIMULATED" in c.title, natural(c.title))))


def _pairs(rows: pd.DataFrame, over_all: dict[Any, dict[Any, Any]]) -> Iterator[Pair]:
    """Each pair of one evaluation in the direction of its overall effect."""
    by_pair: dict[tuple[str, str], list[dict[Any, Any]]] = {}
    for row in rows.to_dict("records"):
        by_pair.setdefault((str(row["pipe1"]), str(row["pipe2"])), []).append(row)
    for one, two in sorted(by_pair, key=lambda pair: (natural(pair[0]), natural(pair[1]))):
        pair = _pair(one, two, by_pair[one, two], over_all)
        other = by_pair.get((two, one))
        if other is None or _ahead(pair) or (not _behind(pair) and natural(one) < natural(two)):
            yield pair


def _pair(
    one: str, two: str, rows: Sequence[dict[Any, Any]], over_all: dict[Any, dict[Any, Any]]
) -> Pair:
    ordered = sorted(rows, key=lambda row: natural(str(row["dataset"])))
    effects = [
        _effect(named(str(row["dataset"]), bool(row["simulated"])), row, pooled=False)
        for row in ordered
    ]
    pooled = over_all.get(_key(ordered[0]))
    if pooled is not None and len(effects) > 1:
        title = named(f"all {len(effects)} data sets", bool(pooled["simulated"]))
        effects.append(_effect(title, pooled, pooled=True))
    return Pair(one, two, tuple(effects))


def _effect(name: str, row: dict[Any, Any], *, pooled: bool) -> Effect:
    return Effect(
        name, int(row["n_subj"]), float(row["smd"]), float(row["smd_low"]),
        float(row["smd_high"]), float(row["p"]), float(row["p_holm"]), pooled,
    )  # fmt: skip


def _key(row: dict[Any, Any]) -> tuple[str, ...]:
    return tuple(str(row[k]) for k in (*SCOPE, "pipe1", "pipe2"))


def _ahead(pair: Pair) -> bool:
    return pair.overall.effect > 0 or (math.isnan(pair.overall.effect) and pair.overall.p < 0.5)


def _behind(pair: Pair) -> bool:
    return pair.overall.effect < 0 or (math.isnan(pair.overall.effect) and pair.overall.p > 0.5)
