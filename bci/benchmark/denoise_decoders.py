"""What cleaning is worth: decoders' accuracy with and without, on recordings with artifacts.

::

    kind: denoise_decoders
    chains:                                    # stages of 'processing'
      bad channels: [{kind: bad_channels}]
    datasets:
      - dataset: {kind: simulated, paradigm: ssvep12, artifacts: {emg_per_min: 12}}
        window_s: 1.0
        before: [{kind: highpass, freq_hz: 1}]
        after: [{kind: bandpass, low_hz: 6, high_hz: 80}]
        decoders: {FBCCA: {kind: fbcca, frequencies_hz: $frequencies}}

Each recording exists without artifacts and with them. Both go through the very `Pipeline`
of a live session, each chain among the set's own stages. Windows are cut at the markers,
later by as much as the chain delays the samples, and decoders are cross-validated over
trials within each subject, on the same folds for every chain. Where a chain rejects a
window the decoder abstains, and the trial counts as missed. Trials before `skip_s` are
not counted in any condition: stages are calibrated there, on the stream itself.

The chain to be judged is *chosen* on the first subjects and told on the others.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from bci.benchmark import denoise_report, index, pipelines, scoring, study
from bci.benchmark.config import DatasetPart, PipelinePart, PipelineSettings
from bci.benchmark.contamination import AddedArtifacts, Pair, contaminate
from bci.benchmark.datasets.recorded import RecordedDataset
from bci.benchmark.datasets.simulated import ArtifactSettings, SimulatedSetSettings
from bci.benchmark.pipelines import Context
from bci.benchmark.store import Row
from bci.benchmark.trials import stratified
from bci.benchmark.version import ENGINE, code_version
from bci.calibration import training
from bci.config import Config, QualityRules, Settings, StagePart
from bci.denoise import metrics
from bci.errors import BciError, ConfigError
from bci.html import Section
from bci.sources.files import Recording
from bci.types import Break, FloatArray, RawMarker, StreamInfo

#: Name of the chain without a stage.
UNTOUCHED = "untouched"
#: Sources that a piece's rows depend on.
CODE = (*ENGINE, "denoise", "benchmark/contamination.py", "benchmark/denoise_decoders.py")


class JudgedSet(Settings):
    """A data set, what is added to it, and how it is decoded."""

    dataset: DatasetPart
    artifacts: AddedArtifacts | None = Field(
        None, description="added to recordings; a simulated set has 'artifacts' of its own"
    )
    skip_s: float = Field(
        30.0, ge=0, le=3600, description="trials before this second of a session are not counted"
    )
    window_s: float = Field(1.0, gt=0, le=60, description="length of a window, seconds")
    offset_s: float = Field(0.0, ge=-60, le=60, description="its start after the marker, seconds")
    before: tuple[StagePart, ...] = Field((), description="stages in front of every chain")
    after: tuple[StagePart, ...] = Field((), description="stages behind every chain")
    decoders: dict[str, PipelinePart] = Field(min_length=1)
    chains: tuple[str, ...] | None = Field(
        None, description="names of the chains to judge here; null: all"
    )
    choose_on: int = Field(
        1, ge=0, description="subjects, the first ones, on which a chain is chosen; 0: none"
    )

    @model_validator(mode="after")
    def _artifacts_once(self) -> JudgedSet:
        simulated = isinstance(self.dataset, SimulatedSetSettings)
        if simulated == (self.artifacts is not None):
            raise ValueError(
                "a simulated set has 'artifacts' among its own settings, which know the true EEG; "
                "recordings need 'artifacts' beside 'dataset'"
            )
        return self


class DecoderStudy(Settings):
    """Accuracy of decoders without artifacts, with them, and behind each chain."""

    kind: Literal["denoise_decoders"] = "denoise_decoders"
    name: str = Field("cleaning and decoding", min_length=1)
    seed: int = Field(0, ge=0, le=2**31, description="of folds and of what is added")
    n_folds: int = Field(5, ge=2, le=100, description="folds over the trials of a subject")
    quality: QualityRules = Field(QualityRules(), description="when a window is not decided on")
    chains: dict[str, tuple[StagePart, ...]] = Field(min_length=1)
    datasets: tuple[JudgedSet, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _named(self) -> DecoderStudy:
        if UNTOUCHED in self.chains:
            raise ValueError(f"the chain '{UNTOUCHED}' is always judged; give yours other names")
        for judged in self.datasets:
            if unknown := sorted(set(judged.chains or ()) - set(self.chains)):
                raise ValueError(
                    f"there is no chain '{unknown[0]}'; known: {', '.join(self.chains)}"
                )
        return self

    def pieces(self, out: Path) -> list[study.Piece]:
        """One piece for each data set, subject and chain."""
        del out
        return [piece for judged in self.datasets for piece in self._of_set(judged)]

    def _of_set(self, judged: JudgedSet) -> Iterator[study.Piece]:
        dataset = judged.dataset.build()
        if not isinstance(dataset, RecordedDataset):
            raise ConfigError(
                f"'{dataset.name}' has no continuous recordings, which stages need; it has epochs "
                "only"
            )
        chains: dict[str, tuple[Any, ...]] = {UNTOUCHED: ()}
        chains |= {name: self.chains[name] for name in judged.chains or self.chains}
        subjects = list(dataset.subjects)
        for number, subject in enumerate(subjects):
            for name, chain in chains.items():
                told = study.as_text(
                    judged=judged.model_dump(mode="json", exclude={"chains", "choose_on"}),
                    chain=[stage.model_dump(mode="json") for stage in chain],
                    files=study.digests((*chain, judged.artifacts)),
                    seed=self.seed, n_folds=self.n_folds, quality=self.quality.model_dump(),
                    data=index.fingerprint(dataset), code=code_version(CODE),
                )  # fmt: skip
                yield study.Piece(
                    f"{dataset.name} · {subject} · {name}",
                    f"{told}{number < judged.choose_on}",
                    partial(rows, self, judged, subject, name, number < judged.choose_on),
                )

    def sections(self, found: Sequence[Row]) -> list[Section]:
        """Scores by chain, the verdict on the chosen one, scores by subject."""
        return denoise_report.decoder_sections(found)


# --- one subject behind one chain ----------------------------------------------------------------


@dataclass(frozen=True)
class Windows:
    """A window for each trial that counts, in order of time.

    Attributes
    ----------
    X : array, shape (n_trials, n_channels, n_times)
        µV; 0 where there is none.
    y : array of str, shape (n_trials,)
    there : array of bool, shape (n_trials,)
        False where the chain rejected the window.
    mended : array, shape (n_trials,)
        Share of each window's samples that a stage altered.
    info : StreamInfo
        The processed stream.
    delay_s : float
        By which the chain delays it, seconds.
    said : tuple of str
        What stages warned of.
    """

    X: FloatArray = field(repr=False)
    y: NDArray[np.str_]
    there: NDArray[np.bool_]
    mended: FloatArray
    info: StreamInfo
    delay_s: float
    said: tuple[str, ...]


def rows(
    asked: DecoderStudy, judged: JudgedSet, subject: str, chain: str, choosing: bool
) -> list[Row]:
    """Scores of a subject's decoders behind a chain, without artifacts and with them."""
    dataset = judged.dataset.build()
    stages = () if chain == UNTOUCHED else asked.chains[chain]
    pairs = list(recordings(judged, subject, asked.seed))
    cut = {
        condition: _windows(asked, judged, stages, [getattr(pair, condition) for pair in pairs])
        for condition in ("clean", "contaminated")
    }
    true = cut["clean"] if not stages else _windows(asked, judged, (), [p.clean for p in pairs])
    found = []
    for condition, windows in cut.items():
        common = {
            "dataset": dataset.name, "simulated": dataset.simulated, "subject": subject,
            "chain": chain, "condition": condition, "choosing": choosing,
            "n": len(windows.y), "n_abstained": int((~windows.there).sum()),
            "mended": float(windows.mended.mean()), "delay_s": windows.delay_s,
            "said": list(windows.said[:3]), **_figures(windows, true),
        }  # fmt: skip
        for name, settings in judged.decoders.items():
            right = _right(windows, settings, dataset.classes, asked.seed, asked.n_folds)
            found.append(
                common
                | {
                    "decoder": name,
                    "score": float(right.mean()),
                    "hits": int(right.sum()),
                    "chance": 1.0 / len(dataset.classes),
                    "right": right.astype(int).tolist(),
                }
            )
    return found


