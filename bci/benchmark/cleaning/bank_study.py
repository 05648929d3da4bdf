"""How well methods clean single channels whose true EEG is known: bank, methods, SNRs.

::

    kind: denoise
    bank: ../shared/data/denoise/semisim_256hz.npz
    snr_db: [-7, -4, 0, 2]

Methods
-------
      untouched: {kind: untouched}
      band-pass: {kind: filter}                       # 4-Hz high-pass (EOG), 30-Hz low-pass (EMG)
      Wiener: {kind: wiener}
      U-Net: {kind: network, network: {name: u_net}}  # trained here

EEGdenoiseNet's protocol (Zhang et al. 2021, see `bci.denoise.metrics`), but split by
source: nobody whose EEG or artifacts are in the test was learned from. Its dB are ten
times the logarithm of a ratio of amplitudes. The same pairs are mixed at every SNR and
given to every method.
"""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from bci.benchmark import study
from bci.benchmark.cleaning import report
from bci.benchmark.cleaning.methods import (
    Artifact,
    MethodPart,
    NeedsChannels,
    NeedsReference,
    Task,
)
from bci.benchmark.store import Row
from bci.benchmark.version import code_version
from bci.config import Settings
from bci.denoise import metrics
from bci.denoise.bank import Bank, pairs
from bci.denoise.mixing import mix
from bci.html import Section

log = logging.getLogger(__name__)

#: Sources that a piece's rows depend on.
CODE = (
    *("benchmark/cleaning/bank_study.py", "benchmark/cleaning/methods.py", "denoise", "metrics.py"),
    *("calibration/denoising.py", "calibration/denoising_data.py", "../models"),
)


class DenoiseStudy(Settings):
    """Figures of methods at each SNR, on sources that nothing was learned from."""

    kind: Literal["denoise"] = "denoise"
    name: str = Field("denoising", min_length=1)
    seed: int = Field(0, ge=0, le=2**31, description="of what is drawn, and of trainings")
    bank: Path = Field(description="npz file, or folder with EEGdenoiseNet's own files")
    artifacts: tuple[Artifact, ...] = Field(("eog", "emg"), min_length=1)
    snr_db: tuple[float, ...] = Field(
        tuple(range(-7, 3)), min_length=1, description="of the test, in EEGdenoiseNet's dB"
    )
    train_snr_db: tuple[float, float] = Field(
        (-7.0, 2.0), description="lowest and highest of training, uniform, in EEGdenoiseNet's dB"
    )
    split_seed: int = Field(0, ge=0, description="of the split by source")
    test_share: float = Field(0.2, gt=0, lt=1, description="of the epochs, by source")
    validation_share: float = Field(0.1, gt=0, lt=1, description="of the epochs, by source")
    n_train: int = Field(10_000, ge=1, description="pairs for methods that are fitted at once")
    n_test: int = Field(1000, ge=1, description="pairs at each SNR")
    methods: dict[str, MethodPart] = Field(min_length=1)

    @model_validator(mode="after")
    def _in_order(self) -> DenoiseStudy:
        if self.train_snr_db[0] > self.train_snr_db[1]:
            raise ValueError(f"'train_snr_db' is a lowest and a highest SNR: {self.train_snr_db}")
        return self

    def pieces(self, out: Path) -> list[study.Piece]:
        """One piece for each artifact and method."""
        bank = hashlib.sha256("".join(study.digests((self,))).encode()).hexdigest()
        others = {"methods", "name", "artifacts", "bank"}
        common = self.model_dump(mode="json", exclude=others)
        found = []
        for artifact in self.artifacts:
            for name, method in self.methods.items():
                told = study.as_text(
                    **common, data=bank, method=method.model_dump(mode="json"),
                    files=study.digests((method,)), code=code_version(CODE),
                )  # fmt: skip
                title = f"{artifact} · {name}"
                key = hashlib.sha256(f"{title}\0{told}".encode()).hexdigest()[:12]
                folder = out / "denoisers" / f"{artifact}-{key}"
                found.append(study.Piece(title, told, partial(rows, self, artifact, name, folder)))
        return found

    def sections(self, found: Sequence[Row]) -> list[Section]:
        """For each artifact the figures of every method at every SNR."""
        return report.bank_sections(found)


