"""From a results frame to what a report shows: scores by subject, with intervals.

A subject's score is the mean over folds, then over sessions, as MOABB averages;
its interval comes from the test trials of all of them. A mean over subjects
never stands without them.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from bci.benchmark.report_intervals import (
    UNKNOWN,
    Interval,
    beats_chance,
    chance_band,
    mean_interval,
    score_interval,
)
from bci.errors import ConfigError

#: Evaluations that have a section of their own.
CURVES, ONLINE = "learning_curve", "pseudo_online"
_NEEDED = ("dataset", "subject", "pipeline", "evaluation", "score")
_TEXT = {"session": "0", "metric": "", "paradigm": "", "error": "", "details": ""}
_NUMBERS = (
    "score", "time", "n_test", "n_train", "n_classes", "chance", "minutes_train",
    "predict_ms_p50", "predict_ms_p99", "window_s", "fold",
)  # fmt: skip
_FLAGS = ("simulated", "transductive")
_ORDER = ["simulated", "dataset", "evaluation", "window_s", "pipeline", "subject", "session"]
_EVALUATIONS = ("within_session", "cross_session", "cross_subject", "transfer")


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
    transductive: bool = False

    @property
    def label(self) -> str:
        """Name, and whether test data was seen without its labels."""
        return f"{self.pipeline} (transductive)" if self.transductive else self.pipeline

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
    n_classes: int
    lanes: tuple[Lane, ...]
    subjects: tuple[str, ...]
    rows: pd.DataFrame = field(repr=False)

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


def natural(text: str) -> tuple[tuple[bool, int, str], ...]:
    """Sorting key under which S2 comes before S10."""
    parts = re.findall(r"\d+|\D+", text)
    return tuple((p.isdecimal(), int(p) if p.isdecimal() else 0, p) for p in parts)


def spoken(evaluation: str) -> str:
    """An evaluation's name as it is read: within_session → within-session."""
    return evaluation.replace("_", "-")


def prepare(results: pd.DataFrame) -> pd.DataFrame:
    """Results in a fixed order, with every column that the report reads.

    Data sets that are simulated say so in their name from here on. `parsed`
    holds `details` as dicts.

    Raises
    ------
    ConfigError
        Columns are missing that no default can stand for.
    """
    missing = [c for c in _NEEDED if c not in results.columns]
    if missing and len(results):
        raise ConfigError(
            f"these results cannot be reported: columns {', '.join(missing)} are missing; "
            "run `bci benchmark` again with this version"
        )
    frame = results.reindex(columns=list(dict.fromkeys([*results.columns, *_NEEDED])))
    for column, default in (dict.fromkeys(_NEEDED, "") | _TEXT).items():
        values = frame[column] if column in frame else pd.Series(default, index=frame.index)
        if column != "score":
            frame[column] = [default if _is_missing(v) else str(v) for v in values]
    for column in _NUMBERS:
        values = frame[column] if column in frame else pd.Series(np.nan, index=frame.index)
        frame[column] = pd.to_numeric(values, errors="coerce").astype(float)
    for column in _FLAGS:
        values = frame[column] if column in frame else pd.Series(False, index=frame.index)
        frame[column] = [not _is_missing(v) and bool(v) for v in values]
    frame["dataset"] = [
        named(d, s) for d, s in zip(frame["dataset"], frame["simulated"], strict=True)
    ]
    frame["parsed"] = [_parse(text) for text in frame["details"]]
    return _sorted(_with_windows(frame))


def named(dataset: str, simulated: bool) -> str:
    """Name of a data set in tables and plots: SIMULATED where it is."""
    return f"{dataset} (SIMULATED)" if simulated and "SIMULATED" not in dataset else dataset


