"""Estimators by import path, what they share, and that sharing changes no score."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmark_toys import ToySettings
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

from bci.benchmark import config as configs
from bci.benchmark import pipelines, scoring
from bci.benchmark.config import PipelineSettings, Step
from bci.benchmark.folds import stratified
from bci.benchmark.memory import FitMemory, Recent
from bci.benchmark.pipelines import Context
from bci.benchmark.run import run
from bci.errors import ConfigError
from bci.types import StreamInfo

COV = {"estimator": "pyriemann.estimation.Covariances", "params": {"estimator": "oas"}}
TS = {"estimator": "pyriemann.tangentspace.TangentSpace", "params": {"metric": "riemann"}}
SVM = {"estimator": "sklearn.svm.SVC"}
LR = {"estimator": "sklearn.linear_model.LogisticRegression"}
CONTEXT = Context(StreamInfo("toy", 64.0, ("C3", "Cz", "C4"), ("eeg",) * 3), 48, ("a", "b"), seed=7)


def made(*steps: dict[str, Any], **more: Any) -> PipelineSettings:
    return PipelineSettings.model_validate({"steps": steps, **more})


def test_steps_are_named_as_make_pipeline_names_them() -> None:
    steps = [Step(**s) for s in (COV, LR, COV)]
    plain = make_pipeline(*(pipelines.make_step(s, CONTEXT) for s in steps))
    assert pipelines.step_names(tuple(steps)) == [name for name, _ in plain.steps]


@pytest.mark.parametrize(
    ("settings", "n"),
    [
        (made(COV, TS, SVM), 1),
        (made(COV, TS, SVM, grid={"svc__C": [1, 2]}), 1),
        (made(COV, TS, SVM, grid={"covariances__estimator": ["oas", "scm"]}), 0),
        (made(TS, LR), 0),
        (made({"estimator": "pyriemann.estimation.TimeDelayCovariances"}, COV, TS, LR), 2),
        (made(COV), 0),  # the last one answers, whatever it is
    ],
)
def test_only_what_learns_nothing_is_shared_over_folds(settings: PipelineSettings, n: int) -> None:
    assert pipelines.n_stateless(settings) == n


def test_placeholders_take_their_values_from_the_data_set() -> None:
    step = Step(
        estimator="bci.decoders.ssvep.cca.FBCCA",
        params={"sfreq": "$sfreq", "frequencies": {"a": 8.0, "b": 10.0}, "channels": ["$n_times"]},
    )
    decoder = pipelines.make_step(step, CONTEXT)
    assert (decoder.sfreq, decoder.channels) == (64.0, [48])
    with pytest.raises(ConfigError, match=r"unknown value '\$fs'; known are: \$sfreq"):
        pipelines.make_step(Step(estimator=SVM["estimator"], params={"C": "$fs"}), CONTEXT)
    with pytest.raises(ConfigError, match="cannot be made: .*unexpected keyword argument 'cost'"):
        pipelines.make_step(Step(estimator=SVM["estimator"], params={"cost": 1}), CONTEXT)


def test_estimators_are_seeded_unless_they_are_given_a_seed() -> None:
    assert pipelines.make_step(Step(**SVM), CONTEXT).random_state == 7
    own = Step(estimator=SVM["estimator"], params={"random_state": 3})
    assert pipelines.make_step(own, CONTEXT).random_state == 3


@pytest.mark.parametrize("searched", [False, True])
def test_shared_equals_plain(searched: bool) -> None:
    """With and without stateless prefix, fit memory and grid: one score, to 1e-6."""
    epochs = ToySettings(n_trials=60).build().epochs("s1")[0]
    y = np.unique(epochs.y, return_inverse=True)[1]
    grid = {"svc__C": [0.5, 1, 1.5], "svc__kernel": ["linear", "rbf"]} if searched else {}
    settings = made(COV, TS, SVM, grid=grid)
    shared = pipelines.prefix(settings, CONTEXT, epochs.X)
    memory = FitMemory()
    for train, test in stratified(y, epochs.trials, 5, 42):
        fitted = scoring.fit(
            pipelines.rest(settings, CONTEXT, memory), grid, shared[train], y[train],
            epochs.trials[train], metric="roc_auc", seed=42,
        )  # fmt: skip
        plain = pipelines.rest(settings, CONTEXT, whole=True)
        if searched:
            inner = StratifiedKFold(3, shuffle=True, random_state=42)
            plain = GridSearchCV(plain, grid, cv=inner, scoring="roc_auc")
        plain.fit(epochs.X[train], y[train])
        if searched:
            assert fitted.best_params_ == plain.best_params_
        np.testing.assert_allclose(
            scoring.answer(fitted, shared[test]).ranking,
            plain.decision_function(epochs.X[test]), atol=1e-6,
        )  # fmt: skip
    if searched:
        # per outer fold three inner fits and one refit of the tangent space, not 6 * 3 + 1
        assert memory.recent.n_made == 5 * 4


def test_pipelines_share_a_fitted_transformer() -> None:
    epochs = ToySettings(n_trials=40).build().epochs("s1")[0]
    memory, y = FitMemory(), np.unique(epochs.y, return_inverse=True)[1]
    one, other = made(COV, TS, SVM), made(COV, TS, LR)
    X = pipelines.prefix(one, CONTEXT, epochs.X)
    a = pipelines.rest(one, CONTEXT, memory).fit(X, y)
    b = pipelines.rest(other, CONTEXT, memory).fit(X, y)
    assert memory.recent.n_made == 1
    assert a.steps[0][1] is b.steps[0][1]
    pipelines.rest(other, CONTEXT, memory).fit(X[:30], y[:30])
    assert memory.recent.n_made == 2


def test_recent_forgets_the_least_recently_used() -> None:
    kept = Recent(3 * 8 * 100)
    for key in "abc":
        kept.get(key, lambda: np.zeros(100))
    kept.get("a", lambda: pytest.fail("it was there"))
    kept.get("d", lambda: np.zeros(100))
    kept.get("a", lambda: pytest.fail("it was there"))
    n = kept.n_made
    kept.get("b", lambda: np.zeros(100))
    assert kept.n_made == n + 1


TRANSDUCTIVE = """
name: t
datasets: [{kind: toy}]
pipelines:
  centred:
    transductive: %s
    steps:
      - {estimator: benchmark_toys.BatchCentred}
      - {estimator: sklearn.linear_model.LogisticRegression}
