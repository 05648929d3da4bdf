"""How well methods clean recordings of many channels that nothing was learned from.

`configs/benchmark/denoise_recordings.yaml` is an example. Pairs are those of
`bci.denoise.pairs`. What counts as clean in a recording is what an ICA of it takes for
brain, which favours removal by ICA; the simulated subject's parts are exact. The window
that is scored has as much signal before and behind it for methods that stream; all others
get the window alone.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from bci.benchmark import study
from bci.benchmark.cleaning.recording_methods import RecordingMethod, Task
from bci.benchmark.store import Row
from bci.benchmark.version import code_version
from bci.calibration.denoising_data import PairsData, PairSources
from bci.config import Settings
from bci.denoise import metrics
from bci.denoise.decomposition import Labeller
from bci.html import Block, Section, Table

log = logging.getLogger(__name__)

#: Sources that a piece's rows depend on.
CODE = (
    *(
        "benchmark/cleaning/recording_study.py",
        "benchmark/cleaning/recording_methods.py",
        "denoise",
    ),
    *("calibration/denoising_data.py", "dsp/artifacts/denoiser.py", "../models"),
)
ALL = "all"
FIGURES = {
    "rrmse_t": "RRMSE, temporal (less is better; an output of zeros has 1)",
    "rrmse_s": "RRMSE, spectral (less is better)",
    "cc": "Correlation (more is better)",
}
CAPTION = (
    "Means over pairs. Clean is what an ICA of the held-out recording itself takes for brain, "
    "which favours ICA; of simulated subjects it is exact."
)


class RecordingStudy(Settings):
    """Figures of methods on held-out recordings, by class of artifact."""

    kind: Literal["denoise_recordings"] = "denoise_recordings"
    name: str = Field("denoising of recordings", min_length=1)
    seed: int = Field(0, ge=0, le=2**31, description="of ICA, and of what is drawn")
    train: PairSources
    test: PairSources = Field(description="others, of which nothing is learned")
    n_times: int = Field(512, ge=64, le=10_000, description="samples of a window, at 256 Hz")
    simulated_s: float = Field(180.0, gt=0, le=36_000, description="length of a simulation, s")
    labeller: Labeller = Field("auto", description="ICLabel where it is installed, or rules")
    n_train: int = Field(1500, ge=1, description="pairs for methods that are fitted at once")
    methods: dict[str, RecordingMethod] = Field(min_length=1)

    @model_validator(mode="after")
    def _apart(self) -> RecordingStudy:
        self.source(self.n_times)
        return self

    def source(self, n_times: int) -> PairsData:
        """Where pairs of some length come from; raises where training and test overlap."""
        return PairsData(
            kind="pairs", train=self.train, validation=self.test, n_times=n_times,
            simulated_s=self.simulated_s, labeller=self.labeller,
        )  # fmt: skip

    def pieces(self, out: Path) -> list[study.Piece]:
        """One piece for each method."""
        common = self.model_dump(mode="json", exclude={"methods", "name"})
        files = [p for part in (self.train, self.test) for p in part.recordings]
        told = {
            **common,
            "recordings": [(str(p), p.stat().st_size) for p in files if p.exists()],
            "code": code_version(CODE),
        }
        return [
            study.Piece(
                name,
                study.as_text(
                    **told, method=method.model_dump(mode="json"), files=study.digests((method,))
                ),
                partial(rows, self, name),
            )
            for name, method in self.methods.items()
        ]

    def sections(self, found: Sequence[Row]) -> list[Section]:
        """One table for each figure, and what is gained."""
        whole = [row for row in found if not row["error"]]
        if not whole:
            return []
        tables = (*(_table(whole, key, told) for key, told in FIGURES.items()), _gains(whole))
        text = f"{whole[0]['n']} pairs of {whole[0]['n_sources']} recordings and simulations."
        return [Section("recordings", self.name, text, (Block(tables=tables, caption=CAPTION),))]


def rows(asked: RecordingStudy, name: str) -> list[Row]:
    """Figures of one method: over all pairs, and for each class of artifact."""
    n = asked.n_times
    around = asked.source(3 * n).pairs_of(asked.test, asked.seed, log.info)
    task = Task(
        around,
        slice(n, 2 * n),
        lambda: asked.source(n).pairs_of(asked.train, asked.seed, log.info),
        asked.n_train,
        asked.seed,
    )
    noisy, clean = (x[..., task.at].astype(np.float64) for x in (around.noisy, around.clean))
    cleaned = asked.methods[name].cleaned(task)
    figures = metrics.per_epoch(cleaned, noisy, clean, around.sfreq)
    found = []
    for artifact in (ALL, *np.unique(around.artifact).tolist()):
        chosen = (around.artifact == artifact) | (artifact == ALL)
        told: Row = {"method": name, "artifact": artifact, "n": int(chosen.sum())}
        for key in FIGURES:
            estimate = metrics.by_source(figures[key][chosen], around.source[chosen])
            told |= {key: estimate.mean, "n_sources": estimate.n_sources}
            told[f"{key}_by_source"] = {
                source: float(figures[key][chosen & (around.source == source)].mean())
                for source in np.unique(around.source[chosen]).tolist()
            }
        found.append(told)
    return found


def _table(found: Sequence[Row], key: str, told: str) -> Table:
    classes = list(dict.fromkeys(row["artifact"] for row in found))
    value = {(row["method"], row["artifact"]): row[key] for row in found}
    lines = [
        (method, *(f"{value[method, c]:.3f}" for c in classes))
        for method in dict.fromkeys(row["method"] for row in found)
    ]
    return Table(told, ("method", *classes), tuple(lines))


def _gains(found: Sequence[Row]) -> Table:
    """RRMSE that a method takes away, of that without it."""
    of = {row["method"]: row["rrmse_t"] for row in found if row["artifact"] == ALL}
    kinds = [m for m in of if m != "untouched"]
    before = of.get("untouched", np.nan)
    lines = tuple((m, f"{before - of[m]:.3f}", f"{1 - of[m] / before:.0%}") for m in kinds)
    return Table("Gain in temporal RRMSE over untouched", ("method", "gain", "share"), lines)