def recordings(judged: JudgedSet, subject: str, seed: int) -> Iterator[Pair]:
    """Each session of a subject without artifacts and with them; markers are the labels.

    Raises
    ------
    BciError
        A session's recordings differ, or nothing can be added.
    """
    dataset = judged.dataset.build()
    assert isinstance(dataset, RecordedDataset)
    if isinstance(judged.dataset, SimulatedSetSettings):
        artifacts = judged.dataset.artifacts or ArtifactSettings()
        quiet = judged.dataset.model_copy(update={"artifacts": artifacts.without()}).build()
        both = zip(quiet.recordings(subject), dataset.recordings(subject), strict=True)
        for (_, clean), (_, contaminated) in both:
            yield Pair(_labelled(dataset, clean), _labelled(dataset, contaminated))
        return
    assert judged.artifacts is not None
    sessions: dict[str, list[Recording]] = {}
    for session, recording in dataset.recordings(subject):
        sessions.setdefault(session, []).append(_labelled(dataset, recording))
    for number, runs in enumerate(sessions.values()):
        one_seed = int.from_bytes(f"{seed}/{subject}/{number}".encode()) % 2**63
        yield contaminate(_one(runs), judged.artifacts, one_seed)


def _labelled(dataset: RecordedDataset, recording: Recording) -> Recording:
    """The same samples; a marker at each labelled epoch, its value the label."""
    opened = dataset.opened(recording)
    stamps = recording.stamps
    marked = [RawMarker(str(o.label), float(stamps[o.onset]), o.onset) for o in opened]
    return replace(recording, markers=marked)


