"""From a benchmark's winner to a model that `bci run` loads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.benchmark import online, pipelines, scoring
from bci.benchmark.config import BenchmarkConfig, PipelineSettings
from bci.benchmark.data import Dataset
from bci.benchmark.evaluations import PseudoOnline
from bci.benchmark.pipelines import Context
from bci.benchmark.trials import stratified
from bci.config import WindowSettings
from bci.decoders.artifact import Manifest, load, save
from bci.decoders.manifest import Score, training_hash
from bci.errors import ConfigError, ModelError
from bci.metrics import accuracy_interval
from bci.types import FloatArray, StreamInfo

N_FOLDS = 5


@dataclass(frozen=True)
class TrainingSet:
    """All windows of one subject, and the chain and window settings that they came through."""

    X: FloatArray
    y: NDArray[np.str_]
    trials: NDArray[np.int64]
    info: StreamInfo
    processing: tuple[dict[str, Any], ...]
    window: dict[str, Any]


def deploy(
    config: BenchmarkConfig,
    pipeline: str,
    subject: str,
    out: str | Path,
    *,
    dataset: str | None = None,
    report: Callable[[str], None],
) -> Manifest:
    """Train a pipeline on all data of a subject and write the model.

    Where the data set has continuous recordings and the benchmark a pseudo-online
    evaluation for it, windows are cut from them by the live pipeline with that
    evaluation's session, so that the model fits a live session with the same
    processing and window. Otherwise the epochs of the data set are used as they are.

    Parameters
    ----------
    config : BenchmarkConfig
    pipeline : str
        Its name in the benchmark.
    subject : str
    out : path
        Folder of the model; must not exist.
    dataset : str or None
        Name of the data set; None: the one that has this subject.
    report : callable
        Takes one line of text.

    Raises
    ------
    ConfigError
        There is no such pipeline or subject, or the data were filtered in a way that no
        live session can repeat.
    ModelError
        The pipeline gives no probabilities, cannot be trained on this or cannot be saved.
    """
    if pipeline not in config.pipelines:
        known = ", ".join(config.pipelines)
        raise ConfigError(f"there is no pipeline '{pipeline}' in the benchmark; known are: {known}")
    if Path(out).exists():  # now, not after the work
        raise ModelError(f"'{out}' exists already; choose another name for the model")
    settings = config.pipelines[pipeline]
    found = _dataset(config, subject, dataset)
    training = _windows(config, settings, found, subject, report)
    context = Context(
        training.info, training.X.shape[2], tuple(np.unique(training.y).tolist()), config.seed
    )
    score = _cross_validate(settings, context, training)
    fitted = _fit(settings, context, training, np.arange(len(training.y)))
    if not hasattr(fitted, "predict_proba"):
        raise ModelError(
            f"pipeline '{pipeline}' gives no probabilities, which live decisions need; wrap its "
            "classifier in sklearn.calibration.CalibratedClassifierCV"
        )
    manifest = Manifest(
        ch_names=training.info.ch_names,
        sfreq=training.info.sfreq,
        processing=training.processing,
        window=training.window,
        training_sha256=training_hash(training.X, training.y),
        n_trials=dict(sorted(Counter(training.y.tolist()).items())),
        scores=(score,),
    )
    saved = save(fitted, manifest, out)
    report(
        f"wrote model {saved.model_id} to {out}: {pipeline} on subject {subject} of {found.name}, "
        f"accuracy {score.value:.3f} [{score.low:.3f}, {score.high:.3f}], {score.method}"
    )
    _say_how_to_load(Path(out), report)
    return saved


def _dataset(config: BenchmarkConfig, subject: str, name: str | None) -> Dataset:
    built = [settings.build() for settings in config.datasets]
    chosen = [d for d in built if name in (None, d.name) and subject in d.subjects]
    if len(chosen) == 1:
        return chosen[0]
    listed = "; ".join(f"{d.name}: {', '.join(d.subjects)}" for d in built)
    if not chosen:
        wanted = f"subject '{subject}'" + (f" in data set '{name}'" if name else "")
        raise ConfigError(f"there is no {wanted}; there are {listed}")
    several = ", ".join(d.name for d in chosen)
    raise ConfigError(f"subject '{subject}' is in {several}: say which data set is meant")


def _windows(
    config: BenchmarkConfig,
    settings: PipelineSettings,
    dataset: Dataset,
    subject: str,
    report: Callable[[str], None],
) -> TrainingSet:
    evaluation = next(
        (
            e
            for e in config.evaluations
            if isinstance(e, PseudoOnline)
            and (e.only is None or {dataset.name, dataset.paradigm} & {*e.only})
        ),
        None,
    )
    sessions = dataset.continuous(subject) if evaluation is not None else []
    if evaluation is None or not sessions:
        return _epochs(dataset, subject, report)
    distinct = [
        s for i, s in enumerate(sessions) if not any(online.same(s, t) for t in sessions[:i])
    ]
    live = online.session_config(evaluation, distinct[0])
    free = settings.decoder is not None and online.training_free(settings, distinct[0], live)
    cut = online.windows(evaluation, distinct, idle=not free)
    return TrainingSet(
        cut.X, cut.y, np.arange(len(cut.y)), cut.info, cut.processing,
        live.window.model_dump(mode="json"),
    )  # fmt: skip


def _epochs(dataset: Dataset, subject: str, report: Callable[[str], None]) -> TrainingSet:
    """The data set's own epochs, each recording once."""
    if dataset.settings().get("filters"):
        raise ConfigError(
            f"the epochs of {dataset.name} are filtered forwards and backwards, which no live "
            "session can do; add an evaluation {kind: pseudo_online, session: {processing: …, "
            "window: …}} that says how the model will be used live, or set 'filters' to []"
        )
    parts = list({epochs.sha256: epochs for epochs in dataset.epochs(subject)}.values())
    first = parts[0]
    report(
        f"{dataset.name} has epochs only: the model takes windows of "
        f"{first.X.shape[2] / first.sfreq:g} s as the data set cuts them, without processing"
    )
    numbers = [np.unique(p.trials, return_inverse=True)[1] for p in parts]
    before = np.cumsum([0, *(int(n.max(initial=-1)) + 1 for n in numbers[:-1])])
    window = WindowSettings(kind="marker", length_s=first.X.shape[2] / first.sfreq)
    kinds = ("eeg",) * len(first.ch_names)
    return TrainingSet(
        np.concatenate([p.X for p in parts]),
        np.concatenate([p.y for p in parts]),
        np.concatenate([n + b for n, b in zip(numbers, before, strict=True)]).astype(np.int64),
        StreamInfo(dataset.name, first.sfreq, first.ch_names, kinds),
        (),
        window.model_dump(mode="json"),
    )


