"""Pseudo-online units of a benchmark: trained on other sessions, replayed, judged, deployed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bci.benchmark import config as configs
from bci.benchmark import evaluations, online
from bci.benchmark.deploy import deploy
from bci.benchmark.pseudo_online import evaluate
from bci.benchmark.run import run
from bci.decoders.artifact import load
from bci.errors import ConfigError

TEXT = """
name: online
datasets:
  - {kind: simulated, paradigm: imagery2, name: sim, n_subjects: 1, n_sessions: 2, n_per_class: 8}
pipelines:
  mdm: {kind: mdm}
  silent:
    - {estimator: benchmark_toys.LogVar}
    - {estimator: sklearn.svm.SVC}
evaluations:
  - kind: pseudo_online
    session:
      processing: [{kind: bandpass, low_hz: 8, high_hz: 32, order: 4}]
      window: {kind: sliding, length_s: 2.0, hop_s: 0.5, offset_s: 0.5}
      decision: {kind: threshold, threshold: 0.6, dwell: 1, refractory_s: 1.0}
    rules: {reaction_s: 0.5}
"""


@pytest.fixture(scope="module")
def config() -> configs.BenchmarkConfig:
    return configs.loads(TEXT)


def test_rows_are_those_of_the_live_pipeline(
    tmp_path: Path, config: configs.BenchmarkConfig
) -> None:
    found = run(config, tmp_path, n_jobs=1)
    assert set(found["evaluation"]) == {"pseudo_online"}
    silent = found[found["pipeline"] == "silent"]
    assert set(silent["error"]) == {"it gives no probabilities, which live decisions need"}
    ours = found[found["pipeline"] == "mdm"].set_index("session")
    assert (ours["error"] == "").all()
    dataset = config.datasets[0].build()
    one, other = dataset.continuous(dataset.subjects[0])
    evaluation = config.evaluations[0]
    assert isinstance(evaluation, evaluations.PseudoOnline)
    cut = online.windows(evaluation, [one], idle=True)
    assert ours.loc[other.session, "n_train"] == len(cut.y)
    from bci.decoders import MDM

    plain = evaluate(
        other, online.session_config(evaluation, other), MDM().fit(cut.X, cut.y), "mdm",
        reaction_s=0.5,
    )  # fmt: skip
    told = json.loads(ours.loc[other.session, "details"])
    assert ours.loc[other.session, "score"] == pytest.approx(plain.score)
    for figure in ("hits", "misses", "false_activations", "minutes_idle"):
        assert told[figure] == pytest.approx(plain.details()[figure])


def test_deployed_from_the_live_chain(tmp_path: Path, config: configs.BenchmarkConfig) -> None:
    deploy(config, "mdm", "01", tmp_path / "model", report=lambda line: None)
    _, manifest = load(tmp_path / "model")
    assert [stage["kind"] for stage in manifest.processing] == ["bandpass"]
    assert "coefficients" in manifest.processing[0]
    assert manifest.window["length_s"] == 2.0
    assert manifest.scores[0].n == sum(manifest.n_trials.values())
    without = config.model_copy(update={"evaluations": (evaluations.WithinSession(),)})
    with pytest.raises(ConfigError, match="filtered forwards and backwards, which no live session"):
        deploy(without, "mdm", "01", tmp_path / "other", report=print)
