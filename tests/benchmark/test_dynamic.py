"""Dynamic stopping in the folds of a benchmark: calibrated in training alone, and reported."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bci.benchmark import config as configs
from bci.benchmark.dynamic import decided, pooled
from bci.benchmark.evaluations import Stopping
from bci.benchmark.report import write_report
from bci.benchmark.run import run
from bci.decoders import FBCCA
from bci.errors import BciError
from bci.metrics import selection_report

SFREQ = 128.0
HZ = {"10 Hz": 10.0, "12 Hz": 12.0, "15 Hz": 15.0}
ASKED = Stopping(first_s=0.4, step_s=0.2)


def trials(n_blocks, amplitude, seed=0):
    """Windows of 1 s with a sine each, of any phase, in noise."""
    rng = np.random.default_rng(seed)
    y = np.tile([*HZ], n_blocks)
    t = np.arange(128) / SFREQ
    phase = rng.uniform(0, 2 * np.pi, len(y))
    sines = [np.sin(2 * np.pi * HZ[label] * t + p) for label, p in zip(y, phase, strict=True)]
    return rng.standard_normal((len(y), 3, 128)) + amplitude * np.array(sines)[:, None], y


def told(amplitude, asked=ASKED, y_test=None):
    training, (X, y) = trials(20, amplitude), trials(10, amplitude, seed=1)
    fitted = FBCCA(SFREQ, HZ, n_harmonics=2).fit(*training)
    return decided(asked, fitted, training, (X, y if y_test is None else y_test), SFREQ)


def test_clear_trials_are_decided_early_and_right():
    found = told(amplitude=3.0)
    reports = pooled([found, found], len(HZ))
    assert found["fixed_because"] == ""
    assert reports.dynamic.n == 60
    assert reports.dynamic.accuracy > 0.95
    assert reports.dynamic.mean_s < 0.8
    assert reports.dynamic.itr >= 0.9 * reports.fixed.itr


def test_in_noise_nothing_is_promised_and_chance_comes_out():
    found = told(amplitude=0.0)
    report = selection_report(found["seconds"], found["right"], found["passed"], len(HZ))
    assert report.n_passed <= 6
    assert 4 <= sum(found["right"]) <= 17  # 99 % of guessers, of 30


def test_test_labels_change_neither_times_nor_thresholds():
    one, other = (told(1.0, y_test=y) for y in (None, np.full(30, "10 Hz")))
    for key in ("seconds", "passed", "fixed_s"):
        assert one[key] == other[key]


def test_what_cannot_be_calibrated_is_refused():
    with pytest.raises(BciError, match=r"windows last 1 s and the first look is at 2 s"):
        told(1.0, Stopping(first_s=2.0))


def test_rows_and_report_tell_it(tmp_path: Path):
    text = """
name: stop
datasets:
  - {kind: simulated, paradigm: ssvep12, n_subjects: 1, n_sessions: 1, n_per_class: 4,
     filters: [], tmin: 0.14, tmax: 0.64}
pipelines: {eTRCA: {kind: trca}, MDM: {kind: mdm}}
evaluations: [{kind: leave_one_block_out, stopping: {first_s: 0.3}}]
"""
    table = run(configs.loads(text), tmp_path, n_jobs=1)
    assert set(table["error"]) == {""}
    assert ['"stopping"' in details for details in table["details"]] == [
        name == "eTRCA" for name in table["pipeline"]
    ]
    summary = write_report(table, tmp_path, config_yaml=text, environment={}, comparison=None)[-1]
    lines = summary.read_text(encoding="utf-8").split("## Dynamic stopping")[1].splitlines()
    (own,) = (line for line in lines if line.startswith("| 01 |"))
    assert 0.3 <= float(own.split("|")[2]) <= 0.5
