"""Pseudo-online units: train on other sessions as they would be cut live, then replay one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from bci.benchmark import operating_point, pipelines, pseudo_online, scoring
from bci.benchmark.config import PipelineSettings
from bci.benchmark.data import ContinuousSession
from bci.benchmark.evaluations import PseudoOnline
from bci.benchmark.pipelines import Context
from bci.benchmark.store import Row
from bci.benchmark.task import Task, Unit, row
from bci.calibration import training
from bci.config import Config
from bci.decoders import AdaptiveDecoder
from bci.errors import BciError, ConfigError
from bci.pipeline import Pipeline


def session_config(evaluation: PseudoOnline, session: ContinuousSession) -> Config:
    """The evaluation's session, reading this recording.

    Every marker value that means something is an event under its own name.

    Raises
    ------
    ConfigError
        The evaluation's 'session' is no configuration of a session.
    """
    values = dict.fromkeys((*session.labels, *session.idle))
    whole = {
        "source": {"kind": "replay", "path": str(session.recording.path)},
        "channels": {"pick": "all", "montage": None},
        "events": {value: value for value in values},
        **evaluation.session,
    }
    try:
        return Config.model_validate(whole)
    except ValueError as error:
        text = "; ".join(str(error).splitlines()[1:3])
        raise ConfigError(f"'session' of pseudo_online: {text}") from error


def windows(
    evaluation: PseudoOnline, sessions: Sequence[ContinuousSession], idle: bool
) -> training.LabelledWindows:
    """Training windows of sessions, cut by the live pipeline, their values turned into labels."""
    parts = []
    for session in sessions:
        config = session_config(evaluation, session)
        labels = dict(session.labels)
        if idle:
            labels |= dict.fromkeys(session.idle, "rest")
        part = training.collect(config, session.recording)
        known = np.isin(part.y, list(labels))
        y = np.array([labels[value] for value in part.y[known].tolist()], dtype=str)
        parts.append(
            training.LabelledWindows(
                part.X[known], y, part.info, part.processing, part.n_rejected, part.n_unlabelled
            )
        )
    return training.join(parts, [session.recording.path for session in sessions])


def rows(task: Task, unit: Unit) -> Iterator[Row]:
    """The row of one pipeline on one session, live decisions and all."""
    evaluation = task.evaluation
    assert isinstance(evaluation, PseudoOnline)
    settings = task.pipelines[unit.pipeline]
    of_subject = task.source.settings.build().continuous(unit.subject)
    tested = [s for s in of_subject if s.session == unit.session]
    if not tested:
        raise BciError(f"session {unit.session} of subject {unit.subject} is not there any more")
    others = _others(of_subject, tested)
    decoder, n_train, minutes = _decoder(task, settings, evaluation, tested[0], others)
    if isinstance(decoder, AdaptiveDecoder) != (settings.adapts == "without labels"):
        raise BciError(
            "a decoder that learns window by window does so live, without labels: 'adapts: "
            "without labels' says so, and is for no other decoder"
        )
    live = [session_config(evaluation, session) for session in tested]
    threshold = None
    if evaluation.threshold == "auto":
        threshold = _threshold(task, settings, evaluation, others)
        live = [operating_point.with_threshold(config, threshold) for config in live]
    results = [
        pseudo_online.evaluate(session, config, decoder, unit.pipeline, **evaluation.rules)
        for session, config in zip(tested, live, strict=True)
    ]
    result = results[0] if len(results) == 1 else pseudo_online.pool(results)
    if failed := result.abstentions.get("decoder-error"):
        raise BciError(f"it failed on {failed} windows of the live stream; the log says how")
    details: dict[str, Any] = result.details()
    if threshold is not None:
        details["threshold"] = threshold
    n_classes = int(details.get("n_classes", len(task.source.classes)))
    yield row(task, unit) | {
        "score": result.score,
        "metric": "accuracy",
        "n_classes": n_classes,
        "chance": 1.0 / n_classes,
        "n_test": int(details.get("trials", 0)),
        "window_s": live[0].window.length_s,
        "samples": n_train,
        "n_train": n_train,
        "minutes_train": minutes,
        "channels": tested[0].recording.info.n_channels,
        "predict_ms_p50": details.get("decode_ms_p50") or float("nan"),
        "predict_ms_p99": details.get("decode_ms_p99") or float("nan"),
        "details": json.dumps(details, default=str),
    }


def _others(
    of_subject: Sequence[ContinuousSession], tested: Sequence[ContinuousSession]
) -> list[ContinuousSession]:
    """The subject's other recordings, without twins of the tested ones."""
    names = {session.session for session in tested}
    return [s for s in of_subject if s.session not in names and not any(same(s, t) for t in tested)]


