"""Work as it is done in a worker: some units that share their data.

A worker reads the epochs of a subject once and keeps them, and what is worked
out from them, for the tasks that follow.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from bci.benchmark import dynamic, online, pipelines, scoring
from bci.benchmark.config import PipelineSettings
from bci.benchmark.data import Epochs
from bci.benchmark.datasets import DatasetSettings
from bci.benchmark.folds import Fold, Part
from bci.benchmark.memory import FitMemory, Recent
from bci.benchmark.permutation import permuted_scores
from bci.benchmark.pipelines import Context
from bci.benchmark.store import Damaged, Row, Store
from bci.benchmark.task import Task, Unit, metric_of, row
from bci.decoders import AdaptiveDecoder
from bci.decoders.subjects import subjects_for
from bci.errors import BciError
from bci.types import FloatArray, StreamInfo

Result = tuple[str, list[Row]]


@lru_cache(maxsize=1)
def _epochs() -> Recent:
    return Recent(256 * 2**20)


@lru_cache(maxsize=1)
def _features() -> Recent:
    return Recent(256 * 2**20)


@lru_cache(maxsize=1)
def _fits() -> FitMemory:
    return FitMemory()


def perform(task: Task) -> list[Result]:
    """Do the units of a task that nobody has done yet; each is stored as soon as it is done."""
    store = Store(task.out)
    found = []
    with threadpool_limits(1):
        for unit in task.units:
            rows = None
            if not task.force:
                with suppress(Damaged):  # a task that was begun by a worker that died
                    rows = store.read(unit.key)
            if rows is None:
                rows = list(_rows(task, unit))
                if store.units.is_dir():  # not on a machine that doesn't see the folder
                    store.write(unit.key, rows)
            found.append((unit.key, rows))
    return found


def _rows(task: Task, unit: Unit) -> Iterator[Row]:
    """Rows of a unit; whatever goes wrong in it is its own row's business."""
    try:
        if unit.error:
            raise BciError(unit.error)
        if unit.work is None:
            found = list(online.rows(task, unit))
        else:
            found = list(_scored(task, unit, unit.work))
    except Exception as error:  # of any estimator from anywhere
        told = " ".join(str(error).split()) or "no message"
        name = "" if isinstance(error, BciError) else f"{type(error).__name__}: "
        found = [row(task, unit, error=f"{name}{told[:500]}")]
    yield from found


# --- one fold ------------------------------------------------------------------------------------


def _scored(task: Task, unit: Unit, fold: Fold) -> Iterator[Row]:
    """Fit on a fold's training, and a row for each session of its test."""
    if fold.error:
        raise BciError(fold.error)
    epochs = [_cut(_part_epochs(task.source.settings, part), unit.window_s) for part in fold.parts]
    _check(fold, epochs)
    settings, labels = task.pipelines[unit.pipeline], fold.y
    context = _context(epochs[0], tuple(np.unique(labels).tolist()), task.seed)
    y = labels if pipelines.takes_text_labels(settings) else _codes(labels)
    X = _prefixed(settings, context, fold, epochs)
    metric = metric_of(len(task.source.classes))
    with scoring.Warned() as warned:
        fitted, answers, took = _fitted(settings, context, fold, X, y, metric)
        raw = epochs[fold.sessions[fold.test[0]]].X
        timed = _latencies(task, unit, settings, context, fitted, raw)
    epoch_s = context.n_times / context.info.sfreq
    common = timed | {
        "time": took,
        "n_train": len(fold.train),
        "minutes_train": len(fold.train) * epoch_s / 60.0,
        "window_s": unit.window_s or epoch_s,
        "channels": len(epochs[0].ch_names),
        "samples": len(labels) if len(fold.parts) == 1 else len(fold.train),  # as MOABB counts
    }
    extra = _extra(fold, fitted, warned)
    if n_permutations := getattr(task.evaluation, "permutations", 0):
        with scoring.Warned():
            extra["permuted"] = permuted_scores(settings, context, fold, X, y, n_permutations)
    asked = getattr(task.evaluation, "stopping", None)
    if asked is not None and getattr(fitted, "any_length", False):
        training, test = ((X[side], y[side]) for side in (fold.train, fold.test))
        with scoring.Warned():
            extra["stopping"] = dynamic.decided(asked, fitted, training, test, context.info.sfreq)
    for session, chosen in _tested(fold):
        some, truth = answers[chosen], y[fold.test][chosen]
        told = _told(some, labels[fold.test][chosen], context.classes) | extra
        yield (
            row(task, unit)
            | common
            | {
                "score": scoring.score(some, truth, metric),
                "session": session,
                "n_test": len(truth),
                "details": json.dumps(told),
            }
        )


