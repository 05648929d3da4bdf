"""Where a denoiser's training windows come from: a bank of epochs, or pairs of recordings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from bci.config import Settings
from bci.denoise.bank import Bank, pairs
from bci.denoise.batches import BankBatches

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
        counted = ", ".join(
            f"{len(a)} {name}"
            for name, a in [
                ("clean", train.clean), *((k, train.artifact(k)) for k in self.artifacts)
            ]
        )  # fmt: skip
        return Material(
            batches=BankBatches(train, self.artifacts, self.snr_db, batch_size),
            validation=(noisy, clean),
            hashed=(train.clean, *(train.artifact(k) for k in self.artifacts), noisy, clean),
            sfreq=bank.sfreq,
            ch_names=(),
            artifacts=self.artifacts,
            sources=sources,
            described=f"epochs to learn from: {counted}",
        )
