"""Mistakes in a benchmark's YAML are told with file, line, key and remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from bci.benchmark import config as configs
from bci.benchmark import pipelines, study
from bci.benchmark.run import run
from bci.errors import ConfigError

GOOD = """name: x
datasets:
  - {kind: toy, n_subjects: 3}
pipelines:
  mdm: {kind: mdm, shrinkage: null}
  short:
    - {estimator: sklearn.svm.SVC, params: {C: 2}}
  full:
    steps: [{estimator: sklearn.svm.SVC}]
    grid: {svc__C: [1, 2]}
    only: [imagery]
evaluations:
  - {kind: within_session}
  - {kind: transfer, train: [1], test: [two]}
"""


def test_short_and_long_forms() -> None:
    found = configs.loads(GOOD)
    assert found.pipelines["mdm"].decoder == {"kind": "mdm", "shrinkage": None}
    assert found.pipelines["short"].steps[0].params == {"C": 2}
    assert found.pipelines["full"].grid == {"svc__C": [1, 2]}
    assert found.evaluations[1].test == ["two"]  # type: ignore[union-attr]
    again = configs.BenchmarkConfig.model_validate(found.model_dump())
    assert again.pipelines == found.pipelines


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("n_subjects: 3", "n_subject: 3", "b.yaml:3: unknown key 'datasets.0.n_subject'; did you "
         "mean 'n_subjects'?"),
        ("kind: toy", "kind: toys", "b.yaml:3: 'datasets.0': unknown data set kind 'toys'; did you "
         "mean 'toy'?"),
        ("grid:", "gird:", "b.yaml:10: unknown key 'pipelines.full.gird'; did you mean 'grid'?"),
        ("estimator: sklearn.svm.SVC, params", "estimator: SVC, params",
         "b.yaml:7: 'pipelines.short.steps.0.estimator'"),
        ("kind: within_session", "kind: within_sessions", "b.yaml:13: 'evaluations.0'"),
        ("within_session}", "within_session, window_s: [1, 0.5]}",
         "b.yaml:13: 'evaluations.0.within_session.window_s': lengths must rise"),
        ("within_session}", "within_session, window_s: [0, 1]}", "b.yaml:13:"),
        ("test: [two]", "tests: [two]", "b.yaml:14:"),
        ("    steps: [{estimator: sklearn.svm.SVC}]\n", "",
         "needs either a decoder ('kind' or 'decoder') or 'steps'"),
        ("name: x", "nam: x", "b.yaml:1: unknown key 'nam'; did you mean 'name'?"),
        ("name: x", "name: [", "b.yaml"),
    ],
)  # fmt: skip
def test_mistakes(old: str, new: str, told: str) -> None:
    assert old in GOOD
    with pytest.raises(ConfigError) as refused:
        configs.loads(GOOD.replace(old, new), "b.yaml")
    assert told in str(refused.value)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        configs.load(tmp_path / "none.yaml")


def test_decoders_are_checked_before_work() -> None:
    wrong = GOOD.replace("shrinkage: null", "shrink: null")
    with pytest.raises(ConfigError, match="pipeline 'mdm': decoder kind 'mdm': 'shrink'"):
        pipelines.check(configs.loads(wrong))


def test_names_under_only_must_exist(tmp_path: Path) -> None:
    wrong = GOOD.replace("only: [imagery]", "only: [imagery, bci-iv-2b]")
    with pytest.raises(ConfigError, match="only for 'bci-iv-2b', which is no data set of this"):
        run(configs.loads(wrong), tmp_path, n_jobs=1)


def test_two_rows_are_never_mixed_up(tmp_path: Path) -> None:
    twice = GOOD + "  - {kind: within_session, folds: 3}\n"
    with pytest.raises(ConfigError, match="two evaluations .*'within_session'; give each a 'name'"):
        run(configs.loads(twice), tmp_path, n_jobs=1)
    double = GOOD.replace("pipelines:\n", "  - {kind: toy}\npipelines:\n")
    with pytest.raises(ConfigError, match="two data sets have one name"):
        run(configs.loads(double), tmp_path, n_jobs=1)


@pytest.mark.parametrize(
    "path",
    sorted((Path(__file__).parents[2] / "configs" / "benchmark").glob("*.yaml")),
    ids=lambda p: p.stem,
)
def test_shipped_benchmarks_are_valid(path: Path) -> None:
    text = configs.read(path)
    if study.kind_of(text) is not None:
        study.load(text, str(path))
    else:
        pipelines.check(configs.load(path))
