"""The same pipelines on the same arrays: our scores are those of MOABB's own evaluations.

Needs moabb: python -m pytest -m slow tests/benchmark/test_moabb_agreement.py
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bci.benchmark import config as configs
from bci.benchmark import datasets, pipelines
from bci.benchmark.data import Epochs
from bci.benchmark.pipelines import Context
from bci.benchmark.run import run
from bci.types import StreamInfo

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(900)]
GRAZ = Path(__file__).parents[3] / "shared/data/bci-iv-2b"

PIPELINES = """
pipelines:
  TS+LR:
    - &cov {estimator: pyriemann.estimation.Covariances, params: {estimator: oas}}
    - &ts {estimator: pyriemann.tangentspace.TangentSpace, params: {metric: riemann}}
    - {estimator: sklearn.linear_model.LogisticRegression, params: {C: 1.0}}
  TS+SVM:
    steps: [*cov, *ts, {estimator: sklearn.svm.SVC}]
    grid: {svc__C: [0.5, 1, 1.5], svc__kernel: [linear, rbf]}
  MDM: [*cov, {estimator: pyriemann.classification.MDM}]
  CSP+LDA:
    - *cov
    - {estimator: pyriemann.spatialfilters.CSP, params: {nfilter: 6}}
    - {estimator: sklearn.discriminant_analysis.LinearDiscriminantAnalysis}
evaluations: [{kind: within_session}, {kind: cross_session}, {kind: cross_subject}]
"""


@pytest.fixture(scope="module")
def moabb_side() -> Any:
    pytest.importorskip("moabb", reason="moabb is not installed here")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import moabb_side

        return moabb_side


def theirs(moabb_side: Any, config: configs.BenchmarkConfig, dataset: Any, folder: Path) -> Any:
    from moabb.evaluations import (
        CrossSessionEvaluation,
        CrossSubjectEvaluation,
        WithinSessionEvaluation,
    )

    first = dataset.epochs(dataset.subjects[0])[0]
    info = StreamInfo("", first.sfreq, first.ch_names, ("eeg",) * len(first.ch_names))
    context = Context(info, first.X.shape[2], tuple(dataset.classes), config.seed)
    chains = {n: pipelines.rest(p, context, whole=True) for n, p in config.pipelines.items()}
    grids = {n: p.grid for n, p in config.pipelines.items() if p.grid}
    kinds = {
        "within_session": WithinSessionEvaluation,
        "cross_session": CrossSessionEvaluation,
        "cross_subject": CrossSubjectEvaluation,
    }
    return pd.concat(
        moabb_side.evaluate(kinds[e.kind], dataset, chains, grids, config.seed, folder).assign(
            evaluation=e.kind
        )
        for e in config.evaluations
    )


def agree(ours: pd.DataFrame, theirs: pd.DataFrame) -> None:
    assert (ours["error"] == "").all()
    key = ["evaluation", "subject", "session", "pipeline"]
    one = ours.groupby(key)[["score", "samples", "channels", "n_sessions"]].mean()
    other = theirs.astype({"subject": str, "session": str}).set_index(key).sort_index()
    assert list(one.index) == list(other.index)
    for column in ("score", "samples", "channels", "n_sessions"):
        np.testing.assert_allclose(
            one[column], other[column].astype(float), atol=1e-6, err_msg=column
        )


@pytest.mark.skipif(not GRAZ.exists(), reason=f"{GRAZ} is missing")
def test_on_bci_iv_2b(tmp_path: Path, moabb_side: Any) -> None:
    config = configs.loads(
        f"datasets: [{{kind: bci_iv_2b, path: {GRAZ}, subjects: [1, 4]}}]\n" + PIPELINES
    )
    ours = run(config, tmp_path / "ours", n_jobs=1)
    agree(ours, theirs(moabb_side, config, config.datasets[0].build(), tmp_path))


class FakeSettings(datasets.DatasetSettings):
    """MOABB's FakeDataset, cut by MOABB's own paradigm."""

    kind: str = "fake"
    n_classes: int = 3

    def build(self) -> Any:
        return Fake(self)


class Fake:
    simulated = True
    paradigm = "imagery"
    name = "fake (simulated)"

    def __init__(self, settings: FakeSettings) -> None:
        from moabb.datasets.fake import FakeDataset
        from moabb.paradigms import LeftRightImagery, MotorImagery

        self._settings = settings
        two = ("left_hand", "right_hand")
        labels = two if settings.n_classes == 2 else ("left_hand", "right_hand", "feet")
        self.classes = tuple(sorted(labels))
        self._fake = FakeDataset(list(labels), n_subjects=3, n_sessions=2, n_runs=1, seed=7)
        self._paradigm = (
            LeftRightImagery() if settings.n_classes == 2 else MotorImagery(n_classes=3)
        )

    @property
    def subjects(self) -> list[str]:
        return [str(s) for s in self._fake.subject_list]

    def epochs(self, subject: str) -> list[Epochs]:
        X, y, metadata = self._paradigm.get_data(self._fake, subjects=[int(subject)])
        names = ("C3", "Cz", "C4")
        return list(self._sessions(subject, X, y, metadata, names))

    def _sessions(
        self, subject: str, X: Any, y: Any, metadata: Any, names: tuple[str, ...]
    ) -> Iterator[Epochs]:
        for session in dict.fromkeys(metadata["session"]):
            ix = (metadata["session"] == session).to_numpy()
            yield Epochs(
                self.name, subject, session, X[ix].astype(float), np.asarray(y[ix], dtype=str),
                128.0, names, np.arange(ix.sum()),
            )  # fmt: skip

    def continuous(self, subject: str) -> list[Any]:
        return []

    def settings(self) -> dict[str, Any]:
        return self._settings.model_dump(mode="json")


@pytest.mark.parametrize("n_classes", [2, 3])
def test_on_moabbs_fake_dataset(
    tmp_path: Path, moabb_side: Any, n_classes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = f"datasets: [{{kind: fake, n_classes: {n_classes}}}]\n" + PIPELINES
    monkeypatch.setitem(datasets.KINDS, "fake", f"{__name__}:FakeSettings")
    monkeypatch.setattr(datasets, "find", lambda kind: FakeSettings)
    monkeypatch.setattr(configs, "find", lambda kind: FakeSettings)
    config = configs.loads(text)
    ours = run(config, tmp_path / "ours", n_jobs=1)
    assert set(ours["metric"]) == {"roc_auc" if n_classes == 2 else "accuracy"}
    agree(ours, theirs(moabb_side, config, config.datasets[0].build(), tmp_path))
