"""Which pipeline is better: tests within each data set and across data sets, as MOABB's.

Scores are averaged over folds, then over sessions, so that a subject is one
observation. Then, for each data set and ordered pair of pipelines, the
one-sided hypothesis that the first scores higher is tested on the subjects'
differences, and the data sets are combined [1]_:

=================  ==========================================================
fewer than 20      permutation test of the mean difference by sign flips: all
subjects           2^n of them up to 13 subjects, else 10,000 at random
20 or more         Wilcoxon signed-rank test, half of the two-sided p
effect             mean of the differences over their standard deviation
across data sets   Stouffer: Σ w z / √Σ w² with w = √n; effects averaged with
                   the same weights
=================  ==========================================================

Where this differs from MOABB 1.7, on purpose:

- A subject, session or fold that one of the two pipelines failed on is left out
  of this pair (and told in `Comparison.notes`); MOABB refuses such a table.
- Sums that differ by rounding only are ties; MOABB compares them bit by bit.
- The side of Wilcoxon's test is that of its rank sum; MOABB takes the mean's, so
  that few large differences against many small ones give a small p for the loser.
- Equal scores of all subjects give p = 0.5 in either test; so does one subject,
  who shows nothing, and whose effect is NaN (MOABB: infinite).
- Infinite effects (the same difference in every subject) and undefined ones are
  left out of the average.

.. [1] Jayaram, Barachant (2018). MOABB: trustworthy algorithm benchmarking for
   BCIs. J. Neural Eng. 15, 066011.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import permutations

import numpy as np
import pandas as pd

from bci.benchmark.significance import (
    average_effect,
    bonferroni,
    effect_size,
    half_width,
    holm,
    one_sided_p,
    stouffer,
)
from bci.errors import ConfigError

#: Evaluations whose rows of one subject are points of a curve, not repetitions.
CURVES = ("learning_curve",)

#: What a comparison is made within, besides the data set.
SCOPE = ["evaluation", "metric", "simulated", "window_s"]
_DEFAULTS = {
    "evaluation": "", "metric": "", "simulated": False, "window_s": float("nan"),
    "session": "0", "fold": 0,
}  # fmt: skip
_NEEDED = ("dataset", "subject", "pipeline", "score")
#: Decimals of a difference that are not rounding.
_DECIMALS = 12


@dataclass(frozen=True)
class Comparison:
    """How pipelines compare.

    Attributes
    ----------
    pairs : DataFrame
        One row per evaluation, metric, window length, data set and ordered pair:
        `evaluation`, `metric`, `simulated`, `window_s`, `dataset`, `pipe1`, `pipe2`,
        `n_subj`, `mean_diff` (first minus second), `smd` with `smd_low` and
        `smd_high` (95 % interval of the mean difference, over the standard
        deviation), one-sided `p`, `p_bonferroni`, `p_holm` (corrected over all
        ordered pairs of the data set and evaluation), `test`.
    combined : DataFrame
        The same over the data sets of one evaluation, metric and length, with `n_datasets`
        instead of `dataset`. Simulated sets are combined with each other only.
    notes : tuple of str
        What was left out, and why.
    """

    pairs: pd.DataFrame = field(repr=False)
    combined: pd.DataFrame = field(repr=False)
    notes: tuple[str, ...] = ()


def compare(results: pd.DataFrame, *, seed: int = 0) -> Comparison:
    """Compare every pair of pipelines within and across data sets.

    Parameters
    ----------
    results : DataFrame
        One row per fold (or per session, as MOABB's): `dataset`, `subject`,
        `pipeline`, `score`, and where they are known `session`, `fold`,
        `evaluation`, `metric`, `simulated`, `window_s`, `error`.
    seed : int
        For random sign flips.

    Raises
    ------
    ConfigError
        A column is missing.
    """
    notes: list[str] = []
    table = _prepared(results, notes)
    rows = []
    for (*scope, dataset), part in table.groupby([*SCOPE, "dataset"], sort=False, dropna=False):
        where = f"{dataset}, {scope[0]}" if scope[0] else str(dataset)
        cells = _cells(part, where, notes)
        found = [
            dict(zip(SCOPE, scope, strict=True)) | {"dataset": dataset} | tested
            for tested in _pairs(cells, where, seed, notes)
        ]
        rows += _corrected(found)
    pairs = pd.DataFrame(rows, columns=_COLUMNS)
    return Comparison(pairs, combine(pairs), tuple(notes))


def combine(pairs: pd.DataFrame) -> pd.DataFrame:
    """Combine the data sets of `Comparison.pairs`, each evaluation and metric for itself."""
    rows = []
    for scope, part in pairs.groupby(SCOPE, sort=False, dropna=False):
        found = []
        for (one, two), sets in part.groupby(["pipe1", "pipe2"], sort=False):
            n = sets["n_subj"].to_numpy(float)
            effect, half = average_effect(sets["smd"].to_numpy(float), n)
            found.append(
                dict(zip(SCOPE, scope, strict=True))
                | {"n_datasets": len(sets), "pipe1": one, "pipe2": two, "n_subj": int(n.sum())}
                | {"mean_diff": float(np.average(sets["mean_diff"], weights=np.sqrt(n)))}
                | {"smd": effect, "smd_low": effect - half, "smd_high": effect + half}
                | {"p": stouffer(sets["p"].to_numpy(float), n), "test": "stouffer"}
            )
        rows += _corrected(found)
    columns = ["n_datasets" if name == "dataset" else name for name in _COLUMNS]
    return pd.DataFrame(rows, columns=columns)


_COLUMNS = [
    *SCOPE, "dataset", "pipe1", "pipe2", "n_subj", "mean_diff", "smd", "smd_low", "smd_high",
    "p", "p_bonferroni", "p_holm", "test",
]  # fmt: skip


# --- from rows to observations -------------------------------------------------------------------


def prepared(results: pd.DataFrame) -> pd.DataFrame:
    """Rows with a finite score, with all columns that grouping needs.

    A window length stays where a data set was scored at several: elsewhere it does not
    keep data sets from being combined.

    Raises
    ------
    ConfigError
        A column is missing.
    """
    if missing := [name for name in _NEEDED if name not in results]:
        raise ConfigError(
            f"results have no column {', '.join(map(repr, missing))}; found "
            f"{', '.join(map(str, results.columns)) or 'none'}"
        )
    defaults = pd.DataFrame(_DEFAULTS, index=results.index)
    table = results.assign(
        **{
            name: results[name].fillna(defaults[name]) if name in results else defaults[name]
            for name in _DEFAULTS
        }
    )
    failed = ~np.isfinite(table["score"].to_numpy(float))
    if "error" in table:
        failed |= table["error"].fillna("").astype(str).to_numpy() != ""
    scored: pd.DataFrame = table.loc[~failed]
    lengths = scored.groupby(["dataset", "evaluation"])["window_s"].transform("nunique")
    return scored.assign(window_s=scored["window_s"].where(lengths > 1))


def _prepared(results: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
    table = prepared(results)
    if n_failed := len(results) - len(table):
        notes.append(f"{n_failed} of {len(results)} rows have no score and are left out")
    kinds = "evaluation_kind" if "evaluation_kind" in table else "evaluation"
    curves = table[kinds].isin(CURVES)
    if curves.any():
        notes.append("learning curves are not tested: their points are not independent")
    return table.loc[~curves]


def _cells(part: pd.DataFrame, where: str, notes: list[str]) -> pd.DataFrame:
    """Scores by (subject, session, fold) and pipeline; empty where that is ambiguous."""
    keys = ["subject", "session", "fold"]
    twice = part.duplicated([*keys, "pipeline"])
    if twice.any():
        row = part[twice].iloc[0]
        notes.append(
            f"{where}: not compared, for pipeline {row['pipeline']} stands there twice on subject "
            f"{row['subject']}, session {row['session']}, fold {row['fold']}"
        )
        return pd.DataFrame()
    return part.set_index([*keys, "pipeline"])["score"].unstack("pipeline")


def _pairs(
    cells: pd.DataFrame, where: str, seed: int, notes: list[str]
) -> Iterator[dict[str, object]]:
    """Test every ordered pair of the columns."""
    for one, two in permutations(cells.columns, 2):
        both = cells[[one, two]].dropna()
        by_session = both.groupby(level=["subject", "session"]).mean()
        by_subject = by_session.groupby(level="subject").mean()
        n_all = cells[[one, two]].dropna(how="all").index
        if one < two and len(both) < len(n_all):
            notes.append(
                f"{where}: {one} and {two} are compared on {len(both)} of "
                f"{len(n_all)} units, {len(by_subject)} of "
                f"{n_all.get_level_values('subject').nunique()} subjects, which both scored"
            )
        if len(by_subject) == 0:
            continue
        differences = np.round((by_subject[one] - by_subject[two]).to_numpy(float), _DECIMALS)
        if one < two and len(differences) == 1:
            notes.append(f"{where}: one subject; nothing can be tested")
        p, test = one_sided_p(differences, seed)
        effect, half = effect_size(differences), half_width(len(differences))
        yield {
            "pipe1": one, "pipe2": two, "n_subj": len(differences),
            "mean_diff": float(differences.mean()), "smd": effect, "smd_low": effect - half,
            "smd_high": effect + half, "p": p, "test": test,
        }  # fmt: skip


def _corrected(rows: Sequence[dict[str, object]]) -> list[dict[str, object]]:
    p = np.array([row["p"] for row in rows], dtype=np.float64)
    both = zip(rows, bonferroni(p).tolist(), holm(p).tolist(), strict=True)
    return [row | {"p_bonferroni": b, "p_holm": h} for row, b, h in both]
