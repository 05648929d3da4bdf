"""Results as the report reads them: typed rows, complete, simulated sets named, in order."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import pandas as pd

from bci.errors import ConfigError

#: Kinds of evaluation that have a section of their own.
CURVES, ONLINE = "learning_curve", "pseudo_online"
_NEEDED = ("dataset", "subject", "pipeline", "evaluation", "score")
_TEXT = {
    "dataset": "", "subject": "", "pipeline": "", "evaluation": "", "evaluation_kind": "",
    "session": "0",
    "metric": "", "paradigm": "", "error": "", "details": "", "seen": "",
}  # fmt: skip
_NUMBERS = (
    "score", "time", "n_test", "n_classes", "chance", "minutes_train", "predict_ms_p50",
    "predict_ms_p99", "window_s", "fold",
)  # fmt: skip
_IN_DETAILS = {
    "window_s": "window_s",
    "predict_ms_p50": "decode_ms_p50",
    "predict_ms_p99": "decode_ms_p99",
}
_FLAGS = ("simulated", "transductive")
_ORDER = [
    "simulated", "dataset", "evaluation_kind", "evaluation", "window_s", "pipeline", "subject",
    "session", "minutes_train", "fold",
]  # fmt: skip
_EVALUATIONS = (
    "within_session", "leave_one_block_out", "training_free", "within_subject", "cross_session",
    "cross_subject", "transfer",
)  # fmt: skip
#: Kinds whose folds of one session test every trial once.
PARTITIONS = _EVALUATIONS[:4]

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Row:
    """One score, or the reason why there is none. Numbers that are not known are NaN.

    `dataset` says SIMULATED where it is; `evaluation` is the name of one of
    `evaluation_kind`; `seen` says what of the test the pipeline saw beyond the window that
    it answers ("": nothing); `details` is what the engine told beside the score.
    """

    dataset: str
    evaluation: str
    evaluation_kind: str
    pipeline: str
    subject: str
    session: str
    metric: str
    paradigm: str
    error: str
    simulated: bool
    seen: str
    score: float
    time: float
    n_test: float
    n_classes: float
    chance: float
    minutes_train: float
    predict_ms_p50: float
    predict_ms_p99: float
    window_s: float
    details: dict[str, Any] = field(repr=False)

    @property
    def good(self) -> bool:
        """Whether there is a score."""
        return math.isfinite(self.score) and not self.error


def prepare(results: pd.DataFrame) -> pd.DataFrame:
    """Results in a fixed order, with every column that the report reads.

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
    frame = results.reset_index(drop=True)

    def column(name: str, default: object) -> pd.Series[Any]:
        return frame[name] if name in frame else pd.Series(default, frame.index, dtype=object)

    for name, default in _TEXT.items():
        frame[name] = [default if _is_missing(v) else str(v) for v in column(name, default)]
    unnamed = frame["evaluation_kind"] == ""
    frame["evaluation_kind"] = frame["evaluation_kind"].where(~unnamed, frame["evaluation"])
    for name in _NUMBERS:
        frame[name] = pd.to_numeric(column(name, math.nan), errors="coerce").astype(float)
    for name in _FLAGS:
        frame[name] = [not _is_missing(v) and bool(v) for v in column(name, False)]
    unsaid = frame["transductive"] & (frame["seen"] == "")
    frame["seen"] = frame["seen"].where(~unsaid, "transductive")
    names = zip(frame["dataset"], frame["simulated"], strict=True)
    frame["dataset"] = [named(dataset, simulated) for dataset, simulated in names]
    return _sorted(frame)


def rows_of(frame: pd.DataFrame) -> tuple[Row, ...]:
    """Rows of a prepared frame."""
    details = [_parse(text) for text in frame["details"]]
    names = [name for name in Row.__dataclass_fields__ if name != "details"]
    columns = zip(*(frame[name].tolist() for name in names), details, strict=True)
    return tuple(_completed(Row(*values)) for values in columns)


def named(dataset: str, simulated: bool) -> str:
    """Name of a data set in tables and plots: SIMULATED where it is."""
    if not simulated:
        return dataset
    loud = re.sub("simulated", "SIMULATED", dataset, flags=re.IGNORECASE)
    return loud if "SIMULATED" in loud else f"{dataset} (SIMULATED)"


def scored(rows: Iterable[Row]) -> list[Row]:
    """Rows that have a score."""
    return [row for row in rows if row.good]


def grouped(rows: Iterable[Row], key: Callable[[Row], Key]) -> dict[Key, list[Row]]:
    """Rows by a key, both in the order of the rows."""
    found: dict[Key, list[Row]] = {}
    for row in rows:
        found.setdefault(key(row), []).append(row)
    return found


def known(values: Iterable[float]) -> list[float]:
    """Values that are numbers."""
    return [v for v in values if math.isfinite(v)]


def natural(text: str) -> tuple[tuple[bool, int, str], ...]:
    """Sorting key under which S2 comes before S10."""
    parts = re.findall(r"[0-9]+|[^0-9]+", text)
    return tuple((p.isdigit(), int(p) if p.isdigit() else 0, p) for p in parts)


def spoken(evaluation: str) -> str:
    """An evaluation's name as it is read: within_session → within-session."""
    return evaluation.replace("_", "-")


def _completed(row: Row) -> Row:
    """Numbers from the details, where the columns lack them."""
    changes: dict[str, Any] = {}
    if not row.n_test > 0:
        changes["n_test"] = float(len(row.details.get("y_true") or ()))
    for name, key in _IN_DETAILS.items():
        told = row.details.get(key)
        if math.isnan(getattr(row, name)) and isinstance(told, int | float):
            changes[name] = float(told)
    return replace(row, **changes) if changes else row


def _sorted(frame: pd.DataFrame) -> pd.DataFrame:
    rank = {name: f" {k}" for k, name in enumerate(_EVALUATIONS)}  # before any letter

    def key(column: pd.Series[Any]) -> pd.Series[Any]:
        if column.name not in _TEXT:
            return column
        order = sorted(set(column), key=lambda v: natural(rank.get(str(v), str(v))))
        return column.map({v: k for k, v in enumerate(order)})

    ordered: pd.DataFrame = frame.sort_values(_ORDER, key=key, kind="stable", ignore_index=True)
    return ordered


def _is_missing(value: object) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value))


def _parse(text: str) -> dict[str, Any]:
    try:
        details = json.loads(text) if text else {}
    except ValueError:
        return {}
    return details if isinstance(details, dict) else {}
