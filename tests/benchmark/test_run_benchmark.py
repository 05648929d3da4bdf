"""A benchmark from its YAML to the table: reuse, failures, damage, kills."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from benchmark_toys import LogVar, ToySettings
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline

from bci.benchmark import config as configs
from bci.benchmark import main
from bci.benchmark.run import collect, plan_units, run
from bci.errors import BciError, ConfigError

HERE = Path(__file__).parent

LOGVAR = """
  LogVar+LR:
    - {estimator: benchmark_toys.LogVar}
    - {estimator: sklearn.linear_model.LogisticRegression}
"""
BASE = """
name: test
datasets: [{kind: toy%s}]
pipelines:
  mdm: {kind: mdm}
  %s
evaluations:
  - {kind: within_session}
"""

COLUMNS = [
    "score",
    "time",
    "samples",
    "subject",
    "session",
    "channels",
    "n_sessions",
    "dataset",
    "pipeline",
    "evaluation",
    "evaluation_kind",
    "window_s",
    "fold",
    "metric",
    "n_test",
    "n_classes",
    "chance",
    "paradigm",
    "simulated",
    "error",
    "n_train",
    "minutes_train",
    "transductive",
    "seen",
    "predict_ms_p50",
    "predict_ms_p99",
    "details",
    "key",
    "code_version",
]


def config(
    dataset: str = "", pipelines: str = LOGVAR, evaluations: str = ""
) -> configs.BenchmarkConfig:
    return configs.loads(BASE % (dataset, pipelines.strip()) + evaluations)


def compare(one: pd.DataFrame, other: pd.DataFrame) -> None:
    """The same but for the time that it took."""
    timed = ["time", "predict_ms_p50", "predict_ms_p99"]
    pd.testing.assert_frame_equal(one.drop(columns=timed), other.drop(columns=timed))


def units(folder: Path) -> list[Path]:
    return sorted((folder / "units").glob("*.jsonl"))


def test_rows_are_one_per_fold_and_equal_the_plain_way(tmp_path: Path) -> None:
    found = run(config(), tmp_path, n_jobs=1)
    assert set(found.columns) == set(COLUMNS)
    assert len(found) == 2 * 2 * 5 * 2  # subjects, sessions, folds, pipelines
    assert (found["error"] == "").all()
    assert found["simulated"].all()
    epochs = ToySettings().build().epochs("s2")[1]
    X, y = np.log(epochs.X.var(axis=-1)), np.unique(epochs.y, return_inverse=True)[1]
    folds = StratifiedKFold(5, shuffle=True, random_state=42).split(X, y)
    for number, (train, test) in enumerate(folds):
        plain = make_pipeline(LogisticRegression(random_state=42)).fit(X[train], y[train])
        wanted = roc_auc_score(y[test], plain.decision_function(X[test]))
        row = found.query(
            f"pipeline == 'LogVar+LR' and subject == 's2' and session == '2' and fold == {number}"
        ).iloc[0]
        assert row["score"] == pytest.approx(wanted, abs=1e-6)
        assert json.loads(row["details"])["y_true"] == epochs.y[test].tolist()
    on_disk = pd.read_parquet(tmp_path / "results.parquet")
    compare(found, on_disk)
    compare(found, collect(tmp_path))


def test_second_run_reads_nothing_and_repeats_nothing(tmp_path: Path) -> None:
    readings = tmp_path / "readings"
    readings.touch()
    settings = config(f", path: {readings}")
    first = run(settings, tmp_path / "out", n_jobs=1)
    stamps = {p: p.stat().st_mtime_ns for p in units(tmp_path / "out")}
    n_read = len(readings.read_text().splitlines())
    said: list[str] = []
    second = run(settings, tmp_path / "out", n_jobs=1, report=said.append)
    assert len(readings.read_text().splitlines()) == n_read
    assert {p: p.stat().st_mtime_ns for p in units(tmp_path / "out")} == stamps
    assert said == ["all 40 rows are there; nothing to do"]
    assert "reused all 40 rows" in (tmp_path / "out" / "log.txt").read_text()
    pd.testing.assert_frame_equal(first, second)


def test_a_new_pipeline_adds_its_own_work_only(tmp_path: Path) -> None:
    run(config(pipelines=""), tmp_path, n_jobs=1)
    said: list[str] = []
    found = run(config(), tmp_path, n_jobs=1, report=said.append)
    assert "40 units of work, 20 of them done before" in said
    assert len(found) == 40


def test_changed_parameters_are_new_work(tmp_path: Path) -> None:
    first = run(config(), tmp_path, n_jobs=1)
    changed = LOGVAR.replace("Regression}", "Regression, params: {C: 0.01}}")
    second = run(config(pipelines=changed), tmp_path, n_jobs=1)
    same = {"mdm": True, "LogVar+LR": False}
    for name, equal in same.items():
        keys = [set(df[df["pipeline"] == name]["key"]) for df in (first, second)]
        assert (keys[0] == keys[1]) is equal


def test_force_does_everything_again(tmp_path: Path) -> None:
    first = run(config(), tmp_path, n_jobs=1)
    stamps = {p: p.stat().st_mtime_ns for p in units(tmp_path)}
    second = run(config(), tmp_path, n_jobs=1, force=True)
    assert all(p.stat().st_mtime_ns > stamps[p] for p in units(tmp_path))
    compare(first, second)


def test_dry_run_lists_and_does_nothing(tmp_path: Path) -> None:
    listed = run(config(), tmp_path, n_jobs=1, dry_run=True)
    assert len(listed) == 40
    assert not listed["done"].any()
    assert units(tmp_path) == []
    assert [unit.key for unit in plan_units(config(), tmp_path)] == listed["key"].tolist()


@pytest.mark.parametrize("damage", [b"", b"{}", b"half a line", "flipped"])
def test_damaged_unit_is_done_again_and_said(tmp_path: Path, damage: bytes | str) -> None:
    first = run(config(), tmp_path, n_jobs=1)
    victim = units(tmp_path)[3]
    data = victim.read_bytes()
    victim.write_bytes(damage if isinstance(damage, bytes) else data[:-9] + b"#" + data[-8:])
    said: list[str] = []
    second = run(config(), tmp_path, n_jobs=1, report=said.append)
    assert any(victim.name in line and "done again" in line for line in said)
    assert "40 units of work, 39 of them done before" in said
    assert "damaged" in (tmp_path / "log.txt").read_text()
    compare(first, second)


def test_a_pipeline_that_raises_on_one_subject_fails_there_only(tmp_path: Path) -> None:
    picky = LOGVAR.replace("LogVar}", "Picky}")
    said: list[str] = []
    found = run(
        config(", n_subjects: 3, odd: {s2: loud}", picky), tmp_path, n_jobs=1, report=said.append
    )
    failed = found[found["error"] != ""]
    assert set(failed["subject"]) == {"s2"}
    assert set(failed["pipeline"]) == {"LogVar+LR"}
    assert set(failed["error"]) == {"RuntimeError: too loud for me"}
    assert failed["score"].isna().all()
    assert found[found["error"] == ""]["score"].notna().all()
    assert any("10 times: RuntimeError: too loud for me" in line for line in said)


@pytest.mark.parametrize(
    ("odd", "reason"),
    [
        ("nan", "1 of 20 epochs of subject s1, session 1, hold NaN or infinite values"),
        ("single", "class 'b' has one trial in session 1: it cannot be trained on and tested on"),
        ("unreadable", "SourceError: s1.edf is truncated"),
    ],
)
def test_bad_data_are_recorded_with_one_clear_reason(tmp_path: Path, odd: str, reason: str) -> None:
    found = run(config(f", odd: {{s1: {odd}}}"), tmp_path, n_jobs=1)
    bad = found[found["subject"] == "s1"]
    assert reason in set(bad["error"])
    assert (bad["error"] != "").all()
    assert (found[found["subject"] == "s2"]["error"] == "").all()


def test_failures_are_tried_again(tmp_path: Path) -> None:
    settings = config(", odd: {s1: nan}")
    run(settings, tmp_path, n_jobs=1)
    said: list[str] = []
    run(settings, tmp_path, n_jobs=1, report=said.append)
    assert "40 units of work, 20 of them done before" in said


def test_an_estimator_without_a_ranking_has_no_auc(tmp_path: Path) -> None:
    silent = "silent: [{estimator: benchmark_toys.NoRanking}]"
    found = run(config(pipelines=silent), tmp_path, n_jobs=1)
    reasons = set(found[found["pipeline"] == "silent"]["error"])
    assert len(reasons) == 1
    assert "neither probabilities nor a decision function" in reasons.pop()


def test_every_epoched_evaluation_runs(tmp_path: Path) -> None:
    more = """
  - {kind: cross_session}
  - {kind: cross_subject}
  - {kind: transfer, train: [1], test: [2]}
  - {kind: learning_curve, trials_per_class: [2, 4, 6], repeats: 3}
