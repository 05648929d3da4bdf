"""Simulated people with blinks and muscle bursts: a chain comes half-way back, and costs nothing.

SIMULATED: it says that the stages work, not how a person would do. Minutes long.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from bci.benchmark import main
from bci.benchmark.cleaning.decoder_study import DecoderStudy
from bci.benchmark.cleaning.report import MAX_LOSS, UNTOUCHED, margins, scores
from bci.benchmark.study import run

#: What the configuration's rule chooses for both decoders, on the people that it sets aside.
CHOSEN = "ASR, Riemannian"
CONFIG = Path(__file__).parents[2] / "configs" / "benchmark" / "denoise_decoders.yaml"


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_chosen_chain_comes_half_way_back_and_costs_nothing(tmp_path):
    asked = yaml.safe_load(CONFIG.read_text())
    asked["chains"] = {CHOSEN: asked["chains"][CHOSEN]}
    for judged in asked["datasets"]:
        n, n_chosen_on = judged["dataset"]["n_subjects"], judged["choose_on"]
        judged["dataset"]["subjects"] = list(range(n_chosen_on + 1, n + 1))
        judged["choose_on"] = 0
    found: list[dict] = []

    class Kept(DecoderStudy):
        def sections(self, rows):
            found.extend(rows)
            return super().sections(rows)

    assert run(
        Kept.model_validate(asked), tmp_path, config_yaml="", environment=main.environment(),
        n_jobs=1, say=print,
    )  # fmt: skip
    for dataset in dict.fromkeys(row["dataset"] for row in found):
        for decoder in ("TRCA", "tangent space"):  # of which artifacts take something
            rows = [r for r in found if (r["dataset"], r["decoder"]) == (dataset, decoder)]
            if not rows:
                continue
            clean, dirty = (
                np.mean([r["score"] for r in scores(rows, UNTOUCHED, c).values()])
                for c in ("clean", "contaminated")
            )
            above, lost = margins(rows, CHOSEN)
            assert clean > dirty, f"{decoder}: artifacts cost nothing"
            assert np.mean(above) >= 0.0, f"{decoder}: less than half-way back"
            assert np.mean(lost) <= MAX_LOSS, f"{decoder}: loses on clean data"
