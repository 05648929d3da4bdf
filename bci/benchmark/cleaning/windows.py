"""Recordings without artifacts and with them, and their windows behind a chain of stages."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from bci.benchmark.cleaning import census
from bci.benchmark.cleaning.contamination import AddedArtifacts, Pair, contaminate
from bci.benchmark.config import DatasetPart, PipelinePart
from bci.benchmark.datasets.recorded import RecordedDataset
from bci.benchmark.datasets.simulated import ArtifactSettings, SimulatedSetSettings
from bci.calibration import training
from bci.config import Config, QualityRules, Settings, StagePart
from bci.dsp.artifacts.calibration import CalibratedStage, save
from bci.errors import BciError
from bci.playback import events
from bci.sources.files import Recording
from bci.types import Break, Chunk, FloatArray, RawMarker, StreamInfo


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
    calibrated_before: tuple[str, ...] = Field(
        ("ica",),
        description="kinds of stages that are calibrated on the first skip_s seconds beforehand, "
        "as by 'bci train --kind cleaning'; others learn on the stream",
    )
    census_of: tuple[str, ...] = Field(
        (),
        description="subjects of whom ICLabel counts the components behind every chain, where "
        "mne-icalabel is installed; takes minutes for each",
    )
    quality: QualityRules = Field(QualityRules(), description="when a window is not decided on")
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


def cut_windows(judged: JudgedSet, chain: Sequence[Any], sessions: Sequence[Recording]) -> Windows:
    """Cut the sessions' windows behind chain and stages."""
    parts = [_of_session(judged, chain, session) for session in sessions]
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


def _of_session(judged: JudgedSet, chain: Sequence[Any], recording: Recording) -> Windows:
    sfreq = recording.info.sfreq
    first = round(judged.skip_s * sfreq)
    last = recording.n_samples - round((judged.offset_s + judged.window_s) * sfreq)
    counted = {m.index: m.value for m in recording.markers if first <= (m.index or 0) <= last}

    labels = tuple(dict.fromkeys(counted.values()))
    with _said() as said, TemporaryDirectory() as folder:
        chain = _calibrated(judged, chain, recording, labels, Path(folder))
        pipeline, alone = (
            training.cutting(_config(judged, stages, recording, labels), recording)
            for stages in (chain, ())
        )
        cut = {onset: window for (onset, _), window in training.marked_windows(pipeline, recording)}
    X = np.zeros((len(counted), pipeline.info.n_channels, pipeline.cutter.length))
    there, mended = np.zeros(len(counted), bool), np.zeros(len(counted))
    for row, onset in enumerate(counted):
        window = cut.get(int(onset or 0))
        if window is not None and window.data is not None:
            X[row], there[row] = window.data, True
            mended[row] = window.quality.repaired_fraction
    y = np.array(list(counted.values()), dtype=str)
    delay_s = max(0.0, pipeline.delay_s - alone.delay_s)
    return Windows(X, y, there, mended, pipeline.info, delay_s, tuple(said))


def _calibrated(
    judged: JudgedSet,
    chain: Sequence[Any],
    recording: Recording,
    labels: Sequence[str],
    folder: Path,
) -> Sequence[Any]:
    """The chain with a file, in `folder`, for each stage that is calibrated beforehand."""
    if not any(stage.kind in judged.calibrated_before for stage in chain):
        return chain
    from bci.calibration import cleaning

    n = round(judged.skip_s * recording.info.sfreq)
    lead = replace(
        recording,
        data=recording.data[:n],
        stamps=recording.stamps[:n],
        markers=[],
        breaks=[(at, why) for at, why in recording.breaks if at < n],
    )
    named = list(chain)
    for number, settings in enumerate(chain):
        if settings.kind not in judged.calibrated_before:
            continue
        config = _config(judged, named, lead, labels)
        info, block, usable = cleaning.entering(config, len(judged.before) + number, lead)
        stage: CalibratedStage = settings.build()
        stage.prepare(info, 0)
        path = folder / f"{number}-{settings.kind}.safetensors"
        save(path, stage.calibrate(block, usable), settings.kind, info)
        named[number] = settings.model_copy(update={"calibration": path})
    return named


def _config(
    judged: JudgedSet,
    chain: Sequence[Any],
    recording: Recording,
    labels: Sequence[str],
) -> Config:
    """The session in which a chain is used."""
    window = {"length_s": judged.window_s, "offset_s": judged.offset_s}
    return Config.model_validate(
        {
            "source": {"kind": "replay", "path": str(recording.path)},
            "channels": {"pick": "all"},
            "events": {label: label for label in labels},
            "processing": (*judged.before, *chain, *judged.after),
            "window": window,
            "quality": judged.quality,
        }
    )


def count_components(
    judged: JudgedSet, chain: Sequence[Any], recording: Recording, seed: int
) -> dict[str, int]:
    """Census of a session behind a chain, in front of the stages after it."""
    behind = judged.model_copy(update={"after": ()})
    labels = sorted({m.value for m in recording.markers})
    with _said(), TemporaryDirectory() as folder:
        chain = _calibrated(behind, chain, recording, labels, Path(folder))
        pipeline = training.cutting(
            _config(behind, chain, recording, labels),
            recording,
        )
        done = [
            pipeline.chain(pipeline.adapter(event)).data
            for event in events(recording)
            if isinstance(event, Chunk)
        ]
    info = pipeline.info
    eeg = np.flatnonzero(np.array(info.ch_types) == "eeg")
    samples = np.concatenate(done, dtype=np.float64)[round(judged.skip_s * info.sfreq) :, eeg]
    return census.census(samples, info.sfreq, tuple(info.ch_names[k] for k in eeg), seed)


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