"""
    found = run(config(", n_classes: 3", evaluations=more), tmp_path, n_jobs=1)
    assert (found["error"] == "").all()
    assert set(found["metric"]) == {"accuracy"}
    counts = found[found["pipeline"] == "mdm"].groupby("evaluation").size().to_dict()
    assert counts == {
        "within_session": 20, "cross_session": 4, "cross_subject": 4, "transfer": 2,
        "learning_curve": 2 * 2 * 3 * 2,  # there are not 6 trials of each class to train on
    }  # fmt: skip
    curve = found.query("evaluation == 'learning_curve' and pipeline == 'mdm'")
    assert set(curve["n_train"]) == {6, 12}
    assert curve["minutes_train"].iloc[0] == pytest.approx(curve["n_train"].iloc[0] * 48 / 64 / 60)


def test_evaluations_of_one_kind_have_names(tmp_path: Path) -> None:
    more = "  - {kind: within_session, name: two folds, folds: 2}\n"
    found = run(config(evaluations=more), tmp_path, n_jobs=1)
    assert found.groupby("evaluation").size().to_dict() == {"within_session": 40, "two folds": 16}
    assert set(found["evaluation_kind"]) == {"within_session"}
    assert len(set(found["key"])) == len(found)
    again = config(evaluations=more.replace("two folds", "halves"))
    assert sorted(set(run(again, tmp_path, n_jobs=1)["evaluation"])) == ["halves", "within_session"]


WINDOWS = """
  - {kind: %s, name: by length, window_s: [0.25, 0.5, 2.0]%s}
