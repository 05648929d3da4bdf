"""Rows of decoders that adapt: how they are marked, what they see when, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from benchmark_toys import ToySettings
from pydantic import ValidationError
from scipy.stats import binom

from bci.benchmark import config as configs
from bci.benchmark import datasets
from bci.benchmark.config import PipelineSettings
from bci.benchmark.report import rows as report_rows
from bci.benchmark.report.data import labels
from bci.benchmark.run import run
from bci.benchmark.scoring import answer, answer_and_adapt
from bci.decoders import MDM, Recentred

BENCHMARK = """
name: adaptive
datasets: [{kind: toy, n_trials: 24}]
pipelines:
  still: {decoder: {kind: recentred, of: {kind: mdm}}}
  follows: {decoder: {kind: recentred, of: {kind: mdm}}, adapts: without labels}
  told: {decoder: {kind: recentred, of: {kind: mdm}}, adapts: with labels}
  aligned: {decoder: {kind: recentred, of: {kind: mdm}}, transductive: true}
evaluations: [{kind: transfer, train: [1], test: [2]}, {kind: cross_subject}]
"""
SEEN = {
    "still": "", "follows": "adapts, no labels", "told": "adapts, labels after each decision",
    "aligned": "transductive",
}  # fmt: skip


def epochs(subject="s1", n_trials=24):
    return ToySettings(n_trials=n_trials).build().epochs(subject)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(datasets.KINDS, "toy", "benchmark_toys:ToySettings")
        return run(configs.loads(BENCHMARK), tmp_path_factory.mktemp("adaptive"), n_jobs=1)


def test_rows_say_what_was_seen_of_the_test_also_in_the_report(results):
    assert (results["error"] == "").all()
    assert results.groupby("pipeline")["seen"].unique().map(list).to_dict() == {
        name: [seen] for name, seen in SEEN.items()
    }
    named = labels(report_rows.rows_of(report_rows.prepare(results)))
    assert named == {name: f"{name} ({seen})" if seen else name for name, seen in SEEN.items()}


@pytest.mark.parametrize("how", ["follows", "told"])
def test_answers_are_those_of_a_session_played_window_by_window(results, how):
    """The second session of each subject, trained on the first."""
    found = results[(results["pipeline"] == how) & (results["evaluation"] == "transfer")]
    for _, row in found.iterrows():
        first, second = epochs(row["subject"])
        decoder = Recentred(MDM()).fit(first.X, first.y)
        said = []
        for window, label in zip(second.X, second.y, strict=True):
            said.append(decoder.predict(window[np.newaxis])[0])
            if decoder.update(window) and how == "told":
                decoder.update(window, label)
        assert json.loads(row["details"])["y_pred"] == said


def test_other_peoples_sessions_are_aligned_each_for_itself(results):
    found = results[(results["pipeline"] == "aligned") & (results["evaluation"] == "cross_subject")]
    others, tested = epochs("s2"), epochs("s1")
    whose = np.repeat(["s2 1", "s2 2"], [len(e.y) for e in others])
    decoder = Recentred(MDM()).fit(
        np.concatenate([e.X for e in others]), np.concatenate([e.y for e in others]), whose
    )
    for session in tested:
        row = found[(found["subject"] == "s1") & (found["session"] == session.session)].iloc[0]
        expected = decoder.adapt(session.X).predict(session.X).tolist()
        assert json.loads(row["details"])["y_pred"] == expected


@pytest.mark.parametrize("labels", [False, True])
def test_an_answer_knows_nothing_of_what_comes_later(labels):
    first, second = epochs()
    sessions = np.repeat([0, 1], 12)
    decoder = Recentred(MDM()).fit(first.X, first.y)
    whole = answer_and_adapt(decoder, second.X, second.y, sessions, labels=labels)
    for n in (1, 7, 12, 13):
        part = answer_and_adapt(decoder, second.X[:n], second.y[:n], sessions[:n], labels=labels)
        np.testing.assert_array_equal(part.proba, whole.proba[:n])
    # each session starts as training left it, and so does what comes after the test
    for at in (0, 12):
        one = answer(decoder, second.X[at : at + 1])
        np.testing.assert_array_equal(one.proba, whole.proba[at : at + 1])


def test_labels_that_are_told_are_not_known_before():
    """On noise, with the labels of each trial told after it, answers are at chance."""
    rng = np.random.default_rng(0)
    right = n = 0
    for _ in range(6):
        X, y = rng.standard_normal((90, 3, 48)), rng.permutation(np.tile(["a", "b"], 45))
        decoder = Recentred(MDM()).fit(X[:30], y[:30])
        found = answer_and_adapt(decoder, X[30:], y[30:], np.zeros(60, int), labels=True)
        right, n = right + int((found.labels == y[30:]).sum()), n + 60
    low, high = binom.interval(0.99, n, 0.5)
    assert low <= right <= high


def test_what_cannot_adapt_is_refused(tmp_path: Path):
    text = """
name: refused
datasets: [{kind: toy, n_trials: 24}]
pipelines:
  stiff: {decoder: {kind: mdm}, adapts: without labels}
  follows: {decoder: {kind: recentred, of: {kind: mdm}}, adapts: without labels}
evaluations:
  - {kind: within_session, pipelines: [follows]}
  - {kind: cross_session, pipelines: [stiff]}
"""
    found = run(configs.loads(text), tmp_path, n_jobs=1).groupby("pipeline")["error"].unique()
    assert "does not learn window by window; {kind: recentred} does" in found["stiff"][0]
    assert "needs whole sessions to test" in found["follows"][0]
    for given in ({"steps": [{"estimator": "a.B"}]}, {"decoder": {"kind": "m"}, "transductive": 1}):
        with pytest.raises(ValidationError, match="'adapts' is for a decoder that learns window"):
            PipelineSettings(adapts="with labels", **given)
