"""Where a denoiser's training windows come from: a bank of epochs, or pairs of recordings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from bci.config import Settings
from bci.denoise.bank import Bank, pairs
from bci.denoise.batches import BankBatches, PairBatches
from bci.denoise.decomposition import Labeller
from bci.denoise.pairs import Pairs, recording_pairs, simulated_pairs
from bci.errors import ConfigError
from bci.sources.files import Recording, load_recording
from bci.types import FloatArray

Windows = NDArray[np.float32]
Batches = Callable[[np.random.Generator], Iterator[tuple[Windows, Windows]]]


@dataclass(frozen=True, eq=False)
class Material:
    """Windows to learn from and to choose by.

    Attributes
    ----------
    batches : callable
        Batches of one epoch, see `models.denoising.Batches`.
    validation : (array, array)
        Noisy and clean windows, (n, n_channels, n_times), µV, of other sources.
    hashed : tuple of arrays
        All that `batches` are made of, and the validation windows.
    sfreq : float
        Hz.
    ch_names : tuple of str
        None of them: any channel, each by itself.
    artifacts : tuple of str
    sources : dict of str to tuple of str
        For each kind of epochs the sources of both.
    described : str
        For the user.
    """

    batches: Batches
    validation: tuple[Windows, Windows] = field(repr=False)
    hashed: tuple[NDArray[np.generic], ...] = field(repr=False)
    sfreq: float
    ch_names: tuple[str, ...]
    artifacts: tuple[str, ...]
    sources: dict[str, tuple[str, ...]]
    described: str


class BankData(Settings):
    """Epochs of clean EEG and of artifacts, mixed anew in each epoch of the training."""

    kind: Literal["bank"]
    path: Path = Field(description="npz file, or folder with EEGdenoiseNet's own files")
    artifacts: tuple[Literal["eog", "emg"], ...] = Field(
        ("eog", "emg"), min_length=1, description="that the denoiser is to remove"
    )
    snr_db: tuple[float, float] = Field(
        (-7.0, 2.0), description="lowest and highest SNR, uniform, in EEGdenoiseNet's dB"
    )
    test_share: float = Field(
        0.2, gt=0, lt=1, description="of the epochs, by source: kept for a benchmark"
    )
    validation_share: float = Field(
        0.1, gt=0, lt=1, description="of the epochs, by source: training stops by them"
    )
    split_seed: int = Field(0, ge=0, description="of the split by source")
    n_validation: int = Field(500, ge=1, description="windows with each artifact to stop by")

    @model_validator(mode="after")
    def _in_order(self) -> BankData:
        if self.snr_db[0] > self.snr_db[1]:
            raise ValueError(f"'snr_db' is a lowest and a highest SNR; found {list(self.snr_db)}")
        return self

    def material(self, batch_size: int, seed: int, report: Callable[[str], None]) -> Material:
        """Read the bank and split it; the test's sources are left alone."""
        bank = Bank.load(self.path)
        train, validation, _ = bank.split(self.test_share, self.validation_share, self.split_seed)
        mixed = [
            pairs(validation, kind, tuple(self.snr_db), self.n_validation, seed)
            for kind in self.artifacts
        ]
        noisy, clean = (np.concatenate([m[i] for m in mixed])[:, np.newaxis] for i in (0, 1))
        both = (train, validation)
        sources = {"eeg": tuple(sorted({s for b in both for s in b.clean_sources.tolist()}))} | {
            kind: tuple(sorted({s for b in both for s in b.artifacts[kind][1].tolist()}))
            for kind in self.artifacts
        }
        held = [part for kind in self.artifacts for part in train.artifacts[kind]]
        counted = ", ".join(f"{len(train.artifact(kind))} {kind}" for kind in self.artifacts)
        return Material(
            batches=BankBatches(train, self.artifacts, self.snr_db, batch_size),
            validation=(noisy, clean),
            hashed=(train.clean, train.clean_sources, *held, noisy, clean),
            sfreq=bank.sfreq,
            ch_names=(),
            artifacts=self.artifacts,
            sources=sources,
            described=f"epochs to learn from: {len(train.clean)} clean, {counted}",
        )


