"""Recorded data of every kind through the whole engine: plan, folds, scores, live pipeline."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bci.benchmark import config as configs
from bci.benchmark import pipelines
from bci.benchmark.datasets import find
from bci.benchmark.run import run
from bci.recording.export import export_bids
from bci.recording.layout import new_run
from bci.recording.writer import Recorder

XDF = Path(__file__).parents[3] / "shared" / "data" / "xdf"

SESSION = """
participant: {id: P001, session: %d}
source: {kind: simulated, paradigm: imagery}
channels: {montage: null}
events: {left: cue/left, right: cue/right}
processing: [{kind: bandpass, low_hz: 8, high_hz: 30, order: 2}]
window: {kind: marker, length_s: 2.0, offset_s: 0.5, markers: [imagery_on]}
decoder: {kind: mdm}
"""
BENCHMARK = """
name: kinds
datasets:
  - %s
pipelines:
  mdm: {kind: mdm}
  CSP+LDA:
    - {estimator: pyriemann.estimation.Covariances, params: {estimator: oas}}
    - {estimator: pyriemann.spatialfilters.CSP, params: {nfilter: 4}}
    - {estimator: sklearn.discriminant_analysis.LinearDiscriminantAnalysis}
evaluations:
  - {kind: within_session, folds: 3}
  - {kind: cross_session}
"""
LIVE = """
  - kind: pseudo_online
    pipelines: [mdm]
    session:
      processing: [{kind: bandpass, low_hz: 8, high_hz: 30, order: 2}]
      window: {kind: sliding, length_s: 2.0, hop_s: 0.5, offset_s: 0.5}
      decision: {kind: threshold, threshold: 0.6, dwell: 1, refractory_s: 1.0}
    rules: {reaction_s: 0.5}
"""
MARKED = (
    "paradigm: imagery, events: {left: cue/left, right: cue/right}, opens: [imagery_on], "
    "tmin: 0.5, tmax: 2.5, idle: [fixation]"
)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sessions of a simulated participant, recorded as `bci record` lays them out."""
    root = tmp_path_factory.mktemp("kinds") / "recordings"
    person = find("simulated")(
        paradigm="imagery2", n_subjects=1, n_sessions=2, n_per_class=9, seed=4
    ).build()
    for number, session in enumerate(person.continuous("01"), start=1):
        recording = session.recording
        paths = new_run(root, "P001", number, "mi", SESSION % number)
        stamps = 50.0 + np.arange(recording.n_samples) / recording.info.sfreq
        with Recorder(paths.xdf) as recorder:
            eeg = recorder.add_stream(recording.info, dtype=np.float32)
            marks = recorder.add_marker_stream("markers")
            recorder.write_samples(eeg, recording.data.astype(np.float32), stamps)
            for marker in recording.markers:
                recorder.write_marker(marks, marker.value, stamps[marker.index])
    return root


def table(dataset: str, out: Path, evaluations: str = "") -> pd.DataFrame:
    return run(configs.loads(BENCHMARK % dataset + evaluations), out, n_jobs=1)


def check(found: pd.DataFrame) -> None:
    """Every unit has a score, and hands that the simulated cortex moves are told apart."""
    assert set(found["error"]) == {""}
    epoched = found[found["evaluation"] != "pseudo_online"]
    counts = epoched.groupby(["evaluation", "pipeline"]).size().to_dict()
    assert counts == {
        ("within_session", "mdm"): 6, ("within_session", "CSP+LDA"): 6,
        ("cross_session", "mdm"): 2, ("cross_session", "CSP+LDA"): 2,
    }  # fmt: skip
    assert set(epoched["window_s"]) == {2.0}
    assert epoched["score"].mean() > 0.7  # areas under the curve; chance is 0.5


def test_own_recordings(recorded: Path, tmp_path: Path) -> None:
    found = table(f"{{kind: recordings, path: {recorded}, paradigm: imagery}}", tmp_path, LIVE)
    check(found)
    live = found[found["evaluation"] == "pseudo_online"]
    assert live["session"].tolist() == ["001", "002"]
    assert set(live["n_test"]) == {18}
    assert all(json.loads(told)["minutes_idle"] > 0.5 for told in live["details"])


