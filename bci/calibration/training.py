"""Labelled recordings to a model: the windows that the live pipeline would cut, and a fit.

The recording goes through the very `Pipeline` that later decodes, so training
and live use share channels, filters and cutting by construction.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError
from sklearn.base import clone

from bci import registry
from bci.calibration import held_out
from bci.calibration.cleaning import self_calibrating
from bci.calibration.stopping import cross_validated, fit_stopping, in_words, n_folds
from bci.calibration.worth import judge
from bci.config import Config, DecoderSettings, DynamicDecision, EachDecision, WindowSettings
from bci.decoders.artifact import Manifest, save
from bci.decoders.manifest import describe_processing, training_hash
from bci.decoders.subjects import fit_to, subjects_for
from bci.errors import ConfigError, ModelError
from bci.metrics import chance_bound
from bci.paradigms.cues import TOLERANCE_S, cut_short, labelled
from bci.pipeline import Pipeline
from bci.playback import events
from bci.recording.layout import parse
from bci.sources.files import Recording, load_recording
from bci.types import FloatArray, StreamInfo, Window
from bci.windows import look_lengths


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
    n_unlabelled : int
        Windows left out because nobody said what was asked.
    n_cut_short : int
        Labelled trials left out because their flicker ended sooner than a window lasts.
    people, sessions : array of str, shape (n_windows,), or None
        Whose each window is, and of which session of that person; None: all are one's.
    trials : array of int, shape (n_windows, 2), or None
        Which trial each window is of: number of its recording, onset of its marker.
    """

    X: FloatArray
    y: Any
    info: StreamInfo
    processing: tuple[dict[str, Any], ...]
    n_rejected: int
    n_unlabelled: int = 0
    n_cut_short: int = 0
    people: Any = None
    sessions: Any = None
    trials: Any = None

    def of(self, person: str, session: str) -> LabelledWindows:
        """The same windows, with whose they are."""
        n = len(self.y)
        return replace(self, people=np.full(n, person), sessions=np.full(n, session))


def collect(
    config: Config,
    recording: Recording,
    from_sample: int = 0,
    bypassed: Iterable[int] = (),
) -> LabelledWindows:
    """Cut the labelled windows of a recording.

    A window opens at each marker that opens one live (`window.markers`, or else
    every mapped event); its label is that of its own marker, or of its cue (see
    `bci.paradigms.cues`). Markers before `from_sample` count as if they were not there.
    Samples go past the stages `bypassed`.

    Raises
    ------
    ConfigError
        A stage cannot be by-passed; or no window of the recording is labelled, and the
        message lists its markers.
    """
    labels = config.labels
    if not labels:
        raise ConfigError("training needs labels: map them to marker codes under 'events'")
    pipeline = cutting(config, recording, bypassed)
    window = pipeline.config.window
    markers = [(m.index or 0, m.value) for m in recording.markers if (m.index or 0) >= from_sample]
    openers = set(window.markers or labels)
    opened = list(labelled(markers, labels, openers))
    asked = {(o.onset, o.value): o.label for o in opened if o.label is not None}
    if not asked:
        raise ConfigError(_no_label(recording, window, labels, from_sample))
    short = asked.keys() & trials_cut_short(config, recording)
    if len(short) == len(asked):
        raise ConfigError(
            f"{recording.path}: the flicker of all {len(asked)} labelled trials ended sooner than "
            f"a window of {window.length_s:g} s, as it does in spelling; train on calibration, or "
            "shorten window.length_s"
        )
    found = [
        (asked[key], cut.data, key[0])
        for key, cut in marked_windows(pipeline, recording)
        if key in asked and key not in short
    ]
    if not found:
        raise ConfigError(
            f"{recording.path}: no window of {window.length_s:g} s fits between its labelled "
            f"markers and its end at {recording.duration_s:.1f} s"
        )
    good = [(label, data, onset) for label, data, onset in found if data is not None]
    empty = np.empty((0, pipeline.info.n_channels, pipeline.cutter.length))
    return LabelledWindows(
        np.stack([data for _, data, _ in good]) if good else empty,
        np.array([label for label, _, _ in good], dtype=str),
        pipeline.info,
        describe_processing(config.processing, pipeline.chain.stages),
        n_rejected=len(found) - len(good),
        n_unlabelled=sum(o.label is None for o in opened),
        n_cut_short=len(short),
        trials=np.array([(0, onset) for _, _, onset in good], dtype=int).reshape(-1, 2),
    )


