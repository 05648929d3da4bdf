"""Labelled recordings to a model: the windows that the live pipeline would cut, and a fit.

The recording goes through the very `Pipeline` that later decodes, so training
and live use share channels, filters and cutting by construction.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import StratifiedKFold

from bci import registry
from bci.config import Config, EachDecision
from bci.decoders.artifact import Manifest, save
from bci.decoders.manifest import Score, describe_processing, training_hash
from bci.errors import ConfigError, ModelError
from bci.metrics import accuracy_interval, chance_bound
from bci.pipeline import Pipeline
from bci.playback import events
from bci.sources.files import Recording, load_recording
from bci.types import Event, FloatArray, Marker, StreamInfo

N_FOLDS = 5


@dataclass(frozen=True, slots=True)
class LabelledWindows:
    """Training windows.

    Attributes
    ----------
    X : array, shape (n_windows, n_channels, n_times), µV
    y : array of str, shape (n_windows,)
    info : StreamInfo
        The processed stream.
    processing : tuple of dict
        The chain's settings and coefficients.
    n_rejected : int
        Labelled windows left out for their quality.
    """

    X: FloatArray
    y: Any
    info: StreamInfo
    processing: tuple[dict[str, Any], ...]
    n_rejected: int


def collect(config: Config, recording: Recording, from_sample: int = 0) -> LabelledWindows:
    """Cut the labelled windows of a recording.

    A window opens at each marker that opens one live (`window.markers`, or else
    every mapped event); its label is that of its own marker, or of the last
    labelled marker before it (a cue).

    Raises
    ------
    ConfigError
        No marker of the recording is labelled by `events`.
    """
    labels = config.labels
    if not labels:
        raise ConfigError("training needs labels: map them to marker codes under 'events'")
    window = config.window.model_copy(update={"kind": "marker"})
    pipeline = Pipeline(
        config.model_copy(update={"window": window, "decision": EachDecision(), "decoder": None}),
        recording.info,
    )
    X: list[FloatArray] = []
    y: list[str] = []
    n_rejected = 0
    for event in _since(events(recording), from_sample):
        for cut in pipeline.windows(event):
            if cut.marker is None:
                continue
            value = cut.marker.value
            label = labels.get(value) or _cue_before(recording, labels, cut.marker.onset)
            if label is None:
                continue
            if cut.data is None:
                n_rejected += 1
                continue
            X.append(cut.data)
            y.append(label)
    if not X and not n_rejected:
        there = Counter(m.value for m in recording.markers).most_common(12)
        raise ConfigError(
            f"no labelled window: 'events' asks for markers {', '.join(map(repr, labels))}, the "
            f"recording has {', '.join(f'{v!r} ({n})' for v, n in there) or 'none'}"
        )
    shape = (0, pipeline.info.n_channels, pipeline.cutter.length)
    return LabelledWindows(
        np.stack(X) if X else np.empty(shape),
        np.array(y, dtype=str),
        pipeline.info,
        describe_processing(config.processing, pipeline.chain.stages),
        n_rejected,
    )


def _since(source: Iterable[Event], from_sample: int) -> Iterable[Event]:
    """Events without the markers before calibration started."""
    return (e for e in source if not (isinstance(e, Marker) and e.onset < from_sample))


def _cue_before(recording: Recording, labels: dict[str, str], onset: int) -> str | None:
    cues = [
        m.value for m in recording.markers
        if m.value in labels and m.index is not None and m.index <= onset
    ]  # fmt: skip
    return labels[cues[-1]] if cues else None


def fit(
    config: Config, windows: LabelledWindows, decoder: str | None = None
) -> tuple[Any, Manifest]:
    """Fit the decoder and score it by cross-validation.

    Parameters
    ----------
    config : Config
    windows : LabelledWindows
    decoder : str or None
        Kind to fit; None: the configuration's.

    Raises
    ------
    ConfigError
        No decoder is named, or it is a trained one.
    ModelError
        There are too few windows, or the decoder cannot be fitted to them.
    """
    settings = config.decoder
    if decoder is not None:
        cls = registry.find("decoder", decoder)
        if cls is None:
            known = ", ".join(registry.kinds("decoder"))
            raise ConfigError(f"there is no decoder kind '{decoder}'; known are: {known}")
        settings = cls.model_validate({"kind": decoder})  # type: ignore[assignment]
    if settings is None or settings.kind == "model":
        raise ConfigError("say which decoder to train: a 'decoder' of another kind than 'model'")
    X, y = windows.X, windows.y
    counts = Counter(y.tolist())
    if len(counts) < 2 or min(counts.values()) < 2:
        found = ", ".join(f"{label}: {n}" for label, n in sorted(counts.items())) or "none"
        raise ModelError(
            "training needs two windows of each of two labels at least; found "
            f"{found} ({windows.n_rejected} rejected for their quality)"
        )
    estimator = settings.build(windows.info)
    try:
        score = _cross_validate(estimator, X, y, min(N_FOLDS, min(counts.values())))
        fitted = clone(estimator).fit(X, y)
    except ValueError as error:
        raise ModelError(f"decoder '{settings.kind}' cannot be trained: {error}") from error
    manifest = Manifest(
        ch_names=windows.info.ch_names,
        sfreq=windows.info.sfreq,
        processing=windows.processing,
        window=config.window.model_dump(mode="json"),
        training_sha256=training_hash(X, y),
        n_trials=dict(sorted(counts.items())),
        scores=(score,),
    )
    return fitted, manifest


def _cross_validate(estimator: Any, X: FloatArray, y: Any, n_folds: int) -> Score:
    """Accuracy on held-out folds; one window a trial, so no trial is on both sides."""
    hits = 0
    for train, test in StratifiedKFold(n_folds).split(X, y):
        hits += int((clone(estimator).fit(X[train], y[train]).predict(X[test]) == y[test]).sum())
    low, high = accuracy_interval(hits, len(y))
    return Score(
        metric="accuracy", value=hits / len(y), low=low, high=high, n=len(y),
        method=f"{n_folds}-fold stratified, in order of time, one window a trial",
    )  # fmt: skip


def train(
    config: Config,
    recordings: Sequence[Path],
    out: Path,
    *,
    decoder: str | None = None,
    from_sample: int = 0,
    report: Callable[[str], None],
) -> None:
    """Train on recordings and write the model artifact to `out`; see `collect` and `fit`."""
    parts = []
    for path in recordings:
        part = collect(config, load_recording(path), from_sample)
        report(f"{path}: {len(part.y)} labelled windows, {part.n_rejected} rejected")
        parts.append(part)
    windows = join(parts)
    fitted, manifest = fit(config, windows, decoder)
    saved = save(fitted, manifest, out)
    score = saved.scores[0]
    bound = chance_bound(score.n, len(saved.n_trials))
    report(
        f"{saved.model_id}: accuracy {score.value:.3f} [{score.low:.3f}, {score.high:.3f}] "
        f"({score.confidence:.0%}; {score.method}), chance {1 / len(saved.n_trials):.3f} "
        f"(better than chance from {bound / score.n:.3f})"
    )
    report(f"wrote {out}")


def join(parts: Sequence[LabelledWindows]) -> LabelledWindows:
    """Windows of several recordings as one training set.

    Raises
    ------
    ModelError
        The recordings differ in channels or rate.
    """
    first = parts[0]
    for part in parts[1:]:
        if (part.info.ch_names, part.info.sfreq) != (first.info.ch_names, first.info.sfreq):
            raise ModelError(
                "the recordings cannot be trained on together: "
                f"{', '.join(first.info.ch_names)} at {first.info.sfreq:g} Hz, and "
                f"{', '.join(part.info.ch_names)} at {part.info.sfreq:g} Hz"
            )
    return replace(
        first,
        X=np.concatenate([p.X for p in parts]),
        y=np.concatenate([p.y for p in parts]),
        n_rejected=sum(p.n_rejected for p in parts),
    )
