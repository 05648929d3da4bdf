"""The deep network's protocol from a YAML: who is gathered, what is said, what is refused."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from benchmark_toys import ToySettings

from bci.benchmark import config as configs
from bci.benchmark import deep_study
from bci.benchmark.deep_study import DeepStudy, gather
from bci.errors import ConfigError, SourceError

SHIPPED = Path(__file__).parents[2] / "configs" / "deep_protocol"
SMALL = """
dataset: {kind: simulated, paradigm: ssvep12, n_subjects: 2, n_sessions: 1, n_per_class: 2,
  filters: [], tmin: 0.14, tmax: 0.54}
window_s: [0.2]
n_epochs: [1, 1]
device: cpu
"""


def shipped(name: str) -> DeepStudy:
    path = SHIPPED / f"{name}.yaml"
    return configs.parse(configs.read(path), str(path), DeepStudy)


@pytest.mark.parametrize("name", [path.stem for path in sorted(SHIPPED.glob("*.yaml"))])
def test_shipped_studies_are_valid(name: str) -> None:
    study = shipped(name)
    assert (study.paper is None) == (name == "simulated")


def test_the_papers_schedules_are_the_papers() -> None:
    benchmark, beta = shipped("benchmark").recipe, shipped("beta").recipe
    assert (benchmark.n_epochs, beta.n_epochs) == ((1000, 1000), (800, 1000))
    assert benchmark.dropout == ((0.1, 0.1, 0.95), (0.6, 0.6, 0.95))
    assert beta.dropout == ((0.1, 0.1, 0.95), (0.7, 0.7, 0.95))
    assert benchmark.learning_rate == beta.learning_rate == 1e-4


def test_a_study_is_told_and_kept_and_not_repeated(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    (tmp_path / "study.yaml").write_text(SMALL)
    said: list[str] = []
    for _ in range(2):
        deep_study.run(tmp_path / "study.yaml", tmp_path / "out", said.append)
    first, again = said
    assert first == again
    assert "2 people, 2 blocks, 12 targets, 9 channels, SIMULATED" in first
    assert "chance 8.3 %" in first
    with (tmp_path / "out" / "scores.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(r["subject"], r["block"], r["n_trials"]) for r in rows] == [
        ("01", "0", "12"), ("01", "1", "12"), ("02", "0", "12"), ("02", "1", "12")
    ]  # fmt: skip


def test_sessions_of_a_person_are_further_blocks() -> None:
    found = gather(ToySettings(n_trials=8).build(), longest_s=0.5)
    assert found.X.shape == (32, 3, 32)
    for subject in ("s1", "s2"):
        own = found.blocks[found.subjects == subject]
        assert sorted(own.tolist()) == sorted(2 * list(range(8)))
        assert own[:8].max() == 3
    with pytest.raises(SourceError, match="several windows"):
        gather(ToySettings(windows_per_trial=2).build(), 0.5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("device: cpu", "paper: BETA"), "9 channels and 40 targets, .* has 9 and 12"),
        (("[0.2]", "[0.5]"), "shorter than 0.5 s"),
        (("n_per_class: 2", "n_per_clas: 2"), "study:2: unknown key .*did you mean 'n_per_class'"),
        (("window_s", "windows_s"), "study:4: unknown key .*did you mean 'window_s'"),
    ],
)
def test_what_cannot_be_studied_is_refused(
    tmp_path: Path, change: tuple[str, str], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        deep_study.evaluate(configs.parse(SMALL.replace(*change), "study", DeepStudy), tmp_path)