def _one(runs: Sequence[Recording]) -> Recording:
    """Runs of one session, one after the other, with a break between."""
    if len({(run.info.ch_names, run.info.sfreq) for run in runs}) > 1:
        raise BciError(f"{runs[0].path}: the session's other recordings have other channels")
    starts = np.cumsum([0, *(run.n_samples for run in runs)]).tolist()
    marked = [
        replace(marker, index=(marker.index or 0) + start)
        for run, start in zip(runs, starts, strict=False)
        for marker in run.markers
    ]
    broken = [
        (at + start, why)
        for run, start in zip(runs, starts, strict=False)
        for at, why in run.breaks
    ]
    broken += [(start, Break("another recording")) for start in starts[1:-1]]
    return replace(
        runs[0],
        data=np.concatenate([run.data for run in runs]),
        stamps=np.concatenate([run.stamps for run in runs]),
        markers=marked,
        breaks=sorted(broken, key=lambda b: b[0]),
    )


def _windows(
    asked: DecoderStudy, judged: JudgedSet, chain: Sequence[Any], sessions: Sequence[Recording]
) -> Windows:
    """Cut the sessions' windows behind chain and stages."""
    parts = [_of_session(asked, judged, chain, session) for session in sessions]
    if not sum(len(part.y) for part in parts):
        raise BciError(f"no labelled window lies behind the first {judged.skip_s:g} s")
    return Windows(
        np.concatenate([part.X for part in parts]),
        np.concatenate([part.y for part in parts]),
        np.concatenate([part.there for part in parts]),
        np.concatenate([part.mended for part in parts]),
        parts[0].info,
        parts[0].delay_s,
        tuple(dict.fromkeys(line for part in parts for line in part.said)),
    )


