"""The configurations for the Tsinghua sets, on files as published, with noise in them.

They go through MOABB's own readers; the real data need a network and are not here. Needs moabb:
python -m pytest tests/benchmark/test_tsinghua.py
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat
from scipy.stats import binom

from bci.benchmark import config as configs
from bci.benchmark.deep_study import DeepStudy
from bci.benchmark.run import run
from bci.benchmark.trials import blocks

CONFIGS = Path(__file__).parents[2] / "configs"
LADDER = CONFIGS / "benchmark" / "ssvep_tsinghua.yaml"
#: Blocks, samples of a trial, and the first after the latency, of the files as published.
SETS = {"Wang2016": (6, 1500, 160), "Liu2020BETA": (4, 750, 158)}

pytestmark = pytest.mark.filterwarnings("default")


def settings() -> list[Any]:
    paths = [CONFIGS / "deep_protocol" / f"{name}.yaml" for name in ("benchmark", "beta")]
    studies = [configs.parse(configs.read(path), str(path), DeepStudy) for path in paths]
    return [*configs.load(LADDER).datasets, *(study.dataset for study in studies)]


def published(kind: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Write person 1 as published, let MOABB find it, and return its samples.

    Shape (64 channels, n_times, 40 targets, n_blocks).
    """
    pytest.importorskip("moabb")
    from moabb import datasets

    logging.getLogger("moabb").setLevel("ERROR")
    n_blocks, n_times, _ = SETS[kind]
    raw = np.random.default_rng(0).standard_normal((64, n_times, 40, n_blocks))
    raw -= raw.mean(axis=1, keepdims=True)  # as MOABB does
    cls = getattr(datasets, kind)
    if kind == "Wang2016":
        savemat(folder / "S1.mat", {"data": raw})
        path = folder / "S1.mat.mat"  # MOABB cuts a suffix off
    else:
        about = {"age": np.array([[20.0]]), "gender": "male"}
        path = folder / "S1.mat"
        savemat(path, {"data": {"EEG": raw.swapaxes(2, 3), "suppl_info": about}})
    monkeypatch.setattr(cls, "data_path", lambda *args, **more: str(path))
    monkeypatch.setattr(cls, "nemar_id", None)  # where MOABB would look first
    return raw


@pytest.mark.parametrize("number", range(4))
def test_epochs_are_the_crop_of_the_literature(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    asked = settings()[number]
    raw = published(asked.dataset, tmp_path, monkeypatch)
    n_blocks, _, first = SETS[asked.dataset]
    data = asked.build()
    (epochs,) = data.epochs("1")
    assert (len(epochs.y), epochs.sfreq) == (40 * n_blocks, 250.0)
    assert sorted(map(float, set(epochs.y))) == pytest.approx(np.arange(40) * 0.2 + 8)
    from moabb.datasets.utils import TSINGHUA_64CH_NAMES

    picks = [list(TSINGHUA_64CH_NAMES).index(ch) for ch in epochs.ch_names]
    assert len(picks) == 9
    numbers = blocks(epochs.y, epochs.trials)
    for X, label, block in zip(epochs.X, epochs.y, numbers, strict=True):
        whole = raw[:, :, data._dataset.event_id[label] - 1, block]
        np.testing.assert_allclose(X[:, :250], whole[picks, first : first + 250], atol=1e-12)


def test_the_ladder_runs_and_finds_nothing_in_noise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published("Liu2020BETA", tmp_path, monkeypatch)
    whole = configs.load(LADDER)
    (beta,) = (d for d in whole.datasets if d.name == "BETA")
    quick = ["ms-CCA", "TRCA", "eTRCA-R", "ms-eTRCA", "TDCA"]
    evaluation = whole.evaluations[0].model_copy(update={"window_s": [0.5], "pipelines": quick})
    table = run(
        whole.model_copy(
            update={
                "datasets": (beta.model_copy(update={"subjects": (1,)}),),
                "evaluations": (evaluation,),
            }
        ),
        tmp_path / "out",
        n_jobs=1,
    )
    assert set(table["error"]) == {""}
    for _, rows in table.groupby("pipeline"):
        told = [json.loads(details) for details in rows["details"]]
        right = sum(a == b for d in told for a, b in zip(d["y_true"], d["y_pred"], strict=True))
        assert right <= binom.ppf(0.999, 160, 1 / 40)
