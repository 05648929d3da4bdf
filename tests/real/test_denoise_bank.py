"""Filters on the bank of real epochs: the figures that simple methods are known to reach there."""

from __future__ import annotations

from pathlib import Path

import pytest

from bci.benchmark.cleaning.methods import FilterMethod, Task
from bci.denoise import metrics
from bci.denoise.bank import Bank, pairs

BANK = Path("../shared/data/denoise/semisim_256hz.npz")

#: RRMSE and correlation at -7, -4, 0 and 2 dB, as the bank's own description gives them.
KNOWN = {
    "eog": ((2.05, 1.15, 0.70, 0.63), (0.32, 0.51, 0.72, 0.77)),
    "emg": ((1.50, 0.81, 0.44, 0.37), (0.51, 0.74, 0.90, 0.92)),
}


@pytest.mark.parametrize("artifact", ["eog", "emg"])
def test_filters_reach_what_is_known_of_them(artifact) -> None:
    if not BANK.exists():
        pytest.skip(f"{BANK} is not there")
    bank = Bank.load(BANK)
    method = FilterMethod().build(Task({}, artifact, {}, 0, Path("unused"), print))
    for snr_db, rrmse, cc in zip((-7.0, -4.0, 0.0, 2.0), *KNOWN[artifact], strict=True):
        noisy, clean, _ = pairs(bank, artifact, [snr_db], 1000, 0)
        cleaned = method.fit(noisy, clean, bank.sfreq).clean(noisy)
        assert metrics.rrmse_temporal(cleaned, clean).mean() == pytest.approx(rrmse, abs=0.03)
        assert metrics.correlation(cleaned, clean).mean() == pytest.approx(cc, abs=0.015)
