"""The shipped benchmark of the ladder on simulated people before 40 targets.

Asserted is what follows from the methods; the table is printed:
pytest -m slow tests/benchmark/test_ladder_simulated.py -s
With phases drawn anew in each trial: tests/decoders/test_ssvep_simulated.py.
"""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from bci.benchmark import config as configs
from bci.benchmark.run import run

CONFIG = Path(__file__).parents[2] / "configs" / "benchmark" / "ssvep_ladder_simulated.yaml"
TEMPLATES = ("eCCA", "ms-CCA", "TRCA", "eTRCA", "eTRCA-R", "TDCA")


def hits(row: pd.Series[str]) -> int:
    told = json.loads(row["details"])
    return sum(a == b for a, b in zip(told["y_true"], told["y_pred"], strict=True))


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_with_locked_phase_templates_beat_fbcca_in_short_windows(tmp_path: Path) -> None:
    whole = configs.load(CONFIG)
    (dataset,) = (d for d in whole.datasets if d.name == "40 targets (simulated)")
    evaluation = whole.evaluations[0].model_copy(
        update={"window_s": [0.3, 0.5], "pipelines": ["FBCCA", *TEMPLATES]}
    )
    part = whole.model_copy(update={"datasets": (dataset,), "evaluations": (evaluation,)})
    table = run(part, tmp_path)
    assert set(table["error"]) == {""}
    found = table.assign(hits=table.apply(hits, axis=1)).pivot_table(
        index="pipeline", columns="window_s", values=["hits", "n_test"], aggfunc="sum"
    )
    print(f"\nsimulated, 40 targets, right of {found['n_test'].iloc[0, 0]}:\n{found['hits']}")
    for name in TEMPLATES:
        for length in (0.3, 0.5):
            assert found.loc[name, ("hits", length)] > found.loc["FBCCA", ("hits", length)], name