def _decoder(
    task: Task,
    settings: PipelineSettings,
    evaluation: PseudoOnline,
    tested: ContinuousSession,
    others: Sequence[ContinuousSession],
) -> tuple[Any, int, float]:
    """The decoder for a session, with the number of its training windows and their minutes."""
    config = session_config(evaluation, tested)
    pipeline = Pipeline(config.model_copy(update={"decoder": None}), tested.recording.info)
    context = Context(pipeline.info, pipeline.cutter.length, task.source.classes, task.seed)
    decoder = pipelines.rest(settings, context, whole=True)
    if evaluation.train == "none":
        if not hasattr(decoder, "classes_"):
            raise BciError("it must be trained, but 'train' is 'none'")
        return decoder, 0, 0.0
    if not others:
        raise BciError(f"subject {tested.subject} has no other session to train on")
    # a decoder that is there before training decides among its own classes: rest is none of them
    found = windows(evaluation, others, idle=not hasattr(decoder, "classes_"))
    minutes = found.X.size / found.X.shape[1] / pipeline.info.sfreq / 60.0
    trials = np.arange(len(found.y))
    fitted = scoring.fit(
        decoder, settings.grid, found.X, found.y, trials, metric="accuracy", seed=task.seed
    )
    fitted = getattr(fitted, "best_estimator_", fitted)
    if not hasattr(fitted, "predict_proba"):
        raise BciError("it gives no probabilities, which live decisions need")
    return fitted, len(found.y), minutes


def _threshold(
    task: Task,
    settings: PipelineSettings,
    evaluation: PseudoOnline,
    others: Sequence[ContinuousSession],
) -> float:
    """The threshold for a session, chosen on the others.

    Each of them is decoded by a decoder that was not trained on it: on its own training
    a decoder is surer than it will be.
    """
    if len(others) < (1 if evaluation.train == "none" else 2):
        raise BciError(
            f"a threshold is chosen on other sessions than the tested one, and than those trained "
            f"on; there {'is' if len(others) == 1 else 'are'} {len(others)} left. Set 'threshold: "
            "fixed', or 'train: none' for a decoder that needs no training"
        )
    decoded = []
    for session in others:
        decoder, _, _ = _decoder(task, settings, evaluation, session, _others(others, [session]))
        config = session_config(evaluation, session)
        decoded.append(operating_point.decode(session, config, decoder))
    return operating_point.choose_threshold(
        decoded, session_config(evaluation, others[0]),
        pseudo_online.rules_for(others[0], **evaluation.rules),
        false_per_min=evaluation.max_false_per_min, within=evaluation.idle_time,
    )  # fmt: skip


def same(one: ContinuousSession, other: ContinuousSession) -> bool:
    """Whether two names stand for one recording."""
    return np.array_equal(one.recording.data, other.recording.data)


def training_free(settings: PipelineSettings, session: ContinuousSession, config: Config) -> bool:
    """Whether a decoder is there before training, deciding among classes of its own."""
    pipeline = Pipeline(config.model_copy(update={"decoder": None}), session.recording.info)
    context = Context(pipeline.info, pipeline.cutter.length, tuple(session.labels.values()), 0)
    return hasattr(pipelines.rest(settings, context, whole=True), "classes_")
