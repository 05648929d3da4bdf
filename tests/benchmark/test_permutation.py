"""Folds that are stretches of time, and p values from shuffled labels."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bci.benchmark import config as configs
from bci.benchmark import main
from bci.benchmark.permutation import p_value, shuffled
from bci.benchmark.run import run
from bci.benchmark.trials import blocked

BENCHMARK = """
name: shuffled
datasets: [{kind: toy, n_subjects: 1, n_sessions: 1, n_trials: 30}]
pipelines:
  mdm: {kind: mdm}
evaluations:
  - {kind: within_session, folds: 3, order: blocked, permutations: 19}
"""


@pytest.mark.parametrize(("n_trials", "windows", "n_folds"), [(30, 1, 5), (17, 3, 4), (5, 2, 5)])
def test_folds_are_stretches_of_time(n_trials: int, windows: int, n_folds: int) -> None:
    trials = np.repeat(np.arange(n_trials) * 7 + 3, windows)
    folds = blocked(trials, n_folds)
    np.testing.assert_array_equal(
        np.concatenate([test for _, test in folds]), np.arange(len(trials))
    )
    for train, test in folds:
        assert (np.diff(test) == 1).all()
        assert sorted([*train, *test]) == list(range(len(trials)))
        assert not set(trials[train]) & set(trials[test])
        assert n_trials // n_folds <= len(set(trials[test])) <= -(-n_trials // n_folds)


def test_labels_are_shuffled_among_trials() -> None:
    trials = np.repeat([4, 9, 2, 7], 3)
    y = np.repeat(["a", "b", "b", "b"], 3)
    places = set()
    for k in range(40):
        found = shuffled(y, trials, (0, k))
        assert (found == "a").sum() == 3
        assert len(set(trials[found == "a"])) == 1
        places.update(trials[found == "a"].tolist())
    assert places == {2, 4, 7, 9}
    np.testing.assert_array_equal(found, shuffled(y, trials, (0, 39)))


def test_p_is_the_share_of_shufflings_that_reach_the_mean() -> None:
    permuted = [[0.5, 0.9, 0.2, None], [0.5, 0.9, 0.6, 1.0]]
    assert p_value([0.7, 0.9], permuted) == pytest.approx(2 / 4)
    assert p_value([0.9, 0.9], permuted) == pytest.approx(2 / 4)
    assert p_value([1.0, 1.0], permuted) == pytest.approx(1 / 4)
    assert p_value([0.1, 0.1], permuted) == 1.0


def test_a_benchmark_tells_p(tmp_path: Path) -> None:
    found = run(configs.loads(BENCHMARK), tmp_path / "found", n_jobs=1)
    assert set(found["error"]) == {""}
    for _, session in found.groupby("session"):
        permuted = [json.loads(text)["permuted"] for text in session["details"]]
        assert {len(scores) for scores in permuted} == {19}
        assert p_value(session["score"].tolist(), permuted) == pytest.approx(1 / 20)
        assert 0.4 < np.nanmean(np.array(permuted, dtype=float)) < 0.6


def test_the_report_has_the_table(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text(BENCHMARK.replace("19", "3"))
    assert main.run(tmp_path / "b.yaml", tmp_path / "out", None, 1, False, False, print)
    report = (tmp_path / "out" / "summary.md").read_text()
    assert "## Permutation tests" in report
    assert "| mdm | s1 | 1 |" in report


def test_a_stretch_without_a_class_is_refused(tmp_path: Path) -> None:
    text = BENCHMARK.replace("folds: 3", "folds: 15").replace("permutations: 19", "")
    found = run(configs.loads(text.replace(", }", "}")), tmp_path, n_jobs=1)
    assert found["error"].str.contains("lacks a class; set 'folds' below 15").all()
