"""From a benchmark's winner to a model that a live session loads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from benchmark_toys import ToySettings

from bci.benchmark import config as configs
from bci.benchmark.deploy import deploy
from bci.decoders.artifact import ModelSettings, load
from bci.errors import ConfigError, ModelError
from bci.types import StreamInfo

TEXT = """
name: d
datasets: [{kind: toy, n_trials: 30%s}]
pipelines:
  mdm: {kind: mdm}
  TS+LR:
    steps:
      - {estimator: pyriemann.estimation.Covariances, params: {estimator: oas}}
      - {estimator: pyriemann.tangentspace.TangentSpace}
      - {estimator: sklearn.linear_model.LogisticRegression}
    grid: {logisticregression__C: [0.1, 1]}
  svm:
    - {estimator: benchmark_toys.LogVar}
    - {estimator: sklearn.svm.SVC}
evaluations: [{kind: within_session}]
"""
INFO = StreamInfo("live", 64.0, ("C3", "Cz", "C4"), ("eeg",) * 3)


@pytest.mark.parametrize("name", ["mdm", "TS+LR"])
def test_winner_goes_live(tmp_path: Path, name: str) -> None:
    said: list[str] = []
    saved = deploy(configs.loads(TEXT % ""), name, "s2", tmp_path / "model", report=said.append)
    decoder, manifest = load(tmp_path / "model")
    assert manifest == saved
    assert manifest.ch_names == ("C3", "Cz", "C4")
    assert manifest.window["length_s"] == 0.75
    assert sum(manifest.n_trials.values()) == 60
    score = manifest.scores[0]
    assert score.metric == "accuracy"
    assert 0.5 < score.low < score.value <= score.high <= 1
    assert "5-fold" in score.method
    assert ("searched inside each fold" in score.method) is (name == "TS+LR")
    assert decoder.classes_.tolist() == ["a", "b"]
    live = ModelSettings(path=tmp_path / "model").build(INFO)
    X = ToySettings(n_trials=30).build().epochs("s2")[0].X
    np.testing.assert_allclose(live.predict_proba(X).sum(axis=1), 1.0)
    assert any("decode with" in line for line in said)


def test_what_cannot_be_deployed_says_why(tmp_path: Path) -> None:
    config = configs.loads(TEXT % "")
    with pytest.raises(ConfigError, match="no pipeline 'nope' in the benchmark; known are: mdm"):
        deploy(config, "nope", "s1", tmp_path / "m", report=print)
    with pytest.raises(ConfigError, match="there is no subject 's9'; there are toy"):
        deploy(config, "mdm", "s9", tmp_path / "m", report=print)
    with pytest.raises(ModelError, match="gives no probabilities, which live decisions need"):
        deploy(config, "svm", "s1", tmp_path / "m", report=print)
    (tmp_path / "there").mkdir()
    with pytest.raises(ModelError, match="exists already"):
        deploy(config, "mdm", "s1", tmp_path / "there", report=print)
    few = configs.loads(TEXT % ", n_sessions: 1, odd: {s1: single}")
    with pytest.raises(ModelError, match="training needs 5 windows of each of two labels"):
        deploy(few, "mdm", "s1", tmp_path / "m", report=print)
    assert not (tmp_path / "m").exists()