def _of_session(
    asked: DecoderStudy, judged: JudgedSet, chain: Sequence[Any], recording: Recording
) -> Windows:
    sfreq = recording.info.sfreq
    first = round(judged.skip_s * sfreq)
    last = recording.n_samples - round((judged.offset_s + judged.window_s) * sfreq)
    counted = {m.index: m.value for m in recording.markers if first <= (m.index or 0) <= last}

    def configured(stages: Sequence[Any], delay_s: float = 0.0) -> Config:
        window = {"length_s": judged.window_s, "offset_s": judged.offset_s + delay_s}
        return Config.model_validate(
            {
                "source": {"kind": "replay", "path": str(recording.path)},
                "channels": {"pick": "all"},
                "events": {value: value for value in dict.fromkeys(counted.values())},
                "processing": (*judged.before, *stages, *judged.after),
                "window": window,
                "quality": asked.quality,
            }
        )

    with _said() as said:
        with_chain, without = (
            training.cutting(configured(stages), recording).delay_s for stages in (chain, ())
        )
        delay_s = max(0.0, with_chain - without)
        pipeline = training.cutting(configured(chain, delay_s), recording)
        cut = {onset: window for (onset, _), window in training.marked_windows(pipeline, recording)}
    X = np.zeros((len(counted), pipeline.info.n_channels, pipeline.cutter.length))
    there, mended = np.zeros(len(counted), bool), np.zeros(len(counted))
    for row, onset in enumerate(counted):
        window = cut.get(int(onset or 0))
        if window is not None and window.data is not None:
            X[row], there[row] = window.data, True
            mended[row] = window.quality.repaired_fraction
    y = np.array(list(counted.values()), dtype=str)
    return Windows(X, y, there, mended, pipeline.info, delay_s, tuple(said))


def _right(
    windows: Windows,
    settings: PipelineSettings,
    classes: Sequence[str],
    seed: int,
    n_folds: int,
) -> NDArray[np.bool_]:
    """Which trials are decoded right, each by a decoder that has not seen it."""
    context = Context(windows.info, windows.X.shape[2], tuple(classes), seed)
    trials = np.arange(len(windows.y))
    right = np.zeros(len(trials), bool)
    for train, test in stratified(windows.y, trials, n_folds, seed):
        train, test = train[windows.there[train]], test[windows.there[test]]
        if not len(test):
            continue
        decoder = pipelines.rest(settings, context, whole=True)
        if not hasattr(decoder, "classes_"):  # else it is there before training
            decoder = scoring.fit(
                decoder, settings.grid, windows.X[train], windows.y[train], trials[train],
                metric="accuracy", seed=seed,
            )  # fmt: skip
        right[test] = scoring.answer(decoder, windows.X[test]).labels == windows.y[test]
    return right


def _figures(windows: Windows, true: Windows) -> Mapping[str, float | None]:
    """How near the windows come to those without artifacts and without a chain."""
    both = windows.there & true.there
    if windows.X.shape != true.X.shape or not both.any():
        return {"rrmse_t": None, "cc": None}
    return {
        "rrmse_t": float(metrics.rrmse_temporal(windows.X[both], true.X[both]).mean()),
        "cc": float(metrics.correlation(windows.X[both], true.X[both]).mean()),
    }


@contextmanager
def _said() -> Iterator[list[str]]:
    """Collect what stages warn of, instead of printing it."""
    lines: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    stages = logging.getLogger("bci.dsp")
    stages.addHandler(handler)
    before, stages.propagate = stages.propagate, False
    try:
        yield lines
    finally:
        stages.removeHandler(handler)
        stages.propagate = before