@dataclass(frozen=True)
class Test:
    """Epochs to be mixed at any SNR, and whom they are from."""

    clean: NDArray[np.float32] = field(repr=False)
    artifact: NDArray[np.float32] = field(repr=False)
    eeg_sources: NDArray[np.str_]
    artifact_sources: NDArray[np.str_]

    @classmethod
    def draw(cls, bank: Bank, artifact: str, n: int, seed: int) -> Test:
        """Draw pairs; each epoch as often as any other, as nearly as `n` allows."""
        rng = np.random.default_rng(seed)
        epochs, sources = bank.artifacts[artifact]
        eeg, added = (
            np.concatenate([rng.permutation(m) for _ in range(math.ceil(n / m))])[:n]
            for m in (len(bank.clean), len(epochs))
        )
        return cls(bank.clean[eeg], epochs[added], bank.clean_sources[eeg], sources[added])


def rows(asked: DenoiseStudy, artifact: Artifact, name: str, folder: Path) -> list[Row]:
    """Figures of one method on one artifact, a row for each SNR."""
    method = asked.methods[name]
    common = {"artifact": artifact, "method": name, "kind": method.kind}
    if isinstance(method, (NeedsReference, NeedsChannels)):
        return [{**common, "why": method.why}]
    split = {"test_share": asked.test_share, "validation_share": asked.validation_share}
    bank = Bank.load(asked.bank)
    bank.artifact(artifact)
    train, _, held = bank.split(**split, seed=asked.split_seed)
    test = Test.draw(held, artifact, asked.n_test, asked.seed)
    task = Task(
        bank={
            "path": str(asked.bank.absolute()), "snr_db": list(asked.train_snr_db),
            **split, "split_seed": asked.split_seed,
        },
        artifact=artifact,
        test_sources={
            "eeg": frozenset(held.clean_sources.tolist()),
            artifact: frozenset(held.artifacts[artifact][1].tolist()),
        },
        seed=asked.seed,
        out=folder,
        say=log.info,
    )  # fmt: skip
    fitted = method.build(task)
    noisy, clean, _ = pairs(train, artifact, tuple(asked.train_snr_db), asked.n_train, asked.seed)
    fitted.fit(noisy, clean, bank.sfreq)
    found = []
    for snr_db in asked.snr_db:
        mixed = mix(test.clean, test.artifact, snr_db)
        figures = metrics.per_epoch(fitted.clean(mixed), mixed, test.clean, bank.sfreq)
        found.append({**common, "snr_db": snr_db, "n": asked.n_test, **_told(figures, test)})
    return found


def _told(figures: dict[str, Any], test: Test) -> Row:
    """Mean of each figure, its interval, and its means by source."""
    told: Row = {}
    for name, values in figures.items():
        by = {
            "eeg": metrics.by_source(values, test.eeg_sources),
            "artifact": metrics.by_source(values, test.artifact_sources),
        }
        widest = max(by.values(), key=lambda e: np.nan_to_num(e.high - e.low, nan=-1.0))
        told |= {
            name: widest.mean,
            f"{name}_low": _number(widest.low),
            f"{name}_high": _number(widest.high),
        }
        told[f"{name}_by_source"] = {
            source: float(values[of == source].mean())
            for of in (test.eeg_sources, test.artifact_sources)
            for source in np.unique(of).tolist()
        }
    told["n_eeg_sources"] = len(np.unique(test.eeg_sources))
    told["n_artifact_sources"] = len(np.unique(test.artifact_sources))
    return told


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