evaluations: [{kind: within_session}]
"""


def test_adapting_to_the_test_must_be_called_transductive(tmp_path: Path) -> None:
    hidden = run(configs.loads(TRANSDUCTIVE % "false"), tmp_path / "hidden", n_jobs=1)
    assert hidden["error"].str.contains("set 'transductive: true'").all()
    said = run(configs.loads(TRANSDUCTIVE % "true"), tmp_path / "said", n_jobs=1)
    assert (said["error"] == "").all()
    assert said["transductive"].all()


def test_ours_learn_text_and_others_numbers() -> None:
    assert pipelines.takes_text_labels(PipelineSettings(decoder={"kind": "mdm"}))
    assert not pipelines.takes_text_labels(made(COV, TS, LR))


def test_answers_are_those_of_the_estimator() -> None:
    epochs = ToySettings(n_trials=40).build().epochs("s1")[0]
    X = epochs.X.var(axis=-1)
    for last in (LogisticRegression(), SVC()):
        fitted = make_pipeline(last).fit(X, epochs.y)
        found = scoring.answer(fitted, X)
        assert (found.labels == fitted.predict(X)).all()
        np.testing.assert_array_equal(found.ranking, fitted.decision_function(X))
        assert (found.proba is None) is isinstance(last, SVC)


def frequencies(*classes: str) -> Any:
    """Frequencies of a decoder that reads them from classes."""
    settings = PipelineSettings(decoder={"kind": "fbcca", "frequencies_hz": "$frequencies"})
    return pipelines.rest(settings, dataclasses.replace(CONTEXT, classes=classes)).frequencies


def test_a_decoder_reads_frequencies_from_the_classes() -> None:
    assert frequencies("8.2 Hz", "13 Hz") == {"8.2 Hz": 8.2, "13 Hz": 13.0}
    assert frequencies("8", "9.4") == {"8": 8.0, "9.4": 9.4}  # as MOABB names them


def test_a_class_that_is_no_frequency_is_refused() -> None:
    with pytest.raises(ConfigError, match="'rest' is no frequency in Hz"):
        frequencies("8 Hz", "rest")