def _fitted(
    settings: PipelineSettings,
    context: Context,
    fold: Fold,
    X: Any,
    y: NDArray[Any],
    metric: str,
) -> tuple[Any, scoring.Answers, float]:
    """The fitted estimator, its answers to the test, and the seconds that fitting took.

    Raises
    ------
    BciError
        It adapts to the test and doesn't say so, or needs a training and gets none.
    """
    start = time.perf_counter()
    fitted = pipelines.rest(settings, context, _fits())
    if len(fold.train):
        fitted = scoring.fit(
            fitted, settings.grid, X[fold.train], y[fold.train], fold.trials[fold.train],
            metric=metric, seed=context.seed, subjects=_subjects(fitted, fold),
        )  # fmt: skip
    elif not hasattr(fitted, "classes_"):
        raise BciError("it must be trained, and this evaluation trains nothing")
    took = time.perf_counter() - start
    if settings.adapts is not None:
        return fitted, _adapted(settings, fitted, fold, X, y), took
    if settings.transductive and hasattr(fitted, "adapt"):
        return fitted, _adapted_at_once(fitted, fold, X), took
    answers = scoring.answer(fitted, X[fold.test])
    if not settings.transductive and not scoring.batch_free(fitted, X[fold.test], answers):
        raise BciError(
            "its answer for a window changes with the other test windows: it adapts to the "
            "test; set 'transductive: true' for the pipeline"
        )
    return fitted, answers, took


def _subjects(estimator: Any, fold: Fold) -> NDArray[np.str_] | None:
    """Whose the epochs of the training are, for an estimator that asks."""
    whose = fold.sessions[fold.train]
    people, sessions = (
        np.array([getattr(part, name) for part in fold.parts])[whose]
        for name in ("subject", "session")
    )
    return subjects_for(estimator, people, sessions)


def _adapted(
    settings: PipelineSettings, fitted: Any, fold: Fold, X: Any, y: NDArray[Any]
) -> scoring.Answers:
    """Answers of a decoder that learns from the test as it goes.

    Raises
    ------
    BciError
        The decoder doesn't learn window by window, or the test is not of whole sessions.
    """
    decoder = getattr(fitted, "best_estimator_", fitted)
    if not isinstance(decoder, AdaptiveDecoder):
        raise BciError(
            "'adapts' is set, but it does not learn window by window; {kind: recentred} does"
        )
    tested = np.unique(fold.sessions[fold.test])
    if np.isin(fold.sessions, tested).sum() != len(fold.test):
        raise BciError(
            "it adapts in order of time, which needs whole sessions to test: cross_session, "
            "cross_subject or transfer"
        )
    return scoring.answer_and_adapt(
        decoder, X[fold.test], y[fold.test], fold.sessions[fold.test],
        labels=settings.adapts == "with labels",
    )  # fmt: skip


def _adapted_at_once(decoder: Any, fold: Fold, X: Any) -> scoring.Answers:
    """Answers of a decoder that is shown each test session, or person, whole beforehand."""
    whose = fold.sessions[fold.test]
    if not getattr(decoder, "per_session", False):
        whose = np.zeros_like(whose)
    parts = []
    for number in dict.fromkeys(whose.tolist()):
        part = X[fold.test[whose == number]]
        parts.append(scoring.answer(decoder.adapt(part), part))
    return scoring.joined(parts)


def _part_epochs(settings: DatasetSettings, part: Part) -> Epochs:
    """Epochs of a session; its subject is read once in this process.

    Raises
    ------
    BciError
        They are not those that the work was planned with.
    """
    key = (settings.model_dump_json(), part.subject)
    of_subject = _epochs().get(key, lambda: settings.build().epochs(part.subject))
    for epochs in of_subject:
        if epochs.session == part.session and epochs.sha256 == part.sha256:
            return epochs
    _epochs().drop(key)
    raise BciError(
        f"session {part.session} of subject {part.subject} changed while the benchmark ran; "
        "start it again"
    )


def _cut(epochs: Epochs, window_s: float | None) -> Epochs:
    """Epochs cut to their beginning.

    Raises
    ------
    BciError
        They are shorter than that, or it is less than a sample.
    """
    if window_s is None:
        return epochs
    n, n_times = round(window_s * epochs.sfreq), epochs.X.shape[2]
    if not 1 <= n <= n_times:
        raise BciError(
            f"windows of {window_s:g} s cannot be cut from epochs of {n_times / epochs.sfreq:g} s "
            f"at {epochs.sfreq:g} Hz; mend 'window_s' of the evaluation"
        )
    return replace(epochs, X=epochs.X[..., :n])