def trials_cut_short(config: Config, recording: Recording) -> set[tuple[int, str]]:
    """Onset and value of each marker that opens a window longer than its flicker."""
    window = config.window
    return cut_short(
        ((m.index or 0, m.value) for m in recording.markers),
        set(window.markers or config.labels),
        round((window.length_s - TOLERANCE_S) * recording.info.sfreq),
    )


def cutting(config: Config, recording: Recording, bypassed: Iterable[int] = ()) -> Pipeline:
    """The live pipeline, cutting a window at each marker that opens one and deciding nothing."""
    window = config.window.model_copy(update={"kind": "marker"})
    return Pipeline(
        config.model_copy(update={"window": window, "decision": EachDecision(), "decoder": None}),
        recording.info,
        bypassed=dict.fromkeys(bypassed, ""),
    )


def marked_windows(
    pipeline: Pipeline, recording: Recording
) -> Iterator[tuple[tuple[int, str], Window]]:
    """Every window, with onset and value of the marker that opened it."""
    for event in events(recording):
        for cut in pipeline.windows(event):
            if cut.marker is not None:
                yield (cut.marker.onset, cut.marker.value), cut


def _no_label(
    recording: Recording, window: WindowSettings, labels: Iterable[str], from_sample: int
) -> str:
    there = Counter(m.value for m in recording.markers if (m.index or 0) >= from_sample)
    listed = ", ".join(f"{value!r} ({n})" for value, n in there.most_common(12)) or "none"
    asked = f"'events' asks for {', '.join(map(repr, labels))}"
    if window.markers:
        asked += f" before {', '.join(map(repr, window.markers))} of 'window.markers'"
    since = f" from sample {from_sample} on" if from_sample else ""
    return f"{recording.path}: no labelled marker{since}: {asked}; the recording has {listed}"


def trainable(config: Config, decoder: str | None = None) -> DecoderSettings:
    """Settings of the decoder to train: the configuration's, or those of another kind.

    Raises
    ------
    ConfigError
        There is no such decoder, it is a trained one, or it has settings without a default.
    """
    own = config.decoder
    if decoder == "model" or (decoder is None and (own is None or own.kind == "model")):
        raise ConfigError(
            "say which decoder to train: another kind than 'model' under 'decoder', or --decoder"
        )
    if own is not None and decoder in (None, own.kind):
        return own
    cls = registry.find("decoder", str(decoder))
    if cls is None:
        known = ", ".join(kind for kind in registry.kinds("decoder") if kind != "model")
        raise ConfigError(f"there is no decoder kind '{decoder}' to train; known are: {known}")
    try:
        return cls.model_validate({"kind": decoder})  # type: ignore[return-value]
    except ValidationError as error:
        keys = ", ".join(str(e["loc"][0]) for e in error.errors())
        raise ConfigError(
            f"decoder kind '{decoder}' needs {keys}: write it under 'decoder' in the configuration"
        ) from error


