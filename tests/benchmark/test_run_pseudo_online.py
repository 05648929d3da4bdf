"""Pseudo-online units of a benchmark: trained on other sessions, replayed, judged, deployed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bci.benchmark import config as configs
from bci.benchmark import evaluations, online, operating_point
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


def test_a_threshold_is_chosen_on_sessions_of_no_training_and_no_test(
    tmp_path: Path, config: configs.BenchmarkConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two sessions give no third one; three do, and what is decoded was not trained on."""
    text = TEXT.replace("    rules:", "    threshold: auto\n    rules:")
    text = text.replace("n_per_class: 8", "n_per_class: 4")
    found = run(configs.loads(text), tmp_path / "two", n_jobs=1)
    (reason,) = set(found[found["pipeline"] == "mdm"]["error"])
    assert "there is 1 left" in reason
    trained: list[set[str]] = []
    decoded: list[str] = []
    windows, decode = online.windows, operating_point.decode

    def cut(evaluation: Any, sessions: Any, idle: bool) -> Any:
        trained.append({session.session for session in sessions})
        return windows(evaluation, sessions, idle)

    def spied(session: Any, *rest: Any) -> Any:
        decoded.append(session.session)
        assert session.session not in trained[-1]
        return decode(session, *rest)

    monkeypatch.setattr(online, "windows", cut)
    monkeypatch.setattr(operating_point, "decode", spied)
    three = configs.loads(text.replace("n_sessions: 2", "n_sessions: 3"))
    mdm = three.model_copy(update={"pipelines": {"mdm": three.pipelines["mdm"]}})
    found = run(mdm, tmp_path / "three", n_jobs=1)
    assert (found["error"] == "").all()
    names = found["session"].tolist()
    for number, tested in enumerate(names):
        others = [name for name in names if name != tested]
        assert decoded[2 * number : 2 * number + 2] == others
        assert trained[3 * number : 3 * number + 3] == [set(others), {others[1]}, {others[0]}]
    assert all(
        json.loads(told)["threshold"] in operating_point.CANDIDATES for told in found["details"]
    )


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