def _fit(
    settings: PipelineSettings, context: Context, training: TrainingSet, chosen: NDArray[np.int64]
) -> Any:
    """Fitted to the windows themselves and to labels as text, as a live session wants it."""
    metric = "roc_auc" if len(context.classes) == 2 else "accuracy"
    try:
        fitted = scoring.fit(
            pipelines.rest(settings, context, whole=True), settings.grid, training.X[chosen],
            training.y[chosen], training.trials[chosen], metric=metric, seed=context.seed,
        )  # fmt: skip
    except ValueError as error:
        raise ModelError(f"the pipeline cannot be trained on these windows: {error}") from error
    return getattr(fitted, "best_estimator_", fitted)


def _cross_validate(settings: PipelineSettings, context: Context, training: TrainingSet) -> Score:
    hits, n = 0, len(training.y)
    counts = Counter(training.y.tolist())
    if len(counts) < 2 or min(counts.values()) < N_FOLDS:
        raise ModelError(
            f"training needs {N_FOLDS} windows of each of two labels at least; found {dict(counts)}"
        )
    for train, test in stratified(training.y, training.trials, N_FOLDS, context.seed):
        fitted = _fit(settings, context, training, train)
        hits += int((fitted.predict(training.X[test]) == training.y[test]).sum())
    low, high = accuracy_interval(hits, n)
    searched = ", hyper-parameters searched inside each fold" if settings.grid else ""
    method = f"{N_FOLDS}-fold stratified and shuffled, grouped by trial, all sessions{searched}"
    return Score(metric="accuracy", value=hits / n, low=low, high=high, n=n, method=method)


def _say_how_to_load(folder: Path, report: Callable[[str], None]) -> None:
    try:
        load(folder)
        report(f"decode with  decoder: {{kind: model, path: {folder}}}")
    except ModelError as error:  # types of other packages, to be trusted by name
        report(f"to load it: {error}")