"""


@pytest.mark.parametrize(
    ("kind", "more", "n"),
    [
        ("within_session", "", 20), ("leave_one_block_out", "", 40), ("within_subject", "", 10),
        ("cross_session", "", 4), ("cross_subject", "", 4),
        ("transfer", ", train: [1], test: [2]", 2),
    ],
)  # fmt: skip
def test_window_lengths_are_cut_from_the_beginning(
    tmp_path: Path, kind: str, more: str, n: int
) -> None:
    text = config(evaluations=WINDOWS % (kind, more)).evaluations[1]
    settings = config().model_copy(update={"evaluations": (text,)})
    found = run(settings, tmp_path, n_jobs=1)
    too_long = found[found["window_s"] == 2.0]
    assert set(too_long["error"]) == {
        "windows of 2 s cannot be cut from epochs of 0.75 s at 64 Hz; mend 'window_s' of the "
        "evaluation"
    }
    good = found[found["error"] == ""]
    assert good.groupby(["window_s", "pipeline"]).size().tolist() == [n] * 4
    np.testing.assert_allclose(
        good["minutes_train"], good["n_train"] * good["window_s"] / 60, rtol=1e-12
    )


def test_a_shorter_window_is_what_shorter_epochs_would_give(tmp_path: Path) -> None:
    more = "  - {kind: within_session, name: by length, window_s: [0.5, 0.75]}\n"
    found = run(config(evaluations=more), tmp_path, n_jobs=1)
    mine = found[(found["pipeline"] == "LogVar+LR") & (found["subject"] == "s1")]
    epochs = ToySettings().build().epochs("s1")[0]
    plain = make_pipeline(LogVar(), LogisticRegression())
    whole = mine.query("evaluation == 'within_session' and session == '1'")["score"].tolist()
    assert whole == mine.query("window_s == 0.75 and session == '1'")["score"].tolist()[:5]
    splits = StratifiedKFold(5, shuffle=True, random_state=42).split(epochs.X, epochs.y)
    X, y = epochs.X[..., :32], (epochs.y == "b").astype(int)
    for score, (train, test) in zip(
        mine.query("window_s == 0.5 and session == '1'")["score"], splits, strict=True
    ):
        ranking = plain.fit(X[train], y[train]).decision_function(X[test])
        assert score == pytest.approx(roc_auc_score(y[test], ranking))


def test_within_subject_scores_all_sessions_as_one(tmp_path: Path) -> None:
    found = run(config(evaluations="  - {kind: within_subject}\n"), tmp_path, n_jobs=1)
    pooled = found[found["evaluation"] == "within_subject"]
    assert set(pooled["session"]) == {"all"}
    assert set(pooled["n_test"]) == {8}
    assert set(pooled["n_train"]) == {32}
    assert pooled.groupby(["subject", "pipeline"]).size().tolist() == [5] * 4


def test_twins_never_stand_on_both_sides(tmp_path: Path) -> None:
    settings = config(
        ", n_subjects: 3, odd: {s3: twin of s1}", evaluations="  - {kind: cross_subject}\n"
    )
    found = run(settings, tmp_path, n_jobs=1).query("evaluation == 'cross_subject'")
    n = found.set_index("subject")["n_train"].to_dict()
    assert n == {"s1": 40, "s2": 80, "s3": 40}
    notes = [json.loads(d).get("note", "") for d in found.query("subject == 's1'")["details"]]
    assert all("is the recording of session 1 of subject s1 under another name" in n for n in notes)


def test_processes_give_the_same_table(tmp_path: Path) -> None:
    here = run(config(), tmp_path / "here", n_jobs=1)
    there = run(config(), tmp_path / "there", n_jobs=2)
    compare(here, there)


def test_unknown_estimators_are_refused_before_any_work(tmp_path: Path) -> None:
    wrong = "x: [{estimator: sklearn.svm.SVM}]\n  y: [{estimator: no.such.Thing}]\n  z: {kind: svm}"
    with pytest.raises(ConfigError) as refused:
        run(config(pipelines=wrong), tmp_path, n_jobs=1)
    lines = str(refused.value).splitlines()
    assert len(lines) == 3
    assert "module 'sklearn.svm' has no class 'SVM'" in lines[0]
    assert "cannot be imported" in lines[1]
    assert "no decoder kind 'svm'" in lines[2]


def test_collect_says_when_there_is_nothing(tmp_path: Path) -> None:
    with pytest.raises(BciError, match="holds no benchmark"):
        collect(tmp_path)


CHILD = """
import sys
sys.path.insert(0, {here!r})
from bci.benchmark import config, datasets, run
datasets.KINDS["toy"] = "benchmark_toys:ToySettings"
run.run(config.load({path!r}), {out!r}, n_jobs=1, report=print)
"""


def test_killed_run_goes_on_at_the_fold_where_it_stopped(tmp_path: Path) -> None:
    text = BASE % ("", LOGVAR.replace("LogVar}", "Slow}").strip())
    (tmp_path / "b.yaml").write_text(text)
    out = tmp_path / "out"
    code = CHILD.format(here=str(HERE), path=str(tmp_path / "b.yaml"), out=str(out))
    child = subprocess.Popen(
        [sys.executable, "-c", code], env=os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    )
    deadline = time.monotonic() + 60
    while len(units(out)) < 7:
        assert child.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    child.wait()
    n_done = len(units(out))
    assert n_done < 40
    said: list[str] = []
    resumed = run(configs.loads(text), out, n_jobs=1, report=said.append)
    assert f"40 units of work, {n_done} of them done before" in said
    assert f"40 units, {n_done} reused" in (out / "log.txt").read_text()
    compare(resumed, run(configs.loads(text), tmp_path / "uninterrupted", n_jobs=1))


STOPPED = """
import sys
from pathlib import Path
sys.path.insert(0, {here!r})
from bci.benchmark import datasets, main
datasets.KINDS["toy"] = "benchmark_toys:ToySettings"
main.run(Path({path!r}), Path({out!r}), None, 2, False, False, lambda line: print(line, flush=True))
"""


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_stopped_run_says_what_is_kept_and_nothing_else(tmp_path: Path, signum: int) -> None:
    text = BASE % (", n_subjects: 4", LOGVAR.replace("LogVar}", "Slow}").strip())
    (tmp_path / "b.yaml").write_text(text)
    out = tmp_path / "out"
    code = STOPPED.format(here=str(HERE), path=str(tmp_path / "b.yaml"), out=str(out))
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(HERE.parents[1]), str(HERE)])},
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while len(units(out)) < 3:
        assert child.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    child.send_signal(signum)
    told, _ = child.communicate(timeout=60)
    assert child.returncode == 128 + signum
    kept = len(units(out))
    assert told.splitlines() == [
        "80 units of work, 0 of them done before",
        f"stopped; {kept} of 80 units are kept, start it again to go on",
    ]
    assert f"stopped; {kept} of 80" in (out / "log.txt").read_text()


def test_a_report_of_the_same_results_is_not_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "b.yaml").write_text(BASE % ("", LOGVAR.strip()))
    said: list[str] = []

    def again() -> bool:
        return main.run(
            tmp_path / "b.yaml", tmp_path / "out", None, 1, False, False, said.append
        )  # fmt: skip

    assert again()
    page = tmp_path / "out" / "report.html"
    written = page.stat().st_mtime_ns
    assert again()
    assert page.stat().st_mtime_ns == written
    names = ("report.html", "results.csv", "summary.md")
    assert said[-3:] == [f"see {page.parent / name}" for name in names]
    page.unlink()
    assert again()
    assert page.is_file()
    monkeypatch.setattr(main, "environment", lambda: {"numpy": "another"})
    assert again()
    assert "another" in page.read_text()
