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
of a live session, each chain among the set's own stages. Windows are cut at the markers
(of what followed them, also behind stages that look ahead), and decoders are cross-validated over
trials within each subject, on the same folds for every chain. Where a chain rejects a
window the decoder abstains, and the trial counts as missed. Trials before `skip_s` are
not counted in any condition: stages are calibrated there, on the stream itself.

The chain to be judged is *chosen* on the first subjects and told on the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from bci.benchmark import index, pipelines, scoring, study
from bci.benchmark.cleaning import census, report
from bci.benchmark.cleaning.report import UNTOUCHED
from bci.benchmark.cleaning.windows import (
    JudgedSet,
    Windows,
    count_components,
    cut_windows,
    recordings,
)
from bci.benchmark.config import PipelineSettings
from bci.benchmark.datasets.recorded import RecordedDataset
from bci.benchmark.pipelines import Context
from bci.benchmark.store import Row
from bci.benchmark.trials import stratified
from bci.benchmark.version import ENGINE, code_version
from bci.config import Settings, StagePart
from bci.denoise import metrics
from bci.errors import ConfigError
from bci.html import Section

#: Sources that a piece's rows depend on.
CODE = (
    *(*ENGINE, "denoise"),
    *(f"benchmark/cleaning/{n}.py" for n in ("contamination", "decoder_study", "windows")),
)


class DecoderStudy(Settings):
    """Accuracy of decoders without artifacts, with them, and behind each chain."""

    kind: Literal["denoise_decoders"] = "denoise_decoders"
    name: str = Field("cleaning and decoding", min_length=1)
    seed: int = Field(0, ge=0, le=2**31, description="of folds and of what is added")
    n_folds: int = Field(5, ge=2, le=100, description="folds over the trials of a subject")
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
                    seed=self.seed, n_folds=self.n_folds,
                    data=index.fingerprint(dataset), code=code_version(CODE),
                )  # fmt: skip
                yield study.Piece(
                    f"{dataset.name} · {subject} · {name}",
                    f"{told}{number < judged.choose_on}",
                    partial(rows, self, judged, subject, name, number < judged.choose_on),
                )

    def sections(self, found: Sequence[Row]) -> list[Section]:
        """Scores by chain, the verdict on the chosen one, scores by subject."""
        return report.decoder_sections(found)


# --- one subject behind one chain ----------------------------------------------------------------


def rows(
    asked: DecoderStudy, judged: JudgedSet, subject: str, chain: str, choosing: bool
) -> list[Row]:
    """Scores of a subject's decoders behind a chain, without artifacts and with them."""
    dataset = judged.dataset.build()
    stages = () if chain == UNTOUCHED else asked.chains[chain]
    pairs = list(recordings(judged, subject, asked.seed))
    cut = {
        condition: cut_windows(judged, stages, [getattr(pair, condition) for pair in pairs])
        for condition in ("clean", "contaminated")
    }
    true = cut["clean"] if not stages else cut_windows(judged, (), [p.clean for p in pairs])
    counted = {}
    if subject in judged.census_of and census.installed():
        counted = {
            condition: count_components(judged, stages, getattr(pairs[0], condition), asked.seed)
            for condition in cut
        }
    found = []
    for condition, windows in cut.items():
        common = {
            "dataset": dataset.name, "simulated": dataset.simulated, "subject": subject,
            "chain": chain, "condition": condition, "choosing": choosing,
            "n": len(windows.y), "n_abstained": int((~windows.there).sum()),
            "mended": float(windows.mended.mean()), "delay_s": windows.delay_s,
            "said": list(windows.said[:3]), "census": counted.get(condition),
            **_figures(windows, true),
        }  # fmt: skip
        for name, settings in judged.decoders.items():
            right = decoded_right(windows, settings, dataset.classes, asked.seed, asked.n_folds)
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


def decoded_right(
    windows: Windows,
    settings: PipelineSettings,
    classes: Sequence[str],
    seed: int,
    n_folds: int,
) -> NDArray[np.bool_]:
    """Which trials are decoded right, each by a decoder that has not seen it."""
    context = Context(windows.info, windows.X.shape[2], tuple(classes), seed)
    trials, labels = np.arange(len(windows.y)), np.unique(windows.y)
    right = np.zeros(len(trials), bool)
    for train, test in stratified(windows.y, trials, n_folds, seed):
        train, test = train[windows.there[train]], test[windows.there[test]]
        if not len(test):
            continue
        decoder = pipelines.rest(settings, context, whole=True)
        if not hasattr(decoder, "classes_"):  # else it is there before training
            if min(np.count_nonzero(windows.y[train] == label) for label in labels) < 2:
                continue  # the chain has left too little to learn from
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