def scored(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows that have a score."""
    return frame[np.isfinite(frame["score"].to_numpy()) & (frame["error"] == "")]


def colours(frame: pd.DataFrame) -> dict[str, int]:
    """A number for each pipeline, the same in every figure."""
    return {name: k for k, name in enumerate(sorted(set(frame["pipeline"]), key=natural))}


def panels(frame: pd.DataFrame, *, online: bool = False) -> Iterator[Panel]:
    """Panels of the epoched evaluations, or of the pseudo-online one, in order."""
    number = colours(frame)
    own = frame["evaluation"] == ONLINE if online else ~frame["evaluation"].isin((ONLINE, CURVES))
    for (dataset, evaluation), group in groups(frame[own], "dataset", "evaluation"):
        lengths = sorted(set(group["window_s"].dropna()))
        for length in lengths if len(lengths) > 1 else [math.nan]:
            rows = group if math.isnan(length) else group[group["window_s"] == length]
            if len(scored(rows)):
                yield _panel(dataset, evaluation, length, rows, number)


def groups(frame: pd.DataFrame, *columns: str) -> Iterator[tuple[Any, pd.DataFrame]]:
    """Groups in the frame's own order, keys always tuples."""
    yield from frame.groupby(list(columns), sort=False)


def subject_point(name: str, rows: pd.DataFrame, metric: str, chance: float) -> Point:
    """Score of one subject: mean over folds, then over sessions; interval from its trials."""
    good = scored(rows)
    score = float(good.groupby("session")["score"].mean().mean())
    n, positive = count_trials(good)
    low, high = score_interval(metric, score, positive, n)
    note = "" if len(good) == len(rows) else f"{len(good)} of {len(rows)} folds"
    solid = beats_chance(metric, score, chance, positive, n)
    return Point(name, score, low, high, n, solid, note)


def count_trials(rows: pd.DataFrame) -> tuple[int, int]:
    """Test trials of some rows, and how many are of the class that sorts last."""
    n = int(rows["n_test"].fillna(0).sum())
    truth = [str(y) for d in rows["parsed"] for y in d.get("y_true") or ()]
    positive = truth.count(max(truth)) if truth else 0
    return (n or len(truth)), positive


def first(values: Iterable[Any], default: Any) -> Any:
    """First value that is there."""
    return next((v for v in values if not _is_missing(v) and v != ""), default)


def _panel(
    dataset: str, evaluation: str, window_s: float, rows: pd.DataFrame, number: Mapping[str, int]
) -> Panel:
    good = scored(rows)
    metric = str(first(good["metric"], "accuracy"))
    chance = float(first(good["chance"], math.nan))
    subjects = tuple(sorted(set(rows["subject"]), key=natural))
    lanes = []
    for (pipeline,), group in groups(rows, "pipeline"):
        points = tuple(
            subject_point(subject, of_subject, metric, chance)
            for (subject,), of_subject in groups(group, "subject")
            if len(scored(of_subject))
        )
        seen = bool(group["transductive"].any())
        lanes.append(Lane(pipeline, points, number[pipeline], len(subjects), seen))
    return Panel(
        dataset, evaluation, metric, window_s, chance, _band(good, metric, chance),
        int(first(good["n_classes"], 0)), tuple(lanes), subjects, rows,
    )  # fmt: skip


def _band(good: pd.DataFrame, metric: str, chance: float) -> Interval:
    """The widest band of chance among subjects and pipelines."""
    counts = [count_trials(rows) for _, rows in good.groupby(["pipeline", "subject"], sort=True)]
    n, positive = min((c for c in counts if c[0] > 0), default=(0, 0))
    return chance_band(metric, chance, positive, n) if n else UNKNOWN


def _sorted(frame: pd.DataFrame) -> pd.DataFrame:
    rank = {name: f"{k}" for k, name in enumerate(_EVALUATIONS)}

    def key(column: pd.Series[Any]) -> pd.Series[Any]:
        if column.name not in ("dataset", "evaluation", "pipeline", "subject", "session"):
            return column
        order = sorted(set(column), key=lambda v: natural(rank.get(v, v)))
        return column.map({v: k for k, v in enumerate(order)})

    return frame.sort_values(
        [*_ORDER, "minutes_train", "fold"], key=key, kind="stable", ignore_index=True
    )


def _with_windows(frame: pd.DataFrame) -> pd.DataFrame:
    lengths = [d.get("window_s", math.nan) for d in frame["parsed"]]
    told = pd.to_numeric(pd.Series(lengths, index=frame.index, dtype=object), errors="coerce")
    frame["window_s"] = frame["window_s"].fillna(told.astype(float))
    return frame


def _is_missing(value: object) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value))


def _parse(text: str) -> dict[str, Any]:
    try:
        details = json.loads(text) if text else {}
    except ValueError:
        return {}
    return details if isinstance(details, dict) else {}