def test_bids_and_xdf_give_equal_scores(recorded: Path, tmp_path: Path) -> None:
    export_bids(recorded, tmp_path / "bids")
    one, other = (
        table(f"{{kind: {kind}, path: {path}, name: set, filters: [[8, 30]], {MARKED}}}",
              tmp_path / kind, LIVE)
        for kind, path in (("bids", tmp_path / "bids"), ("xdf", recorded))
    )  # fmt: skip
    check(one)
    check(other)
    assert set(one["session"]) == {"001", "002"}
    np.testing.assert_allclose(one["score"], other["score"], atol=1e-12)


@pytest.mark.skipif(not XDF.is_dir(), reason=f"no recordings at {XDF}")
def test_sliding_windows_of_one_trial_never_stand_on_both_sides(tmp_path: Path) -> None:
    """The DSI-7 SSVEP file marks windows of 1.4 s every third of a second in three long trials."""
    events = ", ".join(f"{hz} Hz: '1.4,{k},10,12,15'" for k, hz in enumerate((10, 12, 15)))
    dataset = (
        f"{{kind: xdf, path: {XDF}, pattern: ssvep_example.xdf, paradigm: ssvep, "
        f"events: {{{events}}}, filters: [[7, 45]], tmax: 1.4}}"
    )
    found = table(dataset, tmp_path)
    assert set(found["subject"]) == {"ssvep_example"}
    assert set(found["error"]) == {
        "class '10 Hz' has one trial in session 1: it cannot be trained on and tested on"
    }
    (epochs,) = configs.loads(BENCHMARK % dataset).datasets[0].build().epochs("ssvep_example")
    assert len(epochs.y) == 251
    assert len(set(epochs.trials.tolist())) == 3


@pytest.mark.skipif(not XDF.is_dir(), reason=f"no recordings at {XDF}")
def test_three_long_trials_are_enough_for_what_needs_no_training(tmp_path: Path) -> None:
    whole = configs.load(Path(__file__).parents[2] / "configs/benchmark/ssvep_ladder.yaml")
    trained = {"FBCCA": whole.pipelines["FBCCA"], "TRCA": whole.pipelines["TRCA"]}
    (dataset,) = (d for d in whole.datasets if d.name == "DSI-7")
    dataset = dataset.model_copy(update={"path": XDF})
    evaluation = whole.evaluations[-1].model_copy(update={"pipelines": None, "window_s": [0.5]})
    change = {"datasets": (dataset,), "pipelines": trained, "evaluations": (evaluation,)}
    found = run(whole.model_copy(update=change), tmp_path, n_jobs=1).set_index("pipeline")
    assert found.loc["FBCCA", "n_test"] == 251
    assert found.loc["FBCCA", "n_train"] == 0
    told = json.loads(found.loc["FBCCA", "details"])
    assert "251 windows of 3 trials" in told["note"]
    assert told["classes"] == ["10 Hz", "12 Hz", "15 Hz"]
    assert found.loc["TRCA", "error"].startswith("it must be trained")


def test_what_is_not_installed_fails_in_its_rows_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipelines, "OPTIONAL", ("braindecode", "no_such_package"))
    text = """
datasets: [{kind: toy}]
pipelines:
  mdm: {kind: mdm}
  EEGNet:
    - estimator: no_such_package.EEGClassifier
      params: {module: EEGNet, max_epochs: 2, train_split: null}
evaluations: [{kind: within_session}]
"""
    found = run(configs.loads(text), tmp_path, n_jobs=1)
    assert set(found[found["pipeline"] == "mdm"]["error"]) == {""}
    assert set(found[found["pipeline"] == "EEGNet"]["error"]) == {
        "estimator 'no_such_package.EEGClassifier' needs the package 'no_such_package', which is "
        "not installed; install it with: pip install 'neuroloop[no_such_package]'"
    }
