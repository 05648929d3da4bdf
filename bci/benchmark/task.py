"""What a worker is told, and the row that it gives back.

A `Task` carries settings and indices, never samples.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bci.benchmark.config import PipelineSettings
from bci.benchmark.data import ParadigmName
from bci.benchmark.datasets import DatasetSettings
from bci.benchmark.evaluations import EvaluationPart
from bci.benchmark.folds import Fold
from bci.benchmark.store import Row


@dataclass(frozen=True)
class Source:
    """The data set of a task, and what its rows say of it."""

    settings: DatasetSettings
    name: str
    paradigm: ParadigmName
    simulated: bool
    classes: tuple[str, ...]


@dataclass(frozen=True)
class Unit:
    """One pipeline on one fold; `key` is a hash of all that its rows depend on.

    `window_s` is what epochs are cut to, seconds; None: whole epochs.
    """

    key: str
    pipeline: str
    subject: str
    session: str
    fold: int
    work: Fold | None = field(default=None, repr=False)  # None: pseudo-online, or unreadable
    error: str = ""
    window_s: float | None = None


@dataclass(frozen=True)
class Task:
    """Units that share their data."""

    source: Source
    evaluation: EvaluationPart
    units: tuple[Unit, ...]
    pipelines: dict[str, PipelineSettings]
    n_sessions: dict[str, int]
    seed: int
    latency_windows: int
    code_version: str
    out: Path
    force: bool = False


def metric_of(n_classes: int) -> str:
    """MOABB's score for a number of classes."""
    return "roc_auc" if n_classes == 2 else "accuracy"


def row(task: Task, unit: Unit, **more: Any) -> Row:
    """A row with all columns, those of `more` filled in."""
    source = task.source
    n_classes = len(source.classes)
    metric = metric_of(n_classes)
    return {
        "score": float("nan"),
        "time": float("nan"),
        "samples": 0,
        "subject": unit.subject,
        "session": unit.session,
        "channels": 0,
        "n_sessions": task.n_sessions.get(unit.subject, 0),
        "dataset": source.name,
        "pipeline": unit.pipeline,
        "evaluation": task.evaluation.title,
        "evaluation_kind": task.evaluation.kind,
        "window_s": float("nan") if unit.window_s is None else unit.window_s,
        "fold": unit.fold,
        "metric": metric,
        "n_test": 0,
        "n_classes": n_classes,
        "chance": 0.5 if metric == "roc_auc" else 1.0 / n_classes,
        "paradigm": source.paradigm,
        "simulated": source.simulated,
        "error": "",
        "n_train": 0,
        "minutes_train": float("nan"),
        "transductive": task.pipelines[unit.pipeline].transductive,
        "seen": task.pipelines[unit.pipeline].seen,
        "predict_ms_p50": float("nan"),
        "predict_ms_p99": float("nan"),
        "details": "{}",
        "key": unit.key,
        "code_version": task.code_version,
    } | more