class PairSources(Settings):
    """Whom pairs are made from."""

    recordings: tuple[Path, ...] = Field((), description="files, each with electrodes' names")
    simulated: tuple[int, ...] = Field(
        (), description="seeds of simulated subjects, whose artifacts are known exactly"
    )

    @model_validator(mode="after")
    def _somebody(self) -> PairSources:
        if not self.recordings and not self.simulated:
            raise ValueError("needs 'recordings' or 'simulated' subjects")
        return self


class PairsData(Settings):
    """Multichannel pairs: of recordings, by ICA, and of simulated subjects."""

    kind: Literal["pairs"]
    train: PairSources
    validation: PairSources = Field(description="others; training stops by them")
    n_times: int = Field(1024, ge=64, le=100_000, description="samples of a window, at 256 Hz")
    simulated_s: float = Field(
        300.0, gt=0, le=36_000, description="length of each simulated recording, seconds"
    )
    n_epoch: int | None = Field(
        None, ge=1, description="pairs drawn for an epoch, after which training is judged; null: "
        "all",
    )  # fmt: skip
    labeller: Labeller = Field(
        "auto", description="who says what a component is: ICLabel where it is installed, or rules"
    )

    @model_validator(mode="after")
    def _apart(self) -> PairsData:
        one, other = (
            {*(path.resolve() for path in part.recordings), *part.simulated}
            for part in (self.train, self.validation)
        )
        if both := one & other:
            raise ValueError(
                f"'{min(both, key=str)}' is in 'train' and in 'validation'; leave it out of one"
            )
        return self

    def material(self, batch_size: int, seed: int, report: Callable[[str], None]) -> Material:
        """Make the pairs, those of one recording after the other."""
        train, validation = (
            self.pairs_of(part, seed, report) for part in (self.train, self.validation)
        )
        if not len(train) or not len(validation):
            raise ConfigError(
                "no pair of a window with an artifact and the same without was found in the "
                f"{'validation' if len(train) else 'training'} recordings; take others"
            )
        return Material(
            batches=PairBatches(train, batch_size, self.n_epoch),
            validation=(validation.noisy, validation.clean),
            hashed=(train.noisy, train.clean, validation.noisy, validation.clean),
            sfreq=train.sfreq,
            ch_names=train.ch_names,
            artifacts=tuple(np.unique(train.artifact).tolist()),
            sources={"pairs": tuple(np.unique([*train.source, *validation.source]).tolist())},
            described=f"{len(train)} pairs to learn from",
        )

    def pairs_of(self, part: PairSources, seed: int, report: Callable[[str], None]) -> Pairs:
        """Pairs of each recording and subject; what was found is reported."""
        made = []
        for path in part.recordings:
            recording = load_recording(path)
            eeg = [i for i, kind in enumerate(recording.info.ch_types) if kind == "eeg"]
            pairs = recording_pairs(
                _unbroken(recording)[:, eeg].T, recording.info.sfreq,
                [recording.info.ch_names[i] for i in eeg], path.name,
                n_times=self.n_times, labeller=self.labeller, seed=seed,
            )  # fmt: skip
            report(f"{path}: {_counted(pairs)}")
            made.append(pairs)
        for subject in part.simulated:
            pairs = simulated_pairs(subject, self.simulated_s, n_times=self.n_times)
            report(f"simulated subject {subject}: {_counted(pairs)}")
            made.append(pairs)
        return Pairs.join(made)


def _unbroken(recording: Recording) -> FloatArray:
    """The longest stretch of a recording without a break."""
    edges = [0, *(index for index, _ in recording.breaks), len(recording.data)]
    start, stop = max(pairwise(edges), key=lambda edge: edge[1] - edge[0])
    return recording.data[start:stop].astype(np.float64)


def _counted(pairs: Pairs) -> str:
    counts = Counter(pairs.artifact.tolist())
    told = ", ".join(f"{n} {artifact}" for artifact, n in sorted(counts.items()))
    return f"{len(pairs)} pairs ({told})" if told else "no pair, for want of artifacts or of brain"