def _check(fold: Fold, epochs: Sequence[Epochs]) -> None:
    """Refuse what no estimator should be asked to learn from."""
    for part in epochs:
        bad = int((~np.isfinite(part.X).all(axis=(1, 2))).sum())
        if bad:
            raise BciError(
                f"{bad} of {len(part.X)} epochs of subject {part.subject}, session "
                f"{part.session}, hold NaN or infinite values"
            )
    first = epochs[0]
    for part in epochs[1:]:
        one, other = ((p.ch_names, p.sfreq, p.X.shape[2]) for p in (first, part))
        if one != other:
            raise BciError(
                f"sessions differ: {first.subject}/{first.session} has {len(one[0])} channels and "
                f"{one[2]} samples at {one[1]:g} Hz, {part.subject}/{part.session} has "
                f"{len(other[0])} and {other[2]} at {other[1]:g} Hz, or other channels"
            )


def _context(epochs: Epochs, classes: tuple[str, ...], seed: int) -> Context:
    kinds = ("eeg",) * len(epochs.ch_names)
    info = StreamInfo(epochs.dataset, epochs.sfreq, epochs.ch_names, kinds)
    return Context(info, epochs.X.shape[2], classes, seed)


def _codes(labels: NDArray[np.str_]) -> NDArray[np.int64]:
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)


def _prefixed(
    settings: PipelineSettings, context: Context, fold: Fold, epochs: Sequence[Epochs]
) -> Any:
    """What the stateless steps make of all epochs, worked out once for all folds and pipelines."""
    n = pipelines.n_stateless(settings)
    shared = json.dumps([step.model_dump(mode="json") for step in settings.steps[:n]])
    key = (tuple(part.sha256 for part in fold.parts), shared, repr(context))
    if n == 0 and len(epochs) == 1:
        return epochs[0].X
    return _features().get(
        key,
        lambda: np.concatenate([pipelines.prefix(settings, context, part.X) for part in epochs]),
    )


def _latencies(
    task: Task, unit: Unit, settings: PipelineSettings, context: Context, fitted: Any, X: FloatArray
) -> Row:
    """Percentiles of the time that single windows take through the whole pipeline, first folds."""
    if unit.fold != 0 or task.latency_windows == 0 or len(X) == 0:
        return {}
    steps = settings.steps[: pipelines.n_stateless(settings)]
    made = [pipelines.make_step(step, context) for step in steps]
    for step in made:
        step.fit(X[:1], np.zeros(1, dtype=int))
    names = pipelines.step_names(settings.steps)
    whole = scoring.whole(fitted, list(zip(names, made, strict=False)))
    took = scoring.latencies_ms(whole, X, task.latency_windows)
    p50, p99 = np.percentile(took, [50, 99])
    return {"predict_ms_p50": float(p50), "predict_ms_p99": float(p99)}


def _tested(fold: Fold) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """Each session of the test, or all as one, with the places of its epochs in it."""
    if fold.pooled:
        yield fold.session, np.arange(len(fold.test))
        return
    numbers = fold.sessions[fold.test]
    for number in dict.fromkeys(numbers.tolist()):
        yield fold.parts[number].session, np.flatnonzero(numbers == number)


def _told(answers: scoring.Answers, truth: NDArray[np.str_], classes: tuple[str, ...]) -> Row:
    names = [c if isinstance(c, str) else classes[c] for c in answers.classes.tolist()]
    said = [c if isinstance(c, str) else classes[c] for c in answers.labels.tolist()]
    proba = None if answers.proba is None else np.round(answers.proba, 6).tolist()
    return {"y_true": truth.tolist(), "y_pred": said, "classes": names, "proba": proba}


def _extra(fold: Fold, fitted: Any, warned: Sequence[str]) -> Row:
    extra: Row = {}
    if fold.note:
        extra["note"] = fold.note
    if warned:
        extra["warnings"] = list(warned)[:5]
    if hasattr(fitted, "best_params_"):
        extra["best_params"] = {k: _plain(v) for k, v in fitted.best_params_.items()}
    return extra


def _plain(value: Any) -> Any:
    return value if isinstance(value, (str, int, float, bool, type(None))) else repr(value)
