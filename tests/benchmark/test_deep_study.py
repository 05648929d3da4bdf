"""The deep network's protocol from a YAML: who is gathered, what is said, what is refused."""

from __future__ import annotations

import csv
import logging
import warnings
from pathlib import Path

import numpy as np
import pytest
from benchmark_toys import ToySettings
from scipy.io import savemat

from bci.benchmark import config as configs
from bci.benchmark import deep_study
from bci.benchmark.deep_study import DeepStudy, gather
from bci.benchmark.trials import blocks
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


@pytest.mark.parametrize(
    ("name", "n_blocks", "n_times", "first", "stored"),
    [("benchmark", 6, 1500, 160, "data"), ("beta", 4, 750, 158, "EEG")],
)
@pytest.mark.filterwarnings("default")
def test_the_crop_of_the_paper_out_of_moabbs_readers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, n_blocks: int, n_times: int,
    first: int, stored: str,
) -> None:  # fmt: skip
    """Files as published, with noise in them, through MOABB's own readers; no network."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("moabb")
        from moabb.datasets.utils import TSINGHUA_64CH_NAMES

    logging.getLogger("moabb").setLevel("ERROR")
    raw = np.random.default_rng(0).standard_normal((64, n_times, 40, n_blocks))
    raw -= raw.mean(axis=1, keepdims=True)  # as MOABB does
    if stored == "data":
        savemat(tmp_path / "S1.mat", {"data": raw})
    else:
        about = {"age": np.array([[20.0]]), "gender": "male"}
        eeg = {"EEG": raw.swapaxes(2, 3), "suppl_info": about}
        savemat(tmp_path / "S1.mat", {"data": eeg})
    path = tmp_path / ("S1.mat.mat" if stored == "data" else "S1.mat")  # a suffix is cut off
    data = shipped(name).dataset.build()
    own = data._dataset  # type: ignore[attr-defined]
    monkeypatch.setattr(own, "data_path", lambda *args, **more: str(path))
    monkeypatch.setattr(type(own), "nemar_id", None)  # where MOABB would look first
    (epochs,) = data.epochs("1")
    assert (len(epochs.y), epochs.sfreq) == (40 * n_blocks, 250.0)
    assert sorted(map(float, set(epochs.y))) == pytest.approx(np.arange(40) * 0.2 + 8)
    picks = [list(TSINGHUA_64CH_NAMES).index(ch) for ch in epochs.ch_names]
    numbers = blocks(epochs.y, epochs.trials)
    for X, label, block in zip(epochs.X, epochs.y, numbers, strict=True):
        whole = raw[:, :, own.event_id[label] - 1, block]
        np.testing.assert_allclose(X[:, :250], whole[picks, first : first + 250], atol=1e-12)