def fit(
    config: Config, windows: LabelledWindows, decoder: str | None = None
) -> tuple[Any, Manifest]:
    """Fit the decoder and score it by cross-validation.

    Where windows grow, the same cross-validation says when to stop
    (see `bci.calibration.stopping`).

    Parameters
    ----------
    config : Config
    windows : LabelledWindows
    decoder : str or None
        Kind to fit; None: the configuration's.

    Raises
    ------
    ConfigError
        See `trainable`.
    ModelError
        There are too few windows, or the decoder cannot be fitted to them.
    """
    settings = trainable(config, decoder)
    X, y = windows.X, windows.y
    counts = Counter(y.tolist())
    if len(counts) < 2 or min(counts.values()) < 2:
        raise ModelError(
            "training needs two windows of each of two labels at least; found "
            f"{_counted(counts)} ({windows.n_rejected} left out for their quality)"
        )
    estimator = settings.build(windows.info)
    folds, sfreq = n_folds(y), windows.info.sfreq
    subjects = None
    if windows.people is not None and windows.sessions is not None:
        subjects = subjects_for(estimator, windows.people, windows.sessions)
    stopping = None
    try:
        if isinstance(config.decision, DynamicDecision) and getattr(estimator, "any_length", False):
            looks = look_lengths(config.window, sfreq)
            trials = cross_validated(estimator, X, y, looks, sfreq, folds)
            score = held_out.accuracy(
                int(trials.right[:, -1].sum()), len(y), held_out.STRATIFIED.format(folds)
            )
            stopping = fit_stopping(trials, config.decision.target_error)
        else:
            score = held_out.score(estimator, X, y, folds, windows.people, subjects)
        fitted = fit_to(clone(estimator), X, y, subjects)
    except ValueError as error:
        raise ModelError(f"decoder '{settings.kind}' cannot be trained: {error}") from error
    manifest = Manifest(
        ch_names=windows.info.ch_names,
        sfreq=sfreq,
        processing=windows.processing,
        window=config.window.model_dump(mode="json"),
        training_sha256=training_hash(X, y),
        n_trials=dict(sorted(counts.items())),
        scores=(score,),
        stopping=stopping,
    )
    return fitted, manifest


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{n} {label}" for label, n in sorted(counts.items())) or "none"


def train(
    config: Config,
    recordings: Sequence[Path],
    out: Path,
    *,
    decoder: str | None = None,
    from_sample: int = 0,
    people: Sequence[str] = (),
    bypassed: Iterable[int] = (),
    adapt_to: Path | None = None,
    report: Callable[[str], None],
) -> None:
    """Train on recordings and write the model artifact to `out`; see `collect` and `fit`.

    `people` names whose each recording is; empty: as file names of the BIDS template say,
    or else all are one person's. `bypassed`: processing stages to train without; others that
    mend are judged, see `bci.calibration.worth`. `adapt_to`: a recording of somebody new,
    whose labels are not used.

    Raises
    ------
    ConfigError
        There are not as many people as recordings, or the decoder has no way to adapt;
        see `collect`.
    ModelError
        See `fit` and `join`.
    """
    settings = trainable(config, decoder)
    if adapt_to is not None and not hasattr(getattr(settings, "decoder", None), "adapt"):
        raise ConfigError(
            f"decoder '{settings.kind}' cannot be adapted to somebody without labels; 'recentred' "
            "and 'source_free' can"
        )
    if out.exists():  # now, not after the work
        raise ModelError(f"'{out}' exists already; choose another name for the model")
    for note in self_calibrating(config):
        report(note)
    owners = _owners(recordings, people)

    def gather(without: frozenset[int]) -> LabelledWindows:
        parts = []
        for path, (person, session) in zip(recordings, owners, strict=True):
            part = collect(config, load_recording(path), from_sample, without)
            if without == left_out:  # the first time
                whose = f", of {person}" if person else ""
                report(f"{path}: {_described(part)}{whose}")
            parts.append(part.of(person, session))
        return join(parts, recordings)

    left_out = frozenset(bypassed)
    with _told(report):
        chain = judge(config, gather, settings.build, left_out, report=report)
        fitted, manifest = fit(config, chain.windows, decoder)
        manifest = chain.note(manifest)
        if adapt_to is not None:
            _adapt(fitted, config, adapt_to, report)
    saved = save(fitted, manifest, out)
    report(f"{settings.kind} on {_counted(saved.n_trials)}: {judged(saved)}")
    if saved.stopping is not None:
        report(in_words(saved.stopping))
    report(f"wrote model {saved.model_id}; decode with  decoder: {{kind: model, path: {out}}}")


def _owners(recordings: Sequence[Path], people: Sequence[str]) -> list[tuple[str, str]]:
    """Person and session of each recording."""
    if people and len(people) != len(recordings):
        raise ConfigError(
            f"there are {len(recordings)} recordings and {len(people)} people: say --subject once "
            "for each recording, in their order, or not at all"
        )
    runs = [parse(path) for path in recordings]
    named = people or [run.participant if run is not None else "" for run in runs]
    if "" in named and any(named):
        raise ConfigError(
            f"whose is {recordings[named.index('')]}? Other file names tell a participant; say "
            "--subject once for each recording, in their order"
        )
    sessions = [
        str(path) if run is None else run.session
        for path, run in zip(recordings, runs, strict=True)
    ]
    return list(zip(named, sessions, strict=True))


def _adapt(fitted: Any, config: Config, path: Path, report: Callable[[str], None]) -> None:
    """Adapt a trained decoder to windows without labels."""
    recording = load_recording(path)
    pipeline = cutting(config, recording)
    X = [cut.data for _, cut in marked_windows(pipeline, recording) if cut.data is not None]
    report(f"{path}: {len(X)} windows to adapt to")
    try:
        fitted.adapt(np.stack(X) if X else np.empty((0, pipeline.info.n_channels, 1)))
    except ValueError as error:
        raise ModelError(f"the decoder cannot be adapted to {path}: {error}") from error


@contextmanager
def _told(report: Callable[[str], None]) -> Iterator[None]:
    """Report what decoders log while they are trained: how far they are, where that takes long."""
    handler = logging.Handler()
    handler.emit = lambda record: report(record.getMessage())  # type: ignore[method-assign]
    log = logging.getLogger("bci.decoders")
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)


def _described(part: LabelledWindows) -> str:
    text = f"{len(part.y)} labelled windows ({_counted(Counter(part.y.tolist()))})"
    if part.n_rejected:
        text += f", {part.n_rejected} left out for their quality"
    if part.n_unlabelled:
        text += f", {part.n_unlabelled} left out without a label"
    if part.n_cut_short:
        text += f", {part.n_cut_short} left out whose flicker ended sooner"
    return text


def judged(manifest: Manifest) -> str:
    """The score of a trained model in words, with its interval and chance."""
    score, n_classes = manifest.scores[0], len(manifest.n_trials)
    right, bound = round(score.value * score.n), chance_bound(score.n, n_classes)
    verdict = "better than chance" if right >= bound else "NOT better than chance"
    interval = f"[{score.low:.3f}, {score.high:.3f}] ({100 * score.confidence:g} %)"
    return (
        f"accuracy {score.value:.3f} {interval}, {verdict} "
        f"({1 / n_classes:.3f}; from {bound} of {score.n} right); {score.method}"
    )


def join(parts: Sequence[LabelledWindows], names: Sequence[Path]) -> LabelledWindows:
    """Windows of several recordings, called `names`, as one training set.

    Raises
    ------
    ModelError
        The recordings differ in channels or rate; or two are one and the same, which
        would put a trial on both sides of the cross-validation.
    """
    first = parts[0]
    for part in parts[1:]:
        if (part.info.ch_names, part.info.sfreq) != (first.info.ch_names, first.info.sfreq):
            raise ModelError(
                "the recordings cannot be trained on together: "
                f"{', '.join(first.info.ch_names)} at {first.info.sfreq:g} Hz, and "
                f"{', '.join(part.info.ch_names)} at {part.info.sfreq:g} Hz"
            )
    for (name, part), (other, twin) in combinations(zip(names, parts, strict=True), 2):
        if len(part.y) and np.array_equal(part.X, twin.X):
            raise ModelError(f"{name} and {other} hold the same windows; leave one of them out")
    return replace(
        first,
        X=np.concatenate([p.X for p in parts]),
        y=np.concatenate([p.y for p in parts]),
        n_rejected=sum(p.n_rejected for p in parts),
        n_unlabelled=sum(p.n_unlabelled for p in parts),
        n_cut_short=sum(p.n_cut_short for p in parts),
        people=_joined([p.people for p in parts]),
        sessions=_joined([p.sessions for p in parts]),
        trials=_joined(
            [
                None if p.trials is None else p.trials * [0, 1] + [number, 0]
                for number, p in enumerate(parts)
            ]
        ),
    )


def _joined(parts: Sequence[Any]) -> Any:
    return None if any(part is None for part in parts) else np.concatenate(parts)
